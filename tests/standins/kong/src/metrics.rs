//! Counts of traffic, and the text of `/metrics`.
//! In: samples of requests. Out: numbers by label. Never decides what is counted; the plugin's settings do.

pub mod text;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::config::service::Counting;

/// Upper bounds of request and upstream latencies, in milliseconds.
pub const LATENCY: [u64; 13] = [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10_000, 30_000, 60_000];
/// Upper bounds of what Kong itself adds, in milliseconds.
pub const OWN: [u64; 17] = [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000];

/// One request, as it is counted.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of the service.
    pub service: String,
    /// Name of the route.
    pub route: String,
    /// Status sent, 499 where the client went away.
    pub code: u16,
    /// Whether the upstream answered, rather than Kong.
    pub from_service: bool,
    /// What is to be counted.
    pub counting: Counting,
    /// The whole request, in milliseconds.
    pub total: u64,
    /// The upstream's share, where it was asked.
    pub upstream: Option<u64>,
    /// Kong's own share.
    pub own: u64,
    /// Bytes received.
    pub ingress: u64,
    /// Bytes sent.
    pub egress: u64,
}

/// A histogram: counts by bucket, not yet summed up.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Observations by bucket; the last is above all bounds.
    pub buckets: Vec<u64>,
    /// Sum of all observations.
    pub sum: u64,
}

impl Histogram {
    fn observe(&mut self, bounds: &[u64], value: u64) {
        self.buckets.resize(bounds.len() + 1, 0);
        let at = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.sum += value;
    }
}

type Pair = (String, String);

/// Everything counted so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Requests by service, route, code and source.
    pub requests: BTreeMap<(String, String, u16, &'static str), u64>,
    /// Whole requests.
    pub total: BTreeMap<Pair, Histogram>,
    /// Upstream's share.
    pub upstream: BTreeMap<Pair, Histogram>,
    /// Kong's share.
    pub own: BTreeMap<Pair, Histogram>,
    /// Bytes by service, route and direction.
    pub bytes: BTreeMap<(String, String, &'static str), u64>,
}

/// The registry of one node.
#[derive(Debug, Default)]
pub struct Registry {
    counts: Mutex<Counts>,
}

impl Registry {
    /// Counts a request.
    pub fn count(&self, sample: &Sample) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (service, route) = (sample.service.clone(), sample.route.clone());
        if sample.counting.codes {
            let source = if sample.from_service { "service" } else { "kong" };
            *counts.requests.entry((service.clone(), route.clone(), sample.code, source)).or_default() += 1;
        }
        if sample.counting.latency {
            let pair = (service.clone(), route.clone());
            counts.total.entry(pair.clone()).or_default().observe(&LATENCY, sample.total);
            if let Some(upstream) = sample.upstream {
                counts.upstream.entry(pair.clone()).or_default().observe(&LATENCY, upstream);
            }
            counts.own.entry(pair).or_default().observe(&OWN, sample.own);
        }
        if sample.counting.bandwidth {
            *counts.bytes.entry((service.clone(), route.clone(), "ingress")).or_default() += sample.ingress;
            *counts.bytes.entry((service, route, "egress")).or_default() += sample.egress;
        }
    }

    /// A copy of the counts.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
