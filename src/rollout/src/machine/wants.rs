//! What is wanted in each state.
//!
//! In: a turn that is over. Out: all of the cluster that a rollout decides. Never: less of what serves than it takes.

use std::time::Duration;

use super::Turn;
use super::steps::key;
use crate::observation::Answer;
use crate::plan::{ControlPlane, Gate, Weight};
use crate::state::{Outcome, Stage, State, after, between};
use crate::wanted::{Ask, Reason, Selects, Wanted};
use crate::weight::{Split, pods};

/// How often counters are read.
const TICK: Duration = Duration::from_secs(15);

impl Turn<'_> {
    /// The state, and what is wanted in it.
    pub(super) fn finish(mut self) -> (State, Wanted) {
        self.state.ingress = self.ingress();
        let canary = self.canaries();
        let wanted = Wanted {
            stable: self.stables(),
            canary,
            ingress: self.state.ingress,
            admin: self.admin(),
            preview: canary > 0 && self.state.ingress != Selects::Canary,
            submit: self.submits(),
            compare: self.compares(),
            shrinks: matches!(self.state.stage, Stage::Done | Stage::Pending),
            asks: self.asks(),
            requested: self.requested(),
            effective: Split::parts(self.seen.canary.serving.into(), self.seen.stable.serving.into()),
            events: std::mem::take(&mut self.events),
            wake: self.wake(),
        };
        (self.state, wanted)
    }

    fn ingress(&self) -> Selects {
        let weighted = self.state.weight(self.plan) > Weight::NONE && self.strength() > 0;
        match self.state.stage {
            Stage::Draining => Selects::Canary,
            Stage::Done if self.is_promoted() => Selects::Canary,
            Stage::RollingBack if self.state.ingress == Selects::Canary => Selects::Canary,
            Stage::Stepping | Stage::Promoting if weighted => Selects::Both,
            _ => Selects::Stable,
        }
    }

    fn is_promoted(&self) -> bool {
        matches!(self.state.outcome, Some(Outcome::Promoted | Outcome::PromotedByOverride))
    }

    /// Pods of the new revision.
    pub(super) fn canaries(&self) -> u32 {
        let planned = |index| {
            let weight = self.plan.steps.get(index).map_or(Weight::NONE, |step| step.weight);
            pods(self.plan, self.strength(), weight)
        };
        match self.state.stage {
            Stage::Pending => 0,
            Stage::Preflight => 1,
            // A bad canary loses its traffic, not its pods: they have connections.
            Stage::Stepping => planned(self.state.step),
            Stage::Promoting | Stage::Draining => self.strength(),
            Stage::RollingBack if self.state.ingress == Selects::Canary => self.strength(),
            Stage::RollingBack => self.seen.canary.present.min(self.strength().max(1)),
            Stage::Done if self.is_promoted() => self.seen.strength,
            Stage::Done => u32::from(self.kept() > Duration::ZERO),
        }
    }

    /// How long one pod of a failed canary still stays.
    fn kept(&self) -> Duration {
        let wanted = self.seen.asked == self.state.to
            && self.state.failure.as_ref().is_some_and(|why| why.is_failure() || *why == Reason::Aborted);
        let until = self.state.emptied.filter(|_| wanted).map(|since| after(since, self.plan.keep_failed));
        until.map_or(Duration::ZERO, |until| between(self.now, until))
    }

    /// Pods of the old revision.
    fn stables(&self) -> u32 {
        match self.state.stage {
            Stage::Draining if self.is_drained() => 0,
            Stage::Done if self.is_promoted() => 0,
            Stage::Done => self.seen.strength,
            _ => self.strength(),
        }
    }

    /// Whom the ingress controller of stable feeds: whoever serves, and who still has connections; a canary that refuses
    /// what it is fed never.
    fn admin(&self) -> Selects {
        let contagious = self.state.failure.as_ref().is_some_and(Reason::is_contagious);
        let shared = self.plan.control_plane == ControlPlane::Shared && self.state.joined && !contagious;
        match self.state.stage {
            Stage::Done if self.is_promoted() => Selects::Canary,
            Stage::Draining if self.seen.stable.present == 0 => Selects::Canary,
            Stage::RollingBack if shared && self.is_in_use() => Selects::Both,
            Stage::Preflight | Stage::Stepping | Stage::Promoting | Stage::Draining if shared => {
                Selects::Both
            }
            _ => Selects::Stable,
        }
    }

    /// Whether the canary has connections, while it is being left.
    fn is_in_use(&self) -> bool {
        self.state.ingress == Selects::Canary || self.seen.canary.serving > 0
    }

    fn submits(&self) -> bool {
        let asked = self.plan.acceptance != Gate::Off && !self.state.joined && self.state.pause.is_none();
        self.state.stage == Stage::Preflight && asked && self.seen.canary.running > 0
    }

    fn compares(&self) -> bool {
        let asked = self.plan.parity != Gate::Off && self.is_configured() && self.state.pause.is_none();
        self.state.stage == Stage::Preflight && asked && self.seen.canary.ready > 0
    }

    fn asks(&self) -> Vec<Ask> {
        let step = self.plan.steps.get(self.state.step).filter(|_| self.state.stage == Stage::Stepping);
        let Some(step) = step.filter(|_| self.state.pause.is_none()) else { return Vec::new() };
        let ask = |hook: &crate::plan::Hook| {
            let key = key(&step.name, &hook.name);
            let asked = self.state.hooks.get(&key)?;
            (asked.answer == Answer::Waiting).then(|| Ask {
                key,
                step: step.name.clone(),
                hook: hook.name.clone(),
            })
        };
        step.hooks.iter().filter_map(ask).collect()
    }

    fn requested(&self) -> Split {
        match self.state.ingress {
            Selects::Stable => Split::STABLE,
            Selects::Canary => Split::CANARY,
            Selects::Both => Split::of(self.state.weight(self.plan)),
        }
    }

    fn wake(&self) -> Option<Duration> {
        match self.state.stage {
            Stage::Done => Some(self.kept()).filter(|kept| *kept > Duration::ZERO),
            _ => Some(TICK),
        }
    }
}
