//! What a rollout remembers.
//!
//! In: nothing but what the machine puts in. Out: all that a restarted operator needs to go on; it lives in a status.
//! Never: a plan, which is fixed, nor anything that can be observed again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::judge::{Record, Verdict};
use crate::observation::{Answer, Request, Revision, Trouble};
use crate::plan::{Plan, Weight};
use crate::wanted::{Reason, Selects};

/// Where an attempt is. Pauses are beside it, in [`State::pause`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Pods of an attempt before are still there.
    #[default]
    Pending,
    /// One pod, no traffic: gates.
    Preflight,
    /// A step of the plan.
    Stepping,
    /// The canary grows to full strength.
    Promoting,
    /// The canary serves; the old revision goes.
    Draining,
    /// Stable serves, or is about to; the canary goes.
    RollingBack,
    /// Over.
    Done,
}

/// What people are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are the API's, and explain themselves")]
pub enum Phase {
    Pending,
    Preflight,
    Preview,
    Progressing,
    Paused,
    Promoting,
    Draining,
    Succeeded,
    RollingBack,
    RolledBack,
    Superseded,
}

/// Why nothing goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Pause {
    /// Somebody wanted it.
    Manual,
    /// The step, or the promotion, needs somebody's approval.
    Approval,
    /// Nothing can be said.
    Inconclusive(Verdict),
    /// The canary is bad, and has lost its traffic.
    Failed(Reason),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// By the plan.
    Promoted,
    /// By somebody who did not wait for the plan.
    PromotedByOverride,
    /// The canary was bad.
    RolledBack,
    /// Somebody gave it up, or it is no longer asked for.
    Aborted,
    /// Something else is asked for.
    Superseded,
    /// It took too long.
    DeadlineExceeded,
}

/// What became of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Done.
    Applied,
    /// It was meant for another revision or step.
    Stale,
    /// It makes no sense now.
    Refused,
}

/// A verb that was seen; the same is not seen twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastAction {
    /// The verb.
    pub request: Request,
    /// When it was seen.
    pub observed_at: Timestamp,
    /// What became of it.
    pub effect: Effect,
}

/// A hook that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub answer: Answer,
}

/// The state of an attempt. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "answers to questions that do not depend on each other")]
pub struct State {
    /// The old revision.
    pub from: Revision,
    /// The new one.
    pub to: Revision,
    /// Which attempt this is; a retry is the next one.
    pub attempt: u32,
    /// Where it is.
    pub stage: Stage,
    /// The step's number.
    pub step: usize,
    /// When the attempt began.
    pub started: Timestamp,
    /// When the machine was last asked.
    pub seen: Timestamp,
    /// Most pods that stable was to have since then.
    pub peak: u32,
    /// Whether the ingress controller of stable feeds the canary.
    pub joined: bool,
    /// Whether steps are skipped.
    pub full: bool,
    /// Whether somebody skipped something that had not been decided.
    pub overridden: bool,
    /// Why nothing goes on.
    pub pause: Option<Pause>,
    /// Since when somebody has to say something.
    pub waiting: Option<Timestamp>,
    /// Whether the current step, or the promotion, was approved.
    pub approved: bool,
    /// Whether the judge passed the current step.
    pub judged: bool,
    /// Time for which this step was as it should be, and observed.
    pub held: u64,
    /// Time for which pods of this step were not ready. Never less within a step.
    pub unready: u64,
    /// Time that was nobody's to wait for.
    pub active: u64,
    /// What keeps pods from running, and since when.
    pub trouble: Option<(Trouble, Timestamp)>,
    /// Hooks, by key.
    pub hooks: BTreeMap<String, Asked>,
    /// What is known of the canary.
    pub record: Record,
    /// When the canary got all traffic.
    pub promoted: Option<Timestamp>,
    /// Whether stable was last seen with fewer ready pods than it is to have.
    pub degraded: bool,
    /// What the ingress Service selected last.
    pub ingress: Selects,
    /// Since when the track that goes has had no traffic.
    pub emptied: Option<Timestamp>,
    /// Why it did not go to the end.
    pub failure: Option<Reason>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The last verb.
    pub last_action: Option<LastAction>,
}

impl State {
    /// An attempt from one revision to another. `full` skips the steps, for a revision that was stable not long ago.
    pub fn begin(from: Revision, to: Revision, full: bool, now: Timestamp) -> Self {
        Self {
            from,
            to,
            attempt: 1,
            stage: Stage::Pending,
            step: 0,
            started: now,
            seen: now,
            peak: 0,
            joined: false,
            full,
            overridden: false,
            pause: None,
            waiting: None,
            approved: false,
            judged: false,
            held: 0,
            unready: 0,
            active: 0,
            trouble: None,
            hooks: BTreeMap::new(),
            record: Record::default(),
            promoted: None,
            degraded: false,
            ingress: Selects::Stable,
            emptied: None,
            failure: None,
            outcome: None,
            last_action: None,
        }
    }

    /// The same again.
    #[must_use]
    pub fn again(self, now: Timestamp) -> Self {
        let attempt = self.attempt.saturating_add(1);
        Self {
            attempt,
            last_action: self.last_action,
            peak: self.peak,
            ..Self::begin(self.from, self.to, false, now)
        }
    }

    /// What people are shown.
    pub fn phase(&self, plan: &Plan) -> Phase {
        match self.stage {
            Stage::Done => match self.outcome {
                Some(Outcome::Promoted | Outcome::PromotedByOverride) => Phase::Succeeded,
                Some(Outcome::Superseded) => Phase::Superseded,
                _ => Phase::RolledBack,
            },
            Stage::RollingBack => Phase::RollingBack,
            Stage::Draining => Phase::Draining,
            _ if self.pause.is_some() => Phase::Paused,
            Stage::Pending => Phase::Pending,
            Stage::Preflight => Phase::Preflight,
            Stage::Stepping if self.weight(plan) == Weight::NONE => Phase::Preview,
            Stage::Stepping => Phase::Progressing,
            Stage::Promoting => Phase::Promoting,
        }
    }

    /// The weight of the current step, which a bad canary has lost.
    pub fn weight(&self, plan: &Plan) -> Weight {
        let lost = matches!(self.pause, Some(Pause::Failed(_)));
        let step = plan.steps.get(self.step).filter(|_| !lost);
        match self.stage {
            Stage::Stepping | Stage::Promoting => step.map_or(Weight::NONE, |step| step.weight),
            _ => Weight::NONE,
        }
    }

    /// Whether pods still have to be ready, and routes and configuration right, for it to go on.
    pub const fn is_before_promotion(&self) -> bool {
        matches!(self.stage, Stage::Pending | Stage::Preflight | Stage::Stepping | Stage::Promoting)
    }
}

/// The time between two moments; none if the clock was set back.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// A moment so much later; at the end of time, the end of time.
pub fn after(from: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    from.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// A duration as states keep it.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
