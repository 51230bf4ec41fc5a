//! The status of a `GatewayClass`.
//!
//! In: the class, what its parameters lead to, the version of Gateway API that is installed. Out: its status; of a class
//! that is left to Kong Ingress Controller, the very values that this writes.

use crds::conditions::Status;
use crds::k8s::Timestamp;
use gateway_api::gatewayclasses::{GatewayClass, GatewayClassStatus, GatewayClassStatusSupportedFeatures};

use super::status::conditions;
use super::words::{ACCEPTED, INVALID_PARAMETERS, SUPPORTED_VERSION, UNSUPPORTED_VERSION};

/// Annotation of a class whose Gateways Kong Ingress Controller looks after by itself.
pub const UNMANAGED: &str = "konghq.com/gatewayclass-unmanaged";
/// What Kong Ingress Controller says of a class that it accepts.
const THEIRS: &str = "the gatewayclass has been accepted by the controller";
/// Minor versions of Gateway API 1 that are known.
const KNOWN: std::ops::RangeInclusive<u32> = 1..=6;
/// The first one whose classes list features as objects.
const LISTED: u32 = 3;
/// What is supported, in the order of the names.
const FEATURES: [&str; 10] = [
    "Gateway",
    "GatewayAddressEmpty",
    // Gateway API has given this one another name: v1.6.0 has the next one, v1.6.3 this one.
    "GatewayInfrastructure",
    "GatewayInfrastructurePropagation",
    "GatewayPort8080",
    "HTTPRoute",
    "HTTPRouteHostRewrite",
    "HTTPRoutePathRewrite",
    "HTTPRouteResponseHeaderModification",
    "ReferenceGrant",
];

/// Whether Kong Ingress Controller looks after the Gateways of a class by itself.
pub fn is_unmanaged(class: &GatewayClass) -> bool {
    let notes = class.metadata.annotations.as_ref();
    notes.and_then(|notes| notes.get(UNMANAGED)).is_some_and(|value| !value.is_empty())
}

/// The status of a class that is ours. `bundle` is the version of Gateway API, as `v1.6.3`, where it is known.
pub fn status(
    class: &GatewayClass,
    parameters: Result<(), String>,
    bundle: Option<&str>,
    now: Timestamp,
) -> GatewayClassStatus {
    let accepted = match parameters {
        Err(words) => (Status::False, INVALID_PARAMETERS, words),
        Ok(()) if is_unmanaged(class) => (Status::True, ACCEPTED, THEIRS.to_owned()),
        Ok(()) => (Status::True, ACCEPTED, "its Gateways are served".to_owned()),
    };
    let minor = bundle.and_then(minor);
    let mut said = vec![(ACCEPTED, accepted)];
    said.extend(bundle.map(|bundle| (SUPPORTED_VERSION, version(bundle, minor))));
    let before = class.status.clone().unwrap_or_default();
    let features =
        || FEATURES.map(|name| GatewayClassStatusSupportedFeatures { name: name.to_owned() }).into();
    let lists = !is_unmanaged(class) && minor.is_some_and(|minor| minor >= LISTED);
    GatewayClassStatus {
        conditions: Some(conditions(before.conditions.as_deref(), said, class.metadata.generation, now)),
        supported_features: if lists { Some(features()) } else { before.supported_features },
    }
}

fn version(bundle: &str, minor: Option<u32>) -> (Status, &'static str, String) {
    if minor.is_some_and(|minor| KNOWN.contains(&minor)) {
        return (Status::True, SUPPORTED_VERSION, format!("Gateway API {bundle} is known"));
    }
    let words =
        format!("Gateway API {bundle} is not known: it is used as far as it is like v1.{}", KNOWN.end());
    (Status::False, UNSUPPORTED_VERSION, words)
}

/// The minor version of a version 1.
fn minor(bundle: &str) -> Option<u32> {
    bundle.strip_prefix("v1.")?.split(['.', '-']).next()?.parse().ok()
}
