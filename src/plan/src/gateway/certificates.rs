//! Whether what a listener refers to can be used to end TLS.
//!
//! In: the references, grants, and what is in the Secrets, judged by others. Out: nothing, or the reason and words of the
//! condition `ResolvedRefs`. A reference to another namespace is asked for leave before anything is said of its object.

use crds::gatewayapi::{GROUP, ReferenceGrant};
use gateway_api::gateways::{GatewayListenersTls, GatewayListenersTlsCertificateRefs};

use super::words::{INVALID_CERTIFICATE_REF, REF_NOT_PERMITTED};
use super::{Unusable, World};

/// Why a reference cannot be used: a reason, and words.
pub type Refused = (&'static str, String);

/// Who refers: a kind of Gateway API's, and its namespace.
#[derive(Debug, Clone, Copy)]
pub struct Referrer<'a> {
    /// `Gateway` or `ListenerSet`.
    pub kind: &'a str,
    /// Where it lives.
    pub namespace: &'a str,
}

/// What is wrong with the certificates of a listener that ends TLS.
pub fn refused(tls: Option<&GatewayListenersTls>, by: Referrer<'_>, world: &dyn World) -> Option<Refused> {
    let references = tls.and_then(|tls| tls.certificate_refs.as_deref()).unwrap_or_default();
    match references {
        [] => Some((INVALID_CERTIFICATE_REF, "tls.certificateRefs names no certificate".to_owned())),
        [one] => of_one(one, by, world),
        // Kong Ingress Controller 3 takes one certificate for a listener.
        several => several.iter().find_map(|one| of_one(one, by, world)).or_else(|| {
            let words = format!("tls.certificateRefs names {} certificates: name one", several.len());
            Some((INVALID_CERTIFICATE_REF, words))
        }),
    }
}

fn of_one(
    reference: &GatewayListenersTlsCertificateRefs,
    by: Referrer<'_>,
    world: &dyn World,
) -> Option<Refused> {
    let (group, kind) =
        (reference.group.as_deref().unwrap_or_default(), reference.kind.as_deref().unwrap_or("Secret"));
    let namespace = reference.namespace.as_deref().filter(|other| !other.is_empty()).unwrap_or(by.namespace);
    let name = &reference.name;
    if namespace != by.namespace && !granted(&world.grants(namespace), by, (group, kind, name)) {
        let words = format!(
            "{kind} {namespace}/{name}: no ReferenceGrant in {namespace} lets a {} of {} refer to it",
            by.kind, by.namespace
        );
        return Some((REF_NOT_PERMITTED, words));
    }
    if (group, kind) != ("", "Secret") {
        let words = format!("{kind:?} of group {group:?} holds no certificate that is known: name a Secret");
        return Some((INVALID_CERTIFICATE_REF, words));
    }
    let told = match world.certificate(namespace, name) {
        Ok(()) => return None,
        Err(Unusable::Absent) => "does not exist".to_owned(),
        Err(Unusable::OtherType) => "is not of type kubernetes.io/tls".to_owned(),
        Err(Unusable::Wrong(words)) => words,
    };
    Some((INVALID_CERTIFICATE_REF, format!("Secret {namespace}/{name} {told}")))
}

/// Whether a grant of the object's namespace gives leave.
fn granted(
    grants: &[std::sync::Arc<ReferenceGrant>],
    by: Referrer<'_>,
    (group, kind, name): (&str, &str, &str),
) -> bool {
    grants.iter().any(|grant| {
        let mut from = grant.spec.from.iter();
        let mut to = grant.spec.to.iter();
        from.any(|from| from.group == GROUP && from.kind == by.kind && from.namespace == by.namespace)
            && to.any(|to| {
                to.group == group
                    && to.kind == kind
                    && to.name.as_deref().is_none_or(|only| only.is_empty() || only == name)
            })
    })
}
