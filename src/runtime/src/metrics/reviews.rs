//! What is counted of admission reviews.
//!
//! In: what became of each. Out: metrics. Never: a label that a caller chooses.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Review {
    kind: &'static str,
    act: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    kind: &'static str,
    act: &'static str,
}

/// Buckets around what a review of some kilobytes takes, up to the patience of the API server.
const DURATIONS: [f64; 10] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0, 5.0];

/// The handles; cloning shares them.
#[derive(Debug, Clone)]
pub struct Reviews {
    answers: Family<Review, Counter>,
    times: Family<Timed, Histogram>,
}

impl Default for Reviews {
    fn default() -> Self {
        Self { answers: Family::default(), times: Family::new_with_constructor(|| Histogram::new(DURATIONS)) }
    }
}

impl Reviews {
    pub(super) fn register(&self, own: &mut Registry) {
        let answers = "Admission reviews by kind, act and result";
        own.register("admission_reviews", answers, self.answers.clone());
        let times = "How long admission reviews took, from the first byte of the body to the answer";
        own.register("admission_review_duration_seconds", times, self.times.clone());
    }

    /// Counts a review of `kind` that ended with `result`.
    pub fn answered(&self, (kind, act): (&'static str, &'static str), result: &'static str, took: Duration) {
        self.answers.get_or_create(&Review { kind, act, result }).inc();
        self.times.get_or_create(&Timed { kind, act }).observe(took.as_secs_f64());
    }
}
