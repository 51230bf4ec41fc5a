//! One step after the other.
//!
//! In: a turn in a step. Out: time held, hooks asked, a verdict, the next step. Never: time that counts although the
//! step was not as it should be.

use std::time::Duration;

use super::Turn;
use crate::judge::Verdict;
use crate::observation::Answer;
use crate::plan::{OnInconclusive, Step, Weight, When};
use crate::state::{Asked, Pause, Stage, between, millis};
use crate::wanted::{Event, Reason};
use crate::weight::{Split, pods};

/// What a hold is extended by at least, before doubt is final.
const EXTENSION: Duration = Duration::from_mins(1);

impl Turn<'_> {
    /// A step begins.
    pub(super) fn enter(&mut self, index: usize) {
        let Some(step) = self.plan.steps.get(index) else { return self.grow() };
        self.state.stage = Stage::Stepping;
        self.state.step = index;
        (self.state.held, self.state.unready) = (0, 0);
        (self.state.approved, self.state.judged) = (false, false);
        self.state.record.enter();
        let canaries = pods(self.plan, self.strength(), step.weight);
        let effective = Split::parts(canaries.into(), self.strength().into());
        self.events.push(Event::Entered(step.name.clone()));
        if effective.is_coarse(Split::of(step.weight)) {
            self.events.push(Event::Coarse);
        }
    }

    /// The step after this one, or the promotion.
    pub(super) fn next(&mut self) {
        let passed = self.plan.steps.get(self.state.step).map(|step| step.name.clone());
        self.events.extend(passed.map(Event::Passed));
        self.enter(self.state.step + 1);
    }

    /// What a step waits for, in this order.
    pub(super) fn hold(&mut self) {
        let plan = self.plan;
        let Some(step) = plan.steps.get(self.state.step) else { return self.grow() };
        if !self.is_reached(step) || !self.seen.fed {
            return;
        }
        self.state.held = self.state.held.saturating_add(millis(self.observed));
        let entered = self.ask(step, When::Enter);
        let done = entered
            && self.state.held >= millis(step.hold)
            && self.is_judged(step)
            && self.ask(step, When::Exit)
            && self.is_approved(step);
        if done {
            self.next();
        }
    }

    /// Whether pods and endpoints are what the weight asks for.
    fn is_reached(&self, step: &Step) -> bool {
        let (wanted, canary) = (self.canaries(), &self.seen.canary);
        let weighted = step.weight > Weight::NONE && self.strength() > 0;
        canary.ready >= wanted && if weighted { canary.serving >= wanted } else { canary.serving == 0 }
    }

    /// Asks the hooks of that moment. True when all have said yes.
    fn ask(&mut self, step: &Step, when: When) -> bool {
        let mut all = true;
        for hook in step.hooks.iter().filter(|hook| hook.when == when) {
            let key = key(&step.name, &hook.name);
            let asked = self.state.hooks.entry(key.clone());
            let asked = asked.or_insert(Asked { at: self.now, answer: Answer::Waiting });
            if asked.answer == Answer::Waiting {
                asked.answer = self.seen.hooks.get(&key).copied().unwrap_or(Answer::Waiting);
            }
            let late = asked.answer == Answer::Waiting && between(asked.at, self.now) >= hook.timeout;
            if late || asked.answer == Answer::Refused {
                self.fail(Reason::Hook(key));
                return false;
            }
            all &= asked.answer == Answer::Passed;
        }
        all
    }

    /// Whether the judge has nothing against it. A step without traffic has nothing to be judged by.
    fn is_judged(&mut self, step: &Step) -> bool {
        let Some(analysis) = self.plan.analysis.as_ref().filter(|_| step.weight > Weight::NONE) else {
            return true;
        };
        if self.state.judged {
            return true;
        }
        let extended = step.hold.saturating_mul(2).max(step.hold.saturating_add(EXTENSION));
        let last = self.state.held >= millis(extended);
        let verdict = self.state.record.conclude(analysis, step.hold, last);
        self.state.judged = verdict == Verdict::Pass;
        if !self.state.judged && last {
            self.doubt(verdict);
        }
        self.state.judged
    }

    fn doubt(&mut self, verdict: Verdict) {
        self.events.push(Event::Inconclusive(verdict));
        match self.plan.on_inconclusive {
            OnInconclusive::Pause => self.wait(Pause::Inconclusive(verdict)),
            OnInconclusive::Rollback => self.leave(Reason::Inconclusive(verdict)),
            OnInconclusive::Promote => self.state.judged = true,
        }
    }

    fn is_approved(&mut self, step: &Step) -> bool {
        if !self.needs_approval() || self.state.approved {
            return true;
        }
        let last = self.plan.steps.get(self.state.step + 1).is_none();
        self.events.push(Event::AwaitingApproval((!last).then(|| step.name.clone())));
        self.wait(Pause::Approval);
        false
    }
}

/// What names a hook's answer.
pub(super) fn key(step: &str, hook: &str) -> String {
    format!("{step}/{hook}")
}
