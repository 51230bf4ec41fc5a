//! The status of a `GatewayConfiguration`.
//!
//! In: the configuration, who uses it, and what is wrong with it. Out: its status.

use crds::conditions::{Status, reasons};
use crds::dataplane::{DataPlaneSpec, IngressService, Network, Services};
use crds::gatewayconfiguration::{DataPlaneOptions, GatewayConfigurationStatus};
use crds::k8s::Timestamp;
use crds::{DataPlane, GatewayConfiguration};
use serde_json::json;

use super::status::conditions;
use super::words::ACCEPTED;
use crate::{Invalid, Problem, controlplane, dataplane};

/// Where the options of a data plane stand.
const DATA: &str = "spec.dataPlaneOptions";
/// Where those of a control plane do.
const CONTROL: &str = "spec.controlPlaneOptions";

/// Who uses a configuration: names of Gateways, as `namespace/name`, and of classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    /// Classes that name it.
    pub classes: Vec<String>,
    /// Gateways that name it, or whose class does.
    pub gateways: Vec<String>,
}

/// As many names as a message has room for.
const MOST: usize = 10;

/// The status that tells of users and problems.
pub fn status(object: &GatewayConfiguration, used: &Use, now: Timestamp) -> GatewayConfigurationStatus {
    let problems = Invalid(problems(object));
    let accepted = if problems.0.is_empty() {
        (Status::True, ACCEPTED, told(used))
    } else {
        (Status::False, reasons::VALIDATION_FAILED, problems.to_string())
    };
    let generation = object.metadata.generation;
    let before = object.status.as_ref().and_then(|status| status.conditions.as_deref());
    GatewayConfigurationStatus {
        observed_generation: generation,
        conditions: Some(conditions(before, [(ACCEPTED, accepted)], generation, now)),
    }
}

/// What no Gateway could be made of.
pub fn problems(object: &GatewayConfiguration) -> Vec<Problem> {
    let of_data = object.spec.data_plane_options.as_ref().map(|options| of_data_plane(object, options));
    let control = object.spec.control_plane_options.as_ref();
    let of_control = control.map(|options| controlplane::problems(options, CONTROL));
    of_data.into_iter().chain(of_control).flatten().collect()
}

/// Those of the `DataPlane` that a Gateway without listeners would get.
fn of_data_plane(object: &GatewayConfiguration, options: &DataPlaneOptions) -> Vec<Problem> {
    let services = options.network.as_ref().and_then(|network| network.services.as_ref());
    // The ingress Service of a DataPlane has the fields of a Gateway's, and ports.
    let ingress: Option<IngressService> = services
        .and_then(|services| services.ingress.as_ref())
        .and_then(|ingress| serde_json::from_value(json!(ingress)).ok());
    let network = Network { services: Some(Services { ingress }), konnect_certificate: None };
    let spec = DataPlaneSpec {
        deployment: options.deployment.clone(),
        network: Some(network),
        resources: options.resources.clone(),
        extensions: None,
        plugins_to_install: None,
    };
    let made = DataPlane { metadata: object.metadata.clone(), spec, status: None };
    let settings = dataplane::Settings::default();
    let Err(Invalid(mut problems)) = dataplane::valid(&settings, &made).map(drop) else { return Vec::new() };
    for problem in &mut problems {
        if let Some(rest) = problem.path.strip_prefix("spec.") {
            problem.path = format!("{DATA}.{rest}");
        }
    }
    problems
}

fn told(used: &Use) -> String {
    let some = |noun: &str, names: &[String]| match names {
        [] => format!("no {noun}"),
        names if names.len() > MOST => {
            let first = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
            format!("{} {noun}: {first} and others", names.len())
        }
        names => format!("{} {noun}: {}", names.len(), names.join(", ")),
    };
    format!("used by {}; {}", some("GatewayClasses", &used.classes), some("Gateways", &used.gateways))
}
