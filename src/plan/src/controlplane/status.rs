//! The status of a `ControlPlane`, from what is around it.
//!
//! In: its Deployment, pods and `DataPlane` as they are, and what became of the last configuration. Out: its conditions.
//! Whether Kong accepted a configuration at all is told by the pods of the `DataPlane`, which are ready when it has.

use std::sync::Arc;

use crds::conditions::{self, Status, Update, reasons, types};
use crds::controlplane::ControlPlaneStatus;
use crds::k8s::{Condition, Deployment, Pod, Timestamp};
use crds::{ControlPlane, DataPlane};

use super::accepted::{Verdict, accepted};
use super::beside::Beside;
use super::namespaces::Watched;
use crate::dataplane::Reference;
use crate::dataplane::trouble::{self, Trouble};

/// What is around it.
pub struct Seen<'a> {
    /// Its Deployment, where there is one.
    pub deployment: Option<&'a Deployment>,
    /// The `DataPlane` that it names, where there is one.
    pub dataplane: Option<&'a DataPlane>,
    /// Its pods, where something is not as it should be.
    pub pods: &'a [Arc<Pod>],
    /// The further `DataPlane`s that it names, each with its own `ControlPlane`.
    pub beside: &'a [Beside],
    /// What became of the last configuration, where that was asked.
    pub verdict: Option<Verdict>,
    /// What the pods refer to and nobody has made.
    pub missing: &'a [Reference],
    /// Which namespaces are watched.
    pub watched: &'a Watched,
    /// Definitions of Kong's own kinds that are not installed.
    pub definitions: &'a [String],
    /// The current time.
    pub now: Timestamp,
}

/// The status that tells what was seen. `lastTransitionTime` is kept where nothing changed.
pub fn status(object: &ControlPlane, seen: &Seen<'_>) -> ControlPlaneStatus {
    let generation = object.metadata.generation;
    let mut conditions = of(object).to_vec();
    let programmed = programmed(seen);
    let accepted = accepted(seen.verdict.as_ref(), programmed.status == Status::True, &conditions);
    for update in [
        ready(object, seen),
        provisioned(object, seen),
        programmed,
        accepted,
        granted(object, seen),
        kinds(seen),
    ] {
        let update = seen.beside.iter().fold(update, |update, beside| beside.joined(update));
        conditions::set(&mut conditions, Update { generation, ..update }, seen.now);
    }
    ControlPlaneStatus { observed_generation: generation, conditions: Some(conditions) }
}

/// The status that tells of a failure; what is known besides is kept.
pub fn failed(
    object: &ControlPlane,
    (reason, message): (&'static str, String),
    now: Timestamp,
) -> ControlPlaneStatus {
    let generation = object.metadata.generation;
    let mut conditions = of(object).to_vec();
    let update = Update { type_: types::READY, status: Status::False, reason, message, generation };
    conditions::set(&mut conditions, update, now);
    ControlPlaneStatus { observed_generation: generation, conditions: Some(conditions) }
}

fn of(object: &ControlPlane) -> &[Condition] {
    object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

fn update(type_: &'static str, status: Status, reason: &'static str, message: impl Into<String>) -> Update {
    Update { type_, status, reason, message: message.into(), generation: None }
}

fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn available(deployment: &Deployment) -> i32 {
    deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// Whether a controller runs: one is enough to configure, the others stand by.
fn ready(object: &ControlPlane, seen: &Seen<'_>) -> Update {
    let Some(deployment) = seen.deployment else { return nothing(types::READY, object, seen) };
    let wanted = wanted(deployment);
    if wanted == 0 {
        let message = "spec.deployment.replicas is 0: nothing configures, and what Kong serves stays as it is. Raise it";
        return update(types::READY, Status::False, reasons::SCALED_TO_ZERO, message);
    }
    let available = available(deployment).min(wanted);
    let message = format!("{available} of {wanted} replicas are ready");
    if available >= wanted {
        return update(types::READY, Status::True, reasons::READY, message);
    }
    let trouble =
        trouble::unresolved(seen.missing).or_else(|| trouble::find(seen.pods, deployment, seen.now));
    match trouble {
        Some(Trouble { reason, message }) => update(types::READY, Status::False, reason, message),
        // A pod of several that is evicted, or added, leaves one that configures.
        None if available > 0 && conditions::holds(of(object), types::READY) => {
            update(types::READY, Status::True, reasons::READY, format!("{message}, the others are starting"))
        }
        None => {
            let message = format!("{message}, the others are starting: they find Kong's pods first");
            update(types::READY, Status::False, reasons::WAITING_TO_BECOME_READY, message)
        }
    }
}

fn nothing(type_: &'static str, object: &ControlPlane, seen: &Seen<'_>) -> Update {
    let named = object.spec.dataplane.as_deref().filter(|name| !name.is_empty());
    let message = match (named, seen.dataplane) {
        (None, _) => "spec.dataplane names no DataPlane, so nothing is started".to_owned(),
        (Some(name), None) => {
            format!("there is no DataPlane {name:?} in this namespace: create it, or correct spec.dataplane")
        }
        (Some(name), Some(_)) => {
            let message = format!("DataPlane {name:?} has no authority for clients yet");
            return update(type_, Status::False, reasons::DEPENDENCIES_NOT_READY, message);
        }
    };
    update(type_, Status::False, reasons::NO_DATA_PLANE, message)
}

/// As Kong Gateway Operator tells it.
fn provisioned(object: &ControlPlane, seen: &Seen<'_>) -> Update {
    let Some(deployment) = seen.deployment else { return nothing(types::PROVISIONED, object, seen) };
    let (wanted, available) = (wanted(deployment), available(deployment));
    let message = format!("{} of {wanted} replicas are ready", available.min(wanted));
    if wanted > 0 && available >= wanted {
        return update(types::PROVISIONED, Status::True, reasons::PODS_READY, message);
    }
    update(types::PROVISIONED, Status::False, reasons::PODS_NOT_READY, message)
}

/// Whether Kong accepted a configuration, as far as the readiness of its pods tells it.
fn programmed(seen: &Seen<'_>) -> Update {
    let conditions = seen.dataplane.map(DataPlane::conditions).unwrap_or_default();
    match (seen.dataplane, conditions::get(conditions, types::READY)) {
        (None, _) => {
            update(types::PROGRAMMED, Status::False, reasons::NO_DATA_PLANE, "there is nothing to configure")
        }
        (Some(_), Some(ready)) if ready.status == Status::True.as_str() => {
            let message = "the pods of the DataPlane are ready: Kong has accepted a configuration";
            update(types::PROGRAMMED, Status::True, reasons::PROGRAMMED, message)
        }
        // How far it is says its own status: here it would be one more write for each step.
        (Some(_), found) => {
            let said = found.filter(|ready| ready.reason != reasons::WAITING_TO_BECOME_READY);
            let said = said.map(|ready| format!(": {}", ready.message)).unwrap_or_default();
            let message = format!("the DataPlane is not ready{said}");
            update(types::PROGRAMMED, Status::False, reasons::NOT_PROGRAMMED, message)
        }
    }
}

fn granted(object: &ControlPlane, seen: &Seen<'_>) -> Update {
    let type_ = types::WATCH_NAMESPACE_GRANT_VALID;
    match seen.watched {
        Watched::Only { closed, .. } if !closed.is_empty() => {
            let own = object.metadata.namespace.as_deref().unwrap_or_default();
            let message = format!(
                "not watched: {}. Create a WatchNamespaceGrant there that lets ControlPlanes of {own:?} read it, or take it off spec.watchNamespaces.list",
                closed.join(", ")
            );
            update(type_, Status::False, reasons::WATCH_NAMESPACE_GRANT_INVALID, message)
        }
        Watched::Only { namespaces, .. } => {
            let message = format!("{} namespaces are watched", namespaces.len());
            update(type_, Status::True, reasons::WATCH_NAMESPACE_GRANT_VALID, message)
        }
        Watched::Everywhere => {
            let message = "all namespaces are watched";
            update(type_, Status::True, reasons::WATCH_NAMESPACE_GRANT_VALID, message)
        }
    }
}

fn kinds(seen: &Seen<'_>) -> Update {
    let type_ = types::KONG_KINDS_AVAILABLE;
    if seen.definitions.is_empty() {
        let message = "every definition of Kong's own kinds is installed";
        return update(type_, Status::True, reasons::KONG_KINDS_AVAILABLE, message);
    }
    let message = format!(
        "not installed, and so not watched: {}. Everything else works; install Kong's definitions to use these kinds",
        seen.definitions.join(", ")
    );
    update(type_, Status::False, reasons::DEFINITIONS_MISSING, message)
}
