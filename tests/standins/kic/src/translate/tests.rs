//! Translations of whole clusters, compared with what the real one was seen to push.

use serde_json::{Value, json};

use super::*;
use crate::attach::routes::{self, Verdict};
use crate::attach::stage::{Stage, class, entry, gateway, route, service, slice};
use crate::translate::view::Admitted;

/// Translates what the stage holds, with these routes and Gateways let in.
fn push(stage: &Stage, objects: &[Value]) -> Translation {
    let mut admitted = Admitted { classes: ["c".to_owned()].into(), ..Admitted::default() };
    admitted.gateways = stage.snapshot.gateways.clone();
    for object in objects {
        let (key, entry) = entry::<Route>(object);
        let verdict = routes::judge(&stage.snapshot, &stage.options, &entry);
        let Verdict::Judged { let_in: Some(let_in), .. } = verdict else { panic!("{key} was not let in") };
        admitted.routes.insert((entry.read.object.kind.clone(), key), let_in);
    }
    let without = BTreeSet::new();
    translate(View {
        snapshot: &stage.snapshot,
        admitted: &admitted,
        options: &stage.options,
        without: &without,
    })
}

fn stage() -> Stage {
    let mut stage = Stage::default();
    stage.class(&class());
    stage.gateway(&gateway());
    for (name, addresses) in [("echo", &["10.0.0.1"][..]), ("other", &["10.0.0.2", "10.0.0.3"])] {
        stage.service(&service(name));
        stage.slice(&slice(name, addresses));
    }
    stage
}

#[test]
fn an_http_route_as_the_real_one_writes_it() {
    let mut object = route();
    object["spec"]["rules"] = json!([{
        "matches": [{"path": {"type": "PathPrefix", "value": "/x"}, "method": "GET",
            "headers": [{"name": "X-A", "value": "1"}]}],
        "backendRefs": [{"name": "echo", "port": 80, "weight": 9}, {"name": "other", "port": 80, "weight": 5}],
    }]);
    let content = push(&stage(), &[object]).content;
    let tags = json!([
        "k8s-name:r",
        "k8s-namespace:ns",
        "k8s-kind:HTTPRoute",
        "k8s-uid:u",
        "k8s-group:gateway.networking.k8s.io",
        "k8s-version:v1"
    ]);
    let wanted = json!({
        "_format_version": "3.0",
        "services": [{
            "name": "httproute.ns.r.0", "host": "httproute.ns.r.0", "port": 80, "protocol": "http", "retries": 5,
            "connect_timeout": 60000, "read_timeout": 60000, "write_timeout": 60000, "tags": tags,
            "routes": [{
                "name": "httproute.ns.r.0.0", "hosts": ["a.test"], "headers": {"X-A": ["1"]}, "methods": ["GET"],
                "paths": ["~/x$", "/x/"], "path_handling": "v0", "preserve_host": true, "protocols": ["http"],
                "strip_path": false, "https_redirect_status_code": 426, "tags": tags,
            }],
        }],
        "upstreams": [{
            "name": "httproute.ns.r.0", "algorithm": "round-robin", "tags": tags, "targets": [
                {"target": "10.0.0.1:3000", "weight": 9}, {"target": "10.0.0.2:3000", "weight": 2},
                {"target": "10.0.0.3:3000", "weight": 2}],
        }],
    });
    assert_eq!(content, wanted);
}

#[test]
fn rules_with_the_same_backends_share_a_service_and_matches_with_other_headers_do_not_share_a_route() {
    let backends = json!([{"name": "echo", "port": 80}]);
    let mut object = route();
    object["spec"]["rules"] = json!([
        {"matches": [{"path": {"type": "Exact", "value": "/a"}}, {"path": {"type": "Exact", "value": "/b"}},
            {"headers": [{"name": "x", "value": "1"}]}], "backendRefs": backends},
        {"matches": [{"path": {"type": "Exact", "value": "/c"}}], "backendRefs": backends},
        {"backendRefs": [{"name": "other", "port": 80}]},
    ]);
    let content = push(&stage(), &[object]).content;
    let names = |service: usize| -> Vec<String> {
        let routes = content["services"][service]["routes"].as_array().unwrap();
        routes.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(0), ["httproute.ns.r.0.0", "httproute.ns.r.0.2", "httproute.ns.r.1.0"]);
    assert_eq!(names(1), ["httproute.ns.r.2.0"]);
    assert_eq!(content["services"][0]["routes"][0]["paths"], json!(["~/a$", "~/b$"]));
}

#[test]
fn a_route_without_a_good_backend_answers_500() {
    let mut object = route();
    object["spec"]["rules"] = json!([{"backendRefs": [{"name": "none", "port": 80}]}]);
    let content = push(&stage(), &[object]).content;
    assert_eq!(content["services"][0]["plugins"][0]["config"]["status_code"], 500);
    assert_eq!(content["upstreams"][0]["targets"], json!([]));
}

#[test]
fn a_backend_elsewhere_needs_a_grant() {
    let mut stage = stage();
    let mut far = service("far");
    far["metadata"]["namespace"] = json!("b");
    let mut endpoints = slice("far", &["10.0.0.9"]);
    endpoints["metadata"]["namespace"] = json!("b");
    stage.service(&far);
    stage.slice(&endpoints);
    let mut object = route();
    object["spec"]["rules"] = json!([{"backendRefs": [{"name": "far", "namespace": "b", "port": 80}]}]);
    assert_eq!(push(&stage, std::slice::from_ref(&object)).content["upstreams"][0]["targets"], json!([]));
    stage.grant(&json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
        "metadata": {"name": "g", "namespace": "b"}, "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "ns"}],
            "to": [{"group": "", "kind": "Service"}]}}));
    let targets = push(&stage, &[object]).content["upstreams"][0]["targets"].clone();
    assert_eq!(targets, json!([{"target": "10.0.0.9:3000", "weight": 1}]));
}

#[test]
fn a_query_needs_the_router_of_expressions() {
    let mut object = route();
    object["spec"]["rules"][0]["matches"] = json!([{"queryParams": [{"name": "q", "value": "1"}]}]);
    let mut stage = stage();
    let refused = push(&stage, std::slice::from_ref(&object));
    assert_eq!((refused.done.len(), refused.failed.len()), (0, 1));
    stage.options.expressions = true;
    let taken = push(&stage, &[object]);
    let expression = taken.content["services"][0]["routes"][0]["expression"].as_str().unwrap().to_owned();
    assert!(expression.contains("http.queries.q == \"1\""), "{expression}");
}

#[test]
fn protocols_follow_the_listeners_from_some_releases_on() {
    let mut stage = stage();
    let of = |stage: &Stage| push(stage, &[route()]).content["services"][0]["routes"][0]["protocols"].clone();
    assert_eq!(of(&stage), json!(["http"]));
    stage.options.release = crate::version::Release(3, 5, 6);
    assert_eq!(of(&stage), json!(["http", "https"]));
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "tls", "namespace": "ns", "uid": "s-1"}, "data": {"tls.crt": "QQ==", "tls.key": "Qg=="}})
}

fn secure() -> Value {
    let mut object = gateway();
    object["spec"]["listeners"] = json!([{"name": "http", "port": 443, "protocol": "HTTPS", "hostname": "a.test",
        "tls": {"certificateRefs": [{"name": "tls"}]}}]);
    object
}

#[test]
fn a_listener_brings_its_certificate() {
    let mut stage = stage();
    stage.gateway(&secure());
    stage.secret(&secret());
    let wanted = json!([{"id": "s-1", "cert": "A", "key": "B",
        "tags": ["k8s-name:tls", "k8s-namespace:ns", "k8s-kind:Secret", "k8s-uid:s-1", "k8s-version:v1"],
        "snis": [{"name": "a.test", "certificate": {"id": "s-1"}}]}]);
    assert_eq!(push(&stage, &[]).content["certificates"], wanted);
    let mut listed = secure();
    listed["status"]["listeners"] = json!([]);
    stage.gateway(&listed);
    assert_eq!(push(&stage, &[]).content.get("certificates"), None);
}

#[test]
fn a_listener_that_is_not_programmed_keeps_its_certificate_from_some_releases_on() {
    let mut stage = stage();
    let mut object = secure();
    object["status"]["listeners"][0]["conditions"][0]["status"] = json!("False");
    stage.gateway(&object);
    stage.secret(&secret());
    assert!(push(&stage, &[]).content.get("certificates").is_some());
    stage.options.release = crate::version::Release(3, 5, 1);
    assert!(push(&stage, &[]).content.get("certificates").is_none());
}

#[test]
fn an_ingress_as_the_real_one_writes_it() {
    let mut stage = stage();
    stage.ingress(&json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "i", "namespace": "ns", "uid": "i-1", "generation": 1},
        "spec": {"ingressClassName": "kong", "rules": [{"host": "a.test", "http": {"paths": [
            {"path": "/i", "pathType": "Prefix", "backend": {"service": {"name": "echo", "port": {"number": 80}}}}]}}]}}));
    let content = push(&stage, &[]).content;
    let service = &content["services"][0];
    assert_eq!(
        (&service["name"], &service["host"], &service["path"]),
        (&json!("ns.echo.80"), &json!("echo.ns.80.svc"), &json!("/"))
    );
    let route = &service["routes"][0];
    assert_eq!(route["name"], "ns.i.echo.a.test.80");
    assert_eq!(route["paths"], json!(["/i/", "~/i$"]));
    assert_eq!((&route["strip_path"], &route["regex_priority"]), (&json!(false), &json!(0)));
    assert_eq!(content["upstreams"][0]["targets"], json!([{"target": "10.0.0.1:3000"}]));
    stage.options.ingress_class = "other".into();
    assert_eq!(push(&stage, &[]).content["upstreams"], json!([{"name": "kong"}]));
}

#[test]
fn streams_are_told_by_port_and_name() {
    let mut stage = stage();
    let mut object = gateway();
    let held = object["status"]["listeners"][0].clone();
    let (mut listeners, mut statuses) = (vec![], vec![]);
    for (name, port, kind) in [("TCP", 9000, "TCPRoute"), ("TLS", 9443, "TLSRoute")] {
        listeners.push(json!({"name": name, "port": port, "protocol": name}));
        let mut status = held.clone();
        status["name"] = json!(name);
        status["supportedKinds"] = json!([{"group": "gateway.networking.k8s.io", "kind": kind}]);
        statuses.push(status);
    }
    object["spec"]["listeners"] = json!(listeners);
    object["status"]["listeners"] = json!(statuses);
    stage.gateway(&object);
    let of = |kind: &str| {
        let mut object = route();
        object["kind"] = json!(kind);
        object["apiVersion"] = json!("gateway.networking.k8s.io/v1alpha2");
        push(&stage, &[object]).content["services"][0].clone()
    };
    let tcp = of("TCPRoute");
    assert_eq!(
        (&tcp["protocol"], &tcp["routes"][0]["destinations"]),
        (&json!("tcp"), &json!([{"port": 9000}]))
    );
    let tls = of("TLSRoute");
    assert_eq!(tls["routes"][0]["protocols"], json!(["tls_passthrough"]));
    assert_eq!(tls["routes"][0]["snis"], json!(["a.test"]));
}

#[test]
fn what_is_left_out_takes_its_dependants_along() {
    let stage = stage();
    let (key, entry) = entry::<Route>(&route());
    let Verdict::Judged { let_in: Some(let_in), .. } = routes::judge(&stage.snapshot, &stage.options, &entry)
    else {
        panic!("not let in")
    };
    let admitted =
        Admitted { routes: [(("HTTPRoute".to_owned(), key), let_in)].into(), ..Admitted::default() };
    let service =
        Object { kind: "Service".into(), namespace: "ns".into(), name: "echo".into(), ..Object::default() };
    for object in [entry.read.object.clone(), service] {
        let without = BTreeSet::from([object]);
        let view = View {
            snapshot: &stage.snapshot,
            admitted: &admitted,
            options: &stage.options,
            without: &without,
        };
        assert_eq!(translate(view).content["upstreams"], json!([{"name": "kong"}]));
    }
}
