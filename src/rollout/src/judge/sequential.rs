//! The test for worsening, valid at whatever moment it is read.
//!
//! In: per window, how many requests each arm had and how many failed. Out: evidence that the canary fails more than the
//! control by more than a harmless ratio. Never: a decision; that needs a threshold, and the other arm's noise.
//!
//! Given that X requests of both arms failed, and that the canary's rate is `ratio` times the control's, each of them is
//! the canary's with probability `canary * ratio / (canary * ratio + control)`, whatever the common rate is. The
//! likelihood ratio of those binomials is a non-negative supermartingale while the true ratio is harmless, so that by
//! Ville's inequality it ever reaches `1 / alpha` with probability `alpha` at most, however often one looks.
//!
//! Michael Lindon, Chris Sanden and Vaché Shirikian, "Rapid Regression Detection in Software Deployments through
//! Sequential Testing" (2022), arXiv:2205.14762; Michael Lindon and Alan Malek, "Anytime-Valid Inference for
//! Multinomial Count Data" (2022), arXiv:2011.03567; Jean Ville, "Étude critique de la notion de collectif" (1939).

use serde::{Deserialize, Serialize};

use super::number::real;

/// How much worse than harmless a canary may be: the alternatives that are weighed equally.
const ALTERNATIVES: [f64; 4] = [1.5, 2.0, 4.0, 8.0];

/// Requests, and those of them that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests, or whatever may fail.
    pub of: u64,
    /// Those that failed; never more than `of`.
    pub failed: u64,
}

impl Counts {
    /// Counts that make sense: nothing fails that did not happen.
    pub const fn new(failed: u64, of: u64) -> Self {
        Self { of, failed: if failed > of { of } else { failed } }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { of: self.of.saturating_add(other.of), failed: self.failed.saturating_add(other.failed) }
    }

    /// The share that failed; 0 of nothing.
    pub fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { real(self.failed) / real(self.of) }
    }
}

/// What one window says of two arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The arm that may be worse.
    pub canary: Counts,
    /// The arm it is compared with.
    pub control: Counts,
}

impl Pair {
    /// Whether both had anything that could fail; else they cannot be compared.
    pub const fn is_comparable(self) -> bool {
        self.canary.of > 0 && self.control.of > 0
    }

    /// The same, with the arms exchanged.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { canary: self.control, control: self.canary }
    }

    /// The logarithm of how much likelier `alternative` makes these failures than `null` does.
    fn log_ratio(self, null: f64, alternative: f64) -> f64 {
        if !self.is_comparable() {
            return 0.0;
        }
        let (canary, control) = (real(self.canary.of), real(self.control.of));
        // ln(q1/q0) and ln((1-q1)/(1-q0)), with what both have in common left out.
        let common = ((canary * null + control) / (canary * alternative + control)).ln();
        real(self.canary.failed) * ((alternative / null).ln() + common) + real(self.control.failed) * common
    }
}

/// Evidence that the canary is worse: the mean of four likelihood ratios, as their logarithms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Worsening([f64; ALTERNATIVES.len()]);

impl Worsening {
    /// Takes a window in. `harmless` is the ratio that nobody minds.
    pub fn add(&mut self, pair: Pair, harmless: f64) {
        for (log, worse) in self.0.iter_mut().zip(ALTERNATIVES) {
            *log += pair.log_ratio(harmless, harmless * worse);
        }
    }

    /// Takes a window in for which there is no control any more, but a share that it failed by before. The same
    /// argument holds for the binomials of one arm.
    pub fn add_alone(&mut self, canary: Counts, harmless: f64) {
        let (failed, fine) = (real(canary.failed), real(canary.of - canary.failed));
        let null = harmless.clamp(1e-9, 0.5);
        for (log, worse) in self.0.iter_mut().zip(ALTERNATIVES) {
            let alternative = (null * worse).min(0.999);
            *log += failed * (alternative / null).ln() + fine * ((1.0 - alternative) / (1.0 - null)).ln();
        }
    }

    /// The natural logarithm of the evidence. At `alpha`, anything from `ln(1 / alpha)` on is an alarm. `dispersion` is
    /// by how much failures cluster, as far as is known now: what was seen before it was known weighs no more.
    pub fn log(&self, dispersion: f64) -> f64 {
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.0.iter().map(|log| ((log - most) / dispersion).exp()).sum();
        most / dispersion + (sum / real(ALTERNATIVES.len() as u64)).ln()
    }
}

/// Evidence that the canary is not `limit` times worse: the same test the other way round, against "as good".
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Soundness(f64);

impl Soundness {
    /// Takes a window in.
    pub fn add(&mut self, pair: Pair, limit: f64) {
        self.0 += pair.log_ratio(limit, 1.0);
    }

    /// The natural logarithm of the evidence, as [`Worsening::log`] has it.
    pub fn log(&self, dispersion: f64) -> f64 {
        self.0 / dispersion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn pair(canary: (u64, u64), control: (u64, u64)) -> Pair {
        Pair { canary: Counts::new(canary.0, canary.1), control: Counts::new(control.0, control.1) }
    }

    #[test]
    fn the_ratio_is_that_of_the_binomials() {
        // q(1) = 1/3, q(2) = 1/2 for half as many requests.
        let window = pair((3, 100), (1, 200));
        let expected = 3.0 * (0.5_f64 / (1.0 / 3.0)).ln() + (0.5_f64 / (2.0 / 3.0)).ln();
        assert!((window.log_ratio(1.0, 2.0) - expected).abs() < 1e-12);
    }

    #[test]
    fn worse_canaries_gather_evidence_and_equal_ones_lose_it() {
        let (mut worse, mut equal) = (Worsening::default(), Worsening::default());
        for _ in 0..20 {
            worse.add(pair((8, 1000), (1, 1000)), 1.25);
            equal.add(pair((2, 1000), (2, 1000)), 1.25);
        }
        assert!(worse.log(1.0) > 20.0, "{}", worse.log(1.0));
        assert!(equal.log(1.0) < 0.0, "{}", equal.log(1.0));
    }

    #[test]
    fn an_incident_in_both_arms_is_no_evidence() {
        let mut process = Worsening::default();
        process.add(pair((300, 1000), (900, 3000)), 1.25);
        assert!(process.log(1.0) < 0.0, "{}", process.log(1.0));
    }

    #[test]
    fn an_arm_without_requests_says_nothing() {
        let mut process = Worsening::default();
        process.add(pair((5, 5), (0, 0)), 1.25);
        assert!(process.log(1.0).abs() < 1e-12);
    }

    #[test]
    fn clustered_failures_weigh_less() {
        let mut process = Worsening::default();
        process.add(pair((20, 1000), (2, 1000)), 1.25);
        assert!(process.log(1.0) > 2.0 * process.log(4.0));
    }

    #[test]
    fn soundness_needs_failures_in_the_control() {
        let (mut sound, mut twice) = (Soundness::default(), Soundness::default());
        for _ in 0..100 {
            sound.add(pair((1, 1000), (1, 1000)), 2.0);
            twice.add(pair((2, 1000), (1, 1000)), 2.0);
        }
        assert!(sound.log(1.0) > 20_f64.ln(), "{}", sound.log(1.0));
        assert!(twice.log(1.0) < 0.0, "{}", twice.log(1.0));
    }

    #[test]
    fn without_a_control_the_recorded_share_is_the_measure() {
        let (mut worse, mut equal) = (Worsening::default(), Worsening::default());
        for _ in 0..60 {
            worse.add_alone(Counts::new(4, 1000), 0.001_25);
            equal.add_alone(Counts::new(1, 1000), 0.001_25);
        }
        assert!(worse.log(1.0) > 20.0 && equal.log(1.0) < 0.0, "{} {}", worse.log(1.0), equal.log(1.0));
    }
}
