//! From counters that only grow to what happened in a window.
//!
//! In: what each pod's counters say now. Out: what they grew by since they were last read. Never: a difference across a
//! restart, or of a pod that is seen for the first time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metric::Histogram;
use super::sequential::Pair;

/// Which side a pod is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// The new revision.
    Canary,
    /// The old one, or those of its pods that are compared.
    Control,
}

/// Counters of one pod since it started, or what they grew by: requests, by who answered and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// Whether Kong's prometheus plugin counts; without it only `nginx` and `own` mean anything.
    pub detailed: bool,
    /// Requests that a route matched.
    pub requests: u64,
    /// Those that Kong itself answered with 5xx.
    pub errors: u64,
    /// Those that Kong itself refused: 401, 403, 413, 426, 429.
    pub refusals: u64,
    /// Those that an upstream answered with 5xx.
    pub upstream: u64,
    /// Requests that nginx saw, whatever for.
    pub nginx: u64,
    /// Those of them that the operator, the kubelet and the ingress controller sent.
    pub own: u64,
    /// The time that Kong added.
    pub latency: Histogram,
}

/// The same type; a counter read is what it grew by since the pod began.
pub type Counters = Delta;

impl Delta {
    /// What the counters grew by since `before`. Those that began anew did so from zero.
    fn since(&self, before: &Self) -> Self {
        if self.is_reset_of(before) {
            return *self;
        }
        let mut latency = self.latency;
        for (cell, old) in latency.0.iter_mut().zip(before.latency.0) {
            *cell = cell.saturating_sub(old);
        }
        Self {
            detailed: self.detailed && before.detailed,
            requests: self.requests - before.requests,
            errors: self.errors - before.errors,
            refusals: self.refusals - before.refusals,
            upstream: self.upstream - before.upstream,
            nginx: self.nginx - before.nginx,
            own: self.own.saturating_sub(before.own),
            latency,
        }
    }

    /// One counter that fell means that all of the pod's began anew.
    const fn is_reset_of(&self, before: &Self) -> bool {
        self.requests < before.requests
            || self.errors < before.errors
            || self.refusals < before.refusals
            || self.upstream < before.upstream
            || self.nginx < before.nginx
    }
}

/// One reading of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The pod's UID: names come again, UIDs do not.
    pub pod: String,
    /// The side it is on.
    pub arm: Arm,
    /// How long it has been ready.
    pub age: Duration,
    /// What it says.
    pub counters: Counters,
}

/// What one pod did in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodWindow {
    /// The pod's UID.
    pub pod: String,
    /// The side it is on.
    pub arm: Arm,
    /// What its counters grew by.
    pub delta: Delta,
}

/// What all pods did between two readings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// The time between the readings.
    pub span: Duration,
    /// The pods that were read at both, sorted by UID.
    pub pods: Vec<PodWindow>,
    /// Metrics of the user's own, by name.
    pub custom: BTreeMap<String, Pair>,
}

impl Window {
    /// The pods of one side.
    pub fn arm(&self, arm: Arm) -> impl Iterator<Item = &PodWindow> {
        self.pods.iter().filter(move |pod| pod.arm == arm)
    }
}

/// Time for which the latency of a fresh pod is not counted: connections and caches are cold in either revision.
const COLD: Duration = Duration::from_mins(1);

/// Remembers the last reading of each pod. It lives in memory: after a restart, the first reading opens a window, and
/// what was not read is not counted.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    last: BTreeMap<String, Counters>,
}

impl Meter {
    /// Takes a reading of all pods that could be read; those that could not are closed. The first one gives nothing.
    pub fn read(&mut self, span: Duration, samples: Vec<Sample>) -> Option<Window> {
        let before = std::mem::take(&mut self.last);
        let mut pods = Vec::new();
        for sample in samples {
            if let Some(last) = before.get(&sample.pod) {
                let mut delta = sample.counters.since(last);
                if sample.age < COLD {
                    delta.latency = Histogram::default();
                }
                pods.push(PodWindow { pod: sample.pod.clone(), arm: sample.arm, delta });
            }
            self.last.insert(sample.pod, sample.counters);
        }
        pods.sort_by(|left, right| left.pod.cmp(&right.pod));
        (!pods.is_empty()).then(|| Window { span, pods, custom: BTreeMap::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(15);

    fn sample(pod: &str, requests: u64) -> Sample {
        let counters = Counters { detailed: true, requests, nginx: requests, ..Counters::default() };
        Sample { pod: pod.to_owned(), arm: Arm::Canary, age: Duration::from_mins(5), counters }
    }

    fn requests(window: Option<Window>) -> Vec<(String, u64)> {
        let pods = window.map(|window| window.pods).unwrap_or_default();
        pods.into_iter().map(|pod| (pod.pod, pod.delta.requests)).collect()
    }

    #[test]
    fn pods_that_come_and_go_count_only_between_two_readings() {
        let mut meter = Meter::default();
        assert_eq!(meter.read(SPAN, vec![sample("a", 100)]), None);
        let second = meter.read(SPAN, vec![sample("b", 1000), sample("a", 130)]);
        assert_eq!(requests(second), [("a".to_owned(), 30)]);
        let third = meter.read(SPAN, vec![sample("b", 1007)]);
        assert_eq!(requests(third), [("b".to_owned(), 7)]);
        // "a" was closed, and is not continued from 130.
        let fourth = meter.read(SPAN, vec![sample("a", 170), sample("b", 1008)]);
        assert_eq!(requests(fourth), [("b".to_owned(), 1)]);
    }

    #[test]
    fn a_counter_that_falls_began_anew() {
        let mut meter = Meter::default();
        meter.read(SPAN, vec![sample("a", 100)]);
        assert_eq!(requests(meter.read(SPAN, vec![sample("a", 12)])), [("a".to_owned(), 12)]);
    }

    #[test]
    fn nothing_read_is_no_window() {
        let mut meter = Meter::default();
        meter.read(SPAN, vec![sample("a", 100)]);
        assert_eq!(meter.read(SPAN, Vec::new()), None);
    }

    #[test]
    fn cold_pods_are_not_timed_but_their_errors_count() {
        let mut meter = Meter::default();
        let at = |errors, age| {
            let mut sample = sample("a", 10 + errors);
            sample.counters.errors = errors;
            sample.counters.latency.0[3] = errors;
            Sample { age: Duration::from_secs(age), ..sample }
        };
        meter.read(SPAN, vec![at(0, 10)]);
        let delta = meter.read(SPAN, vec![at(5, 25)]).unwrap().pods[0].delta;
        assert_eq!((delta.errors, delta.latency.total()), (5, 0));
        let delta = meter.read(SPAN, vec![at(7, 61)]).unwrap().pods[0].delta;
        assert_eq!((delta.errors, delta.latency.total()), (2, 2));
    }
}
