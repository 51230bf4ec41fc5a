//! What is seen of the pods of a track.
//!
//! In: pods and the endpoint slices of the ingress Service. Out: numbers, and what keeps a pod from running, in the words of
//! the machine. Never: a clock; how long something has lasted the machine minds.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::k8s::{ContainerStatus, EndpointSlice, Pod};
use crds::names::{PROXY_CONTAINER, labels};
use rollout::observation::{Pods, Trouble};

/// The names of the pods that get new connections.
pub struct Serving(BTreeSet<String>);

impl Serving {
    /// Those of a Service's slices.
    pub fn of(slices: &[EndpointSlice]) -> Self {
        let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
        let ready = endpoints.filter(|endpoint| {
            // Absent means ready (EndpointConditions, discovery/v1).
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
        });
        Self(ready.filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone()).collect())
    }
}

/// The pods of a track.
pub fn pods(all: &[Arc<Pod>], track: &str, serving: &Serving) -> Pods {
    let of_track = |pod: &&Arc<Pod>| {
        pod.metadata
            .labels
            .as_ref()
            .and_then(|all| all.get(labels::TRACK))
            .is_some_and(|found| found == track)
    };
    let own: Vec<_> = all.iter().filter(of_track).collect();
    let alive: Vec<_> = own.iter().filter(|pod| is_alive(pod)).collect();
    let count = |test: &dyn Fn(&Pod) -> bool| {
        u32::try_from(alive.iter().filter(|pod| test(pod)).count()).unwrap_or(u32::MAX)
    };
    let serves = |pod: &Pod| pod.metadata.name.as_ref().is_some_and(|name| serving.0.contains(name));
    Pods {
        present: count(&|_| true),
        running: count(&runs),
        ready: count(&|pod| condition(pod, "Ready") == Some("True")),
        // One that is going may still be in a slice.
        serving: u32::try_from(own.iter().filter(|pod| serves(pod)).count()).unwrap_or(u32::MAX),
        restarts: alive
            .iter()
            .flat_map(|pod| containers(pod))
            .map(|container| container.restart_count)
            .max()
            .and_then(|most| most.try_into().ok())
            .unwrap_or(0),
        trouble: alive.iter().find_map(|pod| trouble(pod)),
    }
}

/// Pods that go, and those that were evicted or ended, say nothing about the revision.
fn is_alive(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    init.iter().chain(status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default())
}

fn runs(pod: &Pod) -> bool {
    containers(pod).any(|container| {
        container.name == PROXY_CONTAINER
            && container.state.as_ref().is_some_and(|state| state.running.is_some())
    })
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_).map(|condition| condition.status.as_str())
}

fn trouble(pod: &Pod) -> Option<Trouble> {
    containers(pod).find_map(of_container).or_else(|| {
        let is_unscheduled = condition(pod, "PodScheduled") == Some("False");
        is_unscheduled.then_some(Trouble::Unschedulable)
    })
}

fn of_container(container: &ContainerStatus) -> Option<Trouble> {
    let ended = |state: Option<&crds::k8s::ContainerState>| state?.terminated.as_ref()?.reason.clone();
    let killed = [ended(container.state.as_ref()), ended(container.last_state.as_ref())];
    if killed.iter().flatten().any(|reason| reason == "OOMKilled") {
        return Some(Trouble::OutOfMemory);
    }
    match container.state.as_ref()?.waiting.as_ref()?.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            Some(Trouble::ImagePull)
        }
        "InvalidImageName" => Some(Trouble::ImageName),
        "CreateContainerConfigError" => Some(Trouble::Reference),
        "CrashLoopBackOff" | "RunContainerError" | "StartError" => Some(Trouble::CrashLoop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "literals of JSON are handed over")]

    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, track: &str, status: Value) -> Arc<Pod> {
        let labels = json!({ "gateway-operator.konghq.com/track": track });
        Arc::new(
            serde_json::from_value(
                json!({ "metadata": { "name": name, "labels": labels }, "status": status }),
            )
            .unwrap(),
        )
    }

    fn container(state: Value, restarts: i32) -> Value {
        json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "False" }],
            "containerStatuses": [{ "name": "proxy", "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state }] })
    }

    fn none() -> Serving {
        Serving(BTreeSet::new())
    }

    #[test]
    fn pods_are_counted_by_track_and_by_what_reaches_them() {
        let ready = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "name": "proxy", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": { "running": {} } }] });
        let slice = json!({ "addressType": "IPv4", "endpoints": [
            { "addresses": ["10.0.0.1"], "targetRef": { "name": "a" } },
            { "addresses": ["10.0.0.2"], "conditions": { "ready": false }, "targetRef": { "name": "b" } },
        ] });
        let serving = Serving::of(&[serde_json::from_value(slice).unwrap()]);
        let all = [
            pod("a", "1", ready.clone()),
            pod("b", "1", ready.clone()),
            pod("c", "2", ready),
            pod("d", "1", json!({ "phase": "Failed" })),
        ];
        let one = pods(&all, "1", &serving);
        assert_eq!((one.present, one.running, one.ready, one.serving, one.trouble), (2, 2, 2, 1, None));
        assert_eq!(pods(&all, "2", &serving).present, 1);
    }

    #[test]
    fn what_keeps_a_pod_from_running_is_told_in_the_machines_words() {
        let waiting = |reason: &str| json!({ "waiting": { "reason": reason } });
        for (status, trouble) in [
            (container(waiting("ImagePullBackOff"), 0), Some(Trouble::ImagePull)),
            (container(waiting("InvalidImageName"), 0), Some(Trouble::ImageName)),
            (container(waiting("CreateContainerConfigError"), 0), Some(Trouble::Reference)),
            (container(waiting("CrashLoopBackOff"), 4), Some(Trouble::CrashLoop)),
            (
                container(json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }), 1),
                Some(Trouble::OutOfMemory),
            ),
            (container(waiting("ContainerCreating"), 0), None),
            (
                json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "False" }] }),
                Some(Trouble::Unschedulable),
            ),
        ] {
            assert_eq!(pods(&[pod("a", "1", status.clone())], "1", &none()).trouble, trouble, "{status}");
        }
        assert_eq!(
            pods(&[pod("a", "1", container(waiting("CrashLoopBackOff"), 4))], "1", &none()).restarts,
            4
        );
    }
}
