//! What is known of one metric.
//!
//! In: what each pod of both arms had in a window. Out: evidence for an alarm, for a pass and of noise. Never: a window
//! twice, or a look at what comes after.

use serde::{Deserialize, Serialize};

use super::dispersion::Dispersion;
use super::number::{count, upper_bound};
use super::sequential::{Counts, Pair, Soundness, Worsening};

/// Evidence at which "not too much worse" is proven: a wrong pass has a probability of 1 in 20 at most.
const PROVEN: f64 = 20.0;

/// Running sums of one metric; all that has to be kept of windows that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// That the canary is worse, over the whole attempt.
    worsening: Worsening,
    /// That one half of the control is worse than the other, both ways.
    noise: [Worsening; 2],
    dispersion: Dispersion,
    /// That the canary is not too much worse, in this step.
    soundness: Soundness,
    /// The canary over the whole attempt.
    pub canary: Counts,
    /// The control over the whole attempt.
    pub control: Counts,
    /// The canary in this step.
    pub step: Counts,
}

/// By what a metric is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The ratio of rates that nobody minds.
    pub harmless: f64,
    /// The ratio of rates that must not pass.
    pub most: f64,
    /// The probability of a false alarm, for this metric alone.
    pub alpha: f64,
    /// The share of failures that is fine whatever the control has.
    pub budget: f64,
    /// The difference of shares below which a difference is of no interest.
    pub difference: f64,
}

impl Limits {
    /// The probability that one look at the budget is wrong.
    fn look(&self) -> f64 {
        self.alpha / 2.0
    }

    /// Requests below which not even a canary without a failure is within its budget: a look at fewer is wasted.
    pub fn fewest(&self) -> u64 {
        if self.budget >= 1.0 {
            return 1;
        }
        count((self.look().ln() / (1.0 - self.budget).ln()).ceil()).max(1)
    }
}

impl Evidence {
    /// Takes a window in: one item per pod. Halves of the control are its pods in turn, by UID, so that the split is
    /// made before their failures are seen.
    pub fn add(&mut self, canary: &[Counts], control: &[Counts], limits: &Limits) {
        let sum = |pods: &[Counts]| pods.iter().copied().fold(Counts::default(), Counts::plus);
        let pair = Pair { canary: sum(canary), control: sum(control) };
        self.dispersion.add(control.iter().copied());
        let odd: Vec<_> = control.iter().copied().step_by(2).collect();
        let even: Vec<_> = control.iter().copied().skip(1).step_by(2).collect();
        let halves = Pair { canary: sum(&odd), control: sum(&even) };
        self.worsening.add(pair, limits.harmless);
        self.soundness.add(pair, limits.most);
        let [first, second] = &mut self.noise;
        first.add(halves, limits.harmless);
        second.add(halves.reversed(), limits.harmless);
        self.canary = self.canary.plus(pair.canary);
        self.control = self.control.plus(pair.control);
        self.step = self.step.plus(pair.canary);
    }

    /// Takes a window in that has no control any more; what the control had before is the measure, at its upper bound.
    pub fn add_alone(&mut self, canary: Counts, baseline: Counts, limits: &Limits) {
        let usual = upper_bound(baseline.failed, baseline.of, limits.alpha / 2.0);
        self.worsening.add_alone(canary, usual * limits.harmless);
        self.canary = self.canary.plus(canary);
        self.step = self.step.plus(canary);
    }

    /// A new step: what must be shown in each step is shown anew; the alarm goes on.
    pub fn enter(&mut self) {
        self.soundness = Soundness::default();
        self.step = Counts::default();
    }

    /// The alarm begins anew as well, for a canary that is alone from now on.
    pub fn leave(&mut self) {
        self.enter();
        self.worsening = Worsening::default();
        self.canary = Counts::default();
    }

    /// The evidence that the canary is worse, as a natural logarithm; [`Evidence::threshold`] is the alarm.
    pub fn log(&self) -> f64 {
        self.worsening.log(self.dispersion())
    }

    /// The evidence, as a natural logarithm, from which on it is an alarm.
    pub fn threshold(limits: &Limits) -> f64 {
        -limits.alpha.ln()
    }

    /// By how much failures of the control cluster.
    pub fn dispersion(&self) -> f64 {
        self.dispersion.factor()
    }

    /// Whether the canary is worse, beyond doubt and by enough to matter. `usual` is the share that the control has or
    /// had.
    pub fn is_worse(&self, usual: f64, limits: &Limits) -> bool {
        self.log() >= Self::threshold(limits) && self.canary.rate() - usual >= limits.difference
    }

    /// Whether halves of the control differ as only a bad canary should.
    pub fn is_noisy(&self, limits: &Limits) -> bool {
        // The mean of both directions is evidence of the same kind.
        let logs = self.noise.map(|half| half.log(self.dispersion()));
        let most = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let mean = logs.into_iter().map(|log| (log - most).exp()).sum::<f64>() / 2.0;
        most + mean.ln() >= Self::threshold(limits)
    }

    /// Whether so few of this step's requests failed that the control does not matter. To be asked twice at most: each look
    /// has half of the probability of a wrong answer.
    pub fn is_within_budget(&self, limits: &Limits) -> bool {
        upper_bound(self.step.failed, self.step.of, limits.look()) <= limits.budget
    }

    /// Whether the canary is shown to be not too much worse. May be asked at any time.
    pub fn is_sound(&self) -> bool {
        self.soundness.log(self.dispersion()) >= PROVEN.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { harmless: 1.25, most: 2.0, alpha: 0.0025, budget: 0.01, difference: 0.001 };

    const fn pod(failed: u64) -> Counts {
        Counts::new(failed, 1000)
    }

    #[test]
    fn a_worse_canary_is_found_and_a_noisy_control_too() {
        let (mut worse, mut noisy) = (Evidence::default(), Evidence::default());
        for _ in 0..20 {
            worse.add(&[pod(16)], &[pod(2), pod(2)], &LIMITS);
            noisy.add(&[pod(16)], &[pod(40), pod(2)], &LIMITS);
        }
        assert!(worse.is_worse(worse.control.rate(), &LIMITS) && !worse.is_noisy(&LIMITS));
        assert!(noisy.is_noisy(&LIMITS));
    }

    #[test]
    fn a_look_is_taken_when_a_canary_without_a_failure_passes_and_no_sooner() {
        let with = |requests| Evidence { step: Counts::new(0, requests), ..Evidence::default() };
        assert!(with(LIMITS.fewest()).is_within_budget(&LIMITS));
        assert!(!with(LIMITS.fewest() - 1).is_within_budget(&LIMITS));
        assert_eq!(LIMITS.fewest(), 666, "ln(0.00125) / ln(0.99)");
        assert_eq!(Limits { budget: 1.0, ..LIMITS }.fewest(), 1);
    }

    #[test]
    fn a_difference_that_is_certain_but_tiny_is_no_alarm() {
        let mut tiny = Evidence::default();
        for _ in 0..100 {
            tiny.add(&[Counts::new(80, 100_000)], &[Counts::new(10, 100_000); 2], &LIMITS);
        }
        assert!(tiny.log() > Evidence::threshold(&LIMITS));
        assert!(!tiny.is_worse(tiny.control.rate(), &LIMITS));
    }

    #[test]
    fn a_step_has_to_be_passed_by_itself() {
        let mut evidence = Evidence::default();
        for _ in 0..50 {
            evidence.add(&[pod(5)], &[pod(5), pod(5)], &LIMITS);
        }
        assert!(evidence.is_within_budget(&LIMITS) && evidence.is_sound());
        evidence.enter();
        assert!(!evidence.is_within_budget(&LIMITS) && !evidence.is_sound());
        assert_eq!(evidence.canary.of, 50_000);
    }

    #[test]
    fn what_the_control_had_is_the_measure_of_a_canary_alone() {
        let (mut worse, mut equal) = (Evidence::default(), Evidence::default());
        let baseline = Counts::new(100, 100_000);
        for _ in 0..120 {
            worse.add_alone(pod(4), baseline, &LIMITS);
            equal.add_alone(pod(1), baseline, &LIMITS);
        }
        assert!(worse.is_worse(baseline.rate(), &LIMITS));
        assert!(!equal.is_worse(baseline.rate(), &LIMITS));
    }
}
