//! `DataPlanes` among others.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::kinds::Kind;
use crate::kinds::known::{Known, judged, object, told};
use crate::world::Holder;

const NAME: &str = "spec.network.services.ingress.name";

fn of(world: &Known, spec: &Value, old: Option<&Value>) -> (Vec<String>, Vec<String>) {
    told(&judged(world, Kind::DataPlane, spec, old))
}

fn named(name: &str) -> Value {
    json!({ "network": { "services": { "ingress": { "name": name } } } })
}

fn template(spec: &Value) -> Value {
    json!({ "deployment": { "podTemplateSpec": { "spec": spec } } })
}

#[test]
fn a_misspelt_field_is_told_with_what_was_meant() {
    let (problems, _) = of(
        &Known::default(),
        &template(&json!({ "containers": [{ "name": "proxy", "imge": "x", "zzzzz": 1 }] })),
        None,
    );
    let at = "spec.deployment.podTemplateSpec.spec.containers[0]";
    assert_eq!(
        problems,
        [
            format!("{at}.imge: unknown field, did you mean \"image\"? Correct its name or remove it"),
            format!("{at}.zzzzz: unknown field: correct its name or remove it"),
        ]
    );
}

#[test]
fn what_a_template_refers_to_may_follow() {
    let world = Known { names: vec!["there"], ..Known::default() };
    let from = |name: &str| json!({ "secretRef": { "name": name } });
    let spec =
        template(&json!({ "containers": [{ "name": "proxy", "envFrom": [from("there"), from("tokens")] }] }));
    let (problems, warnings) = of(&world, &spec, None);
    assert_eq!(problems, [] as [&str; 0]);
    assert_eq!(
        warnings,
        ["Secret \"tokens\" does not exist, and pods wait for it: containers[proxy].envFrom"]
    );
}

#[test]
fn a_service_has_one_owner() {
    let other: DataPlane =
        serde_json::from_value(json!({ "metadata": { "name": "other" }, "spec": named("wanted") })).unwrap();
    let holder = |name: &str| Holder::DataPlane(name.to_owned());
    let world = Known {
        services: vec![("taken", holder("other")), ("mine", holder("edge")), ("stray", Holder::Stranger)],
        dataplanes: vec![Arc::new(other)],
        ..Known::default()
    };
    for (name, words) in [
        ("taken", "belongs to the DataPlane \"other\""),
        ("stray", "belongs to no DataPlane"),
        ("wanted", "wanted by the DataPlane \"other\" too"),
    ] {
        let (problems, _) = of(&world, &named(name), None);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(NAME) && problems[0].contains(words), "{problems:?}");
        let (problems, _) = of(&world, &named(name), Some(&object(&named("mine"))));
        assert_eq!(problems.len(), 1, "it is asked for by an update");
        let mut spec = named(name);
        spec["deployment"] = json!({ "replicas": 2 });
        let (problems, _) = of(&world, &spec, Some(&object(&named(name))));
        assert_eq!(problems, [] as [&str; 0], "it was asked for before");
    }
    assert_eq!(of(&world, &named("mine"), None).0, [] as [&str; 0]);
    for derived in ["dataplane-ingress-edge", "dataplane-admin-edge"] {
        let world = Known { services: vec![(derived, Holder::Stranger)], ..Known::default() };
        let (problems, _) = of(&world, &json!({}), None);
        assert!(problems.len() == 1 && problems[0].starts_with("metadata.name: "), "{problems:?}");
    }
}

#[test]
fn the_first_family_of_a_service_never_changes() {
    let families = |name: &str, families: Value| json!({ "network": { "services": { "ingress": { "name": name, "ipFamilies": families, "ipFamilyPolicy": "PreferDualStack" } } } });
    let old = object(&families("a", json!(["IPv4"])));
    let world = Known::default();
    let (problems, _) = of(&world, &families("a", json!(["IPv6", "IPv4"])), Some(&old));
    assert!(
        problems.len() == 1 && problems[0].contains("\"IPv6\" cannot take the place of \"IPv4\""),
        "{problems:?}"
    );
    for fine in [families("a", json!(["IPv4", "IPv6"])), families("b", json!(["IPv6"]))] {
        assert_eq!(of(&world, &fine, Some(&old)).0, [] as [&str; 0], "{fine}");
    }
}

#[test]
fn nothing_changes_while_pods_are_promoted() {
    let mut old = object(&json!({}));
    let condition = json!({ "type": "RolledOut", "status": "False", "reason": "PromotionInProgress" });
    old["status"] = json!({ "rollout": { "conditions": [condition] } });
    let world = Known::default();
    let (problems, _) = of(&world, &json!({ "deployment": { "replicas": 2 } }), Some(&old));
    assert!(problems.len() == 1 && problems[0].starts_with("spec: cannot be changed"), "{problems:?}");
    assert_eq!(of(&world, &json!({}), Some(&old)).0, [] as [&str; 0]);
}

#[test]
fn a_budget_that_was_closed_before_is_told_of() {
    let closed = |replicas: i32| json!({ "deployment": { "replicas": replicas }, "resources": { "podDisruptionBudget": { "spec": { "maxUnavailable": 0 } } } });
    let world = Known::default();
    let (problems, _) = of(&world, &closed(2), None);
    assert!(
        problems.len() == 1 && problems[0].contains("maxUnavailable: 0 lets no pod be evicted"),
        "{problems:?}"
    );
    let (problems, warnings) = of(&world, &closed(3), Some(&object(&closed(2))));
    assert_eq!(problems, [] as [&str; 0]);
    assert!(warnings.iter().any(|warning| warning.contains("no pod be evicted")), "{warnings:?}");
}

#[test]
fn what_was_wrong_before_may_stay() {
    let wrong = template(&json!({ "restartPolicy": "Never" }));
    let world = Known::default();
    assert_eq!(of(&world, &wrong, None).0.len(), 1);
    assert_eq!(of(&world, &wrong, Some(&object(&wrong))).0, [] as [&str; 0]);
    assert_eq!(of(&world, &wrong, Some(&object(&json!({})))).0.len(), 1);
}

#[test]
fn a_field_of_the_wrong_type_is_told_where_it_stands() {
    let (problems, _) = of(
        &Known::default(),
        &json!({ "network": { "services": { "ingress": { "ports": [{ "port": "http" }] } } } }),
        None,
    );
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("spec.network.services.ingress.ports[0].port: invalid type"),
        "{problems:?}"
    );
}
