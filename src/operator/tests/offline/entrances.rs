//! What is rendered of Gateways and of control planes, and what of the manifests beside them counts.

use serde_json::{Value, json};

use super::{piped, text};

/// What is rendered of these, on standard input.
fn rendered(manifests: &[Value]) -> String {
    let list = json!({ "kind": "List", "items": manifests });
    text(&piped(&["render", "-"], list.to_string().as_bytes()).stdout)
}

fn entrance(kind: &str, name: &str, metadata: &Value, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec,
    });
    object["metadata"]["name"] = json!(name);
    object
}

#[test]
fn a_gateway_is_rendered_where_its_class_is_ours() {
    let listeners = json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]);
    let spec = json!({ "gatewayClassName": "kong", "listeners": listeners });
    let gateway = entrance("Gateway", "edge", &json!({}), &spec);
    let class = |controller: &str, metadata: Value| {
        entrance("GatewayClass", "kong", &metadata, &json!({ "controllerName": controller }))
    };
    let ours = "konghq.com/gateway-operator";
    let unmanaged = json!({ "annotations": { "konghq.com/gatewayclass-unmanaged": "true" } });
    for (class, words) in [
        (None, "its class is not among the manifests"),
        (Some(class("example.com/other", json!({}))), "its class is another controller's"),
        (Some(class(ours, unmanaged)), "Kong Ingress Controller looks after Gateways of its class"),
    ] {
        let printed = rendered(&[vec![gateway.clone()], class.into_iter().collect()].concat());
        assert!(printed.contains(words) && !printed.contains("kind: "), "{printed}");
    }
    let mut parametrised = class(ours, json!({}));
    parametrised["spec"]["parametersRef"] = json!({
        "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": "big",
        "namespace": "default",
    });
    let printed = rendered(&[gateway.clone(), parametrised.clone()]);
    assert!(printed.contains("GatewayConfiguration default/big does not exist"), "{printed}");
    let big = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "GatewayConfiguration",
        "metadata": { "name": "big" }, "spec": { "dataPlaneOptions": { "deployment": { "replicas": 7 } } },
    });
    let printed = rendered(&[gateway, parametrised, big]);
    assert_eq!(printed.matches("\n  replicas: 7\n").count(), 1, "{printed}");
    assert!(printed.contains("# ControlPlane of Gateway edge (stdin:1)"), "{printed}");
}

#[test]
fn a_control_plane_is_rendered_with_what_the_manifests_grant_and_install() {
    let ours = |kind: &str, version: &str, metadata: Value, spec: Value| {
        let version = format!("gateway-operator.konghq.com/{version}");
        json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec })
    };
    let watched = json!({ "type": "list", "list": ["open", "closed"] });
    let spec = json!({ "dataplane": "edge", "watchNamespaces": watched });
    let plane = ours("ControlPlane", "v1beta1", json!({ "name": "edge" }), spec);
    let from =
        json!([{ "group": "gateway-operator.konghq.com", "kind": "ControlPlane", "namespace": "default" }]);
    let there = json!({ "name": "let", "namespace": "open" });
    let grant = ours("WatchNamespaceGrant", "v1alpha1", there, json!({ "from": from }));
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "kongplugins.configuration.konghq.com" },
        "spec": { "group": "x", "names": { "kind": "X", "plural": "x" }, "scope": "Namespaced", "versions": [] },
    });
    let off = "name: CONTROLLER_ENABLE_CONTROLLER_KONGPLUGIN\n";
    let printed = rendered(std::slice::from_ref(&plane));
    assert!(printed.contains("# Its DataPlane is not among the manifests"), "{printed}");
    assert!(printed.contains("value: default\n") && printed.contains(off), "{printed}");
    let printed = rendered(&[plane, grant, definition]);
    assert!(printed.contains("value: default,open\n") && !printed.contains(off), "{printed}");
    assert!(printed.contains("namespace: open\n") && !printed.contains("namespace: closed\n"), "{printed}");
}
