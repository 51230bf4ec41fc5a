//! What became of the configuration that Kong Ingress Controller pushes for a Gateway.
//!
//! In: the conditions of its children, and its routes with what Kong Ingress Controller says of them. Out: the condition
//! `ConfigurationAccepted`, which names the routes that may be the cause. Never: whether the Gateway is programmed: what
//! Kong took before is served on.

use crds::conditions::{self, Status, reasons, types};
use crds::k8s::Condition;

use super::listeners::Unit;
use super::routes::{self, Route};
use super::words::PROGRAMMED;
use crate::controlplane::as_told;

/// As many routes as a message has room for.
const MOST: usize = 10;

/// A condition: whether it holds, a reason, words.
type Said = (Status, &'static str, String);

/// The routes of the Gateway that are in no configuration that Kong took whole, as `Kind namespace/name`: what Kong refuses
/// may be in one of them.
pub fn suspects(routes: &[Route<'_>], unit: &Unit<'_>, controller: &str) -> Vec<String> {
    let is_of = |route: &&Route<'_>| {
        route.spec.parent_refs.iter().any(|parent| routes::is_of(parent, route.namespace, unit))
    };
    let is_pushed = |route: &Route<'_>| {
        let told = route.status.map(|status| status.parents.as_slice()).unwrap_or_default();
        let ours = |told: &&crds::gatewayapi::RouteParent| {
            told.controller_name == controller && routes::is_of(&told.parent_ref, route.namespace, unit)
        };
        told.iter().filter(ours).any(|told| {
            conditions::get(&told.conditions, PROGRAMMED)
                .is_some_and(|found| found.status == "True" && found.observed_generation == route.generation)
        })
    };
    let mut found: Vec<_> = routes
        .iter()
        .filter(is_of)
        .filter(|route| !is_pushed(route))
        .map(|route| format!("{} {}/{}", route.kind, route.namespace, route.name))
        .collect();
    found.sort();
    found
}

/// The condition. Nothing is said before anything is known: `is_ready` says whether Kong's pods are, which they are once
/// they took a configuration.
pub fn accepted(controlplane: &[Condition], is_ready: bool, suspects: &[String]) -> Option<Said> {
    match as_told(controlplane) {
        Some(told) if told.status == Status::False => {
            Some((Status::False, told.reason, told.message + &listed(suspects)))
        }
        told if told.is_some() || is_ready => {
            Some((Status::True, reasons::CONFIGURATION_ACCEPTED, String::new()))
        }
        _ => None,
    }
}

/// Why Kong has no configuration, where it refuses the one that it is given.
pub fn refusal(controlplane: &[Condition]) -> Option<&str> {
    let found = conditions::get(controlplane, types::CONFIGURATION_ACCEPTED)?;
    (found.status == "False").then_some(found.message.as_str())
}

fn listed(suspects: &[String]) -> String {
    if suspects.is_empty() {
        return String::new();
    }
    let first = suspects.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    let more = if suspects.len() > MOST { " and others" } else { "" };
    format!(". Routes of this Gateway that are not in a configuration that Kong took whole: {first}{more}")
}
