//! The judge's test beside two that are common, on the same numbers.
//!
//! In: requests, failures and a seed. Out: how often each says that a canary is worse, and when. Never: the machine; this
//! compares tests alone, with one look every 30 s for half an hour.
//!
//! The common ones: a threshold on the success rate of the canary, 99 %, of which five misses in sum are a failure; and
//! a z-test of two shares on all requests so far, one-sided, repeated at each look at the level of 1 %.

use serde::Serialize;

use super::random::Random;
use super::run::quantile;
use crate::judge::{Counts, Evidence, Limits, Pair, Worsening, real};

/// Looks at which a canary may be found worse.
pub const LOOKS: u64 = 60;
/// Seconds between two.
pub const EVERY: u64 = 30;
/// Pods of the control.
const CONTROLS: u64 = 9;

const LIMITS: Limits = Limits { harmless: 1.25, most: 2.0, alpha: 0.01, budget: 0.01, difference: 0.001 };

/// How failures come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failures {
    /// One by one.
    Independent,
    /// By clients: each keeps a connection to one pod for a window and sends 30 requests by it; those of a bad client
    /// all fail.
    Clients,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duel {
    /// Its name.
    pub name: &'static str,
    /// Requests per second of both arms.
    pub rate: f64,
    /// The share of pods, and so of requests, of the canary.
    pub share: f64,
    /// The share of requests that fails in the control.
    pub failing: f64,
    /// By how much the canary is worse.
    pub factor: f64,
    /// How failures come.
    pub failures: Failures,
}

const EQUAL: Duel = Duel {
    name: "no change, 0.1 % fail",
    rate: 200.0,
    share: 0.1,
    failing: 0.001,
    factor: 1.0,
    failures: Failures::Independent,
};

/// What is compared.
pub const DUELS: [Duel; 8] = [
    EQUAL,
    Duel { name: "no change, 2 % fail", failing: 0.02, ..EQUAL },
    Duel { name: "no change, 20 requests per second, 25 %", rate: 20.0, share: 0.25, ..EQUAL },
    Duel { name: "no change, 1 % of clients fail", failing: 0.01, failures: Failures::Clients, ..EQUAL },
    Duel { name: "×2 of 0.1 %", factor: 2.0, ..EQUAL },
    Duel { name: "×4 of 0.1 %", factor: 4.0, ..EQUAL },
    Duel { name: "×8 of 0.1 %", factor: 8.0, ..EQUAL },
    Duel { name: "×8 of 1 % of clients", failing: 0.01, factor: 8.0, failures: Failures::Clients, ..EQUAL },
];

/// How often one test found the canary worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Of all runs, in percent.
    pub percent: f64,
    /// Seconds until half of those that were found.
    pub median: Option<u64>,
    /// At each look, the percentage found so far.
    pub curve: Vec<f64>,
}

/// All tests on one comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Its name.
    pub name: &'static str,
    /// Whether the canary is worse, so that finding it is right.
    pub worse: bool,
    /// Runs.
    pub runs: usize,
    /// The threshold.
    pub threshold: Found,
    /// The repeated z-test.
    pub z_test: Found,
    /// The judge's test without its correction for dispersion.
    pub uncorrected: Found,
    /// The judge's test.
    pub judge: Found,
}

/// Runs all tests on the same numbers, `runs` times.
pub fn compare(duel: &Duel, runs: usize, seed: u64) -> Comparison {
    let mut random = Random::new(seed);
    let mut looks: [Vec<u64>; 4] = Default::default();
    for _ in 0..runs {
        for (all, look) in looks.iter_mut().zip(trial(duel, &mut random)) {
            all.extend(look);
        }
    }
    let [threshold, z_test, uncorrected, judge] = looks.map(|looks| found(looks, runs));
    Comparison { name: duel.name, worse: duel.factor > 1.0, runs, threshold, z_test, uncorrected, judge }
}

/// The look at which each test found the canary worse, if it did.
fn trial(duel: &Duel, random: &mut Random) -> [Option<u64>; 4] {
    let mut first = [None; 4];
    let (mut evidence, mut plain, mut strikes) = (Evidence::default(), Worsening::default(), 0);
    for look in 1..=LOOKS {
        let canary = draw(duel, random, duel.share, duel.factor);
        let each = (1.0 - duel.share) / real(CONTROLS);
        let control: Vec<_> = (0..CONTROLS).map(|_| draw(duel, random, each, 1.0)).collect();
        evidence.add(&[canary], &control, &LIMITS);
        let together = control.iter().copied().fold(Counts::default(), Counts::plus);
        plain.add(Pair { canary, control: together }, LIMITS.harmless);
        strikes += u32::from(canary.rate() > 0.01);
        let usual = evidence.control.rate();
        let differs = evidence.canary.rate() - usual >= LIMITS.difference;
        let says = [
            strikes >= 5,
            z(evidence.canary, evidence.control) > 2.326,
            plain.log(1.0) >= Evidence::threshold(&LIMITS) && differs,
            evidence.is_worse(usual, &LIMITS) && !evidence.is_noisy(&LIMITS),
        ];
        for (first, says) in first.iter_mut().zip(says) {
            *first = first.or(says.then_some(look));
        }
    }
    first
}

/// Requests of one arm, or one pod, in one window.
fn draw(duel: &Duel, random: &mut Random, share: f64, factor: f64) -> Counts {
    const BY_CONNECTION: u64 = 30;
    let mean = duel.rate * real(EVERY) * share;
    let failing = duel.failing * factor;
    if duel.failures == Failures::Independent {
        let of = random.poisson(mean);
        return Counts::new(random.binomial(of, failing), of);
    }
    let clients = random.poisson(mean / real(BY_CONNECTION));
    Counts::new(random.binomial(clients, failing) * BY_CONNECTION, clients * BY_CONNECTION)
}

/// The statistic of the z-test of two shares.
fn z(canary: Counts, control: Counts) -> f64 {
    let pooled = canary.plus(control).rate();
    let parts = 1.0 / real(canary.of.max(1)) + 1.0 / real(control.of.max(1));
    let deviation = (pooled * (1.0 - pooled) * parts).sqrt();
    if deviation > 0.0 { (canary.rate() - control.rate()) / deviation } else { 0.0 }
}

fn found(mut looks: Vec<u64>, runs: usize) -> Found {
    looks.sort_unstable();
    let percent = |number: usize| 100.0 * real(number as u64) / real(runs as u64);
    let until = |look| percent(looks.partition_point(|at| *at <= look));
    Found {
        percent: percent(looks.len()),
        median: quantile(&looks, 50).map(|look| look * EVERY),
        curve: (0..=LOOKS).map(until).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Comparison {
        compare(DUELS.iter().find(|duel| duel.name == name).unwrap(), 500, 1)
    }

    #[test]
    fn good_releases_pass_the_judge_and_not_the_others() {
        let calm = of("no change, 0.1 % fail");
        assert!(calm.judge.percent <= 1.0 && calm.z_test.percent > 5.0, "{calm:?}");
        let failing = of("no change, 2 % fail");
        assert!(failing.judge.percent <= 1.0 && failing.threshold.percent > 99.0, "{failing:?}");
    }

    #[test]
    fn clustered_failures_need_the_correction() {
        let clients = of("no change, 1 % of clients fail");
        assert!(
            clients.judge.percent <= 2.0 && clients.uncorrected.percent > 20.0,
            "{} {}",
            clients.judge.percent,
            clients.uncorrected.percent
        );
    }

    #[test]
    fn bad_releases_are_found() {
        let found = of("×8 of 0.1 %");
        assert!(found.judge.percent > 99.0 && found.judge.median <= Some(180), "{found:?}");
        assert!(of("×4 of 0.1 %").judge.percent > 99.0);
    }
}
