//! Verdicts and statuses of routes.

use serde_json::{Value, json};

use super::super::stage::{Stage, class, entry, gateway, route, service};
use super::*;

fn stage() -> Stage {
    let mut stage = Stage::default();
    stage.class(&class());
    stage.gateway(&gateway());
    stage.service(&service("echo"));
    stage
}

fn verdict(stage: &Stage, route: &Value) -> Verdict {
    judge(&stage.snapshot, &stage.options, &entry(route).1)
}

fn written(stage: &Stage, object: &Value, report: Option<Report>) -> Vec<(String, String, String)> {
    let (_, read) = entry::<Route>(object);
    let Verdict::Judged { parents, .. } = verdict(stage, object) else { panic!("not judged") };
    let all =
        statuses(&stage.snapshot, &stage.options, &read.read, (&parents, report), Timestamp::UNIX_EPOCH);
    let all = all.unwrap().expect("nothing to write");
    let conditions = all.last().unwrap().conditions.clone();
    conditions.into_iter().map(|one| (one.type_, one.status, one.reason)).collect()
}

fn texts(all: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    all.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

#[test]
fn a_route_waits_for_a_gateway_that_is_programmed_for_its_generation() {
    let mut stage = stage();
    let mut object = gateway();
    object["metadata"]["generation"] = json!(8);
    stage.gateway(&object);
    assert!(matches!(verdict(&stage, &route()), Verdict::Waiting));
    object["status"]["conditions"][1] = json!({"type": "Programmed", "status": "True", "reason": "Ready", "message": "",
        "observedGeneration": 8, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    stage.gateway(&object);
    assert!(matches!(verdict(&stage, &route()), Verdict::Waiting), "another reason is not the one");
    object["status"]["conditions"][1]["reason"] = json!("Programmed");
    stage.gateway(&object);
    assert!(matches!(verdict(&stage, &route()), Verdict::Judged { let_in: Some(_), .. }));
}

#[test]
fn a_route_of_others_is_left_alone() {
    let stage = stage();
    let mut other = route();
    other["spec"]["parentRefs"][0]["name"] = json!("elsewhere");
    assert!(matches!(verdict(&stage, &other), Verdict::Foreign));
    other["status"] = json!({"parents": [{"controllerName": "example.com/kic", "conditions": [],
        "parentRef": {"name": "gw", "namespace": "ns"}}]});
    let (_, read) = entry::<Route>(&other);
    assert_eq!(withdrawn(&stage.options, &read.read), Some(vec![]));
    let of = |name: &str| Options { gateway: Some(Named::new("ns", name)), ..stage.options.clone() };
    assert_eq!(withdrawn(&of("gw"), &read.read), Some(vec![]));
    assert_eq!(withdrawn(&of("another"), &read.read), None, "what another one said of its Gateway stays");
}

#[test]
fn parents_say_what_the_push_says() {
    let (stage, object) = (stage(), route());
    let of = |last: (&str, &str)| {
        texts(&[
            ("Accepted", "True", "Accepted"),
            ("ResolvedRefs", "True", "ResolvedRefs"),
            ("Programmed", last.0, last.1),
        ])
    };
    assert_eq!(written(&stage, &object, None), of(("Unknown", "Unknown")));
    assert_eq!(written(&stage, &object, Some(Report::Configured)), of(("True", "ConfiguredInGateway")));
    assert_eq!(written(&stage, &object, Some(Report::Failed)), of(("False", "TranslationError")));
}

#[test]
fn backends_are_judged() {
    let stage = stage();
    for (reference, reason) in [
        (json!({"name": "none", "port": 80}), "BackendNotFound"),
        (json!({"name": "echo", "port": 80, "kind": "Pod"}), "InvalidKind"),
        (json!({"name": "echo", "port": 80, "namespace": "b"}), "RefNotPermitted"),
    ] {
        let mut object = route();
        object["spec"]["rules"][0]["backendRefs"][0] = reference;
        let wanted = ("ResolvedRefs".to_owned(), "False".to_owned(), reason.to_owned());
        assert!(written(&stage, &object, None).contains(&wanted), "{reason}");
    }
}

#[test]
fn nothing_is_written_twice() {
    let (stage, mut object) = (stage(), route());
    let (_, read) = entry::<Route>(&object);
    let Verdict::Judged { parents, .. } = verdict(&stage, &object) else { panic!("not judged") };
    let write = |route: &Route| {
        let wanted = (parents.as_slice(), Some(Report::Configured));
        statuses(&stage.snapshot, &stage.options, route, wanted, Timestamp::UNIX_EPOCH).unwrap()
    };
    let first = write(&read.read).unwrap();
    assert_eq!(first[0].parent_ref.namespace.as_deref(), Some("ns"));
    object["status"] = json!({ "parents": first });
    assert_eq!(write(&entry::<Route>(&object).1.read), None);
}

#[test]
fn an_entry_without_a_namespace_ends_the_reconcile() {
    let (stage, mut object) = (stage(), route());
    object["status"] = json!({"parents": [{"controllerName": "example.com/other", "conditions": [],
        "parentRef": {"name": "x"}}]});
    let (_, read) = entry::<Route>(&object);
    let got = statuses(&stage.snapshot, &stage.options, &read.read, (&[], None), Timestamp::UNIX_EPOCH);
    assert!(got.is_err());
}

#[test]
fn hostnames_and_protocols_of_all_listeners_come_together() {
    let mut stage = stage();
    let mut object = gateway();
    object["spec"]["listeners"][0]["hostname"] = json!("*.test");
    stage.gateway(&object);
    let mut open = route();
    open["spec"]["hostnames"] = json!([]);
    let Verdict::Judged { let_in: Some(found), .. } = verdict(&stage, &open) else { panic!("not let in") };
    assert_eq!(found.hostnames, ["*.test"]);
    let protocols: Vec<_> = found.listeners.iter().map(|one| one.protocol.as_str()).collect();
    assert_eq!(protocols, ["HTTP"]);
}
