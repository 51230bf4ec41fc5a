//! The rules of both planes, where a `GatewayConfiguration` has them.

use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::kinds::known::{Known, judged, object, told};

fn of(spec: &Value, old: Option<&Value>) -> (Vec<String>, Vec<String>) {
    told(&judged(&Known::default(), Kind::GatewayConfiguration, spec, old))
}

#[test]
fn rules_of_both_planes_have_their_place_here() {
    let template = |container: &str| json!({ "podTemplateSpec": { "spec": { "containers": [{ "name": container, "imge": "x", "image": "Bad" }] } } });
    let spec = json!({
        "dataPlaneOptions": {
            "deployment": template("proxy"),
            "network": { "services": { "ingress": { "annotations": { "a b": "c" } } } },
        },
        "controlPlaneOptions": { "deployment": template("controller") },
    });
    let (problems, _) = of(&spec, None);
    let paths: Vec<_> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "spec.dataPlaneOptions.network.services.ingress.annotations[a b]",
            "spec.dataPlaneOptions.deployment.podTemplateSpec.spec.containers[0].imge",
            "spec.dataPlaneOptions.deployment.podTemplateSpec.spec.containers[0].image",
            "spec.controlPlaneOptions.deployment.podTemplateSpec.spec.containers[0].imge",
            "spec.controlPlaneOptions.deployment.podTemplateSpec.spec.containers[0].image",
        ]
    );
    assert_eq!(problems.iter().filter(|problem| problem.contains("did you mean \"image\"?")).count(), 2);
}

#[test]
fn what_is_surprising_is_told_where_it_stands() {
    let spec = json!({
        "dataPlaneOptions": { "deployment": { "replicas": 0 }, "network": { "services": { "ingress": { "name": "edge" } } } },
        "controlPlaneOptions": { "deployment": { "replicas": 0 } },
        "listenersOptions": [{ "name": "a", "nodePort": 80 }, { "name": "b", "nodePort": 80 }],
    });
    let (problems, warnings) = of(&spec, None);
    assert_eq!(problems, [] as [&str; 0]);
    assert_eq!(
        warnings,
        [
            "spec.dataPlaneOptions.deployment.replicas: 0 serves nothing; the Services and the certificate stay",
            "spec.dataPlaneOptions.network.services.ingress.name: only one Gateway of a namespace can have \"edge\"",
            "spec.controlPlaneOptions.deployment.replicas: 0 configures nothing; what Kong serves stays as it is",
            "spec.listenersOptions[0].nodePort: 80 is not in 30000-32767, what nodes offer by default",
            "spec.listenersOptions[1].nodePort: 80 is not in 30000-32767, what nodes offer by default",
            "spec.listenersOptions[1].nodePort: 80 is that of \"a\" too; one Service can have both for TCP and UDP only",
        ]
    );
    assert_eq!(of(&json!({}), None), (Vec::new(), Vec::new()));
}

#[test]
fn namespaces_that_nobody_may_read_are_told() {
    let spec = json!({ "controlPlaneOptions": { "watchNamespaces": { "type": "list", "list": ["team", "open", "closed"] } } });
    let grant = json!({ "metadata": {}, "spec": { "from": [{ "group": "gateway-operator.konghq.com", "kind": "ControlPlane", "namespace": "other" }] } });
    let world = Known {
        grants: vec![std::sync::Arc::new(serde_json::from_value(grant).unwrap())],
        ..Known::default()
    };
    let (problems, warnings) = told(&judged(&world, Kind::GatewayConfiguration, &spec, None));
    assert_eq!(problems, [] as [&str; 0]);
    let list = "spec.controlPlaneOptions.watchNamespaces.list";
    let words =
        |name: &str| format!("{list}: there is no WatchNamespaceGrant in {name:?} that lets anybody read it");
    assert_eq!(warnings, [words("closed")]);
    let (_, warnings) = told(&judged(&Known::default(), Kind::GatewayConfiguration, &spec, None));
    assert_eq!(warnings, [words("open"), words("closed")]);
}

#[test]
fn a_budget_that_blocks_evictions_is_refused_once() {
    let closed = |replicas: i32| json!({ "dataPlaneOptions": { "deployment": { "replicas": replicas }, "resources": { "podDisruptionBudget": { "spec": { "maxUnavailable": 0 } } } } });
    let (problems, _) = of(&closed(2), None);
    assert!(
        problems.len() == 1 && problems[0].starts_with("spec.dataPlaneOptions.resources."),
        "{problems:?}"
    );
    assert_eq!(of(&closed(3), Some(&object(&closed(2)))).0, [] as [&str; 0]);
}
