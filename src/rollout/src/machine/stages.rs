//! From one stage to the next.
//!
//! In: a turn in which nothing failed. Out: the stage that follows. Never: a promotion before the pods for it are ready,
//! nor a second one.

use super::Turn;
use crate::observation::{Configuration, Parity};
use crate::plan::Gate;
use crate::state::{Outcome, Stage, after};
use crate::wanted::{Event, Reason, Selects};

impl Turn<'_> {
    /// Goes on, if everything is there for it.
    pub(super) fn advance(&mut self) {
        self.mind_stable();
        if self.state.pause.is_some() {
            return;
        }
        match self.state.stage {
            Stage::Pending => self.begin(),
            Stage::Preflight => self.check_gates(),
            Stage::Stepping => self.hold(),
            Stage::Promoting => self.flip(),
            Stage::Draining => self.drain(),
            Stage::RollingBack => self.return_to_stable(),
            Stage::Done => {}
        }
    }

    /// An unhealthy stable is said, and holds up nobody.
    fn mind_stable(&mut self) {
        let degraded = self.state.is_before_promotion() && self.seen.stable.ready < self.seen.strength;
        if degraded && !self.state.degraded {
            self.events.push(Event::StableDegraded);
        }
        self.state.degraded = degraded;
    }

    fn begin(&mut self) {
        if self.seen.others == 0 {
            self.state.stage = Stage::Preflight;
            self.events.push(Event::Started);
        }
    }

    /// Pods, then configuration, then routes.
    fn check_gates(&mut self) {
        if self.seen.canary.running == 0 {
            return;
        }
        if self.plan.acceptance == Gate::Off {
            self.state.joined = true;
        }
        if self.is_configured() && self.seen.canary.ready > 0 && self.answers_alike() {
            self.state.joined = true;
            self.events.push(Event::PreflightPassed);
            if self.state.full {
                self.grow();
            } else {
                self.enter(0);
            }
        }
    }

    /// Whether the canary has a configuration, by us or by the ingress controller.
    pub(super) fn is_configured(&self) -> bool {
        self.state.joined || self.seen.configuration == Configuration::Accepted
    }

    fn answers_alike(&mut self) -> bool {
        if self.plan.parity == Gate::Off {
            return true;
        }
        let Parity::Compared { mismatched, .. } = self.seen.parity else { return false };
        if mismatched <= self.plan.parity_drift {
            return true;
        }
        let reason = Reason::RouteMismatch(mismatched);
        if self.plan.parity == Gate::Enforce {
            self.fail(reason);
            return false;
        }
        self.events.push(Event::Warning(reason));
        true
    }

    /// The canary grows to full strength.
    pub(super) fn grow(&mut self) {
        self.state.stage = Stage::Promoting;
        self.state.unready = 0;
    }

    /// All traffic to the canary, as soon as it can take it.
    fn flip(&mut self) {
        let enough = self.seen.canary.ready >= self.strength();
        if !enough || !self.seen.fed {
            return;
        }
        self.state.stage = Stage::Draining;
        self.state.emptied = None;
        if self.state.promoted.is_none() {
            self.state.promoted = Some(self.now);
            self.state.record.promote();
            self.events.push(Event::Promoted);
        }
    }

    fn drain(&mut self) {
        self.mind_empty(self.seen.stable.serving);
        if self.seen.stable.present == 0 && self.is_drained() && !self.is_watched() {
            let overridden = self.state.overridden;
            self.end(if overridden { Outcome::PromotedByOverride } else { Outcome::Promoted });
            self.events.push(Event::Succeeded);
        }
    }

    /// Since when a track has had no new connections.
    fn mind_empty(&mut self, serving: u32) {
        self.state.emptied = if serving == 0 { self.state.emptied.or(Some(self.now)) } else { None };
    }

    /// Whether connections that were there had time to end.
    pub(super) fn is_drained(&self) -> bool {
        self.state.emptied.is_some_and(|emptied| after(emptied, self.plan.scale_down_delay) <= self.now)
    }

    fn return_to_stable(&mut self) {
        if self.state.ingress == Selects::Canary && !self.can_return() {
            return;
        }
        self.state.ingress = Selects::Stable;
        self.mind_empty(self.seen.canary.serving);
        if self.is_drained() {
            let reason = self.state.failure.clone().unwrap_or(Reason::Aborted);
            self.end(outcome(&reason));
            self.events.push(Event::RolledBack(reason));
        }
    }

    /// After promotion, stable has to come back to strength first, unless the canary is even weaker.
    fn can_return(&self) -> bool {
        let (stable, canary) = (self.seen.stable.ready, self.seen.canary.ready);
        stable >= self.strength() || (stable > 0 && canary <= stable)
    }

    fn end(&mut self, outcome: Outcome) {
        self.state.stage = Stage::Done;
        self.state.outcome = Some(outcome);
    }
}

/// How an attempt ended that was left for that reason.
const fn outcome(reason: &Reason) -> Outcome {
    match reason {
        Reason::Superseded => Outcome::Superseded,
        Reason::Aborted | Reason::Reverted | Reason::Withdrawn => Outcome::Aborted,
        Reason::DeadlineExceeded | Reason::ApprovalExpired => Outcome::DeadlineExceeded,
        _ => Outcome::RolledBack,
    }
}
