//! What pods of a gateway count.
//!
//! In: requests per pod and what is wrong. Out: what the counters of each grew by. Never: a request.

use super::random::Random;
use super::scene::Fault;
use crate::judge::{Delta, Histogram};

/// Shares of requests by the time that Kong adds, in the buckets up to 75 ms.
const LATENCY: [f64; 10] = [0.55, 0.25, 0.12, 0.04, 0.025, 0.008, 0.004, 0.002, 0.0008, 0.0002];
/// The same with 20 ms more.
const LATENCY_SLOW: [f64; 10] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.985, 0.0142, 0.0008];

/// What one pod counts in a window in which `mean` requests are expected, a share of which fails.
pub fn draw(random: &mut Random, mean: f64, failing: f64, fault: Fault) -> Delta {
    let nginx = random.poisson(mean);
    let own = 3;
    if matches!(fault, Fault::Routeless | Fault::RoutelessUnseen) {
        return Delta { detailed: true, nginx: nginx + own, own, ..Delta::default() };
    }
    // Some requests match no route in any release.
    let requests = nginx - random.binomial(nginx, 0.005);
    let factor = if let Fault::Errors(factor) = fault { factor } else { 1.0 };
    let shares = if fault == Fault::Slow { LATENCY_SLOW } else { LATENCY };
    Delta {
        detailed: true,
        requests,
        errors: random.binomial(requests, failing * factor),
        refusals: random.binomial(requests, 0.02),
        upstream: random.binomial(requests, 0.002),
        nginx: nginx + own,
        own,
        latency: spread(random, requests, &shares),
    }
}

/// Puts requests into buckets, one bucket after the other.
fn spread(random: &mut Random, requests: u64, shares: &[f64]) -> Histogram {
    let mut histogram = Histogram::default();
    let (mut left, mut rest) = (requests, 1.0);
    for (cell, share) in histogram.0.iter_mut().zip(shares) {
        *cell = if rest <= *share { left } else { random.binomial(left, share / rest) };
        left -= *cell;
        rest -= share;
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_requests_are_in_a_bucket() {
        let mut random = Random::new(3);
        for shares in [LATENCY, LATENCY_SLOW] {
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let lost = 10_000 - spread(&mut random, 10_000, &shares).total();
            assert!(lost < 10, "{lost} lost");
        }
    }

    #[test]
    fn a_canary_without_routes_has_no_matched_request() {
        let delta = draw(&mut Random::new(3), 300.0, 0.001, Fault::Routeless);
        assert_eq!(delta.requests, 0);
        assert!(delta.nginx > 200);
    }
}
