//! The machine: what follows from a plan, a state and what is seen.
//!
//! In: all of that, and the time. Out: the next state and everything that is wanted. Never: a decision that depends on
//! how often it is asked; asked twice with the same, it says the same.

mod failures;
mod stages;
mod steps;
mod verbs;
mod wants;

#[cfg(test)]
mod courses;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod trial;

use std::time::Duration;

use jiff::Timestamp;

use crate::judge::{Arm, Window};
use crate::observation::Observation;
use crate::plan::{Approval, OnFailure, Plan, Weight};
use crate::state::{Pause, Stage, State, between, millis};
use crate::wanted::{Event, Reason, Wanted};

/// Time after which it cannot be said what happened meanwhile: it counts neither as held nor as not ready.
const UNSEEN: Duration = Duration::from_mins(1);

/// One turn.
pub fn step(plan: &Plan, state: State, seen: &Observation, now: Timestamp) -> (State, Wanted) {
    let mut turn = Turn::new(plan, state, seen, now);
    turn.hear();
    turn.follow();
    turn.judge();
    turn.guard();
    turn.advance();
    turn.finish()
}

/// What a turn has at hand.
struct Turn<'a> {
    plan: &'a Plan,
    seen: &'a Observation,
    now: Timestamp,
    /// Time since the last turn, if it was short enough to say something.
    observed: Duration,
    state: State,
    events: Vec<Event>,
}

impl<'a> Turn<'a> {
    /// Tells the time: how much of it has passed, and for whom.
    fn new(plan: &'a Plan, mut state: State, seen: &'a Observation, now: Timestamp) -> Self {
        let elapsed = between(state.seen, now);
        let observed = if elapsed <= UNSEEN { elapsed } else { Duration::ZERO };
        state.seen = state.seen.max(now);
        if state.stage != Stage::Done {
            state.peak = state.peak.max(seen.strength);
        }
        if state.pause.is_none() && state.is_before_promotion() {
            state.active = state.active.saturating_add(millis(elapsed));
        }
        Self { plan, seen, now, observed, state, events: Vec::new() }
    }

    /// Pods that serve at full strength. Where an autoscaler took pods away in the middle of a rollout, those of before
    /// count: all traffic may come back at once.
    fn strength(&self) -> u32 {
        self.seen.strength.max(self.state.peak)
    }

    /// What follows from a specification that has changed.
    fn follow(&mut self) {
        let (before, asked) = (self.state.is_before_promotion(), &self.seen.asked);
        if !before && self.state.stage != Stage::Draining {
            return;
        }
        if *asked == self.state.from && *asked != self.state.to {
            self.leave(Reason::Reverted);
        } else if before && !self.seen.staged {
            self.leave(Reason::Withdrawn);
        } else if before && *asked != self.state.to {
            self.leave(Reason::Superseded);
        }
    }

    /// Takes in what pods counted.
    fn judge(&mut self) {
        let (Some(analysis), Some(window)) = (&self.plan.analysis, &self.seen.window) else { return };
        if self.seen.confounded {
            return;
        }
        let weighted = self.state.weight(self.plan) > Weight::NONE;
        match self.state.stage {
            Stage::Stepping | Stage::Promoting if weighted => self.state.record.observe(analysis, window),
            // Without traffic, the canary's requests are ours; stable's teach what is usual.
            Stage::Stepping if self.state.pause.is_none() => {
                let pods = window.arm(Arm::Control).cloned().collect();
                let control = Window { span: window.span, pods, ..Window::default() };
                self.state.record.observe(analysis, &control);
            }
            Stage::Draining if self.is_watched() => self.state.record.observe(analysis, window),
            _ => {}
        }
    }

    /// The canary is bad: what the plan says to that.
    fn fail(&mut self, reason: Reason) {
        self.events.push(Event::Failed(reason.clone()));
        let given_up = matches!(reason, Reason::ApprovalExpired | Reason::DeadlineExceeded);
        if given_up || self.plan.on_failure == OnFailure::Rollback {
            self.leave(reason);
            return;
        }
        if reason.is_contagious() {
            self.state.joined = false;
        }
        self.wait(Pause::Failed(reason));
    }

    /// Back to stable.
    fn leave(&mut self, reason: Reason) {
        self.state.stage = Stage::RollingBack;
        self.state.failure = Some(reason);
        self.state.pause = None;
        self.state.waiting = None;
        self.state.emptied = None;
    }

    /// Nothing goes on until somebody says so.
    fn wait(&mut self, pause: Pause) {
        self.state.pause = Some(pause);
        self.state.waiting = Some(self.now);
    }

    /// Somebody said so.
    fn go_on(&mut self) {
        self.state.pause = None;
        self.state.waiting = None;
    }

    /// Whether the new revision is still on trial after promotion.
    fn is_watched(&self) -> bool {
        let promoted = self.state.promoted.unwrap_or(self.now);
        self.seen.asked == self.state.to && between(promoted, self.now) < self.plan.watch
    }

    /// Whether somebody has to let the current step go.
    fn needs_approval(&self) -> bool {
        let step = self.plan.steps.get(self.state.step);
        let last = self.plan.steps.get(self.state.step + 1).is_none();
        step.is_some_and(|step| step.approval == Approval::Required)
            || (last && self.plan.promotion == Approval::Required)
    }
}
