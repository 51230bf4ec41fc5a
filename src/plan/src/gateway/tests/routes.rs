//! Routes are counted where they are attached, and nowhere else.

use crds::gatewayapi::{RouteSpec, RouteStatus};

use super::*;

struct Made {
    kind: &'static str,
    namespace: &'static str,
    spec: RouteSpec,
    status: RouteStatus,
}

/// A route that everybody has accepted for each of its parents.
fn route(kind: &'static str, namespace: &'static str, parents: Value, hosts: Value) -> Made {
    let condition = json!({
        "type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let entries: Vec<_> = parents
        .as_array()
        .unwrap()
        .iter()
        .map(|parent| {
            let mut parent = parent.clone();
            // Kong Ingress Controller repeats everything but the port.
            parent.as_object_mut().unwrap().remove("port");
            parent["namespace"] = parent.get("namespace").cloned().unwrap_or(json!(namespace));
            json!({ "parentRef": parent, "controllerName": CONTROLLER, "conditions": [condition] })
        })
        .collect();
    Made {
        kind,
        namespace,
        spec: serde_json::from_value(json!({ "parentRefs": parents, "hostnames": hosts })).unwrap(),
        status: serde_json::from_value(json!({ "parents": entries })).unwrap(),
    }
}

fn counted(listeners: Value, routes: &[Made], around: &Around) -> Vec<i32> {
    let object = listening(listeners);
    let routes: Vec<_> = routes
        .iter()
        .map(|made| Route {
            kind: made.kind,
            namespace: made.namespace,
            name: "route",
            generation: Some(1),
            spec: &made.spec,
            status: Some(&made.status),
        })
        .collect();
    let judged = judged(&object, &Known { routes: &routes, ..known(around) });
    let status = judged.status(&seen(&serving()));
    status.listeners.unwrap().iter().map(|listener| listener.attached_routes).collect()
}

fn two() -> Value {
    json!([
        { "name": "a", "port": 80, "protocol": "HTTP", "hostname": "a.com" },
        { "name": "b", "port": 8080, "protocol": "HTTP", "hostname": "*.b.com" },
    ])
}

#[test]
fn a_route_counts_for_the_listeners_that_it_selects() {
    let around = Around::default();
    for (parents, hosts, wanted) in [
        (json!([{ "name": "edge" }]), json!([]), [1, 1]),
        (json!([{ "name": "edge", "sectionName": "a" }]), json!([]), [1, 0]),
        (json!([{ "name": "edge", "port": 8080 }]), json!([]), [0, 1]),
        (json!([{ "name": "edge", "sectionName": "a", "port": 8080 }]), json!([]), [0, 0]),
        (
            json!([{ "name": "edge", "sectionName": "a" }, { "name": "edge", "sectionName": "b" }]),
            json!([]),
            [1, 1],
        ),
        (json!([{ "name": "edge" }]), json!(["a.com"]), [1, 0]),
        (json!([{ "name": "edge" }]), json!(["x.b.com", "a.com"]), [1, 1]),
        (json!([{ "name": "edge" }]), json!(["b.com"]), [0, 0]),
        (json!([{ "name": "other" }]), json!([]), [0, 0]),
        (json!([{ "name": "edge", "kind": "Service" }]), json!([]), [0, 0]),
        (json!([{ "name": "edge", "namespace": "elsewhere" }]), json!([]), [0, 0]),
    ] {
        let made = [route("HTTPRoute", "team", parents.clone(), hosts.clone())];
        assert_eq!(counted(two(), &made, &around), wanted, "{parents} {hosts}");
    }
}

#[test]
fn only_routes_that_were_accepted_count_and_only_of_kinds_that_fit() {
    let around = Around::default();
    let parents = json!([{ "name": "edge" }]);
    let mut foreign = route("HTTPRoute", "team", parents.clone(), json!([]));
    foreign.status.parents[0].controller_name = "example.com/other".into();
    let mut refused = route("HTTPRoute", "team", parents.clone(), json!([]));
    refused.status.parents[0].conditions[0].status = "False".into();
    let all = [
        foreign,
        refused,
        route("TCPRoute", "team", parents.clone(), json!([])),
        route("GRPCRoute", "team", parents.clone(), json!([])),
        route("HTTPRoute", "team", parents, json!([])),
    ];
    assert_eq!(counted(two(), &all, &around), [2, 2]);
}

#[test]
fn namespaces_are_let_in_as_the_listener_says() {
    let labels =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let around = Around {
        labels: [
            ("team".to_owned(), labels(&[])),
            ("web".to_owned(), labels(&[("expose", "yes")])),
            ("shop".to_owned(), labels(&[("expose", "yes")])),
            ("dark".to_owned(), labels(&[])),
        ]
        .into(),
        ..Around::default()
    };
    let parents = json!([{ "name": "edge", "namespace": "team" }]);
    let all = ["team", "web", "shop", "dark", "unknown"]
        .map(|namespace| route("HTTPRoute", namespace, parents.clone(), json!([])));
    for (namespaces, wanted) in [
        (json!(null), 1),
        (json!({ "from": "Same" }), 1),
        (json!({ "from": "All" }), 5),
        (json!({ "from": "Selector", "selector": { "matchLabels": { "expose": "yes" } } }), 2),
        (
            json!({ "from": "Selector", "selector": { "matchExpressions": [{ "key": "expose", "operator": "DoesNotExist" }] } }),
            2,
        ),
    ] {
        let mut listener = json!({ "name": "a", "port": 80, "protocol": "HTTP" });
        if !namespaces.is_null() {
            listener["allowedRoutes"] = json!({ "namespaces": namespaces });
        }
        assert_eq!(counted(json!([listener]), &all, &around), [wanted], "{listener}");
    }
}

#[test]
fn routes_count_for_a_listener_that_is_not_accepted() {
    let http = json!({ "name": "a", "port": 80, "protocol": "HTTP" });
    let tcp = json!({ "name": "b", "port": 80, "protocol": "TCP" });
    let made = [route("HTTPRoute", "team", json!([{ "name": "edge" }]), json!([]))];
    assert_eq!(counted(json!([http, tcp]), &made, &Around::default()), [1, 0]);
}

#[test]
fn routes_count_for_a_listener_without_its_certificate_though_nobody_can_accept_them() {
    let tls = json!({ "certificateRefs": [{ "name": "absent" }] });
    let http = json!({ "name": "a", "port": 80, "protocol": "HTTP", "hostname": "a.com" });
    let https =
        json!({ "name": "b", "port": 443, "protocol": "HTTPS", "hostname": "b.com", "tls": tls.clone() });
    let mut all = [
        route("HTTPRoute", "team", json!([{ "name": "edge" }]), json!(["b.com"])),
        route("HTTPRoute", "team", json!([{ "name": "edge", "sectionName": "a" }]), json!([])),
        route("HTTPRoute", "team", json!([{ "name": "edge" }]), json!(["c.com"])),
        route("HTTPRoute", "other", json!([{ "name": "edge", "namespace": "team" }]), json!(["b.com"])),
        route("TLSRoute", "team", json!([{ "name": "edge" }]), json!(["b.com"])),
    ];
    for made in &mut all {
        made.status.parents[0].conditions[0].status = "False".into();
    }
    assert_eq!(counted(json!([http, https]), &all, &Around::default()), [0, 1]);
    let served = Around::with_certificate("team/absent");
    assert_eq!(counted(json!([http, https]), &all, &served), [0, 0], "then it is for others to say");
}
