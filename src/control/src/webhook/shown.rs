//! What this replica shows, and what it asks clients to trust.
//!
//! In: pairs, good or bad. Out: a resolver with the last good one, its end as a metric, and the bundle for whoever
//! publishes it. Never: a good pair given up for a bad one.

use std::sync::Arc;
use std::time::SystemTime;

use certs::{Pair, Reason, Resolver};
use runtime::metrics::Metrics;
use tokio::sync::watch;

use super::tell::{About, Tell};

/// What the metrics call the certificate of the webhooks.
pub const USE: &str = "webhook";
/// What the metrics call its authority.
const AUTHORITY: &str = "webhook-authority";

/// A certificate that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// In PEM, with what follows it in its chain.
    pub chain: String,
    /// When it ends.
    pub ends: SystemTime,
    /// No earlier than this is it, however late the clock of this machine.
    pub since: SystemTime,
}

/// What is shown and published.
pub struct Shown {
    resolver: Arc<Resolver>,
    pair: Option<Pair>,
    since: SystemTime,
    leaf: watch::Sender<Option<Leaf>>,
    bundle: watch::Sender<Option<String>>,
    metrics: Metrics,
    tell: Tell,
}

impl Shown {
    pub fn new(metrics: Metrics, tell: Tell) -> (Self, Arc<Resolver>) {
        let resolver = Arc::new(Resolver::default());
        let (leaf, bundle) = (watch::Sender::default(), watch::Sender::default());
        (
            Self {
                resolver: Arc::clone(&resolver),
                pair: None,
                since: SystemTime::UNIX_EPOCH,
                leaf,
                bundle,
                metrics,
                tell,
            },
            resolver,
        )
    }

    pub fn leaf(&self) -> watch::Receiver<Option<Leaf>> {
        self.leaf.subscribe()
    }

    pub fn bundle(&self) -> watch::Receiver<Option<String>> {
        self.bundle.subscribe()
    }

    /// Whether anything is shown.
    pub fn is_shown(&self) -> bool {
        self.pair.is_some()
    }

    /// Notes that it is no earlier than that.
    pub fn time(&mut self, now: SystemTime) {
        self.since = self.since.max(now);
    }

    /// Shows a pair that ends then, from the next handshake on.
    pub fn load(&mut self, pair: &Pair, ends: SystemTime) {
        if self.pair.as_ref() == Some(pair) {
            return self.tell.well(About::Certificate, "the certificate of the webhooks is usable");
        }
        if let Err(error) = self.resolver.exchange(pair) {
            return self.refuse("Unreadable", &error.to_string());
        }
        self.pair = Some(pair.clone());
        self.metrics.certificates().ends(USE, ends);
        self.metrics.certificates().rotated(USE, "loaded");
        self.leaf.send_replace(Some(Leaf { chain: pair.certificate.clone(), ends, since: self.since }));
        tracing::info!("the webhooks show another certificate");
        self.tell.well(About::Certificate, "the certificate of the webhooks is usable");
    }

    /// Asks clients to trust these authorities from now on; the leaf is signed by `authority`, where it is known.
    pub fn publish(&self, bundle: Option<String>, authority: Option<&str>) {
        if let Some(ends) = authority.and_then(certs::ends) {
            self.metrics.certificates().ends(AUTHORITY, ends);
        }
        self.bundle.send_if_modified(|published| {
            let changed = *published != bundle;
            *published = bundle;
            changed
        });
    }

    /// A pair cannot be shown: the one before stays.
    pub fn refuse(&self, reason: &'static str, words: &str) {
        self.metrics.certificates().rotated(USE, "refused");
        let stays = if self.is_shown() { "the one before stays" } else { "there is none before it" };
        let words = format!("the certificate of the webhooks cannot be used: {words}; {stays}");
        self.tell.ill(About::Certificate, reason, &words);
    }
}

/// The word for an event.
pub const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Unreadable => "Unreadable",
        Reason::KeyMismatch => "KeyMismatch",
        Reason::OtherAuthority => "OtherAuthority",
        Reason::OtherNames => "OtherNames",
        Reason::OtherPurpose => "OtherPurpose",
        Reason::NotYetValid => "NotYetValid",
        Reason::Expiring => "Expiring",
        Reason::Expired => "Expired",
    }
}
