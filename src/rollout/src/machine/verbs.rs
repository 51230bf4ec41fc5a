//! What people want.
//!
//! In: a verb and the revision it was meant for. Out: what became of it, once. Never: a way around the gates before the
//! first request.

use super::Turn;
use crate::observation::{Request, Verb};
use crate::state::{Effect, LastAction, Pause, Stage};
use crate::wanted::{Event, Reason};

impl Turn<'_> {
    /// Does what was asked, unless it was done before.
    pub(super) fn hear(&mut self) {
        let Some(request) = &self.seen.request else { return };
        if self.state.last_action.as_ref().is_some_and(|last| last.request.id == request.id) {
            return;
        }
        let effect = if self.is_stale(request) { Effect::Stale } else { self.apply(request.verb) };
        match effect {
            Effect::Stale => self.events.push(Event::Stale),
            Effect::Refused => self.events.push(Event::Refused),
            Effect::Applied => {}
        }
        self.state.last_action = Some(LastAction { request: request.clone(), observed_at: self.now, effect });
    }

    /// Whether it was meant for something else.
    fn is_stale(&self, request: &Request) -> bool {
        let step = self.plan.steps.get(self.state.step).map(|step| &step.name);
        request.revision != self.state.to || request.step.as_ref().is_some_and(|meant| Some(meant) != step)
    }

    fn apply(&mut self, verb: Verb) -> Effect {
        let done = match verb {
            Verb::Promote => self.promote(),
            Verb::PromoteFull => self.promote_full(),
            Verb::Pause => self.pause(),
            Verb::Resume => self.resume(),
            Verb::Abort | Verb::Rollback => self.abort(),
            Verb::Retry => self.retry(),
        };
        if done { Effect::Applied } else { Effect::Refused }
    }

    fn promote(&mut self) -> bool {
        if self.state.stage != Stage::Stepping || matches!(self.state.pause, Some(Pause::Failed(_))) {
            return false;
        }
        if self.state.pause == Some(Pause::Approval) {
            self.state.approved = true;
        } else {
            // Nobody waited for the step's own end.
            self.state.overridden = true;
            self.next();
        }
        self.go_on();
        true
    }

    fn promote_full(&mut self) -> bool {
        let judged = match &self.state.pause {
            Some(Pause::Failed(reason)) => matches!(reason, Reason::Worse(_) | Reason::Hook(_)),
            _ => true,
        };
        if !judged || !self.state.is_before_promotion() {
            return false;
        }
        self.state.full = true;
        self.state.overridden = true;
        self.go_on();
        if self.state.stage == Stage::Stepping {
            self.grow();
        }
        true
    }

    fn pause(&mut self) -> bool {
        let free = self.state.pause.is_none() && self.state.is_before_promotion();
        if free {
            self.wait(Pause::Manual);
        }
        free
    }

    fn resume(&mut self) -> bool {
        match self.state.pause {
            Some(Pause::Manual) => {}
            // Another hold, judged by what it shows itself.
            Some(Pause::Inconclusive(_)) => self.enter(self.state.step),
            _ => return false,
        }
        self.go_on();
        true
    }

    fn abort(&mut self) -> bool {
        let running = self.state.is_before_promotion() || self.state.stage == Stage::Draining;
        if running {
            self.leave(Reason::Aborted);
        }
        running
    }

    fn retry(&mut self) -> bool {
        let failed = match self.state.stage {
            Stage::Done => {
                self.state.failure.is_some() && self.state.ingress == crate::wanted::Selects::Stable
            }
            _ => matches!(self.state.pause, Some(Pause::Failed(_))),
        };
        let free = failed && self.seen.canary.serving == 0;
        if free {
            self.state = self.state.clone().again(self.now);
        }
        free
    }
}
