//! What is seen of the cluster when the machine is asked.
//!
//! In: whatever a caller finds out. Out: these values. Never: what the caller concludes from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::Window;

/// A revision: the hash of all that makes pods differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revision(pub String);

/// What keeps a pod of the canary from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The image cannot be pulled: `ErrImagePull` or `ImagePullBackOff`. It may pass.
    ImagePull,
    /// The image's name is none: `InvalidImageName`.
    ImageName,
    /// A Secret or `ConfigMap` that the pod names is missing: `CreateContainerConfigError`. It may pass.
    Reference,
    /// The container ends again and again: `CrashLoopBackOff`.
    CrashLoop,
    /// A container was killed for its memory: `OOMKilled`.
    OutOfMemory,
    /// No node has room.
    Unschedulable,
    /// Kong says that it is another version than the image was said to have.
    Version,
}

/// The pods of one track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pods {
    /// Those that exist and are not going.
    pub present: u32,
    /// Those whose Kong runs, ready or not.
    pub running: u32,
    /// Those that are ready.
    pub ready: u32,
    /// Those that are in an `EndpointSlice` of the ingress Service: what really gets connections.
    pub serving: u32,
    /// Most restarts that a container of one of them has had, those of evictions apart.
    pub restarts: u32,
    /// What keeps one of them from running.
    pub trouble: Option<Trouble>,
}

/// Whether the canary takes its configuration: what a submission before it joined led to, and pushes of the ingress
/// controller afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Configuration {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// It does, in every pod.
    Accepted,
    /// It does not; with Kong's words.
    Rejected(String),
}

/// Whether the canary answers as stable does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Parity {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// All routes were asked.
    Compared {
        /// Routes that were asked.
        checked: u32,
        /// Those that were answered differently.
        mismatched: u32,
    },
}

/// How a hook is getting on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It was asked, or is to be.
    Waiting,
    /// Yes.
    Passed,
    /// No.
    Refused,
}

/// What somebody wants of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// On to what follows the current step.
    Promote,
    /// On to the promotion; gates before the first request are not skipped.
    PromoteFull,
    /// Stay.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Back to stable.
    Abort,
    /// The same again, after it failed.
    Retry,
    /// Back to stable, after promotion too.
    Rollback,
}

/// A verb, for a revision: a verb that was meant for another one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What tells it from the same verb given again.
    pub id: String,
    /// What is wanted.
    pub verb: Verb,
    /// The canary it was meant for.
    pub revision: Revision,
    /// The step it was meant for, if any.
    pub step: Option<String>,
}

/// All that is seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// The revision that the specification asks for now.
    pub asked: Revision,
    /// Whether the specification still asks for rollouts of this kind.
    pub staged: bool,
    /// Pods that are to serve, by the specification or its autoscaler; it may change at any time.
    pub strength: u32,
    /// The old revision.
    pub stable: Pods,
    /// The new one.
    pub canary: Pods,
    /// Pods of neither, left over from an attempt before.
    pub others: u32,
    /// Whether the canary takes its configuration.
    pub configuration: Configuration,
    /// Whether it answers as stable does.
    pub parity: Parity,
    /// Whether the ingress controller that feeds the canary works.
    pub fed: bool,
    /// Hooks that were asked, by [`crate::wanted::Ask::key`].
    pub hooks: BTreeMap<String, Answer>,
    /// What pods counted since the last time, if they could be read.
    pub window: Option<Window>,
    /// Whether the arms had different configurations meanwhile, so that the window says nothing.
    pub confounded: bool,
    /// What somebody wants.
    pub request: Option<Request>,
}
