//! Which listeners of a Gateway a route is attached to.
//! In: a route, one of its parents, the Gateway. Out: listeners and shared hostnames, or the reason why there are none.

use gateway_api::apis::standard::gateways::{
    Gateway, GatewayListeners, GatewayListenersAllowedRoutesNamespacesFrom as From,
    GatewayListenersAllowedRoutesNamespacesSelector as Selector,
};

use crate::cluster::caches::Snapshot;
use crate::cluster::kinds::GATEWAY;
use crate::cluster::route::{ParentRef, Route};
use crate::settings::values::Named;

/// Finds the listeners.
///
/// # Errors
/// The reason of the condition `Accepted`.
pub fn attached<'a>(
    snapshot: &Snapshot,
    route: &Route,
    parent: &ParentRef,
    gateway: &'a Gateway,
) -> Result<Vec<&'a GatewayListeners>, &'static str> {
    let named = |listener: &&GatewayListeners| {
        parent.section_name.as_ref().is_none_or(|name| *name == listener.name)
            && parent.port.is_none_or(|port| port == listener.port)
    };
    let named: Vec<_> = gateway.spec.listeners.iter().filter(named).collect();
    if named.is_empty() {
        return Err("NoMatchingParent");
    }
    let allows = |listener: &&GatewayListeners| {
        ready(route, gateway, listener) && allowed(snapshot, route, gateway, listener)
    };
    let allowed: Vec<_> = named.into_iter().filter(allows).collect();
    if allowed.is_empty() {
        return Err("NotAllowedByListeners");
    }
    let fits = |listener: &&GatewayListeners| {
        route.hostnames.is_empty() || !shared(&route.hostnames, listener.hostname.as_deref()).is_empty()
    };
    let shared: Vec<_> = allowed.into_iter().filter(fits).collect();
    if shared.is_empty() { Err("NoMatchingListenerHostname") } else { Ok(shared) }
}

/// Whether the Gateway's status has the listener, Programmed and with the kind of the route.
fn ready(route: &Route, gateway: &Gateway, listener: &GatewayListeners) -> bool {
    let all = gateway.status.iter().flat_map(|status| status.listeners.iter().flatten());
    all.into_iter().filter(|status| status.name == listener.name).any(|status| {
        let mut kinds = status.supported_kinds.iter().flatten();
        kinds.any(|kind| kind.group.as_deref() == Some(GATEWAY) && kind.kind == route.object.kind)
            && status.conditions.iter().any(|one| one.type_ == "Programmed" && one.status == "True")
    })
}

/// Whether the listener's specification lets the route in.
fn allowed(snapshot: &Snapshot, route: &Route, gateway: &Gateway, listener: &GatewayListeners) -> bool {
    let Some(rules) = &listener.allowed_routes else { return same(route, gateway) };
    let kinds = rules.kinds.as_deref().unwrap_or_default();
    let kind = kinds.is_empty() || kinds.iter().any(|kind| kind.kind == route.object.kind);
    let from = rules.namespaces.as_ref().and_then(|namespaces| namespaces.from.as_ref());
    let namespace = match from.unwrap_or(&From::Same) {
        From::All => true,
        From::Same => same(route, gateway),
        From::Selector => {
            let selector = rules.namespaces.as_ref().and_then(|namespaces| namespaces.selector.as_ref());
            selector.is_some_and(|selector| selects(snapshot, selector, &route.object.namespace))
        }
    };
    kind && namespace
}

fn same(route: &Route, gateway: &Gateway) -> bool {
    gateway.metadata.namespace.as_ref() == Some(&route.object.namespace)
}

fn selects(snapshot: &Snapshot, selector: &Selector, namespace: &str) -> bool {
    let Some(found) = snapshot.namespaces.get(&Named::new("", namespace)) else { return false };
    let labels = found.read.metadata.labels.clone().unwrap_or_default();
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let judged = selector.match_expressions.iter().flatten().all(|one| {
        let value = labels.get(&one.key);
        let listed = value.is_some_and(|value| one.values.iter().flatten().any(|known| known == value));
        match one.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    });
    equal && judged
}

/// The hostnames of a route as far as a listener has them.
pub fn shared(hostnames: &[String], listener: Option<&str>) -> Vec<String> {
    let Some(own) = listener.filter(|own| !own.is_empty()) else { return hostnames.to_vec() };
    if hostnames.is_empty() {
        return vec![own.to_owned()];
    }
    let both = |name: &String| {
        if covers(own, name) { Some(name.clone()) } else { covers(name, own).then(|| own.to_owned()) }
    };
    hostnames.iter().filter_map(both).collect()
}

/// Whether a hostname, perhaps with a wildcard, has another in it.
fn covers(wide: &str, narrow: &str) -> bool {
    wide == narrow
        || wide.strip_prefix('*').is_some_and(|suffix| {
            let rest = narrow.strip_suffix(suffix);
            rest.is_some_and(|rest| !rest.is_empty())
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::stage::{Stage, entry, gateway, route};
    use super::*;

    fn attach(stage: &Stage, gateway: &Value, route: &Value) -> Result<usize, &'static str> {
        let (_, gateway) = entry::<Gateway>(gateway);
        let (_, route) = entry::<Route>(route);
        let parent = &route.read.parents[0];
        attached(&stage.snapshot, &route.read, parent, &gateway.read).map(|found| found.len())
    }

    #[test]
    fn a_section_and_a_port_must_be_there() {
        let (stage, mut route) = (Stage::default(), route());
        assert_eq!(attach(&stage, &gateway(), &route), Ok(1));
        route["spec"]["parentRefs"][0]["sectionName"] = json!("https");
        assert_eq!(attach(&stage, &gateway(), &route), Err("NoMatchingParent"));
    }

    #[test]
    fn a_listener_needs_its_entry_in_the_status() {
        let (stage, route) = (Stage::default(), route());
        for change in [
            |g: &mut Value| g["status"]["listeners"] = json!([]),
            |g: &mut Value| g["status"]["listeners"][0]["conditions"][0]["status"] = json!("False"),
            |g: &mut Value| g["status"]["listeners"][0]["supportedKinds"] = json!([{"kind": "HTTPRoute"}]),
        ] {
            let mut gateway = gateway();
            change(&mut gateway);
            assert_eq!(attach(&stage, &gateway, &route), Err("NotAllowedByListeners"));
        }
    }

    #[test]
    fn a_namespace_is_let_in_by_its_labels() {
        let (mut stage, mut gateway, mut route) = (Stage::default(), gateway(), route());
        route["metadata"]["namespace"] = json!("b");
        assert_eq!(attach(&stage, &gateway, &route), Err("NotAllowedByListeners"));
        gateway["spec"]["listeners"][0]["allowedRoutes"] =
            json!({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "x"}}}});
        assert_eq!(attach(&stage, &gateway, &route), Err("NotAllowedByListeners"));
        let labels = json!({"name": "b", "labels": {"team": "x"}});
        stage.namespace(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": labels}));
        assert_eq!(attach(&stage, &gateway, &route), Ok(1));
    }

    #[test]
    fn hostnames_are_shared() {
        let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(shared(&names(&["a.b", "c.d"]), Some("*.b")), ["a.b"]);
        assert_eq!(shared(&names(&["*.b"]), Some("a.b")), ["a.b"]);
        assert_eq!(shared(&[], Some("a.b")), ["a.b"]);
        assert_eq!(shared(&names(&["a.b"]), None), ["a.b"]);
        assert!(shared(&names(&["b"]), Some("*.b")).is_empty());
        let (stage, mut gateway) = (Stage::default(), gateway());
        gateway["spec"]["listeners"][0]["hostname"] = json!("other.test");
        assert_eq!(attach(&stage, &gateway, &route()), Err("NoMatchingListenerHostname"));
    }
}
