//! Findings of clusters that lack one thing.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::doctor::Verdict;

/// A cluster in which nothing is wrong, and nothing is run.
fn found() -> Found {
    let definitions = crds::definitions().into_iter().map(|one| {
        let mut one = serde_json::to_value(one).unwrap();
        one["status"] = json!({ "conditions": [{ "type": "Established", "status": "True" }] });
        one
    });
    let webhook = |name: &str| {
        json!({ "webhooks": [{ "name": format!("{name}.dataplanes.{}", crds::names::GROUP), "failurePolicy": "Fail",
            "clientConfig": { "caBundle": "eA==" } }] })
    };
    let objects = BTreeMap::from([
        ("CustomResourceDefinition", Ok(definitions.collect())),
        ("MutatingWebhookConfiguration", Ok(vec![webhook("default")])),
        ("ValidatingWebhookConfiguration", Ok(vec![webhook("validate")])),
    ]);
    Found {
        version: "v1.36.3".to_owned(),
        objects,
        bad: Err("imagee: unknown field".to_owned()),
        lacking: Ok(Vec::new()),
    }
}

fn named(kind: &str, name: &str, more: &Value) -> Value {
    let mut object = json!({ "kind": kind, "metadata": { "namespace": "a", "name": name, "generation": 1 } });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn having(kind: &str, status: &str) -> Value {
    let one =
        json!({ "type": kind, "status": status, "reason": "R", "message": "m", "observedGeneration": 1 });
    json!({ "status": { "conditions": [one] } })
}

#[test]
fn versions_are_judged_by_their_minor() {
    for (text, verdict) in [
        ("v1.36.3", Verdict::Ok),
        ("v1.29.9-eks", Verdict::Wrong),
        ("v1.31+", Verdict::Ok),
        ("x", Verdict::Unknown),
    ] {
        let text = text.replace("31+", "31.0+k3s1");
        assert_eq!(version(&text).verdict, verdict, "{text}");
    }
}

#[test]
fn a_definition_of_another_version_is_wrong() {
    let mut found = found();
    assert!(definitions(&found).iter().all(|one| one.verdict != Verdict::Wrong));
    let Some(Ok(all)) = found.objects.get_mut("CustomResourceDefinition") else { panic!() };
    all[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["more"] =
        json!({ "type": "string" });
    all[1]["status"] = json!({});
    all.truncate(3);
    let said: Vec<_> = definitions(&found).into_iter().map(|one| one.message).collect();
    assert!(said[0].starts_with("is of another version"), "{said:?}");
    assert_eq!(said[1..5], ["is not served", "as this version has it", "is not there", "is not there"]);
}

#[test]
fn a_lease_is_judged_by_its_age() {
    let now: Timestamp = "2026-11-24T10:00:20Z".parse().unwrap();
    let judged = |spec: &Value| {
        let mut found = found();
        found.objects.insert("Lease", Ok(vec![named("Lease", LEASE, &json!({ "spec": spec }))]));
        lease(&found, "a", now)
    };
    let held = |at: &str| json!({ "holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": at });
    assert_eq!(judged(&held("2026-11-24T10:00:10.5Z")).verdict, Verdict::Ok);
    let late = judged(&held("2026-11-24T10:00:00Z"));
    assert_eq!((late.verdict, late.message.as_str()), (Verdict::Wrong, "x has not renewed it for 20 s"));
    assert_eq!(judged(&json!({ "holderIdentity": "" })).message, "nobody holds it");
    assert_eq!(lease(&found(), "a", now).verdict, Verdict::Wrong, "none at all");
}

#[test]
fn webhooks_are_judged_by_what_became_of_a_bad_object() {
    let judged = |bad: Result<(), &str>| {
        let found = Found { bad: bad.map_err(str::to_owned), ..found() };
        webhooks(&found).pop().unwrap().verdict
    };
    assert_eq!(judged(Err("x.imagee: unknown field")), Verdict::Ok);
    assert_eq!(judged(Err("failed calling webhook \"x\": refused")), Verdict::Wrong);
    assert_eq!(judged(Err("dataplanes is forbidden")), Verdict::Unknown);
    assert_eq!(judged(Ok(())), Verdict::Wrong);
    let mut found = found();
    found.objects.insert("MutatingWebhookConfiguration", Ok(Vec::new()));
    assert_eq!(webhooks(&found)[0].verdict, Verdict::Wrong, "none is registered");
}

#[test]
fn the_cause_of_a_gateway_is_the_pod_below_it() {
    let mut found = found();
    let class = json!({ "spec": { "controllerName": "ours" }, "metadata": { "name": "kong" } });
    let mut gateway = named("Gateway", "edge", &having("Programmed", "False"));
    gateway["spec"] = json!({ "gatewayClassName": "kong" });
    let labels = json!({ crds::names::labels::APP: "edge", crds::names::labels::MANAGED_BY: "dataplane" });
    let waits =
        json!({ "name": "proxy", "state": { "waiting": { "reason": "ImagePullBackOff", "message": "no" } } });
    let mut pod = named("Pod", "edge-1-x", &json!({ "status": { "containerStatuses": [waits] } }));
    pod["metadata"]["labels"] = labels;
    found.objects.insert("GatewayClass", Ok(vec![class]));
    found.objects.insert("Gateway", Ok(vec![gateway]));
    found.objects.insert("Pod", Ok(vec![pod]));
    let remedy = |found: &Found| gateways(found, "ours")[1].remedy.clone().unwrap();
    assert_eq!(remedy(&found), "there is no DataPlane for it yet");
    found.objects.insert("DataPlane", Ok(vec![named("DataPlane", "edge", &having("Ready", "False"))]));
    let said = remedy(&found);
    assert!(
        said.contains("DataPlane a/edge: Ready is False") && said.contains("ImagePullBackOff no"),
        "{said}"
    );
    found.objects.insert("DataPlane", Ok(vec![named("DataPlane", "edge", &having("Ready", "True"))]));
    found.objects.insert("ControlPlane", Ok(vec![named("ControlPlane", "edge", &having("Ready", "True"))]));
    assert_eq!(remedy(&found), "the condition says what to do");
    assert_eq!(gateways(&found, "other").len(), 2, "classes of others are not ours to judge");
}

#[test]
fn what_may_not_be_seen_is_not_called_wrong() {
    let mut found = found();
    for kind in
        ["CustomResourceDefinition", "Deployment", "Lease", "MutatingWebhookConfiguration", "DataPlane"]
    {
        found.objects.insert(kind, Err("is forbidden".to_owned()));
    }
    found.lacking = Err("is forbidden".to_owned());
    let judged = all(&found, "a", "ours");
    assert!(judged.iter().all(|one| one.verdict != Verdict::Wrong), "{judged:?}");
    assert!(judged.iter().filter(|one| one.verdict == Verdict::Unknown).count() >= 6, "{judged:?}");
}
