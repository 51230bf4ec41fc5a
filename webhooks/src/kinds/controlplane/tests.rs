//! `ControlPlanes` among others.

use std::sync::Arc;

use crds::{DataPlane, WatchNamespaceGrant};
use serde_json::json;

use super::*;
use crate::kinds::Kind;
use crate::kinds::known::{Known, judged, object, told};

fn of(world: &Known, spec: &Value, old: Option<&Value>) -> (Vec<String>, Vec<String>) {
    told(&judged(world, Kind::ControlPlane, spec, old))
}

fn world() -> Known {
    let read = |name: &str| json!({ "metadata": { "name": name }, "spec": {} });
    let dataplane = |name: &str| Arc::new(serde_json::from_value::<DataPlane>(read(name)).unwrap());
    let mut other = read("other");
    other["spec"]["dataplane"] = json!("used");
    let grant = json!({ "metadata": {}, "spec": { "from": [{ "group": "gateway-operator.konghq.com", "kind": "ControlPlane", "namespace": "team" }] } });
    Known {
        dataplanes: vec![dataplane("used"), dataplane("free")],
        controlplanes: vec![Arc::new(serde_json::from_value(other).unwrap())],
        grants: vec![Arc::new(serde_json::from_value::<WatchNamespaceGrant>(grant).unwrap())],
        ..Known::default()
    }
}

#[test]
fn a_dataplane_is_configured_by_one() {
    let world = world();
    let uses = |name: &str| json!({ "dataplane": name });
    let (problems, _) = of(&world, &uses("used"), None);
    assert!(
        problems.len() == 1
            && problems[0].starts_with("spec.dataplane: ")
            && problems[0].contains("\"other\""),
        "{problems:?}"
    );
    let mut again = uses("used");
    again["deployment"] = json!({ "replicas": 2 });
    assert_eq!(of(&world, &again, Some(&object(&uses("used")))).0, [] as [&str; 0], "it was before");
    assert_eq!(of(&world, &uses("free"), None), (Vec::new(), Vec::new()));
    let (problems, warnings) = of(&world, &uses("none"), None);
    assert_eq!(problems, [] as [&str; 0]);
    assert_eq!(warnings, ["spec.dataplane: there is no DataPlane \"none\" in this namespace"]);
    for none in [json!({}), uses("")] {
        let without = ["spec.dataplane: without it the controller is not started".to_owned()];
        assert_eq!(of(&world, &none, None), (Vec::new(), without.to_vec()), "{none}");
    }
}

#[test]
fn a_further_dataplane_is_configured_by_one_as_well() {
    let mut world = world();
    let spec = json!({ "dataplane": "free", "dataplanes": ["used", "none"] });
    let (problems, warnings) = of(&world, &spec, None);
    assert!(
        problems.len() == 1
            && problems[0].starts_with("spec.dataplanes[0]: ")
            && problems[0].contains("\"other\""),
        "{problems:?}"
    );
    assert_eq!(warnings, ["spec.dataplanes[1]: there is no DataPlane \"none\" in this namespace"]);
    assert_eq!(of(&world, &spec, Some(&object(&spec))).0, [] as [&str; 0], "it was before");
    // That which was made for it does not stand in its way, nor the other way round.
    let owner = json!([{ "apiVersion": "v1", "kind": "ControlPlane", "name": "edge", "uid": "u", "controller": true }]);
    let made =
        json!({ "metadata": { "name": "other", "ownerReferences": owner }, "spec": { "dataplane": "used" } });
    world.controlplanes = vec![Arc::new(serde_json::from_value(made).unwrap())];
    assert_eq!(of(&world, &spec, None).0, [] as [&str; 0]);
}

#[test]
fn a_namespace_that_grants_nothing_is_told() {
    let spec = json!({ "dataplane": "free", "watchNamespaces": { "type": "list", "list": ["team", "open", "closed"] } });
    let (problems, warnings) = of(&world(), &spec, None);
    assert_eq!(problems, [] as [&str; 0]);
    assert_eq!(
        warnings,
        ["spec.watchNamespaces.list: no WatchNamespaceGrant in \"closed\" lets \"team\" read it"]
    );
}

#[test]
fn a_class_that_does_not_exist_is_told() {
    let mut world = world();
    let class =
        json!({ "metadata": { "name": "kong" }, "spec": { "controllerName": "example.com/controller" } });
    world.classes = vec![Arc::new(serde_json::from_value(class).unwrap())];
    let of_class = |class: &str| of(&world, &json!({ "dataplane": "free", "gatewayClass": class }), None).1;
    assert_eq!(of_class("gone"), ["spec.gatewayClass: there is no GatewayClass \"gone\""]);
    assert_eq!((of_class("kong"), of_class("")), (Vec::new(), Vec::new()));
}

#[test]
fn its_template_is_looked_at() {
    let spec = json!({ "dataplane": "free", "deployment": { "podTemplateSpec": { "spec": { "containers": [
        { "name": "controller", "imge": "x", "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }] },
    ] } } } });
    let (problems, warnings) = of(&world(), &spec, None);
    assert_eq!(
        problems,
        [
            "spec.deployment.podTemplateSpec.spec.containers[0].imge: unknown field, did you mean \"image\"? Correct its name or remove it"
        ]
    );
    assert_eq!(
        warnings,
        ["Secret \"s\" does not exist, and pods wait for it: containers[controller].env[A]"]
    );
}
