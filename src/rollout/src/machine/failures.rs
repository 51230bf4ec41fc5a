//! What makes a rollout fail, wherever it is.
//!
//! In: what keeps pods from running, refused configuration, alarms, time. Out: the first failure. Never: a clock that a
//! pod turns back by being ready for a moment.

use std::time::Duration;

use super::{Turn, UNSEEN};
use crate::observation::{Configuration, Trouble};
use crate::plan::Gate;
use crate::state::{Pause, Stage, between, millis};
use crate::wanted::{Event, Reason};

/// Restarts of a container that are not by chance.
const RESTARTS: u32 = 3;
/// How long something has to last that may pass by itself.
const PATIENCE: Duration = Duration::from_secs(30);

impl Turn<'_> {
    /// Looks for a failure.
    pub(super) fn guard(&mut self) {
        self.mind_trouble();
        match self.state.stage {
            Stage::Done | Stage::RollingBack => {}
            Stage::Draining => self.guard_promoted(),
            Stage::Pending | Stage::Preflight | Stage::Stepping | Stage::Promoting => self.guard_canary(),
        }
    }

    /// Remembers since when something has kept pods from running. Only enough ready pods make it forgotten.
    fn mind_trouble(&mut self) {
        let since = self.state.trouble.map_or(self.now, |(_, since)| since);
        match self.seen.canary.trouble {
            Some(trouble) => self.state.trouble = Some((trouble, since)),
            None if self.seen.canary.ready >= self.canaries() => self.state.trouble = None,
            None => {}
        }
    }

    fn guard_canary(&mut self) {
        let stopped = matches!(self.state.pause, Some(Pause::Failed(_)));
        if self.state.stage != Stage::Pending {
            self.count_unready();
        }
        let failure = self.expired().or_else(|| if stopped { None } else { self.failure() });
        if let Some(reason) = failure {
            self.fail(reason);
        } else if !stopped {
            self.take_warning();
        }
    }

    /// After promotion: failures lead back while the old revision is to be had.
    fn guard_promoted(&mut self) {
        if !self.is_watched() || self.state.failure.is_some() {
            return;
        }
        if let Some(reason) = self.broken_pods().or_else(|| self.worse()) {
            self.events.push(Event::Failed(reason.clone()));
            if self.plan.on_failure == crate::plan::OnFailure::Rollback {
                self.leave(reason);
            } else {
                self.state.failure = Some(reason);
            }
        }
    }

    /// Pods that are ready now and then are not ready in sum.
    fn count_unready(&mut self) {
        let lacking = self.state.stage == Stage::Preflight || self.seen.canary.ready < self.canaries();
        if lacking && self.state.pause.is_none() {
            self.state.unready = self.state.unready.saturating_add(millis(self.observed.min(UNSEEN)));
        }
    }

    /// Whether time has run out, for anybody.
    fn expired(&self) -> Option<Reason> {
        let deadlines = &self.plan.deadlines;
        let waited = self.state.waiting.map(|since| between(since, self.now));
        if waited.is_some_and(|waited| waited >= deadlines.approval) {
            return Some(Reason::ApprovalExpired);
        }
        (self.state.active >= millis(deadlines.total)).then_some(Reason::DeadlineExceeded)
    }

    fn failure(&self) -> Option<Reason> {
        if self.state.stage == Stage::Pending {
            return None;
        }
        let late = self.state.unready >= millis(self.plan.deadlines.ready);
        let late = late.then(|| Reason::NotReady(self.state.trouble.map(|(trouble, _)| trouble)));
        self.broken_pods().or_else(|| self.rejection()).or_else(|| self.worse()).or(late)
    }

    fn broken_pods(&self) -> Option<Reason> {
        let (trouble, since) = match self.state.trouble {
            Some(known) => known,
            None if self.seen.canary.restarts >= RESTARTS => (Trouble::CrashLoop, self.now),
            None => return None,
        };
        let broken = match trouble {
            Trouble::ImagePull | Trouble::Reference => between(since, self.now) >= PATIENCE,
            // A node may come; the deadline says for how long to hope.
            Trouble::Unschedulable => self.seen.canary.restarts >= RESTARTS,
            Trouble::ImageName | Trouble::CrashLoop | Trouble::OutOfMemory | Trouble::Version => true,
        };
        broken.then_some(Reason::Pods(trouble))
    }

    /// A canary that the ingress controller feeds must accept what it is fed: a refusal would reach stable.
    fn rejection(&self) -> Option<Reason> {
        let Configuration::Rejected(why) = &self.seen.configuration else { return None };
        let enforced = self.state.joined || self.plan.acceptance == Gate::Enforce;
        enforced.then(|| Reason::ConfigRejected(why.clone()))
    }

    fn worse(&self) -> Option<Reason> {
        let analysis = self.plan.analysis.as_ref().filter(|_| !self.state.full)?;
        self.state.record.alarm(analysis).map(Reason::Worse)
    }

    /// A refusal that is only a warning lets the canary join, watched by what the ingress controller says of pushes.
    fn take_warning(&mut self) {
        let Configuration::Rejected(why) = &self.seen.configuration else { return };
        if self.state.stage == Stage::Preflight && !self.state.joined {
            self.events.push(Event::Warning(Reason::ConfigRejected(why.clone())));
            self.state.joined = true;
        }
    }
}
