//! Everything that is known of a canary, and what it amounts to.
//!
//! In: windows. Out: an alarm as soon as there is one; a verdict when a step ends. Never: a pass for want of data, nor a
//! failure for want of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counters::{Arm, Window};
use super::evidence::{Evidence, Limits};
use super::metric::{Histogram, Metric};
use super::number::{count, real};
use super::sequential::Counts;
use crate::plan::Analysis;

/// What is thought of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Good enough, as far as was asked.
    Pass,
    /// Worse, beyond doubt.
    Fail,
    /// Too few requests, or too little of the time was observed.
    Insufficient,
    /// Nothing could be read at all.
    NoData,
    /// Pods of stable differ from each other as only a bad canary should from them.
    Noisy,
}

/// A metric by which the canary is worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The metric.
    pub metric: String,
    /// The canary's counts.
    pub canary: Counts,
    /// Those it was compared with.
    pub control: Counts,
    /// The evidence, as a natural logarithm.
    pub evidence: f64,
    /// The evidence from which on it is an alarm.
    pub threshold: f64,
}

/// A metric that does not let a step pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall<'a> {
    /// The metric.
    pub metric: &'a str,
    /// The canary's counts in this step.
    pub step: Counts,
    /// Requests that it needs before anything is said.
    pub needed: u64,
}

/// All of it, for an attempt: what a status keeps, so that a restart loses no more than the open window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// By metric.
    pub metrics: BTreeMap<String, Evidence>,
    /// The bucket above which requests are slow in this step.
    slow: Option<u8>,
    /// The control's latency since the step began: by it the next step tells slow from fast.
    latency: Histogram,
    /// Time of this step that was observed, in milliseconds.
    observed: u64,
    /// Windows of this step.
    pub windows: u32,
    /// Whether the first look at the budget was taken in this step.
    looked: bool,
    /// What the control had before it went, by metric.
    baseline: Option<BTreeMap<String, Counts>>,
}

impl Record {
    /// Takes a window in.
    pub fn observe(&mut self, analysis: &Analysis, window: &Window) {
        self.windows = self.windows.saturating_add(1);
        let span = u64::try_from(window.span.as_millis()).unwrap_or(u64::MAX);
        self.observed = self.observed.saturating_add(span);
        for metric in Metric::ALL {
            let arm =
                |arm| window.arm(arm).map(|pod| metric.counts(&pod.delta, self.slow)).collect::<Vec<_>>();
            let (canary, control) = (arm(Arm::Canary), arm(Arm::Control));
            self.add(metric.name(), &canary, &control, &limits(analysis, Some(metric)));
        }
        for (name, pair) in &window.custom {
            self.add(name, &[pair.canary], &[pair.control], &limits(analysis, None));
        }
        for pod in window.arm(Arm::Control) {
            self.latency = self.latency.plus(&pod.delta.latency);
        }
        // The first windows teach what is slow, where no step before did.
        self.slow = self.slow.or_else(|| self.latency.slow());
    }

    fn add(&mut self, name: &str, canary: &[Counts], control: &[Counts], limits: &Limits) {
        let evidence = self.metrics.entry(name.to_owned()).or_default();
        let baseline = self.baseline.as_ref().map(|all| all.get(name).copied().unwrap_or_default());
        match baseline {
            None => evidence.add(canary, control, limits),
            Some(baseline) => {
                let canary = canary.iter().copied().fold(Counts::default(), Counts::plus);
                evidence.add_alone(canary, baseline, limits);
            }
        }
    }

    /// A step begins: what it has to show it shows by itself.
    pub fn enter(&mut self) {
        self.metrics.values_mut().for_each(Evidence::enter);
        self.slow = self.latency.slow().or(self.slow);
        (self.latency, self.observed, self.windows, self.looked) = (Histogram::default(), 0, 0, false);
    }

    /// The control loses its traffic: what it had is what the canary is held to from now on.
    pub fn promote(&mut self) {
        self.enter();
        self.baseline =
            Some(self.metrics.iter().map(|(name, known)| (name.clone(), known.control)).collect());
        self.metrics.values_mut().for_each(Evidence::leave);
    }

    /// What is worse beyond doubt, unless the control is noisy in it. May be asked at any time.
    pub fn alarm(&self, analysis: &Analysis) -> Option<Alarm> {
        critical(analysis).find_map(|(name, limits)| {
            let known = self.metrics.get(name)?;
            let control = self.control(name, known)?;
            let worse = known.is_worse(control.rate(), &limits) && !known.is_noisy(&limits);
            worse.then(|| Alarm {
                metric: name.to_owned(),
                canary: known.canary,
                control,
                evidence: known.log(),
                threshold: Evidence::threshold(&limits),
            })
        })
    }

    /// What the canary is compared with; after promotion nothing is, of which too little was recorded.
    fn control(&self, name: &str, known: &Evidence) -> Option<Counts> {
        const FEWEST: u64 = 1000;
        let Some(baseline) = &self.baseline else { return Some(known.control) };
        baseline.get(name).copied().filter(|counts| counts.of >= FEWEST)
    }

    /// The verdict at the end of a step that lasted `hold`. The budget is looked at at the first call that has enough data,
    /// and at the `last` one: neither moment depends on failures. Other calls of the same step pass by proof only.
    pub fn conclude(&mut self, analysis: &Analysis, hold: Duration, last: bool) -> Verdict {
        if self.alarm(analysis).is_some() {
            return Verdict::Fail;
        }
        if self.windows == 0 {
            return Verdict::NoData;
        }
        let critical: Vec<_> = critical(analysis).collect();
        let known: Vec<_> =
            critical.iter().filter_map(|(name, limits)| Some((self.metrics.get(*name)?, *limits))).collect();
        if known.iter().any(|(known, limits)| known.is_noisy(limits)) {
            return Verdict::Noisy;
        }
        let enough = known.iter().all(|(known, limits)| known.step.of >= needed(analysis, limits));
        if known.len() < critical.len() || !enough || !self.is_observed(hold) {
            return Verdict::Insufficient;
        }
        let budget = !self.looked || last;
        let fine = known
            .iter()
            .all(|(known, limits)| known.is_sound() || (budget && known.is_within_budget(limits)));
        self.looked = true;
        if fine { Verdict::Pass } else { Verdict::Insufficient }
    }

    /// Which metrics keep the step from passing, while none of them is an alarm.
    pub fn shortfalls<'a>(&self, analysis: &'a Analysis) -> Vec<Shortfall<'a>> {
        let of = |(metric, limits): (&'a str, Limits)| {
            let known = self.metrics.get(metric).copied().unwrap_or_default();
            let needed = needed(analysis, &limits);
            let passes = known.step.of >= needed && (known.is_sound() || known.is_within_budget(&limits));
            (!passes).then_some(Shortfall { metric, step: known.step, needed })
        };
        critical(analysis).filter_map(of).collect()
    }

    /// Whether four fifths of the step were observed.
    fn is_observed(&self, hold: Duration) -> bool {
        let hold = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
        self.observed >= count(real(hold) * 0.8)
    }
}

/// Requests of the canary that a step needs: what was asked for, and no fewer than can pass.
fn needed(analysis: &Analysis, limits: &Limits) -> u64 {
    analysis.min_requests.max(limits.fewest())
}

/// The metrics that decide.
fn critical(analysis: &Analysis) -> impl Iterator<Item = (&str, Limits)> {
    let ours = Metric::ALL.into_iter().filter(|metric| metric.is_critical());
    let ours = ours.map(|metric| (metric.name(), limits(analysis, Some(metric))));
    ours.chain(analysis.custom.iter().map(|name| (name.as_str(), limits(analysis, None))))
}

/// By what a metric is judged; without one, a metric of the user's own.
pub fn limits(analysis: &Analysis, metric: Option<Metric>) -> Limits {
    let ours = Metric::ALL.into_iter().filter(|metric| metric.is_critical()).count();
    let usual = analysis.harmless.get();
    Limits {
        harmless: metric.map_or(usual, |metric| metric.harmless(usual)),
        most: metric.map_or(1.0, |metric| metric.harmless(1.0)).max(analysis.max_ratio.get()),
        alpha: analysis.alpha.get() / real((ours + analysis.custom.len()) as u64),
        budget: analysis.error_budget.get(),
        difference: analysis.difference.get(),
    }
}
