//! What of an object is not kept in the watch stores, because nobody here reads it.
//!
//! In: an object as the API server sends it. Out: the same with less in it. Never: a field that `plan` or the
//! comparison with what is wanted looks at. k8s-openapi's types keep room for each optional field: a Pod with some
//! fifty variables takes 45 kB in memory, and what is left of it here takes one.

use crds::k8s::{ContainerStatus, Pod, PodStatus};
use crds::names::annotations;
use crds::{ControlPlane, DataPlane};

/// What `kubectl apply` notes for itself, as long as the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Of a pod: whose it is, and what it says about itself.
pub fn pod(pod: &mut Pod) {
    pod.spec = None;
    if let Some(notes) = &mut pod.metadata.annotations {
        notes.retain(|name, _| [annotations::CONTROLPLANE, annotations::DATAPLANE].contains(&name.as_str()));
    }
    if let Some(status) = pod.status.take() {
        pod.status = Some(PodStatus {
            phase: status.phase,
            reason: status.reason,
            message: status.message,
            pod_ip: status.pod_ip,
            conditions: status.conditions,
            init_container_statuses: status.init_container_statuses.map(containers),
            container_statuses: status.container_statuses.map(containers),
            ..PodStatus::default()
        });
    }
}

fn containers(all: Vec<ContainerStatus>) -> Vec<ContainerStatus> {
    let container = |status: ContainerStatus| ContainerStatus {
        name: status.name,
        image: status.image,
        ready: status.ready,
        restart_count: status.restart_count,
        state: status.state,
        last_state: status.last_state,
        ..ContainerStatus::default()
    };
    all.into_iter().map(container).collect()
}

/// Of a `DataPlane`: all but kubectl's notes.
pub fn dataplane(dataplane: &mut DataPlane) {
    if let Some(notes) = &mut dataplane.metadata.annotations {
        notes.remove(LAST_APPLIED);
    }
}

/// Of a `ControlPlane`: all but kubectl's notes.
pub fn controlplane(controlplane: &mut ControlPlane) {
    if let Some(notes) = &mut controlplane.metadata.annotations {
        notes.remove(LAST_APPLIED);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_pod_says_about_itself_is_kept_and_its_specification_is_not() {
        let said = json!({
            "phase": "Pending", "podIP": "10.0.0.5",
            "conditions": [{ "type": "PodScheduled", "status": "False", "message": "0/1 nodes" }],
            "containerStatuses": [{
                "name": "proxy", "image": "kong", "imageID": "sha256:1", "ready": false, "restartCount": 2,
                "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                "lastState": { "terminated": { "exitCode": 1 } },
            }],
        });
        let whole = json!({
            "metadata": {
                "name": "a", "labels": { "app": "a" },
                "annotations": { annotations::DATAPLANE: "edge", "cni.example/address": "10.0.0.1" },
            },
            "spec": { "containers": [{ "name": "proxy", "env": [{ "name": "A", "value": "b" }] }] },
            "status": said,
        });
        let mut kept: Pod = serde_json::from_value(whole).unwrap();
        pod(&mut kept);
        let mut left = serde_json::to_value(&kept).unwrap();
        assert_eq!(left["metadata"]["annotations"], json!({ annotations::DATAPLANE: "edge" }));
        assert_eq!(left["metadata"]["labels"], json!({ "app": "a" }));
        assert!(left.get("spec").is_none());
        let container = &mut left["status"]["containerStatuses"][0];
        container["imageID"] = "sha256:1".into();
        assert_eq!(left["status"], said);
    }

    #[test]
    fn a_dataplane_keeps_everything_but_kubectls_notes() {
        let object = json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
            "metadata": { "name": "a", "annotations": { LAST_APPLIED: "{}", "mine": "1" } },
            "spec": { "deployment": { "replicas": 2 } },
        });
        let mut kept: DataPlane = serde_json::from_value(object).unwrap();
        let mut want = kept.clone();
        want.metadata.annotations = Some([("mine".to_owned(), "1".to_owned())].into());
        dataplane(&mut kept);
        assert_eq!(kept, want);
    }
}
