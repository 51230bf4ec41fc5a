//! By how much failures cluster.
//!
//! In: what each pod of the control had in each window. Out: the factor by which their failures vary more than
//! independent ones would. Never: anything of the canary; a bad canary must not excuse itself by being erratic.
//!
//! Requests are not independent: a balancer of connections pins a client to one pod, and a client that always fails is
//! one event, not hundreds. The factor is Pearson's statistic by its degrees of freedom: R. W. M. Wedderburn,
//! "Quasi-likelihood functions, generalized linear models, and the Gauss–Newton method", Biometrika 61 (1974).

use serde::{Deserialize, Serialize};

use super::number::real;
use super::sequential::Counts;

/// Windows below which nothing can be said, and failures.
const FEWEST_WINDOWS: u32 = 4;
const FEWEST_FAILURES: u64 = 5;
/// The factor until then: one client that always fails sends tens of requests in a window.
const UNKNOWN: f64 = 10.0;

/// Running sums over pods and windows of the control.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    windows: u32,
    cells: u64,
    total: Counts,
    /// Sum of `failed^2 / of` over all cells.
    squares: f64,
}

impl Dispersion {
    /// Takes a window in: one item per pod.
    pub fn add(&mut self, pods: impl Iterator<Item = Counts>) {
        let before = self.cells;
        for pod in pods.filter(|pod| pod.of > 0) {
            self.cells += 1;
            self.total = self.total.plus(pod);
            self.squares += real(pod.failed) * real(pod.failed) / real(pod.of);
        }
        self.windows = self.windows.saturating_add(u32::from(self.cells > before));
    }

    /// The factor: 1 for independent failures, never less; 10 at least while too little was seen. A control that hardly
    /// fails says nothing about whether failures cluster.
    pub fn factor(&self) -> f64 {
        let known = self.windows >= FEWEST_WINDOWS && self.total.failed >= FEWEST_FAILURES;
        // Few pods and windows measure it badly: what clustering there is counts two standard errors more.
        let error = (2.0 / real(self.cells.saturating_sub(1).max(1))).sqrt();
        let measured = 1.0 + (self.measured() - 1.0).max(0.0) * (1.0 + 2.0 * error);
        measured.max(if known { 1.0 } else { UNKNOWN })
    }

    fn measured(&self) -> f64 {
        let rate = self.total.rate();
        if self.cells < 2 || rate <= 0.0 || rate >= 1.0 {
            return 1.0;
        }
        // Sum of (failed - of * rate)^2 / of, multiplied out.
        let spread = self.squares - real(self.total.failed) * rate;
        spread / (rate * (1.0 - rate)) / real(self.cells - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(cells: &[(u64, u64)]) -> f64 {
        let mut dispersion = Dispersion::default();
        for &(failed, of) in cells {
            dispersion.add([Counts::new(failed, of)].into_iter());
        }
        dispersion.factor()
    }

    fn is(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn even_failures_have_none() {
        assert!(is(factor(&[(10, 1000); 8]), 1.0));
    }

    #[test]
    fn failures_that_come_together_have_much() {
        // p = 0.05; each cell is 50 off 50: (50^2 / 1000) / (0.05 * 0.95) * 8 / 7, and two standard errors.
        let cells = [(0, 1000), (100, 1000)].repeat(4);
        let excess = 2.5 / 0.0475 * 8.0 / 7.0 - 1.0;
        assert!(
            is(factor(&cells), 1.0 + excess * (1.0 + 2.0 * (2.0_f64 / 7.0).sqrt())),
            "{}",
            factor(&cells)
        );
    }

    #[test]
    fn little_is_not_taken_for_nothing() {
        assert!(factor(&[]) >= UNKNOWN);
        assert!(is(factor(&[(10, 1000); 3]), UNKNOWN));
        assert!(factor(&[(0, 1000); 50]) >= UNKNOWN);
        assert!(factor(&[(0, 0); 50]) >= UNKNOWN);
        assert!(is(factor(&[(5, 5); 50]), 1.0));
    }
}
