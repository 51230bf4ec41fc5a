//! Rules of `DataPlane`, good and bad, evaluated as the API server would; and manifests as users have them.

use serde_json::{Value, json};

use super::DataPlane;

fn dataplane(spec: &Value) -> DataPlane {
    let object = json!({ "metadata": { "name": "edge" }, "spec": spec });
    serde_json::from_value(object).unwrap()
}

/// The messages of the rules that a specification breaks.
fn broken(spec: &Value) -> Vec<String> {
    let result = dataplane(spec).validate_cel();
    result.map_or_else(
        |errors| errors.as_slice().iter().map(|error| error.message.clone()).collect(),
        |()| Vec::new(),
    )
}

fn ingress(fields: &Value) -> Value {
    json!({ "network": { "services": { "ingress": fields } } })
}

fn ports(ports: &Value) -> Value {
    ingress(&json!({ "ports": ports }))
}

fn scaling(fields: &Value) -> Value {
    json!({ "deployment": { "scaling": { "horizontal": fields } } })
}

fn budget(fields: &Value) -> Value {
    json!({ "resources": { "podDisruptionBudget": { "spec": fields } } })
}

#[test]
fn good_specifications_break_no_rule() {
    for spec in [
        json!({}),
        json!({ "deployment": { "replicas": 0 } }),
        scaling(&json!({ "maxReplicas": 3 })),
        scaling(&json!({ "minReplicas": 3, "maxReplicas": 3 })),
        ingress(&json!({ "type": "ClusterIP" })),
        ingress(
            &json!({ "type": "NodePort", "externalTrafficPolicy": "Local", "ports": [{ "port": 80, "nodePort": 30080 }] }),
        ),
        ingress(&json!({ "externalTrafficPolicy": "Local" })),
        ports(&json!([{ "port": 80, "nodePort": 30080 }])),
        ports(
            &json!([{ "name": "a", "port": 80 }, { "name": "b", "port": 81 }, { "port": 82 }, { "port": 83 }]),
        ),
        ports(
            &json!([{ "port": 80, "targetPort": 1 }, { "port": 81, "targetPort": 65535 }, { "port": 82, "targetPort": "proxy-ssl" }]),
        ),
        ports(&json!([{ "port": 53, "protocol": "TCP" }, { "port": 53, "protocol": "UDP" }])),
        ingress(&json!({ "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"] })),
        ingress(&json!({ "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"] })),
        budget(&json!({ "minAvailable": 1 })),
        budget(&json!({ "maxUnavailable": "10%", "unhealthyPodEvictionPolicy": "AlwaysAllow" })),
        json!({ "extensions": [], "pluginsToInstall": [] }),
    ] {
        assert_eq!(broken(&spec), Vec::<String>::new(), "{spec}");
    }
}

#[test]
fn each_bad_specification_breaks_one_rule() {
    for (spec, message) in [
        (
            json!({ "deployment": { "replicas": 1, "scaling": { "horizontal": { "maxReplicas": 2 } } } }),
            "replicas and scaling exclude each other",
        ),
        (
            scaling(&json!({ "minReplicas": 3, "maxReplicas": 2 })),
            "minReplicas must not be greater than maxReplicas: lower",
        ),
        (
            ingress(&json!({ "type": "ClusterIP", "externalTrafficPolicy": "Local" })),
            "externalTrafficPolicy needs a Service",
        ),
        (
            ingress(
                &json!({ "type": "ClusterIP", "ports": [{ "port": 80 }, { "port": 81, "nodePort": 30080 }] }),
            ),
            "nodePort needs a Service",
        ),
        (ports(&json!([{ "port": 80 }, { "port": 80 }])), "a port number stands in ports more than once"),
        (
            ports(&json!([{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "UDP" }])),
            "a port number stands in ports more than once",
        ),
        (ports(&json!([{ "port": 53, "protocol": "TLS" }, { "port": 53 }])), "a port number stands in ports"),
        (
            ingress(&json!({ "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6", "IPv4"] })),
            "SingleStack takes one entry",
        ),
        (ingress(&json!({ "ipFamilies": ["IPv6", "IPv4"] })), "SingleStack takes one entry"),
        (
            ports(&json!([{ "name": "a", "port": 80 }, { "name": "a", "port": 81 }])),
            "the name \"a\" stands in ports",
        ),
        (budget(&json!({})), "are missing: set one of them"),
        (budget(&json!({ "minAvailable": 1, "maxUnavailable": 1 })), "exclude each other: remove one"),
        (
            json!({ "extensions": [{ "kind": "KonnectExtension", "name": "x" }] }),
            "extensions are not supported by Silverback",
        ),
        (json!({ "pluginsToInstall": [{ "name": "x" }] }), "pluginsToInstall is not supported by Silverback"),
        (
            json!({ "network": { "konnectCertificate": { "issuer": { "name": "x", "namespace": "y" } } } }),
            "konnectCertificate is not supported by Silverback",
        ),
    ] {
        let found = broken(&spec);
        assert_eq!(found.len(), 1, "{spec}: {found:?}");
        assert!(found[0].contains(message), "{spec}: {found:?}");
    }
}

#[test]
fn manifests_of_users_survive_a_round_trip() {
    for (name, manifest) in [
        ("everything", include_str!("samples/everything.yaml")),
        ("blue-green", include_str!("samples/blue-green.yaml")),
        ("autoscaling", include_str!("samples/autoscaling.yaml")),
        ("sidecar", include_str!("samples/sidecar.yaml")),
    ] {
        let written: Value = serde_saphyr::from_str(manifest).unwrap();
        let object: DataPlane = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&object).unwrap(), written, "{name}");
        object.validate_cel().unwrap();
    }
}

#[test]
fn fields_of_other_kinds_of_value_are_refused_while_decoding() {
    for spec in [
        ports(&json!([{ "port": 0 }])),
        ports(&json!([{ "port": 80, "nodePort": 65536 }])),
        ports(&json!([{ "name": "a" }])),
        ingress(&json!({ "type": "ExternalName" })),
        ingress(&json!({ "externalTrafficPolicy": "" })),
        scaling(&json!({ "minReplicas": 1 })),
        json!({ "deployment": { "podTemplateSpec": "text" } }),
        json!({ "deployment": { "rollout": { "strategy": { "blueGreen": { "promotion": { "strategy": "AutomaticPromotion" } } } } } }),
    ] {
        let object = json!({ "metadata": {}, "spec": spec });
        assert!(serde_json::from_value::<DataPlane>(object).is_err(), "{spec}");
    }
}
