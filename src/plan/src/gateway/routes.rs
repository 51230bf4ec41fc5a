//! How many routes are attached to a listener.
//!
//! In: routes with what Kong Ingress Controller says of them, and a listener. Out: a number. Never: whether a route is
//! accepted; that is Kong Ingress Controller's to say, and of a listener that can serve only what it has accepted counts.

use crds::conditions;
use crds::gatewayapi::{GROUP, ParentRef, RouteSpec, RouteStatus};
use gateway_api::gateways::GatewayListeners;
use serde_json::json;

use super::World;
use super::hosts;
use super::listeners::{Entry, Unit};
use super::selector::From;
use super::words::ACCEPTED;

/// Kinds of routes that are told apart by host names.
const NAMED: [&str; 3] = ["HTTPRoute", "GRPCRoute", "TLSRoute"];

/// A route of any kind.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its generation.
    pub generation: Option<i64>,
    /// What attaches it.
    pub spec: &'a RouteSpec,
    /// What became of that.
    pub status: Option<&'a RouteStatus>,
}

/// How many of the routes are attached to a listener of `unit`. `controller` is who accepts routes.
pub fn attached(
    entry: &Entry,
    unit: &Unit<'_>,
    (routes, controller): (&[Route<'_>], &str),
    world: &dyn World,
) -> i32 {
    let allowed = allowed(&entry.listener);
    let counted = routes.iter().filter(|route| {
        let mut wanted = route.spec.parent_refs.iter().filter(|parent| is_of(parent, route.namespace, unit));
        entry.kinds.supported.contains(&route.kind)
            && (!NAMED.contains(&route.kind)
                || hosts::attaches(entry.listener.hostname.as_deref(), &route.spec.hostnames))
            && wanted.any(|parent| {
                selects(parent, &entry.listener)
                    // Kong Ingress Controller 3 refuses every route of a listener that is not programmed, where Gateway
                    // API counts routes whatever the status of the listener is.
                    && (!entry.is_valid() || is_accepted(route, parent, unit, controller))
            })
            && allowed.lets(unit.namespace, route.namespace, world)
    });
    i32::try_from(counted.count()).unwrap_or(i32::MAX)
}

fn allowed(listener: &GatewayListeners) -> From {
    let namespaces = listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
    From::read(namespaces.map(|namespaces| json!(namespaces)).as_ref(), From::Same)
}

/// Whether a route of `namespace` names this Gateway or set.
pub fn is_of(parent: &ParentRef, namespace: &str, unit: &Unit<'_>) -> bool {
    parent.name == unit.name
        && parent.namespace.as_deref().unwrap_or(namespace) == unit.namespace
        && parent.group.as_deref().unwrap_or(GROUP) == GROUP
        && parent.kind.as_deref().unwrap_or("Gateway") == unit.kind
}

fn selects(parent: &ParentRef, listener: &GatewayListeners) -> bool {
    parent.section_name.as_ref().is_none_or(|name| *name == listener.name)
        && parent.port.is_none_or(|port| port == listener.port)
}

/// Kong Ingress Controller repeats the name of the listener, and not the port.
fn is_accepted(route: &Route<'_>, parent: &ParentRef, unit: &Unit<'_>, controller: &str) -> bool {
    let told = route.status.map(|status| status.parents.as_slice()).unwrap_or_default();
    told.iter().any(|told| {
        told.controller_name == controller
            && is_of(&told.parent_ref, route.namespace, unit)
            && told.parent_ref.section_name == parent.section_name
            && (told.parent_ref.port.is_none() || told.parent_ref.port == parent.port)
            && conditions::holds(&told.conditions, ACCEPTED)
    })
}
