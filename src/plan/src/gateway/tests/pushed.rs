//! What Kong took and did not take, and parameters that break under a Gateway that is served.

use crds::conditions::{self, Status};
use crds::gatewayapi::{RouteSpec, RouteStatus};

use super::*;

const REFUSED: (&str, &str, &str) = ("False", "ConfigurationRefused", "Kong refuses 1 resources");
const TAKEN: (&str, &str, &str) = ("True", "ConfigurationAccepted", "whole");

fn plain() -> Gateway {
    listening(json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]))
}

fn controlplane((status, reason, message): (&str, &str, &str)) -> crds::ControlPlane {
    let condition = json!({
        "type": "ConfigurationAccepted", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "ControlPlane",
        "metadata": { "name": "edge", "namespace": "team" }, "spec": {},
        "status": { "conditions": [condition] },
    }))
    .unwrap()
}

/// A route of the Gateway of which Kong Ingress Controller says that for its generation 2.
fn route(parent: &str, programmed: &str, of: i64) -> (RouteSpec, RouteStatus) {
    let condition = json!({
        "type": "Programmed", "status": programmed, "reason": "R", "message": "", "observedGeneration": of,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let parent = json!({ "name": parent, "namespace": "team" });
    let told = json!([{ "parentRef": parent, "controllerName": CONTROLLER, "conditions": [condition] }]);
    (
        serde_json::from_value(json!({ "parentRefs": [parent] })).unwrap(),
        serde_json::from_value(json!({ "parents": told })).unwrap(),
    )
}

fn words(status: &GatewayStatus, type_: &str) -> String {
    conditions::get(status.conditions.as_deref().unwrap(), type_).unwrap().message.clone()
}

#[test]
fn what_kong_refuses_is_told_with_the_routes_that_may_be_the_cause() {
    let all = [
        ("whole", route("edge", "True", 2)),
        ("changed", route("edge", "True", 1)),
        ("broken", route("edge", "False", 2)),
        ("foreign", route("other", "False", 2)),
    ];
    let routes: Vec<_> = all
        .iter()
        .map(|(name, (spec, status))| Route {
            kind: "HTTPRoute",
            namespace: "team",
            name,
            generation: Some(2),
            spec,
            status: Some(status),
        })
        .collect();
    let (around, serving, object) = (Around::default(), serving(), plain());
    let judged = judged(&object, &Known { routes: &routes, ..known(&around) });
    let refusing = controlplane(REFUSED);
    let status = judged.status(&Seen { controlplane: Some(&refusing), ..seen(&serving) });
    assert_eq!(of_gateway_status(&status, "ConfigurationAccepted"), ("False", "ConfigurationRefused"));
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("True", "Programmed"), "it serves what it has");
    let told = words(&status, "ConfigurationAccepted");
    assert!(told.ends_with("whole: HTTPRoute team/broken, HTTPRoute team/changed"), "{told}");
    // One that never had a configuration is not served, and says why.
    let starting = dataplane(&[("Ready", "False")], json!([]));
    let status = judged.status(&Seen { controlplane: Some(&refusing), ..seen(&starting) });
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("False", "Pending"));
    assert!(words(&status, PROGRAMMED).contains("Kong refuses"), "{}", words(&status, PROGRAMMED));
}

#[test]
fn what_kong_took_is_told_in_the_same_write_as_that_it_serves() {
    let (around, serving, object) = (Around::default(), serving(), plain());
    let judged = judged(&object, &known(&around));
    let starting = dataplane(&[("Ready", "False")], json!([]));
    let first = judged.status(&seen(&starting));
    assert_eq!(of_gateway_status(&first, "ConfigurationAccepted").0, "absent", "nothing is known yet");
    let served = judged.status(&seen(&serving));
    assert_eq!(of_gateway_status(&served, "ConfigurationAccepted"), ("True", "ConfigurationAccepted"));
    let taken = controlplane(TAKEN);
    let told = judged.status(&Seen { controlplane: Some(&taken), ..seen(&serving) });
    assert_eq!(words(&told, "ConfigurationAccepted"), words(&served, "ConfigurationAccepted"));
}

#[test]
fn a_gateway_whose_parameters_break_is_served_on_as_it_was_made() {
    let (around, serving, mut object) = (Around::default(), serving(), plain());
    let ports = json!([{ "name": "http", "port": 80, "protocol": "HTTP", "targetPort": 8000 }]);
    let before: Vec<crds::dataplane::IngressPort> = serde_json::from_value(ports).unwrap();
    let now = Seen { before: &before, ..seen(&serving) };
    object.status = Some(judged(&object, &known(&around)).status(&now));
    object
        .spec
        .listeners
        .push(serde_json::from_value(json!({ "name": "new", "port": 8080, "protocol": "HTTP" })).unwrap());
    let broken = Known { parameters: Err("GatewayConfiguration a/b is not valid".into()), ..known(&around) };
    let judged = judged(&object, &broken);
    assert!(judged.children().is_none() && judged.verdict().status == Status::False);
    let status = judged.status(&now);
    assert_eq!(of_gateway_status(&status, ACCEPTED), ("False", "InvalidParameters"));
    assert_eq!(of_gateway_status(&status, PROGRAMMED), ("True", "Programmed"));
    assert_eq!(of_listener(&status, "http", PROGRAMMED), ("True", "Programmed"));
    assert_eq!(of_listener(&status, "new", PROGRAMMED), ("False", "Pending"), "nobody opens its port");
}

#[test]
fn a_configuration_that_is_not_valid_is_no_parameter() {
    let configuration = |name: &str| -> Arc<crds::GatewayConfiguration> {
        let container = json!({ "name": name, "imge": "x" });
        let template = json!({ "podTemplateSpec": { "spec": { "containers": [container] } } });
        let object = json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "GatewayConfiguration",
            "metadata": { "name": "own", "namespace": "team" },
            "spec": { "controlPlaneOptions": { "deployment": template } },
        });
        Arc::new(serde_json::from_value(object).unwrap())
    };
    let class: gateway_api::gatewayclasses::GatewayClass = serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": "kong" }, "spec": { "controllerName": CONTROLLER },
    }))
    .unwrap();
    let reference =
        json!({ "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": "own" });
    let listeners = json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]);
    let object = gateway(json!({ "listeners": listeners, "infrastructure": { "parametersRef": reference } }));
    let said = parameters(&class, &object, |_| Some(configuration("controller"))).unwrap_err();
    assert!(said.contains("team/own is not valid") && said.contains("imge"), "{said}");
    let said = parameters(&class, &object, |_| None).unwrap_err();
    assert!(said.contains("does not exist"), "{said}");
}
