//! What is wanted of the cluster.
//!
//! In: decisions. Out: the whole of what is to be, not what is to be done: to apply it twice, or after a restart, is to
//! apply it once. Never: an order that depends on an earlier one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::judge::{Alarm, Verdict};
use crate::observation::Trouble;
use crate::weight::Split;

/// Which tracks a Service selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Selects {
    /// The old revision.
    Stable,
    /// Both.
    Both,
    /// The new revision.
    Canary,
}

/// A hook to be asked; an answer is kept, so it is asked once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What names the answer.
    pub key: String,
    /// The step's name.
    pub step: String,
    /// The hook's name.
    pub hook: String,
}

/// Everything that is wanted.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part of the cluster that is wanted or not")]
pub struct Wanted {
    /// Pods of the old revision.
    pub stable: u32,
    /// Pods of the new revision; with 0, its track goes.
    pub canary: u32,
    /// What the ingress Service selects.
    pub ingress: Selects,
    /// What the admin Service selects: those that the ingress controller of stable feeds.
    pub admin: Selects,
    /// Whether a Service of the canary alone is to be there.
    pub preview: bool,
    /// Whether stable's configuration is to be submitted to the canary.
    pub submit: bool,
    /// Whether routes are to be asked of both revisions.
    pub compare: bool,
    /// Whether an autoscaler may take pods away.
    pub shrinks: bool,
    /// Hooks to be asked.
    pub asks: Vec<Ask>,
    /// What the ingress Service is to give the canary.
    pub requested: Split,
    /// What it gives, by the pods behind it.
    pub effective: Split,
    /// What has just happened; not repeated.
    pub events: Vec<Event>,
    /// When to ask the machine again, if nothing happens before.
    pub wake: Option<Duration>,
}

/// Why a rollout does not go on to the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// A pod cannot run.
    Pods(Trouble),
    /// Pods were not ready in time.
    NotReady(Option<Trouble>),
    /// The canary refuses the configuration; with Kong's words.
    ConfigRejected(String),
    /// The canary answers routes differently.
    RouteMismatch(u32),
    /// The canary is worse.
    Worse(Alarm),
    /// Nothing could be said, and the plan says what that means.
    Inconclusive(Verdict),
    /// A hook said no, or nothing; by its key.
    Hook(String),
    /// Nobody approved in time.
    ApprovalExpired,
    /// It took too long.
    DeadlineExceeded,
    /// Somebody wanted it.
    Aborted,
    /// The specification asks for stable again.
    Reverted,
    /// The specification asks for something else.
    Superseded,
    /// The specification no longer asks for rollouts of this kind.
    Withdrawn,
}

impl Reason {
    /// Whether the canary was found bad, rather than given up.
    pub const fn is_failure(&self) -> bool {
        !matches!(self, Self::Aborted | Self::Reverted | Self::Superseded | Self::Withdrawn)
    }

    /// Whether stable is in danger while the ingress controller feeds the canary.
    pub const fn is_contagious(&self) -> bool {
        matches!(self, Self::ConfigRejected(_))
    }
}

/// Something to tell people.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An attempt begins.
    Started,
    /// All gates are passed.
    PreflightPassed,
    /// A gate found something, and the plan says to go on.
    Warning(Reason),
    /// A step begins; by its name.
    Entered(String),
    /// A step is passed; by its name.
    Passed(String),
    /// Somebody has to approve; the step's name, or none for the promotion.
    AwaitingApproval(Option<String>),
    /// Nothing can be said.
    Inconclusive(Verdict),
    /// The canary is bad.
    Failed(Reason),
    /// The canary serves everything.
    Promoted,
    /// The old revision is gone, the new one holds.
    Succeeded,
    /// Stable serves everything again.
    RolledBack(Reason),
    /// Few pods make the weight coarse.
    Coarse,
    /// Stable has fewer ready pods than it is to have, while the canary is well.
    StableDegraded,
    /// A verb was meant for another revision or step.
    Stale,
    /// A verb makes no sense now.
    Refused,
}
