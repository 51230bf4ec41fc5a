//! Gateway API's `Gateway` and `GatewayClass`, where they are ours: warnings only.
//!
//! In: an object of another API, as JSON. Out: what its conditions will say later, now, by the functions that will say
//! it. Never: a problem: Gateway API lets such objects in and tells in their status what is wrong. What nobody here knows
//! is taken to be in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::gatewayapi::{GROUP, ReferenceGrant};
use crds::{GatewayConfiguration, GatewayConfigurationSpec};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use plan::gateway::{self, Known, Place, Unusable};
use serde_json::json;

use super::controlplane::closed;
use super::{Judge, Subject};
use crate::rules::read;
use crate::verdict::Verdict;
use crate::world::{Found, World};

/// Where a class names its parameters.
const PARAMETERS: &str = "spec.parametersRef";

/// The verdict on a `Gateway`.
pub fn of_gateway(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    // One that cannot be read is the API server's to refuse.
    let Ok(mut object) = read::object::<Gateway>(subject.object) else { return Verdict::default() };
    read::complete(&mut object.metadata);
    let Found::Here(class) = judge.world.gateway_class(&object.spec.gateway_class_name) else {
        return Verdict::default();
    };
    if class.spec.controller_name != judge.controller || gateway::is_unmanaged(&class) {
        return Verdict::default();
    }
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let around = Around { world: judge.world, namespace };
    let parameters = gateway::parameters(&class, &object, |place| around.configuration(place));
    let ungranted = parameters.as_ref().map(|parameters| ungranted(judge.world, namespace, parameters));
    let ungranted = ungranted.unwrap_or_default();
    let known = Known { controller: judge.controller, parameters, sets: None, routes: &[], world: &around };
    let mut warnings = gateway::judged(&object, &known).wrong();
    warnings.extend(ungranted);
    Verdict { problems: Vec::new(), warnings }
}

/// Namespaces that the `ControlPlane` of a Gateway is to read, and may not.
fn ungranted(world: &dyn World, namespace: &str, parameters: &GatewayConfigurationSpec) -> Vec<String> {
    let options = parameters.control_plane_options.as_ref();
    let closed = options.map(|options| closed(world, namespace, options)).unwrap_or_default();
    let told = |other: &str| {
        format!(
            "no WatchNamespaceGrant in {other:?} lets {namespace:?} read it, as watchNamespaces of the GatewayConfiguration asks"
        )
    };
    closed.into_iter().map(told).collect()
}

/// The verdict on a `GatewayClass`.
pub fn of_class(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    let Ok(class) = read::object::<GatewayClass>(subject.object) else { return Verdict::default() };
    if class.spec.controller_name != judge.controller {
        return Verdict::default();
    }
    let around = Around { world: judge.world, namespace: "" };
    let found = |place: Place| gateway::at(&place, around.configuration(&place)).map(drop);
    let wrong = gateway::of_class(&class).and_then(|place| place.map_or(Ok(()), found)).err();
    let placed =
        |words: String| if words.starts_with(PARAMETERS) { words } else { format!("{PARAMETERS}: {words}") };
    Verdict { problems: Vec::new(), warnings: wrong.map(placed).into_iter().collect() }
}

/// What is known, for who tells the conditions; what is not known is in order.
struct Around<'a> {
    world: &'a dyn World,
    /// Of the Gateway.
    namespace: &'a str,
}

impl Around<'_> {
    fn configuration(&self, place: &Place) -> Option<Arc<GatewayConfiguration>> {
        match self.world.configuration(&place.namespace, &place.name) {
            Found::Here(found) => Some(found),
            Found::Absent => None,
            Found::Unknown => {
                let empty = GatewayConfigurationSpec::default();
                Some(Arc::new(GatewayConfiguration::new(&place.name, empty)))
            }
        }
    }
}

impl gateway::World for Around<'_> {
    fn labels(&self, _: &str) -> Option<BTreeMap<String, String>> {
        // Only sets of listeners and routes are let in by labels, and those are judged when they come.
        None
    }

    fn grants(&self, namespace: &str) -> Vec<Arc<ReferenceGrant>> {
        match self.world.reference_grants(namespace) {
            Found::Here(grants) => grants,
            Found::Absent => Vec::new(),
            Found::Unknown => leave(namespace, self.namespace).into_iter().collect(),
        }
    }

    fn certificate(&self, namespace: &str, name: &str) -> Result<(), Unusable> {
        match self.world.certificate(namespace, name) {
            Found::Here(found) => found,
            Found::Absent => Err(Unusable::Absent),
            Found::Unknown => Ok(()),
        }
    }
}

/// A grant that nobody here knows, and that may be there.
fn leave(namespace: &str, to: &str) -> Option<Arc<ReferenceGrant>> {
    let grant = json!({
        "metadata": { "name": "unknown", "namespace": namespace },
        "spec": {
            "from": [{ "group": GROUP, "kind": "Gateway", "namespace": to }],
            "to": [{ "group": "", "kind": "Secret" }],
        },
    });
    serde_json::from_value(grant).ok().map(Arc::new)
}

#[cfg(test)]
mod tests;
