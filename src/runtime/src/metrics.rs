//! The operator's own metrics, all with the prefix `silverback_`, in base units and with finite labels.
//!
//! Cloning shares the counters. What each metric means is its help text; the page docs/reference/metrics.md
//! repeats them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::process::Usage;

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
struct Build {
    version: &'static str,
}

/// Buckets from one millisecond to ten seconds: a reconcile that reads from stores takes less than one.
const DURATIONS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The process's registry and the handles to what is counted in it.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    reconciles: Family<Run, Counter>,
    durations: Family<Kind, Histogram>,
    writes: Family<Write, Counter>,
    watches: Family<Kind, Counter>,
}

impl Metrics {
    /// A registry that knows the operator's version.
    pub fn new(version: &'static str) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Usage));
        let own = registry.sub_registry_with_prefix("silverback");
        let reconciles = Family::<Run, Counter>::default();
        let durations = Family::<Kind, Histogram>::new_with_constructor(|| Histogram::new(DURATIONS));
        let writes = Family::<Write, Counter>::default();
        let watches = Family::<Kind, Counter>::default();
        let build = Family::<Build, ConstGauge<i64>>::new_with_constructor(|| ConstGauge::new(1));
        drop(build.get_or_create(&Build { version }));
        own.register("build_info", "Always 1; the label says which version runs", build);
        own.register(
            "reconciles",
            "Reconciles by kind and result: settled, waiting, or the reason of the failure",
            reconciles.clone(),
        );
        own.register(
            "reconcile_duration_seconds",
            "How long reconciles took, writes included",
            durations.clone(),
        );
        own.register("writes", "Writes sent to the API server by kind, verb and result", writes.clone());
        own.register("watch_errors", "Watches that broke and were started again", watches.clone());
        Self { registry: Arc::new(Mutex::new(registry)), reconciles, durations, writes, watches }
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

    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../../docs/reference/metrics.md");
        let metrics = Metrics::new("x");
        metrics.wrote("a", "apply", true);
        metrics.reconciled("a", "settled", Duration::ZERO);
        metrics.watch_broken("a");
        for line in metrics.text().lines().filter(|line| line.starts_with("# TYPE ")) {
            let mut words = line.split(' ').skip(2);
            let (name, kind) = (words.next().unwrap(), words.next().unwrap());
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name}, a {kind}, is not on the page");
        }
    }

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new("1.2.3");
        metrics.wrote("Deployment", "apply", true);
        metrics.wrote("Deployment", "apply", true);
        metrics.reconciled("DataPlane", "settled", Duration::from_millis(2));
        let text = metrics.text();
        assert!(
            text.contains(r#"silverback_writes_total{kind="Deployment",verb="apply",result="ok"} 2"#),
            "{text}"
        );
        assert!(
            text.contains(r#"silverback_reconciles_total{kind="DataPlane",result="settled"} 1"#),
            "{text}"
        );
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(text.contains(r#"silverback_build_info{version="1.2.3"} 1"#), "{text}");
    }
}
