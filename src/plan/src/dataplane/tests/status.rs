//! Status and trouble as tables.

use std::sync::Arc;

use crds::conditions::{self, reasons, types};
use crds::k8s::{Deployment, Pod, Service, Timestamp};
use crds::{DataPlane, GatewayRollout};
use serde_json::{Value, json};

use super::dataplane;
use crate::dataplane::{Seen, failed, status};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn deployment(spec: Value, status: Value) -> Deployment {
    let generation = json!({"generation": 2});
    serde_json::from_value(json!({"metadata": generation, "spec": spec, "status": status})).unwrap()
}

fn service(kind: &str, ingress: Value) -> Service {
    let object = json!({
        "metadata": {"name": "dataplane-ingress-edge"},
        "spec": {"type": kind, "clusterIPs": ["10.96.0.5"]},
        "status": {"loadBalancer": {"ingress": ingress}},
    });
    serde_json::from_value(object).unwrap()
}

fn pod(status: Value) -> Arc<Pod> {
    Arc::new(serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "team", "labels": {"app": "edge"}}, "status": status})).unwrap())
}

fn waiting(reason: &str, message: &str) -> Arc<Pod> {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    pod(
        json!({"containerStatuses": [{"name": "proxy", "image": "kong:nope", "imageID": "", "ready": false, "restartCount": 0, "state": state}]}),
    )
}

fn seen(deployment: &Deployment, service: &Service, pods: &[Arc<Pod>]) -> crds::dataplane::DataPlaneStatus {
    status(
        &dataplane(json!({})),
        &Seen {
            track: "1",
            rollout: None,
            deployment,
            ingress: service,
            pods,
            controlplane: &[],
            missing: &[],
            now: now(),
        },
    )
}

fn condition<'a>(status: &'a crds::dataplane::DataPlaneStatus, type_: &str) -> (&'a str, &'a str, &'a str) {
    let found = conditions::get(status.conditions.as_deref().unwrap(), type_).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn serving() -> Deployment {
    deployment(
        json!({"replicas": 2}),
        json!({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
    )
}

#[test]
fn a_serving_dataplane_is_ready_and_tells_where() {
    let service = service(
        "LoadBalancer",
        json!([{"ip": "203.0.113.9"}, {"ip": "10.1.2.3"}, {"hostname": "lb.example"}]),
    );
    let status = seen(&serving(), &service, &[]);
    assert_eq!(condition(&status, types::READY), ("True", reasons::READY, "2 of 2 replicas serve"));
    assert_eq!(condition(&status, types::ROLLED_OUT).0, "True");
    assert_eq!(condition(&status, types::ADDRESS_ASSIGNED).0, "True");
    let told: Vec<_> = status.addresses.iter().flatten().map(|a| a.value.as_str()).collect();
    assert_eq!(told, ["203.0.113.9", "lb.example", "10.1.2.3", "10.96.0.5"]);
    let selector =
        "app=edge,gateway-operator.konghq.com/managed-by=dataplane,gateway-operator.konghq.com/track=1";
    assert_eq!(status.selector.as_deref(), Some(selector));
    assert_eq!(
        (status.replicas, status.ready_replicas, status.observed_generation),
        (Some(2), Some(2), Some(3))
    );
}

#[test]
fn a_missing_load_balancer_is_a_condition_of_its_own() {
    let status = seen(&serving(), &service("LoadBalancer", json!([])), &[]);
    assert_eq!(condition(&status, types::READY).0, "True");
    let (state, reason, message) = condition(&status, types::ADDRESS_ASSIGNED);
    assert_eq!((state, reason), ("False", reasons::ADDRESS_PENDING));
    assert!(message.contains("load balancer controller"), "{message}");
    assert_eq!(
        condition(&seen(&serving(), &service("ClusterIP", json!([])), &[]), types::ADDRESS_ASSIGNED).0,
        "True"
    );
}

#[test]
fn a_roll_does_not_touch_ready_while_old_pods_serve() {
    let rolling = json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2});
    let rolling = deployment(json!({"replicas": 2}), rolling);
    let service = service("ClusterIP", json!([]));
    let status = seen(&rolling, &service, &[]);
    assert_eq!(condition(&status, types::READY).0, "True");
    assert_eq!(
        condition(&status, types::ROLLED_OUT),
        ("False", reasons::PROGRESSING, "1 of 2 replicas are up to date")
    );
    let status =
        seen(&rolling, &service, &[waiting("ErrImagePull", "rpc error: code = NotFound desc = not found")]);
    assert_eq!(condition(&status, types::READY).0, "True");
    assert_eq!(condition(&status, types::ROLLED_OUT).1, reasons::IMAGE_PULL_FAILED);
}

#[test]
fn numbers_from_before_the_last_change_prove_nothing() {
    let old = deployment(
        json!({"replicas": 2}),
        json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
    );
    assert_eq!(condition(&seen(&old, &service("ClusterIP", json!([])), &[]), types::ROLLED_OUT).0, "False");
}

#[test]
fn what_is_being_added_is_not_missed() {
    let two_of_five = deployment(
        json!({"replicas": 5}),
        json!({"observedGeneration": 2, "replicas": 5, "readyReplicas": 2, "updatedReplicas": 5, "availableReplicas": 2}),
    );
    let ingress = service("ClusterIP", json!([]));
    let at = |object: &DataPlane, pods: &[Arc<Pod>]| {
        status(
            object,
            &Seen {
                track: "1",
                rollout: None,
                deployment: &two_of_five,
                ingress: &ingress,
                pods,
                controlplane: &[],
                missing: &[],
                now: now(),
            },
        )
    };
    let fixed = dataplane(json!({"deployment": {"replicas": 5}}));
    assert_eq!(condition(&at(&fixed, &[]), types::READY).0, "False", "it was never ready");
    let mut before = fixed.clone();
    before.status = Some(seen(&serving(), &ingress, &[]));
    let starting = at(&before, &[]);
    let told = ("True", reasons::READY, "2 of 5 replicas serve, the others are starting");
    assert_eq!(condition(&starting, types::READY), told);
    let nope = [waiting("ErrImagePull", "not found")];
    assert_eq!(condition(&at(&before, &nope), types::READY).1, reasons::IMAGE_PULL_FAILED);
    let scaled = |least: i32| {
        dataplane(
            json!({"deployment": {"scaling": {"horizontal": {"minReplicas": least, "maxReplicas": 9}}}}),
        )
    };
    assert_eq!(condition(&at(&scaled(2), &nope), types::READY).0, "True", "the least serves");
    assert_eq!(condition(&at(&scaled(3), &nope), types::READY).0, "False");
}

#[test]
fn an_attempt_under_way_or_failed_is_told() {
    let object = dataplane(json!({"deployment": {"rollout": {"strategy": {"blueGreen": {}}}}}));
    let (deployment, ingress) = (serving(), service("ClusterIP", json!([])));
    let rollout = |to: &str, said: Value| -> GatewayRollout {
        let revision = |revision: &str, track: &str| json!({"revision": revision, "track": track});
        let spec = json!({"target": {"kind": "DataPlane", "name": "a"}, "from": revision("x", "1"), "to": revision(to, "2"), "strategy": {}});
        serde_json::from_value(json!({"metadata": {"name": "a-1"}, "spec": spec, "status": said})).unwrap()
    };
    let at = |rollout: &GatewayRollout| {
        let rollout = Some(rollout);
        let seen = Seen {
            track: "1",
            rollout,
            deployment: &deployment,
            ingress: &ingress,
            pods: &[],
            controlplane: &[],
            missing: &[],
            now: now(),
        };
        status(&object, &seen)
    };
    let asked = crate::attempt::revision(None);
    let under_way = at(&rollout(&asked, json!({"phase": "Paused", "message": "somebody has to approve"})));
    let (is, reason, message) = condition(&under_way, types::ROLLED_OUT);
    assert_eq!((is, reason), ("False", reasons::PROGRESSING));
    assert!(message.contains("\"a-1\": Paused. somebody has to approve"), "{message}");
    assert!(under_way.rollout.unwrap().deployment.unwrap().selector.unwrap().contains("track=2"));
    let over = |status: &str| json!({"completion": {"status": status, "reason": "x", "message": "it crashed", "finishedAt": "2026-01-01T00:00:00Z"}});
    let failed = at(&rollout(&asked, over("RolledBack")));
    assert_eq!(condition(&failed, types::ROLLED_OUT).1, reasons::ROLLED_BACK);
    assert_eq!(failed.rollout, None);
    // Something else is asked for by now.
    assert_eq!(condition(&at(&rollout("other", over("RolledBack"))), types::ROLLED_OUT).0, "True");
    assert_eq!(condition(&at(&rollout(&asked, over("Promoted"))), types::ROLLED_OUT).0, "True");
}

#[test]
fn no_replicas_serve_nothing() {
    let none = deployment(json!({"replicas": 0}), json!({"observedGeneration": 2}));
    assert_eq!(
        condition(&seen(&none, &service("ClusterIP", json!([])), &[]), types::READY).1,
        reasons::SCALED_TO_ZERO
    );
}

/// Every one is told by its reason and these words.
fn told(cases: impl IntoIterator<Item = (Arc<Pod>, &'static str, &'static str)>) {
    let starting = deployment(json!({"replicas": 1}), json!({"observedGeneration": 2, "replicas": 1}));
    for (pod, reason, words) in cases {
        let status = seen(&starting, &service("ClusterIP", json!([])), &[pod]);
        let (state, told, message) = condition(&status, types::READY);
        assert_eq!((state, told), ("False", reason), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

fn restarted(count: u32, state: Value, last: Value) -> Arc<Pod> {
    pod(
        json!({"containerStatuses": [{"name": "proxy", "image": "i", "imageID": "", "ready": false, "restartCount": count,
        "state": state, "lastState": {"terminated": last}}]}),
    )
}

#[test]
fn what_keeps_a_container_waiting_is_named_with_the_remedy() {
    let not_found = "failed to pull and unpack image \"docker.io/library/kong:nope\": not found";
    let backed_off = format!("Back-off pulling image \"kong:nope\": ErrImagePull: {not_found}");
    let root = "container has runAsNonRoot and image will run as root (pod: \"x\", container: proxy)";
    let timeout = "dial tcp: read tcp 10.0.0.1:43567->192.0.2.7:443: i/o timeout";
    let config = "CreateContainerConfigError";
    told([
        (waiting("ErrImagePull", not_found), reasons::IMAGE_PULL_FAILED, "imagePullSecrets"),
        (
            waiting("ImagePullBackOff", &backed_off),
            reasons::IMAGE_PULL_FAILED,
            "\"docker.io/library/kong:nope\": not found. Correct",
        ),
        (waiting("ErrImagePull", timeout), reasons::IMAGE_PULL_FAILED, "dial tcp: read tcp i/o timeout."),
        (
            waiting(config, "secret \"x\" not found"),
            reasons::REFERENCED_RESOURCES_NOT_AVAILABLE,
            "secret \"x\" not found",
        ),
        (
            waiting(config, root),
            reasons::CONTAINER_START_FAILED,
            "image will run as root. Set securityContext.runAsUser",
        ),
        (waiting("RunContainerError", "exec: \"nope\""), reasons::CONTAINER_START_FAILED, "nope"),
    ]);
}

#[test]
fn what_ends_a_container_or_keeps_a_pod_from_a_node_is_named_with_the_remedy() {
    let memory = || json!({"exitCode": 137, "reason": "OOMKilled"});
    let start = json!({"exitCode": 128, "reason": "StartError", "message": "exec: \"nope\": not found"});
    let backed_off = || json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
    let for_long = json!({"running": {"startedAt": "2020-01-01T00:00:00Z"}});
    let scheduled = |message: &str| json!({"type": "PodScheduled", "status": "False", "message": message});
    let full = scheduled("0/1 nodes are available: 1 Insufficient cpu.");
    told([
        (restarted(2, backed_off(), memory()), reasons::CRASH_LOOP, "exit code 137, out of memory"),
        (
            restarted(2, json!({"running": {}}), memory()),
            reasons::CRASH_LOOP,
            "kubectl logs -n team -l app=edge -c proxy --previous",
        ),
        (restarted(2, backed_off(), start), reasons::CONTAINER_START_FAILED, "\"nope\": not found"),
        (restarted(3, for_long, json!({"exitCode": 1})), reasons::WAITING_TO_BECOME_READY, "0 of 1 replicas"),
        (pod(json!({"conditions": [full]})), reasons::UNSCHEDULABLE, "Insufficient cpu"),
        (pod(json!({})), reasons::WAITING_TO_BECOME_READY, "0 of 1 replicas"),
        (
            pod(json!({"phase": "Failed", "conditions": [scheduled("x")]})),
            reasons::WAITING_TO_BECOME_READY,
            "0 of 1 replicas",
        ),
    ]);
}

#[test]
fn the_two_texts_of_a_failing_pull_give_one_message() {
    let starting = deployment(json!({"replicas": 1}), json!({"observedGeneration": 2, "replicas": 1}));
    let told = |reason: &str, message: &str| {
        let status = seen(&starting, &service("ClusterIP", json!([])), &[waiting(reason, message)]);
        condition(&status, types::READY).2.to_owned()
    };
    let cause = "rpc error: code = NotFound desc = failed to resolve reference: not found";
    assert_eq!(
        told("ErrImagePull", cause),
        told("ImagePullBackOff", &format!("Back-off pulling image \"kong:nope\": ErrImagePull: {cause}"))
    );
}

#[test]
fn pods_that_are_refused_are_told_without_their_made_up_names() {
    let refused = |message: &str| {
        let failure = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]);
        deployment(json!({"replicas": 1}), json!({"observedGeneration": 2, "conditions": failure}))
    };
    for (message, reason) in [
        (
            "pods \"dataplane-edge-1-abcde\" is forbidden: exceeded quota: small, requested: cpu=1",
            reasons::QUOTA_EXCEEDED,
        ),
        (
            "pods \"dataplane-edge-1-abcde\" is forbidden: violates PodSecurity \"restricted:latest\": hostNetwork",
            reasons::REFUSED_BY_POLICY,
        ),
        (
            "pods \"dataplane-edge-1-abcde\" is forbidden: error looking up service account team/x: serviceaccount \"x\" not found",
            reasons::REFERENCED_RESOURCES_NOT_AVAILABLE,
        ),
    ] {
        let status = seen(&refused(message), &service("ClusterIP", json!([])), &[]);
        let (_, told, text) = condition(&status, types::READY);
        assert_eq!(told, reason);
        assert!(!text.contains("abcde"), "{text}");
    }
}

#[test]
fn what_is_referred_to_and_missing_is_named() {
    use crate::dataplane::{Kind, Reference};
    let missing = [Reference { kind: Kind::Secret, name: "tokens".into(), path: "spec.x".into() }];
    let starting = deployment(json!({"replicas": 1}), json!({"observedGeneration": 2, "replicas": 1}));
    let ingress = service("ClusterIP", json!([]));
    let with = |deployment: &Deployment, missing: &[Reference]| {
        status(
            &dataplane(json!({})),
            &Seen {
                track: "1",
                rollout: None,
                deployment,
                ingress: &ingress,
                pods: &[],
                controlplane: &[],
                missing,
                now: now(),
            },
        )
    };
    let status = with(&starting, &missing);
    for type_ in [types::READY, types::RESOLVED_REFS] {
        let (state, reason, message) = condition(&status, type_);
        assert_eq!((state, reason), ("False", reasons::REFERENCED_RESOURCES_NOT_AVAILABLE));
        assert!(message.contains("Secret \"tokens\" (spec.x). Create"), "{message}");
    }
    assert_eq!(condition(&with(&serving(), &missing), types::READY).0, "True", "what serves goes on serving");
    assert_eq!(condition(&with(&serving(), &[]), types::RESOLVED_REFS).0, "True");
}

#[test]
fn a_failure_keeps_what_is_known_of_what_runs() {
    let mut object = dataplane(json!({}));
    object.status = Some(seen(&serving(), &service("ClusterIP", json!([])), &[]));
    let failed = failed(&object, None, (reasons::VALIDATION_FAILED, "spec.x: wrong".into()), now());
    assert_eq!(condition(&failed, types::READY), ("False", reasons::VALIDATION_FAILED, "spec.x: wrong"));
    assert_eq!(failed.ready_replicas, Some(2));
    let fewer = deployment(json!({}), json!({"replicas": 3, "readyReplicas": 1}));
    let fewer =
        crate::dataplane::failed(&object, Some(&fewer), (reasons::VALIDATION_FAILED, "x".into()), now());
    assert_eq!((fewer.replicas, fewer.ready_replicas), (Some(3), Some(1)), "numbers are as they are");
    assert_eq!(condition(&failed, types::ROLLED_OUT).0, "True");
}

#[test]
fn a_status_seen_twice_is_the_same() {
    let mut object = dataplane(json!({}));
    let (deployment, ingress) = (serving(), service("ClusterIP", json!([])));
    let at = |object: &DataPlane, now| {
        status(
            object,
            &Seen {
                track: "1",
                rollout: None,
                deployment: &deployment,
                ingress: &ingress,
                pods: &[],
                controlplane: &[],
                missing: &[],
                now,
            },
        )
    };
    let first = at(&object, now());
    object.status = Some(first.clone());
    assert_eq!(at(&object, Timestamp::from_second(1_900_000_000).unwrap()), first);
}
