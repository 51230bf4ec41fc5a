//! What is counted of certificates.
//!
//! In: what became of each. Out: their metrics. Never: a label that is not of a finite set.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Names and values of labels.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Certificates of this process; cloning shares the counters.
#[derive(Clone, Default)]
pub struct Certificates {
    expiry: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    rotations: Family<Labels<2>, Counter>,
    syncs: Family<Labels<2>, Counter>,
}

impl Certificates {
    pub(super) fn register(&self, registry: &mut Registry) {
        let expiry = "When a certificate in use ends, in seconds since 1970";
        registry.register("certificate_expiry_timestamp_seconds", expiry, self.expiry.clone());
        let rotations = "Certificates that took the place of others, or were refused";
        registry.register("certificate_rotations", rotations, self.rotations.clone());
        let syncs = "Writes of webhook configurations, with the authorities that clients are to trust";
        registry.register("ca_bundle_syncs", syncs, self.syncs.clone());
    }

    /// Notes when the certificate that is used so ends.
    pub fn ends(&self, used: &'static str, at: SystemTime) {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.expiry.get_or_create(&[("use", used)]).set(since.as_secs_f64());
    }

    /// Counts what became of a certificate that is used so.
    pub fn rotated(&self, used: &'static str, result: &'static str) {
        self.rotations.get_or_create(&[("use", used), ("result", result)]).inc();
    }

    /// Counts a write of a webhook configuration.
    pub fn synced(&self, configuration: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.syncs.get_or_create(&[("configuration", configuration), ("result", result)]).inc();
    }
}
