//! Objects of Gateway API: warnings where they are ours, nothing where they are not.

use serde_json::json;

use super::*;
use crate::kinds::Kind;
use crate::kinds::known::{CONTROLLER, Known, judged};

fn gateway(spec: &Value) -> Verdict {
    let world = Known { names: vec!["there"], ..Known::default() };
    judged(&world, Kind::Gateway, spec, None)
}

#[test]
fn what_its_conditions_will_say_is_told() {
    let listener = |listener: &Value| json!({ "gatewayClassName": "ours", "listeners": [listener] });
    let certificate =
        |name: &str| json!({ "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": name }] } });
    let foreign = |namespace: &str| {
        let mut certificate = certificate("there");
        certificate["tls"]["certificateRefs"][0]["namespace"] = json!(namespace);
        certificate
    };
    let parameters = |kind: &str, name: &str| {
        let reference = json!({ "group": "gateway-operator.konghq.com", "kind": kind, "name": name });
        json!({ "gatewayClassName": "ours", "infrastructure": { "parametersRef": reference } })
    };
    for (spec, words) in [
        (listener(&json!({ "protocol": "SMTP" })), "spec.listeners[0].protocol: \"SMTP\" is not supported"),
        (listener(&json!({ "protocol": "HTTPS" })), "spec.listeners[0].tls.certificateRefs: is missing"),
        (listener(&json!({ "protocol": "HTTPS", "tls": { "mode": "Passthrough" } })), "use protocol TLS"),
        (listener(&certificate("gone")), "the Secret \"gone\" does not exist"),
        (listener(&foreign("vault")), "\"there\" needs a ReferenceGrant in \"vault\" for \"team\""),
        (parameters("ConfigMap", "there"), "\"ConfigMap\" of"),
        (parameters("GatewayConfiguration", "gone"), "the GatewayConfiguration \"gone\" does not exist"),
    ] {
        let mut verdict = gateway(&spec);
        assert!(verdict.allowed() && verdict.warnings.len() == 1, "{spec}: {verdict:?}");
        assert!(verdict.warnings.remove(0).contains(words), "{spec}");
        let mut other = spec.clone();
        other["gatewayClassName"] = json!("theirs");
        assert_eq!(gateway(&other), Verdict::default());
    }
    for fine in [
        listener(&json!({ "protocol": "HTTP" })),
        listener(&certificate("there")),
        listener(&foreign("team")),
        listener(&json!({ "protocol": "TLS", "tls": { "mode": "Passthrough" } })),
        parameters("GatewayConfiguration", "there"),
        json!({}),
    ] {
        assert_eq!(gateway(&fine), Verdict::default(), "{fine}");
    }
}

#[test]
fn a_class_of_ours_has_parameters_of_ours() {
    let class = |controller: &str, reference: Value| {
        let spec = json!({ "controllerName": controller, "parametersRef": reference });
        judged(&Known::default(), Kind::GatewayClass, &spec, None).warnings
    };
    let reference =
        json!({ "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": "x" });
    let mut whole = reference.clone();
    whole["namespace"] = json!("team");
    assert_eq!(
        class(CONTROLLER, whole),
        ["spec.parametersRef: the GatewayConfiguration \"x\" does not exist in \"team\""]
    );
    assert!(class(CONTROLLER, reference.clone())[0].starts_with("spec.parametersRef.namespace: is missing"));
    assert_eq!(class("example.com/other", reference), [] as [&str; 0]);
}
