//! What all parts of a running node share.
//! In: configuration and counters. Out: the snapshot in force. Never opens a listener.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use md5::{Digest, Md5};
use rustls::sign::CertifiedKey;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::balancer::probe;
use crate::conf::Conf;
use crate::config::Snapshot;
use crate::config::load::{self, Entities};
use crate::log;
use crate::metrics::Registry;
use crate::proxy::pool::Pool;
use crate::store::Store;

/// How much longer the old routes answer after a 201, for each service of the new configuration: what was observed
/// is 217 ms for 1,000 services and 856 ms for 3,000.
const REBUILD_PER_SERVICE: Duration = Duration::from_micros(250);

/// Counters of connections, as `/status` shows them.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections ever accepted.
    pub accepted: AtomicU64,
    /// Connections open now.
    pub active: AtomicI64,
    /// Requests being answered now.
    pub writing: AtomicI64,
    /// Requests ever received.
    pub requests: AtomicU64,
}

/// A running node.
pub struct Node {
    /// Settings.
    pub conf: Conf,
    /// Id of the node.
    pub id: String,
    /// The prefix.
    pub store: Store,
    /// The configuration that was accepted last.
    pub config: watch::Sender<Arc<Snapshot>>,
    /// The configuration that requests are routed by; it follows the accepted one.
    pub routing: watch::Sender<Arc<Snapshot>>,
    /// After `kong drain`.
    pub draining: AtomicBool,
    /// Counters.
    pub stats: Stats,
    /// Metrics of traffic.
    pub metrics: Registry,
    /// Idle connections to upstreams.
    pub pool: Pool,
    /// Everything that a graceful end waits for.
    pub tasks: TaskTracker,
    /// Set when no new connection is taken.
    pub stop: CancellationToken,
    /// Set when connections are cut.
    pub cut: CancellationToken,
    /// The certificate for localhost.
    pub localhost: Arc<CertifiedKey>,
    generation: AtomicU64,
    routed: AtomicU64,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Node {
    /// A node without a configuration.
    pub fn new(conf: Conf, localhost: Arc<CertifiedKey>) -> Arc<Self> {
        let store = Store::new(&conf.prefix);
        let empty = Arc::new(Snapshot::empty());
        Arc::new(Self {
            id: store.node_id(),
            store,
            config: watch::Sender::new(empty.clone()),
            routing: watch::Sender::new(empty),
            draining: AtomicBool::new(false),
            stats: Stats::default(),
            metrics: Registry::default(),
            pool: Pool::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            localhost,
            generation: AtomicU64::new(0),
            routed: AtomicU64::new(0),
            conf,
        })
    }

    /// Judges a configuration.
    ///
    /// # Errors
    /// The table `fields` of Kong's answer.
    pub fn judge(&self, input: &Value) -> Result<Entities, Value> {
        let now = jiff::Timestamp::now().as_second();
        load::load(input, &self.conf.plugins, u64::try_from(now).unwrap_or(0))
    }

    /// Puts a configuration in force at once, as at start.
    pub fn start_with(&self, entities: Entities, hash: String) {
        let snapshot = Arc::new(Snapshot::new(entities, hash));
        snapshot.upstreams.values().for_each(probe::start);
        self.config.send_replace(snapshot.clone());
        self.routing.send_replace(snapshot);
    }

    /// Accepts a pushed configuration: kept and shown at once, routed a little later.
    pub fn accept(self: &Arc<Self>, entities: Entities, hash: String) -> Arc<Snapshot> {
        let snapshot = Arc::new(Snapshot::new(entities, hash));
        if let Err(error) = self.store.save(&snapshot.entities, &snapshot.hash) {
            log::error(&format!("failed to persist the configuration: {error}"));
        }
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        self.config.send_replace(snapshot.clone());
        let services = u32::try_from(snapshot.services.len()).unwrap_or(u32::MAX);
        let (node, next) = (self.clone(), snapshot.clone());
        tokio::spawn(async move {
            tokio::time::sleep(REBUILD_PER_SERVICE.saturating_mul(services)).await;
            if node.generation.load(Ordering::SeqCst) == generation {
                next.upstreams.values().for_each(probe::start);
                node.routing.send_replace(next);
            }
        });
        snapshot
    }

    /// What `/status/ready` answers: nothing where the node is ready.
    pub fn not_ready(&self) -> Option<String> {
        if self.conf.switches.never_ready {
            return Some(format!(
                "router builds not yet complete, router ready in 0 of {} workers",
                self.conf.workers
            ));
        }
        if self.draining.load(Ordering::SeqCst) {
            return Some("draining".to_owned());
        }
        let empty = self.config.borrow().is_empty();
        empty.then(|| "no configuration available (empty configuration present)".to_owned())
    }

    /// Whether this routed request is one of the share that Kong itself is to fail: evenly spread, exact over time.
    pub fn fails_this_one(&self) -> bool {
        let share = u64::from(self.conf.switches.errors);
        let before = self.routed.fetch_add(1, Ordering::Relaxed);
        (before + 1) * share / 10_000 > before * share / 10_000
    }
}

/// The hash of a configuration given as text.
pub fn hash_of(text: &str) -> String {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    format!("{:032x}", u128::from_be_bytes(digest))
}

/// The hash of a configuration given as JSON: another each time, as in Kong.
pub fn fresh_hash() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
