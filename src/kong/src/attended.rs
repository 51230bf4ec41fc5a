//! Which of the requests that a Kong pod saw were no traffic.
//!
//! In: what its nginx and its routes counted, who asks it and how often. Out: counters of which the judge can tell what no
//! route matched. Never: less than was sent for sure.
//!
//! What a pod is sent is not told apart by Kong: nginx counts requests of all its listeners together. Known are:
//! - what the operator sends: it counts that itself;
//! - probes of the kubelet: one in each period that the pod's specification says;
//! - Kong Ingress Controller: one look at `/status` every 10 s, and every 3 s another one or a push
//!   (3.5.13 with its defaults; a replica that does not lead only has the first);
//! - requests that are not answered yet: nginx counts them when they begin, routes when they end, and an open WebSocket
//!   may stay for hours. Kong's figures say how many there are;
//! - requests that were answered, and that no figure shows yet: each worker of Kong keeps its counts for a second.
//!
//! None of it is exact to the moment. So what no route matched is held as a sum that never falls: what came a moment too
//! early for a window is not taken for lost traffic in the next. Nor is what came too late, or was never sent, held against
//! traffic that is lost long afterwards.

use std::time::Duration;

use rollout::judge::{Counters, count, real};

use crate::figures::Figures;

/// How often Kong Ingress Controller looks whether a pod is ready.
pub const CONTROLLER_CHECK: Duration = Duration::from_secs(10);

/// How often Kong Ingress Controller that leads pushes, or looks whether there is a configuration.
pub const CONTROLLER_SYNC: Duration = Duration::from_secs(3);

/// How long a worker of Kong keeps what it counted before figures show it, in seconds: one (Kong 3.9, `prometheus.lua`), and
/// its timers are late under load.
const SHOWN_AFTER: f64 = 1.25;

/// What was sent to one pod that is no traffic.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Who asks again and again: for each, the time between two requests.
    pub periods: Vec<Duration>,
    /// The time for which they have done so, from any moment on that stays the same.
    pub elapsed: Duration,
    /// Other requests since then: those of the operator. Of those to the proxy, only what no route matched.
    pub asked: u64,
}

impl Sent {
    /// How many those are, and by how many that may be wrong at any moment.
    fn count(&self) -> (u64, u64) {
        let rounds = |period: &Duration| self.elapsed.as_nanos().checked_div(period.as_nanos()).unwrap_or(0);
        let sum = self.periods.iter().map(rounds).fold(u128::from(self.asked), u128::saturating_add);
        (u64::try_from(sum).unwrap_or(u64::MAX), self.periods.len() as u64)
    }
}

/// What is remembered of one pod.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ledger {
    nginx: u64,
    requests: u64,
    elapsed: Duration,
    /// What is unexplained while nothing is lost.
    base: Option<i128>,
    /// What no route matched since then.
    unmatched: u64,
    /// Whether Kong was seen to count requests; it does not stop to while it runs.
    detailed: bool,
}

impl Ledger {
    /// What the judge is to be told after a reading. `counts_all` says whether Kong counts all that a route matches, where
    /// its configuration is known; otherwise it does as soon as it has counted one.
    pub fn settle(&mut self, figures: &Figures, sent: &Sent, counts_all: Option<bool>) -> Counters {
        if figures.nginx < self.nginx {
            // Kong began anew, and so does everything here; the judge takes all that it counted for what it grew by.
            *self = Self::default();
        }
        self.nginx = figures.nginx;
        self.detailed |= figures.requests.is_some();
        let detailed = counts_all.unwrap_or(self.detailed);
        let (count, unsure) = sent.count();
        if !detailed {
            return figures.counters(count.min(figures.nginx), false);
        }
        let unshown = self.unshown(figures, sent.elapsed);
        let left = i128::from(figures.nginx) - i128::from(self.requests);
        let unexplained = left - i128::from(figures.busy) - i128::from(count) - i128::from(unshown);
        self.note(unexplained, i128::from(unsure), i128::from(unshown));
        let own = u64::try_from(left).unwrap_or(0).saturating_sub(self.unmatched);
        figures.counters(own, true)
    }

    /// How many requests routes may have counted that no figure shows yet, by how many they counted since the last time.
    fn unshown(&mut self, figures: &Figures, elapsed: Duration) -> u64 {
        let requests = figures.requests.unwrap_or(0);
        let (more, time) = (requests.saturating_sub(self.requests), elapsed.saturating_sub(self.elapsed));
        (self.requests, self.elapsed) = (requests, elapsed);
        if time.is_zero() || self.base.is_none() {
            return 0;
        }
        count((real(more) / time.as_secs_f64() * SHOWN_AFTER).ceil())
    }

    fn note(&mut self, unexplained: i128, unsure: i128, unshown: i128) {
        let base = *self.base.get_or_insert(unexplained + unsure);
        self.unmatched = self.unmatched.max(u64::try_from(unexplained - base).unwrap_or(0));
        // More than what varies cannot be missing for long: less was sent than was believed.
        let lowest = unexplained - i128::from(self.unmatched) + 2 * (unsure + unshown);
        self.base = Some(base.min(lowest));
    }
}

#[cfg(test)]
mod tests {
    use rollout::judge::{Arm, Counts, Meter, Metric, Sample};

    use super::*;

    const WINDOW: Duration = Duration::from_secs(15);

    /// A pod whose probes come at their own moments.
    struct Pod {
        ledger: Ledger,
        meter: Meter,
        time: Duration,
        figures: Figures,
        asked: u64,
    }

    impl Pod {
        fn new() -> Self {
            let figures = Figures { nginx: 1050, requests: Some(1000), ..Figures::default() };
            let (ledger, meter) = (Ledger::default(), Meter::default());
            Self { ledger, meter, time: Duration::ZERO, figures, asked: 0 }
        }

        /// What the judge hears after a window in which so many probes and requests came.
        fn window(&mut self, probes: u64, matched: u64, lost: u64, busy: u64) -> Option<Counts> {
            let before = std::mem::replace(&mut self.figures.busy, busy);
            self.figures.nginx += probes + matched + lost;
            self.figures.requests = self.figures.requests.map(|sum| sum + matched + before - busy);
            self.time += WINDOW;
            let sent = Sent {
                periods: vec![Duration::from_secs(10), CONTROLLER_CHECK],
                elapsed: self.time,
                asked: self.asked,
            };
            let counters = self.ledger.settle(&self.figures, &sent, None);
            let age = Duration::from_mins(5);
            let sample = Sample { pod: "a".to_owned(), arm: Arm::Canary, age, counters };
            let window = self.meter.read(WINDOW, vec![sample])?;
            window.pods.first().map(|pod| Metric::Unmatched.counts(&pod.delta, None))
        }
    }

    #[test]
    fn probes_that_come_early_or_late_are_not_lost_traffic() {
        let mut pod = Pod::new();
        pod.window(3, 0, 0, 0);
        for round in 0..100 {
            let probes = [2, 4, 3, 3, 1, 5][round % 6];
            assert_eq!(pod.window(probes, 20, 0, 0), Some(Counts::new(0, 20)), "{round}");
        }
    }

    #[test]
    fn requests_that_are_not_over_are_not_lost() {
        let mut pod = Pod::new();
        pod.window(3, 0, 0, 0);
        for open in [10, 500, 500, 7, 0, 90] {
            let found = pod.window(3, 600, 0, open).unwrap();
            assert_eq!(found.failed, 0, "{open}");
        }
    }

    #[test]
    fn what_no_route_matched_is_found_once() {
        let mut pod = Pod::new();
        pod.window(3, 0, 0, 0);
        assert_eq!(pod.window(3, 100, 0, 0), Some(Counts::new(0, 100)));
        // Two periods may be off by one each, and the figures show a second's requests late.
        let found = pod.window(3, 100, 40, 0).unwrap().failed;
        assert!((28..=40).contains(&found), "{found}");
        assert_eq!(pod.window(3, 100, 0, 0), Some(Counts::new(0, 100)));
        let found = pod.window(3, 0, 100, 0).unwrap();
        assert!(found.failed == found.of && found.of >= 100, "{found:?}");
    }

    #[test]
    fn counts_that_are_shown_late_are_not_lost() {
        let mut pod = Pod::new();
        pod.window(3, 0, 0, 0);
        // 300 a second, of which up to a second's are not shown yet.
        for late in [300, 10, 290, 0, 300, 150] {
            pod.figures.requests = pod.figures.requests.map(|sum| sum - late);
            assert_eq!(pod.window(3, 4500, 0, 0).map(|found| found.failed), Some(0), "{late}");
            pod.figures.requests = pod.figures.requests.map(|sum| sum + late);
        }
    }

    #[test]
    fn probes_that_were_believed_and_not_sent_hide_little() {
        let mut pod = Pod::new();
        for _ in 0..1000 {
            pod.window(0, 15, 0, 0);
        }
        let found = pod.window(0, 0, 40, 0).unwrap().failed;
        assert!((30..=40).contains(&found), "{found}");
    }

    #[test]
    fn what_the_operator_asked_is_its_own() {
        let mut pod = Pod::new();
        pod.window(3, 0, 0, 0);
        pod.asked = 200;
        assert_eq!(pod.window(3 + 200, 10, 0, 0), Some(Counts::new(0, 10)));
    }

    #[test]
    fn a_kong_that_begins_anew_has_lost_nothing_yet() {
        let mut pod = Pod::new();
        pod.window(3, 0, 0, 0);
        pod.window(3, 100, 40, 0);
        pod.figures = Figures { nginx: 0, requests: Some(0), ..Figures::default() };
        assert_eq!(pod.window(9, 5, 0, 0), Some(Counts::new(0, 5)));
        let found = pod.window(3, 5, 30, 0).unwrap().failed;
        assert!((25..=30).contains(&found), "{found}");
    }

    #[test]
    fn who_counts_is_told_by_the_configuration_before_any_request_is() {
        let figures = Figures { nginx: 70, ..Figures::default() };
        let settle = |figures: &Figures, known| Ledger::default().settle(figures, &Sent::default(), known);
        assert!(!settle(&figures, None).detailed);
        assert!(settle(&figures, Some(true)).detailed);
        let seen = Figures { requests: Some(1), ..figures.clone() };
        assert!(settle(&seen, None).detailed);
        assert!(!settle(&seen, Some(false)).detailed, "a plugin of one route counts that one");
        let mut ledger = Ledger::default();
        ledger.settle(&seen, &Sent::default(), None);
        assert!(ledger.settle(&Figures { nginx: 71, ..figures }, &Sent::default(), None).detailed);
    }
}
