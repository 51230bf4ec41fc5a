//! The figures that KIC gives of pushes and translations.
//! In: what happened. Out: Prometheus' text. Series of instances that are gone stay, as with the real one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::sync::push::Pushed;

/// Upper bounds of durations: thirty, each a third more than the one before.
const BUCKETS: i32 = 30;
const FIRST: f64 = 100.0;
const GROWTH: f64 = 1.33;

/// What all names begin with.
const PREFIX: &str = "ingress_controller_";

/// Figures.
pub struct Metrics {
    /// The label of this process, where the release has it.
    instance: Option<String>,
    series: Mutex<Series>,
}

#[derive(Default)]
struct Series {
    /// Counters and gauges by name and labels.
    numbers: BTreeMap<(String, String), f64>,
    /// Durations in milliseconds by name and labels: counts by bucket, their sum, their number.
    durations: BTreeMap<(String, String), (Vec<u64>, f64, u64)>,
}

/// Labels of one series.
type Labels<'a> = &'a [(&'a str, &'a str)];

impl Metrics {
    /// No figures yet.
    pub fn new(instance: Option<String>) -> Self {
        Self { instance, series: Mutex::default() }
    }

    /// A translation took so long and left out so many objects.
    pub fn translated(&self, took: Duration, broken: usize) {
        let good = if broken == 0 { "true" } else { "false" };
        self.add("translation_count", &[("success", good)]);
        self.time("translation_duration_milliseconds", &[("success", good)], took);
        self.set("translation_broken_resource_count", &[], count(broken));
    }

    /// A configuration of that length was pushed to an instance. What failed without a word about the configuration is
    /// not counted.
    pub fn pushed(&self, base: &str, pushed: &Pushed, length: usize, fallback: bool) {
        let family = if fallback { "fallback_" } else { "" };
        let name = |rest: &str| format!("{family}configuration_push_{rest}");
        let (good, took, broken) = match pushed {
            Pushed::Taken(took) => ("true", *took, 0),
            Pushed::Refused(broken, took, _) => ("false", *took, broken.len()),
            Pushed::Same | Pushed::Failed(_) => return,
        };
        let reason = if good == "true" { "" } else { "other" };
        let labels = [("dataplane", base), ("protocol", "db-less"), ("success", good)];
        let [dataplane, protocol, success] = labels;
        self.add(&name("count"), &[dataplane, ("failure_reason", reason), protocol, success]);
        self.time(&name("duration_milliseconds"), &labels, took);
        self.set(&name("size"), &labels, count(length));
        self.set(&name("broken_resource_count"), &[dataplane], count(broken));
        if good == "true" {
            let last = if fallback { name("last") } else { name("last_successful") };
            self.set(
                &last,
                &[dataplane],
                Timestamp::now().duration_since(Timestamp::UNIX_EPOCH).as_secs_f64(),
            );
        }
    }

    fn add(&self, name: &str, labels: Labels<'_>) {
        let key = self.key(name, labels);
        *self.lock().numbers.entry(key).or_default() += 1.0;
    }

    fn set(&self, name: &str, labels: Labels<'_>, value: f64) {
        let key = self.key(name, labels);
        self.lock().numbers.insert(key, value);
    }

    fn time(&self, name: &str, labels: Labels<'_>, took: Duration) {
        let (key, millis) = (self.key(name, labels), took.as_secs_f64() * 1000.0);
        let mut series = self.lock();
        let (counts, sum, number) = series.durations.entry(key).or_default();
        counts.resize(bounds().count(), 0);
        for (held, bound) in counts.iter_mut().zip(bounds()) {
            *held += u64::from(millis <= bound);
        }
        *sum += millis;
        *number += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, name: &str, labels: Labels<'_>) -> (String, String) {
        let own = self.instance.as_deref().map(|instance| ("instance_id", instance));
        let mut all: Vec<_> = labels.iter().copied().chain(own).collect();
        all.sort_unstable();
        let text: Vec<_> = all.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        (format!("{PREFIX}{name}"), text.join(","))
    }

    /// Everything, in Prometheus' text.
    pub fn text(&self, lease: Option<(&str, bool)>) -> String {
        let series = self.lock();
        let mut text = String::new();
        let mut last = "";
        for ((name, labels), value) in &series.numbers {
            if name != last {
                let kind = if name.ends_with("_push_count") || name.ends_with("translation_count") {
                    "counter"
                } else {
                    "gauge"
                };
                // Writing to a text cannot fail.
                let _ = writeln!(text, "# TYPE {name} {kind}");
                last = name;
            }
            let _ = writeln!(text, "{name}{} {value}", braced(labels));
        }
        for ((name, labels), (counts, sum, number)) in &series.durations {
            let _ = writeln!(text, "# TYPE {name} histogram");
            for (held, bound) in counts.iter().zip(bounds()) {
                let _ = writeln!(text, "{name}_bucket{} {held}", braced(&with(labels, &bound.to_string())));
            }
            let _ = writeln!(text, "{name}_bucket{} {number}", braced(&with(labels, "+Inf")));
            let _ = writeln!(text, "{name}_sum{0} {sum}\n{name}_count{0} {number}", braced(labels));
        }
        if let Some((name, leads)) = lease {
            let _ = writeln!(text, "# TYPE leader_election_master_status gauge");
            let _ = writeln!(text, "leader_election_master_status{{name=\"{name}\"}} {}", u8::from(leads));
        }
        text
    }
}

fn bounds() -> impl Iterator<Item = f64> {
    (0..BUCKETS).map(|power| FIRST * GROWTH.powi(power))
}

/// A count as Prometheus has it; what is too large for an exact number is not met here.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn with(labels: &str, bound: &str) -> String {
    let separator = if labels.is_empty() { "" } else { "," };
    format!("{labels}{separator}le=\"{bound}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_that_hung_is_not_counted() {
        let metrics = Metrics::new(Some("i".into()));
        metrics.pushed("https://a", &Pushed::Failed("hung".into()), 10, false);
        assert_eq!(metrics.text(None), "");
        metrics.pushed("https://a", &Pushed::Taken(Duration::from_millis(120)), 10, false);
        let text = metrics.text(Some(("l", true)));
        let line = "ingress_controller_configuration_push_count{dataplane=\"https://a\",failure_reason=\"\",\
                    instance_id=\"i\",protocol=\"db-less\",success=\"true\"} 1\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("le=\"100\"} 0\n") && text.contains("le=\"133\"} 1\n"), "{text}");
        assert!(text.ends_with("leader_election_master_status{name=\"l\"} 1\n"));
    }
}
