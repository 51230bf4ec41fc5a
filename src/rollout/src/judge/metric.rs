//! What is counted of a gateway, and how each count becomes requests and failures.
//!
//! In: what one pod counted in one window. Out: per metric, what could fail and what did. Never: counters of upstream
//! trouble among those that decide; the gateway is on trial, not what is behind it.

use serde::{Deserialize, Serialize};

use super::counters::Delta;
use super::number::{count, real};
use super::sequential::Counts;

/// Upper bounds of the buckets of `kong_kong_latency_ms` in milliseconds, as Kong 3.9 has them; one more has no bound.
pub const BUCKETS: [u32; 17] = [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000];

/// Observations per bucket, each in one bucket only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(pub [u64; BUCKETS.len() + 1]);

impl Histogram {
    /// All observations.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, cell| sum.saturating_add(*cell))
    }

    /// Observations above the bound of the bucket of that number.
    pub fn above(&self, bucket: u8) -> u64 {
        self.0.iter().skip(usize::from(bucket) + 1).fold(0, |sum, cell| sum.saturating_add(*cell))
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (sum, cell) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(cell);
        }
        self
    }

    /// The first bucket whose bound is not below the 99th percentile; none of too few observations.
    pub fn slow(&self) -> Option<u8> {
        const FEWEST: u64 = 100;
        let total = self.total();
        let allowed = count((real(total) * 0.01).floor());
        let buckets = u8::try_from(BUCKETS.len()).unwrap_or(u8::MAX);
        (0..buckets).find(|bucket| total >= FEWEST && self.above(*bucket) <= allowed)
    }
}

/// A metric that every gateway has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests that Kong itself answered with 5xx.
    GatewayErrors,
    /// Requests to which Kong added more time than stable did to 99 % of its own before the step.
    GatewayLatency,
    /// Requests that no route matched: nginx counted them, the plugin did not.
    Unmatched,
    /// Requests that Kong itself refused with 401, 403, 413, 426 or 429.
    GatewayRefusals,
    /// Requests that upstreams answered with 5xx. Both arms have the same upstreams, so it advises and never decides.
    UpstreamErrors,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::GatewayErrors,
        Self::GatewayLatency,
        Self::Unmatched,
        Self::GatewayRefusals,
        Self::UpstreamErrors,
    ];

    /// Its name in statuses and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GatewayErrors => "gateway-errors",
            Self::GatewayLatency => "gateway-latency",
            Self::Unmatched => "unmatched",
            Self::GatewayRefusals => "gateway-4xx",
            Self::UpstreamErrors => "upstream-errors",
        }
    }

    /// Whether it decides.
    pub const fn is_critical(self) -> bool {
        !matches!(self, Self::UpstreamErrors)
    }

    /// The ratio that nobody minds. Refusals depend on who asks, so a canary may have up to twice as many.
    pub const fn harmless(self, usual: f64) -> f64 {
        match self {
            Self::GatewayRefusals if usual < 2.0 => 2.0,
            _ => usual,
        }
    }

    /// What could fail and what did. `slow` is the bucket above which a request is slow; without it, nothing is.
    pub fn counts(self, delta: &Delta, slow: Option<u8>) -> Counts {
        match self {
            Self::GatewayErrors => Counts::new(delta.errors, delta.requests),
            Self::GatewayRefusals => Counts::new(delta.refusals, delta.requests),
            Self::UpstreamErrors => Counts::new(delta.upstream, delta.requests),
            Self::Unmatched => unmatched(delta),
            Self::GatewayLatency => slow.map_or_else(Counts::default, |slow| {
                Counts::new(delta.latency.above(slow), delta.latency.total())
            }),
        }
    }
}

/// Without the plugin no request is counted as matched, and all would seem lost.
const fn unmatched(delta: &Delta) -> Counts {
    if !delta.detailed {
        return Counts::new(0, 0);
    }
    let foreign = delta.nginx.saturating_sub(delta.own);
    Counts::new(foreign.saturating_sub(delta.requests), foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_above_the_first_bound_that_99_of_100_keep() {
        let mut histogram = Histogram::default();
        for (cell, number) in histogram.0.iter_mut().zip([600, 300, 89, 2, 8, 1]) {
            *cell = number;
        }
        assert_eq!(histogram.total(), 1000);
        // 11 of 1,000 take more than 5 ms, 9 more than 7 ms.
        assert_eq!(histogram.slow(), Some(3));
        assert_eq!(histogram.above(3), 9);
        assert_eq!(Histogram::default().slow(), None);
    }

    #[test]
    fn endless_requests_have_no_bound() {
        let mut histogram = Histogram::default();
        *histogram.0.last_mut().unwrap() = 500;
        assert_eq!(histogram.slow(), None);
    }

    #[test]
    fn what_no_route_matched_is_what_only_nginx_saw() {
        let delta = Delta { detailed: true, nginx: 120, own: 20, requests: 90, ..Delta::default() };
        assert_eq!(Metric::Unmatched.counts(&delta, None), Counts::new(10, 100));
        let basic = Delta { detailed: false, ..delta };
        assert_eq!(Metric::Unmatched.counts(&basic, None), Counts::default());
    }

    #[test]
    fn counts_that_were_read_at_different_moments_do_not_wrap() {
        let delta =
            Delta { detailed: true, nginx: 90, own: 5, requests: 100, errors: 200, ..Delta::default() };
        assert_eq!(Metric::Unmatched.counts(&delta, None), Counts::new(0, 85));
        assert_eq!(Metric::GatewayErrors.counts(&delta, None), Counts::new(100, 100));
    }
}
