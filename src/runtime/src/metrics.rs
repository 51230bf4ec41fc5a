//! The operator's own metrics, all with the prefix `silverback_`, in base units and with finite labels.
//!
//! Cloning shares the counters. What each metric means is its help text; the page docs/reference/metrics.md
//! repeats them.

mod certificates;
mod live;
mod reviews;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::client::Call;
use crate::process::Usage;
use crate::queue::Standing;
pub use certificates::Certificates;
use live::Live;
pub use reviews::Reviews;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Run {
    kind: String,
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: String,
    verb: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    verb: &'static str,
    group: String,
    resource: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    verb: &'static str,
    group: String,
    resource: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// Buckets from one millisecond to ten seconds: a reconcile that reads from stores takes less than one.
const DURATIONS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];
/// Buckets for waiting in a queue: next to nothing, or what a full queue makes of it.
const WAITS: [f64; 8] = [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];

/// The process's registry and the handles to what is counted in it.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    reconciles: Family<Run, Counter>,
    durations: Family<Kind, Histogram>,
    writes: Family<Write, Counter>,
    watches: Family<Kind, Counter>,
    waits: Family<Kind, Histogram>,
    answers: Family<Answer, Counter>,
    answer_times: Family<Request, Histogram>,
    holds: Counter,
    certificates: Certificates,
    reviews: Reviews,
    live: Live,
}

impl Metrics {
    /// A registry that knows the operator's version.
    pub fn new(version: &'static str) -> Self {
        let metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            writes: Family::default(),
            watches: Family::default(),
            waits: Family::new_with_constructor(|| Histogram::new(WAITS)),
            answers: Family::default(),
            answer_times: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            holds: Counter::default(),
            certificates: Certificates::default(),
            reviews: Reviews::default(),
            live: Live::default(),
        };
        metrics.register(version);
        metrics
    }

    fn register(&self, version: &'static str) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(Usage));
        let own = registry.sub_registry_with_prefix("silverback");
        own.register_collector(Box::new(self.live.clone()));
        let build = Family::<Build, ConstGauge<i64>>::new_with_constructor(|| ConstGauge::new(1));
        drop(build.get_or_create(&Build { version }));
        own.register("build_info", "Always 1; the label says which version runs", build);
        let reconciles = "Reconciles by kind and result: settled, waiting, or the reason of the failure";
        own.register("reconciles", reconciles, self.reconciles.clone());
        let durations = "How long reconciles took, writes included";
        own.register("reconcile_duration_seconds", durations, self.durations.clone());
        let waits = "How long objects waited for their reconcile";
        own.register("queue_wait_seconds", waits, self.waits.clone());
        let writes = "Writes sent to the API server by kind, verb and result";
        own.register("writes", writes, self.writes.clone());
        let watches = "Watches that broke and were started again";
        own.register("watch_errors", watches, self.watches.clone());
        let answers = "Requests to the API server by verb, resource and status code";
        own.register("api_requests", answers, self.answers.clone());
        let times = "How long the API server took to answer; of a watch, to begin";
        own.register("api_request_duration_seconds", times, self.answer_times.clone());
        let holds = "Answers of the API server that asked to wait before the next request";
        own.register("api_holds", holds, self.holds.clone());
        self.certificates.register(own);
        self.reviews.register(own);
    }

    /// Counts a reconcile of `kind` that ended with `result`.
    pub fn reconciled(&self, kind: &str, result: &str, took: Duration) {
        self.reconciles.get_or_create(&Run { kind: kind.to_owned(), result: result.to_owned() }).inc();
        self.durations.get_or_create(&Kind { kind: kind.to_owned() }).observe(took.as_secs_f64());
    }

    /// Counts a write.
    pub fn wrote(&self, kind: &str, verb: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.writes.get_or_create(&Write { kind: kind.to_owned(), verb, result }).inc();
    }

    /// Counts a broken watch.
    pub fn watch_broken(&self, kind: &str) {
        self.watches.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// Notes how long an object of `kind` waited for its reconcile.
    pub fn waited(&self, kind: &str, wait: Duration) {
        self.waits.get_or_create(&Kind { kind: kind.to_owned() }).observe(wait.as_secs_f64());
    }

    /// Counts a request to the API server; `code` is the status, or `error` where there was no answer.
    pub fn requested(&self, call: &Call, code: String, took: Duration) {
        let Call { verb, group, resource } = call.clone();
        let request = Request { verb, group: group.clone(), resource: resource.clone() };
        self.answer_times.get_or_create(&request).observe(took.as_secs_f64());
        self.answers.get_or_create(&Answer { verb, group, resource, code }).inc();
    }

    /// Counts an answer that asked to wait.
    pub fn held(&self) {
        self.holds.inc();
    }

    /// What is counted of certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// What is counted of admission reviews.
    pub fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    /// Shows the queue of a kind; `ask` is called at each scrape and must not block.
    pub fn queue(&self, kind: &str, ask: impl Fn() -> Standing + Send + Sync + 'static) {
        self.live.queue(kind.to_owned(), ask);
    }

    /// Shows the number of objects in the watch store of a kind; `ask` is called at each scrape and must not block.
    pub fn store(&self, kind: &str, ask: impl Fn() -> usize + Send + Sync + 'static) {
        self.live.store(kind.to_owned(), ask);
    }

    /// Shows whether this process leads; `ask` is called at each scrape and must not block.
    pub fn leader(&self, ask: impl Fn() -> bool + Send + Sync + 'static) {
        self.live.leader(ask);
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = encode(&mut text, &registry) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Metrics of which each has a value.
    fn all() -> Metrics {
        let metrics = Metrics::new("1.2.3");
        metrics.wrote("Deployment", "apply", true);
        metrics.wrote("Deployment", "apply", true);
        metrics.reconciled("DataPlane", "settled", Duration::from_millis(2));
        metrics.watch_broken("DataPlane");
        metrics.waited("DataPlane", Duration::from_millis(2));
        let call = Call { verb: "patch", group: "apps".into(), resource: "deployments/status".into() };
        metrics.requested(&call, "200".into(), Duration::from_millis(2));
        metrics.held();
        metrics.queue("DataPlane", || Standing {
            waiting: 3,
            oldest: Duration::from_millis(1500),
            running: 2,
        });
        metrics.store("Pod", || 7);
        metrics.leader(|| true);
        metrics.certificates().ends("webhook", std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(7));
        metrics.certificates().rotated("webhook", "leaf");
        metrics.certificates().synced("mutating", true);
        metrics.reviews().answered(("DataPlane", "validate"), "allowed", Duration::from_millis(1));
        metrics
    }

    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../../docs/reference/metrics.md");
        let text = all().text();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut documented = 0;
        for (name, kind) in types.filter_map(|line| line.split_once(' ')) {
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name}, a {kind}, is not on the page");
            documented += 1;
        }
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, documented, "the page has metrics that do not exist");
    }

    #[test]
    fn what_is_counted_is_shown() {
        let text = all().text();
        for line in [
            r#"silverback_writes_total{kind="Deployment",verb="apply",result="ok"} 2"#,
            r#"silverback_reconciles_total{kind="DataPlane",result="settled"} 1"#,
            r#"silverback_build_info{version="1.2.3"} 1"#,
            r#"silverback_api_requests_total{verb="patch",group="apps",resource="deployments/status",code="200"} 1"#,
            r#"silverback_queue_wait_seconds_count{kind="DataPlane"} 1"#,
            r#"silverback_queue_depth{kind="DataPlane"} 3.0"#,
            r#"silverback_queue_oldest_seconds{kind="DataPlane"} 1.5"#,
            r#"silverback_reconciles_in_progress{kind="DataPlane"} 2.0"#,
            r#"silverback_store_objects{kind="Pod"} 7.0"#,
            "silverback_leader 1",
            "silverback_api_holds_total 1",
            r#"silverback_certificate_expiry_timestamp_seconds{use="webhook"} 7.0"#,
            r#"silverback_certificate_rotations_total{use="webhook",result="leaf"} 1"#,
            r#"silverback_admission_reviews_total{kind="DataPlane",act="validate",result="allowed"} 1"#,
            r#"silverback_ca_bundle_syncs_total{configuration="mutating",result="ok"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }
}
