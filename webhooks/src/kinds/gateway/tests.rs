//! Objects of Gateway API: warnings where they are ours, nothing where they are not.

use serde_json::{Value, json};

use super::*;
use crate::kinds::Kind;
use crate::kinds::known::{CONTROLLER, Known, judged};

fn read<K: serde::de::DeserializeOwned>(name: &str, spec: &Value) -> Arc<K> {
    Arc::new(serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap())
}

fn world() -> Known {
    let class =
        |name: &str, controller: &str| read::<GatewayClass>(name, &json!({ "controllerName": controller }));
    let mut unmanaged = class("unmanaged", CONTROLLER);
    let notes = [(plan::gateway::UNMANAGED.to_owned(), "true".to_owned())];
    Arc::make_mut(&mut unmanaged).metadata.annotations = Some(notes.into());
    let lost = json!({ "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": "gone", "namespace": "team" });
    let lost = json!({ "controllerName": CONTROLLER, "parametersRef": lost });
    let reads = json!({ "controlPlaneOptions": { "watchNamespaces": { "type": "list", "list": ["team", "closed"] } } });
    let wrong = json!({ "controlPlaneOptions": { "deployment": { "podTemplateSpec": { "spec": { "containers": [{ "name": "controller", "imge": "x" }] } } } } });
    let grant = json!({
        "from": [{ "group": GROUP, "kind": "Gateway", "namespace": "team" }],
        "to": [{ "group": "", "kind": "Secret", "name": "there" }],
    });
    Known {
        classes: vec![
            class("ours", CONTROLLER),
            class("theirs", "example.com/other"),
            read("lost", &lost),
            unmanaged,
        ],
        configurations: vec![read("there", &json!({})), read("reads", &reads), read("wrong", &wrong)],
        reference_grants: vec![read("grant", &grant)],
        certificates: vec![
            ("there", Ok(())),
            ("other", Ok(())),
            ("opaque", Err(Unusable::OtherType)),
            ("over", Err(Unusable::Wrong("cannot be used: it has expired".into()))),
        ],
        ..Known::default()
    }
}

fn told(spec: &Value) -> Vec<String> {
    let verdict = judged(&world(), Kind::Gateway, spec, None);
    assert!(verdict.allowed(), "Gateway API lets it in: {verdict:?}");
    verdict.warnings
}

fn of(class: &str, listeners: &Value) -> Value {
    json!({ "gatewayClassName": class, "listeners": listeners })
}

fn https(references: &Value) -> Value {
    of(
        "ours",
        &json!([{ "name": "a", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": references } }]),
    )
}

fn with(field: &str, value: Value) -> Value {
    let mut spec = of("ours", &json!([{ "name": "a", "port": 80, "protocol": "HTTP" }]));
    spec[field] = value;
    spec
}

fn parameters(kind: &str, name: &str) -> Value {
    let reference = json!({ "group": "gateway-operator.konghq.com", "kind": kind, "name": name });
    with("infrastructure", json!({ "parametersRef": reference }))
}

#[test]
fn what_its_conditions_will_say_is_told() {
    let one = |listener: Value| of("ours", &json!([listener]));
    let tls =
        |protocol: &str, tls: Value| json!({ "name": "a", "port": 443, "protocol": protocol, "tls": tls });
    let certificate = |name: &str| https(&json!([{ "name": name }]));
    let kinds = json!({ "kinds": [{ "kind": "TCPRoute" }] });
    for (spec, words) in [
        (one(json!({ "name": "a", "port": 25, "protocol": "SMTP" })), "protocol \"SMTP\" is not supported"),
        (one(json!({ "name": "a", "port": 443, "protocol": "HTTPS" })), "names no certificate"),
        (one(tls("HTTPS", json!({ "mode": "Passthrough" }))), "goes with protocol TLS"),
        (one(tls("TLS", json!({ "mode": "Terminate" }))), "use Passthrough, or protocol HTTPS"),
        (
            one(json!({ "name": "a", "port": 80, "protocol": "HTTP", "allowedRoutes": kinds })),
            "\"TCPRoute\" cannot be",
        ),
        (certificate("gone"), "Secret team/gone does not exist"),
        (certificate("opaque"), "Secret team/opaque is not of type kubernetes.io/tls"),
        (certificate("over"), "Secret team/over cannot be used: it has expired"),
        (
            https(&json!([{ "name": "other", "namespace": "vault" }])),
            "no ReferenceGrant in vault lets a Gateway of team",
        ),
        (https(&json!([{ "name": "there" }, { "name": "other" }])), "names 2 certificates: name one"),
        (https(&json!([{ "name": "there", "kind": "ConfigMap" }])), "name a Secret"),
    ] {
        let warnings = told(&spec);
        assert!(warnings.len() == 1, "{spec}: {warnings:?}");
        assert!(
            warnings[0].starts_with("spec.listeners[0]: ") && warnings[0].contains(words),
            "{warnings:?}"
        );
        for other in ["theirs", "unmanaged", "absent"] {
            let mut spec = spec.clone();
            spec["gatewayClassName"] = json!(other);
            assert_eq!(told(&spec), [] as [&str; 0], "{other}");
        }
    }
}

#[test]
fn what_it_refers_to_as_a_whole_is_told_where_it_stands() {
    let listener = json!([{ "name": "a", "port": 80, "protocol": "HTTP" }]);
    for (spec, words) in [
        (parameters("ConfigMap", "there"), "spec.infrastructure.parametersRef: \"ConfigMap\" of group"),
        (
            parameters("GatewayConfiguration", "gone"),
            "spec.infrastructure.parametersRef: GatewayConfiguration team/gone does not exist",
        ),
        (
            parameters("GatewayConfiguration", "wrong"),
            "spec.infrastructure.parametersRef: GatewayConfiguration team/wrong is not valid: ",
        ),
        (
            parameters("GatewayConfiguration", "reads"),
            "no WatchNamespaceGrant in \"closed\" lets \"team\" read it",
        ),
        (
            of("lost", &listener),
            "spec.gatewayClassName: GatewayClass: GatewayConfiguration team/gone does not exist",
        ),
        (
            with("addresses", json!([{ "type": "NamedAddress", "value": "x" }])),
            "spec.addresses: type \"NamedAddress\"",
        ),
    ] {
        let warnings = told(&spec);
        assert!(warnings.len() == 1 && warnings[0].starts_with(words), "{spec}: {warnings:?}");
    }
}

#[test]
fn listeners_that_cannot_be_told_apart_are_told_both() {
    let listeners = json!([
        { "name": "a", "port": 80, "protocol": "HTTP", "hostname": "a.example" },
        { "name": "b", "port": 80, "protocol": "HTTP", "hostname": "a.example" },
        { "name": "c", "port": 80, "protocol": "HTTP", "hostname": "c.example" },
        { "name": "d", "port": 90, "protocol": "TCP" },
        { "name": "e", "port": 90, "protocol": "HTTP" },
    ]);
    let warnings = told(&of("ours", &listeners));
    let places: Vec<_> =
        warnings.iter().filter_map(|words| words.split_once(": ")).map(|(at, _)| at).collect();
    assert_eq!(
        places,
        ["spec.listeners[0]", "spec.listeners[1]", "spec.listeners[3]", "spec.listeners[4]"],
        "{warnings:?}"
    );
}

#[test]
fn what_is_in_order_or_unknown_is_not_told() {
    let foreign = |namespace: &str| https(&json!([{ "name": "there", "namespace": namespace }]));
    for fine in [
        with("listeners", json!([{ "name": "a", "port": 80, "protocol": "HTTP" }])),
        https(&json!([{ "name": "there" }])),
        foreign("team"),
        foreign("vault"),
        of(
            "ours",
            &json!([{ "name": "a", "port": 443, "protocol": "TLS", "tls": { "mode": "Passthrough" } }]),
        ),
        parameters("GatewayConfiguration", "there"),
        json!({ "gatewayClassName": "ours" }),
    ] {
        assert_eq!(told(&fine), [] as [&str; 0], "{fine}");
    }
    let settings = plan::dataplane::Settings { image: "kong:test".into() };
    for spec in [
        https(&json!([{ "name": "gone" }])),
        https(&json!([{ "name": "gone", "namespace": "vault" }])),
        parameters("GatewayConfiguration", "gone"),
    ] {
        let object = crate::kinds::known::object(&spec);
        let judge = Judge { settings: &settings, controller: CONTROLLER, world: &Classes(world()) };
        let subject = Subject { kind: Kind::Gateway, object: &object, old: None };
        assert_eq!(of_gateway(&subject, &judge), Verdict::default(), "{spec}");
    }
}

/// Classes are known, and nothing else.
struct Classes(Known);

impl World for Classes {
    fn exists(&self, _: crate::world::Named, _: &str, _: &str) -> Found<()> {
        Found::Unknown
    }
    fn service(&self, _: &str, _: &str) -> Found<crate::world::Holder> {
        Found::Unknown
    }
    fn dataplane(&self, _: &str, _: &str) -> Found<Arc<crds::DataPlane>> {
        Found::Unknown
    }
    fn wanting(&self, _: &str, _: &str) -> Vec<Arc<crds::DataPlane>> {
        Vec::new()
    }
    fn configuring(&self, _: &str, _: &str) -> Vec<Arc<crds::ControlPlane>> {
        Vec::new()
    }
    fn grants(&self, _: &str) -> Found<Vec<Arc<crds::WatchNamespaceGrant>>> {
        Found::Unknown
    }
    fn gateway_class(&self, name: &str) -> Found<Arc<GatewayClass>> {
        self.0.gateway_class(name)
    }
    fn configuration(&self, _: &str, _: &str) -> Found<Arc<GatewayConfiguration>> {
        Found::Unknown
    }
    fn reference_grants(&self, _: &str) -> Found<Vec<Arc<ReferenceGrant>>> {
        Found::Unknown
    }
    fn certificate(&self, _: &str, _: &str) -> Found<Result<(), Unusable>> {
        Found::Unknown
    }
}

#[test]
fn a_class_of_ours_has_parameters_of_ours() {
    let class = |controller: &str, reference: Value| {
        let spec = json!({ "controllerName": controller, "parametersRef": reference });
        judged(&world(), Kind::GatewayClass, &spec, None).warnings
    };
    let reference = |name: &str| json!({ "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": name });
    let whole = |name: &str| {
        let mut whole = reference(name);
        whole["namespace"] = json!("team");
        whole
    };
    assert_eq!(
        class(CONTROLLER, whole("gone")),
        ["spec.parametersRef: GatewayConfiguration team/gone does not exist"]
    );
    assert!(class(CONTROLLER, whole("wrong"))[0].contains("GatewayConfiguration team/wrong is not valid"));
    assert!(class(CONTROLLER, reference("there"))[0].starts_with("spec.parametersRef.namespace is missing"));
    assert_eq!(class(CONTROLLER, whole("there")), [] as [&str; 0]);
    assert_eq!(class("example.com/other", reference("gone")), [] as [&str; 0]);
}
