//! Which tracks there are, case by case.

#![expect(clippy::needless_pass_by_value, reason = "literals of JSON are handed over")]

use super::*;

fn patch(image: &str) -> Value {
    json!({ "spec": { "containers": [{ "name": "proxy", "image": image }] } })
}

fn dataplane(image: &str, strategy: &Value) -> DataPlane {
    let deployment =
        json!({ "replicas": 4, "podTemplateSpec": patch(image), "rollout": { "strategy": strategy } });
    serde_json::from_value(json!({
        "metadata": { "name": "edge", "namespace": "n", "uid": "1", "generation": 7 },
        "spec": { "deployment": deployment },
    }))
    .unwrap()
}

fn canary() -> Value {
    json!({ "canary": { "steps": [{ "name": "first", "weight": 25 }] } })
}

fn known(image: &str) -> RolloutRevision {
    let template: PodTemplatePatch = serde_json::from_value(patch(image)).unwrap();
    RolloutRevision {
        revision: revision(Some(&template)),
        track: "1".into(),
        pod_template_spec: Some(template),
    }
}

fn deployment(image: &str, track: &str) -> Arc<Deployment> {
    let known = known(image);
    let template = serde_json::to_string(&known.pod_template_spec).unwrap();
    let notes = json!({ annotations::REVISION: known.revision, annotations::POD_TEMPLATE: template });
    let labels = json!({ labels::TRACK: track, labels::DEPLOYMENT_STATE: "live" });
    Arc::new(
        serde_json::from_value(json!({ "metadata": { "annotations": notes, "labels": labels } })).unwrap(),
    )
}

fn rollout(number: u64, status: Value) -> Arc<GatewayRollout> {
    let (from, to) = (known("kong:3.8"), RolloutRevision { track: "2".into(), ..known("kong:3.9") });
    let spec = json!({ "target": { "kind": "DataPlane", "name": "edge" }, "from": from, "to": to, "strategy": canary() });
    let object = json!({ "metadata": { "name": format!("edge-{number}") }, "spec": spec, "status": status });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn over(status: &str) -> Value {
    json!({ "completion": { "status": status, "reason": "x", "message": "x", "finishedAt": "2026-01-01T00:00:00Z", "generation": 7 } })
}

fn course(object: &DataPlane, deployments: &[Arc<Deployment>], rollouts: &[Arc<GatewayRollout>]) -> Course {
    Course::of(object, Live { deployments, rollouts })
}

fn image(track: &Track) -> Option<&str> {
    track.template.as_ref()?.0.as_ref()?.as_value().pointer("/spec/containers/0/image")?.as_str()
}

#[test]
fn without_a_strategy_or_a_change_there_is_one_track_as_specified() {
    for (object, live) in [
        (dataplane("kong:3.9", &json!({})), vec![deployment("kong:3.8", "1")]),
        (dataplane("kong:3.9", &canary()), vec![deployment("kong:3.9", "2")]),
        (dataplane("kong:3.9", &canary()), vec![]),
    ] {
        let course = course(&object, &live, &[]);
        assert!(course.begin.is_none() && course.beside.is_none() && course.primary.template.is_none());
        assert_eq!(course.ingress.as_ref(), Some(&course.primary.name));
    }
}

#[test]
fn a_changed_template_begins_an_attempt_and_changes_nothing_yet() {
    let object = dataplane("kong:3.9", &canary());
    let begun = course(&object, &[deployment("kong:3.8", "1")], &[]);
    assert_eq!((image(&begun.primary), begun.ingress.as_deref()), (Some("kong:3.8"), Some("1")));
    let wanted = begun.begin.unwrap();
    assert_eq!(wanted.name(), "edge-1");
    assert_eq!(wanted.body()["spec"]["to"]["track"], "2");
    assert_eq!(wanted.body()["spec"]["from"]["revision"], json!(known("kong:3.8").revision));
    let just_begun = course(&object, &[deployment("kong:3.8", "1")], &[rollout(1, Value::Null)]);
    assert!(just_begun.begin.is_none() && image(&just_begun.primary) == Some("kong:3.8"));
}

#[test]
fn an_attempt_under_way_says_how_many_and_who_serves() {
    let object = dataplane("kong:3.9", &canary());
    let wanted = |ingress: &str, stable: i32, canary: i32| json!({ "wanted": { "stable": stable, "canary": canary, "ingress": ingress, "admin": "Both", "preview": true, "shrinks": false } });
    let both = course(&object, &[], &[rollout(3, wanted("Both", 4, 1)), rollout(2, over("RolledBack"))]);
    assert_eq!((both.ingress, both.primary.replicas), (None, Some(4)));
    assert_eq!(
        both.beside.as_ref().map(|track| (track.name.as_str(), track.replicas, image(track))),
        Some(("2", Some(1), Some("kong:3.9")))
    );
    let promoted = course(&object, &[], &[rollout(1, wanted("Canary", 0, 4))]);
    assert_eq!(
        (promoted.ingress.as_deref(), promoted.primary.name.as_str(), promoted.beside),
        (Some("2"), "2", None)
    );
}

#[test]
fn after_a_failure_stable_stays_until_something_else_is_asked_for() {
    let failed = [rollout(1, over("RolledBack"))];
    let live = [deployment("kong:3.8", "1")];
    let held = course(&dataplane("kong:3.9", &canary()), &live, &failed);
    assert_eq!((image(&held.primary), held.begin.is_none()), (Some("kong:3.8"), true));
    let back = course(&dataplane("kong:3.8", &canary()), &live, &failed);
    assert!(back.begin.is_none() && back.primary.template.is_none());
    let other = course(&dataplane("kong:3.10", &canary()), &live, &failed);
    assert_eq!(other.begin.unwrap().name(), "edge-2");
    // Who takes the stanza away has the change at the next generation.
    let mut plain = dataplane("kong:3.9", &json!({}));
    assert_eq!(image(&course(&plain, &live, &failed).primary), Some("kong:3.8"));
    plain.metadata.generation = Some(8);
    assert_eq!(course(&plain, &live, &failed).primary.template, None);
}

#[test]
fn after_a_promotion_the_other_track_is_the_only_one() {
    let done = [rollout(1, over("Promoted"))];
    let live = [deployment("kong:3.9", "2")];
    let same = course(&dataplane("kong:3.9", &canary()), &live, &done);
    assert_eq!((same.primary.name.as_str(), same.primary.template.is_none()), ("2", true));
    let next = course(&dataplane("kong:3.10", &canary()), &live, &done);
    assert_eq!(next.begin.unwrap().body()["spec"]["to"]["track"], "1");
}
