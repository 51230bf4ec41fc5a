//! Metrics that are looked up when they are asked for: queues, stores, the lease.
//!
//! In: functions that say how something stands. Out: gauges. Never: a function that blocks or reads from the
//! network; a scrape calls all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Kind;
use crate::queue::Standing;

type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

#[derive(Default)]
struct Asked {
    queues: BTreeMap<String, Ask<Standing>>,
    stores: BTreeMap<String, Ask<usize>>,
    leader: Option<Ask<bool>>,
}

/// The functions; cloning shares them.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<Asked>>);

impl Live {
    pub fn queue(&self, kind: String, ask: impl Fn() -> Standing + Send + Sync + 'static) {
        self.with(|asked| asked.queues.insert(kind, Box::new(ask)));
    }

    pub fn store(&self, kind: String, ask: impl Fn() -> usize + Send + Sync + 'static) {
        self.with(|asked| asked.stores.insert(kind, Box::new(ask)));
    }

    pub fn leader(&self, ask: impl Fn() -> bool + Send + Sync + 'static) {
        self.with(|asked| asked.leader = Some(Box::new(ask)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Asked) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Live").finish_non_exhaustive()
    }
}

/// One gauge of a queue: its name, its help text, its value.
type OfQueue = (&'static str, &'static str, fn(&Standing) -> f64);

const OF_QUEUES: [OfQueue; 3] = [
    ("queue_depth", "Objects that wait for their reconcile", |queue| count(queue.waiting)),
    ("queue_oldest_seconds", "How long the object that waits longest has waited", |queue| {
        queue.oldest.as_secs_f64()
    }),
    ("reconciles_in_progress", "Reconciles under way", |queue| count(queue.running)),
];

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queues: Vec<_> = asked.queues.iter().map(|(kind, ask)| (kind, ask())).collect();
        for (name, help, value) in OF_QUEUES {
            let values = queues.iter().map(|(kind, queue)| (*kind, value(queue)));
            by_kind(&mut encoder, name, help, values)?;
        }
        let stores = asked.stores.iter().map(|(kind, ask)| (kind, count(ask())));
        by_kind(&mut encoder, "store_objects", "Objects in a watch store", stores)?;
        if let Some(leads) = &asked.leader {
            let help = "1 while this process holds the lease and reconciles, else 0";
            let metric = encoder.encode_descriptor("leader", help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::from(leads())).encode(metric)?;
        }
        Ok(())
    }
}

fn by_kind<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a String, f64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (kind, value) in values {
        let labels = Kind { kind: kind.clone() };
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Gauges are floating-point numbers in the format; counts of objects fit.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
