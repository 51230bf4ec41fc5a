//! Why pods do not run, in a person's words with the remedy.
//!
//! In: the pods of a `DataPlane` and its Deployment. Out: the first trouble in the order in which a person
//! would look for it. The words do not change while the trouble stays the same: no counters, no back-off
//! times, none of the two texts between which a kubelet alternates.

use std::sync::Arc;

use crds::conditions::reasons;
use crds::k8s::{ContainerState, ContainerStateTerminated, ContainerStatus, Deployment, Pod, Timestamp};
use crds::names::labels;

use super::references::Reference;
use super::scheduling;

/// Why the kubelet says a container ended that could not be started, and waits that it will try to start.
const NEVER_STARTED: &str = "StartError";
const NEVER_STARTED_YET: &str = "RunContainerError";
/// Seconds after which a container that runs loops no more: twice a kubelet's longest pause between two tries.
const SETTLED: i64 = 600;

/// Something that keeps pods from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Reason for the condition.
    pub reason: &'static str,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// The first trouble there is.
pub fn find(pods: &[Arc<Pod>], deployment: &Deployment, now: Timestamp) -> Option<Trouble> {
    let mut pods: Vec<_> = pods.iter().filter(|pod| is_alive(pod)).collect();
    pods.sort_by_key(|pod| &pod.metadata.name);
    let each = |look: fn(&Pod) -> Option<Trouble>| pods.iter().find_map(|pod| look(pod));
    each(stuck_container)
        .or_else(|| pods.iter().find_map(|pod| crash_loop(pod, now)))
        .or_else(|| refused(deployment))
        .or_else(|| each(unschedulable))
        .or_else(|| overdue(deployment))
}

/// What the pods wait for that is not there.
pub fn unresolved(missing: &[Reference]) -> Option<Trouble> {
    let named: Vec<_> = missing.iter().map(ToString::to_string).collect();
    (!named.is_empty()).then(|| Trouble {
        reason: reasons::REFERENCED_RESOURCES_NOT_AVAILABLE,
        message: format!(
            "not found in this namespace: {}. Create what is missing, or correct the reference",
            named.join(", ")
        ),
    })
}

/// Pods that go, and those that were evicted or ended, say nothing about what will run.
fn is_alive(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|s| s.init_container_statuses.as_deref()).unwrap_or_default();
    let main = status.and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
    init.iter().chain(main)
}

fn stuck_container(pod: &Pod) -> Option<Trouble> {
    containers(pod).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let said = waiting.message.as_deref().unwrap_or_default();
        let (reason, message) = match waiting.reason.as_deref()? {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable" => (reasons::IMAGE_PULL_FAILED, image(container, said)),
            // Also said of a user that the container may not have.
            "CreateContainerConfigError" if said.contains("non-root") || said.contains("runAsNonRoot") => {
                (reasons::CONTAINER_START_FAILED, user(container, said))
            }
            "CreateContainerConfigError" => {
                (reasons::REFERENCED_RESOURCES_NOT_AVAILABLE, reference(container, said))
            }
            // Between tries the kubelet reports a back-off; `crash_loop` then says the same from what it left.
            "CreateContainerError" | NEVER_STARTED_YET => {
                (reasons::CONTAINER_START_FAILED, start(container, said))
            }
            _ => return None,
        };
        Some(Trouble { reason, message })
    })
}

fn image(container: &ContainerStatus, said: &str) -> String {
    let cause = said.split_once("ErrImagePull: ").map_or(said, |(_, cause)| cause);
    let cause = cause.rsplit_once("desc = ").map_or(cause, |(_, cause)| cause);
    let cause =
        if cause.is_empty() || cause.starts_with("Back-off") { String::new() } else { format!(": {cause}") };
    let cause = without_ports(&cause);
    let (name, image) = (&container.name, &container.image);
    format!(
        "image {image:?} of container {name:?} cannot be pulled{cause}. Correct the image or its tag, or add imagePullSecrets"
    )
}

/// `read tcp 10.0.0.1:43567->192.0.2.7:443: i/o timeout`: the way there is another one at each try.
fn without_ports(cause: &str) -> String {
    let way = |word: &&str| !word.contains("->");
    cause.split(' ').filter(way).collect::<Vec<_>>().join(" ")
}

fn user(container: &ContainerStatus, said: &str) -> String {
    format!(
        "container {:?} cannot be started: {}. Set securityContext.runAsUser to a user other than 0, or runAsNonRoot to false",
        container.name,
        said.split(" (pod: ").next().unwrap_or(said)
    )
}

fn reference(container: &ContainerStatus, said: &str) -> String {
    format!(
        "container {:?} cannot be configured: {said}. Create what it refers to, or correct the reference",
        container.name
    )
}

fn start(container: &ContainerStatus, said: &str) -> String {
    format!(
        "container {:?} cannot be started: {said}. Correct its command or its security context",
        container.name
    )
}

/// A container that ended more than once counts until it is ready, also while it happens to run; but not one that
/// has run for long.
fn crash_loop(pod: &Pod, now: Timestamp) -> Option<Trouble> {
    let looping = |container: &&ContainerStatus| {
        container.restart_count > 1
            && !container.ready
            && ended(container).is_some()
            && !has_settled(container, now)
    };
    let container = containers(pod).find(looping)?;
    let ended = ended(container)?;
    let name = &container.name;
    if ended.reason.as_deref() == Some(NEVER_STARTED) {
        return Some(Trouble {
            reason: reasons::CONTAINER_START_FAILED,
            message: start(container, ended.message.as_deref().unwrap_or_default()),
        });
    }
    let why = if ended.reason.as_deref() == Some("OOMKilled") {
        ", out of memory: raise its memory limit"
    } else {
        ""
    };
    let labels = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(labels::APP))
        .map_or_else(String::new, |app| format!(" -l {}={app}", labels::APP));
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let message = format!(
        "container {name:?} ends again and again, with exit code {}{why}. See why: kubectl logs -n {namespace}{labels} -c {name} --previous",
        ended.exit_code
    );
    Some(Trouble { reason: reasons::CRASH_LOOP, message })
}

fn has_settled(container: &ContainerStatus, now: Timestamp) -> bool {
    let running = container.state.as_ref().and_then(|state| state.running.as_ref());
    let since = running.and_then(|running| running.started_at.as_ref());
    since.is_some_and(|since| now.as_second() - since.0.as_second() > SETTLED)
}

fn ended(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let of = |state: Option<&'_ ContainerState>| state.and_then(|state| state.terminated.as_ref()).is_some();
    let state = if of(container.last_state.as_ref()) { &container.last_state } else { &container.state };
    state.as_ref()?.terminated.as_ref()
}

fn unschedulable(pod: &Pod) -> Option<Trouble> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let message = scheduling::told(scheduled.message.as_deref().unwrap_or_default());
    Some(Trouble { reason: reasons::UNSCHEDULABLE, message })
}

/// What kept the Deployment from making pods at all.
fn refused(deployment: &Deployment) -> Option<Trouble> {
    let said = condition(deployment, "ReplicaFailure", "True")?;
    let (reason, remedy) = if said.contains("exceeded quota") || said.contains(" usage per ") {
        (reasons::QUOTA_EXCEEDED, "Raise the quota, or lower replicas or resources")
    } else if ["error looking up service account", "no PriorityClass with name", "RuntimeClass \""]
        .iter()
        .any(|words| said.contains(words))
    {
        (reasons::REFERENCED_RESOURCES_NOT_AVAILABLE, "Create what is missing, or correct podTemplateSpec")
    } else if said.contains("failed calling webhook") {
        (reasons::UNABLE_TO_PROVISION, "Mend the webhook that it names, or remove its configuration")
    } else {
        (reasons::REFUSED_BY_POLICY, "Change podTemplateSpec or the policy")
    };
    Some(Trouble { reason, message: format!("pods are refused: {}. {remedy}", without_pod_name(&said)) })
}

/// `pods "x-abcde" is forbidden: …`: the made-up name changes at every try.
fn without_pod_name(said: &str) -> &str {
    said.split_once(" is forbidden: ").map_or(said, |(_, cause)| cause)
}

fn overdue(deployment: &Deployment) -> Option<Trouble> {
    let conditions = deployment.status.as_ref()?.conditions.as_deref()?;
    let late = |c: &&crds::k8s::DeploymentCondition| {
        c.type_ == "Progressing" && c.reason.as_deref() == Some("ProgressDeadlineExceeded")
    };
    conditions.iter().find(late)?;
    let (namespace, name) = (&deployment.metadata.namespace, &deployment.metadata.name);
    let (namespace, name) = (namespace.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default());
    let message = format!(
        "the pods did not become ready within progressDeadlineSeconds, and none says why. See what they wait for: kubectl describe pods -n {namespace}, and what Kong says: kubectl logs -n {namespace} deployment/{name} -c proxy"
    );
    Some(Trouble { reason: reasons::PROGRESS_DEADLINE_EXCEEDED, message })
}

fn condition(deployment: &Deployment, type_: &str, status: &str) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|c| c.type_ == type_ && c.status == status)?.message.clone()
}
