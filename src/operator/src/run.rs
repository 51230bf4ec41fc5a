//! `silverback run`: everything is brought up in order and taken down in order.
//!
//! TLS provider → logs → client → listeners → authority → watch stores → ready → lease → reconcilers; on SIGTERM
//! not ready → reconcilers finish → lease released → end. Losing the lease ends the process.

use std::error::Error;
use std::sync::Arc;

use control::dataplane::{DataPlanes, triggers};
use control::{Context, Hubs, authority, kit};
use kube::Client;
use plan::dataplane::Settings;
use runtime::health::{self, Readiness};
use runtime::lease::{Candidate, Claim};
use runtime::metrics::Metrics;
use runtime::{client, drive, shutdown};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::Run;
use crate::logs;

/// Name of the lease.
const LEASE: &str = "silverback-leader";

type Failed = Box<dyn Error + Send + Sync>;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Name of this program towards the API server.
const USER_AGENT: &str = concat!("silverback/", env!("CARGO_PKG_VERSION"));
/// Threads for reconciles; the work is waiting for the API server.
const THREADS: usize = 2;

/// Runs the operator on an async runtime of its own.
///
/// # Errors
/// Whatever keeps it from starting, or ends it before it is told to.
pub fn blocking(run: Run) -> Result<(), Failed> {
    logs::start(&run.log_level, run.log_format)?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    runtime.block_on(operate(run))
}

/// What every part of the process shares.
struct Process {
    run: Run,
    client: Client,
    metrics: Metrics,
    readiness: Readiness,
    /// Cancelled by a signal.
    stop: CancellationToken,
}

async fn operate(run: Run) -> Result<(), Failed> {
    tracing::info!(version = VERSION, "silverback starts");
    let process = Process {
        run,
        client: client::connect(USER_AGENT).await?,
        metrics: Metrics::new(VERSION),
        readiness: Readiness::default(),
        stop: shutdown::on_signal()?,
    };
    tokio::select! {
        ended = process.reconcile() => ended,
        ended = process.listen() => ended,
    }
}

impl Process {
    /// Serves until the process ends: while reconciles finish, somebody may want to know how it stands.
    async fn listen(&self) -> Result<(), Failed> {
        let probes = health::probes(self.readiness.clone());
        let numbers = health::metrics(self.metrics.clone());
        tokio::try_join!(
            health::serve(self.run.health_probe_bind_address, probes),
            health::serve(self.run.metrics_bind_address, numbers),
        )?;
        Ok(())
    }

    async fn reconcile(&self) -> Result<(), Failed> {
        let mut watches = JoinSet::new();
        let mut candidate = Candidate::new(self.client.clone(), &self.run.namespace, LEASE, holder());
        let alone = self.run.no_leader_election;
        let claim = if alone { Claim::forever() } else { candidate.claim() };
        let start = async {
            let cx = self.prepare(&mut watches, claim).await?;
            if !alone {
                candidate.acquire().await;
            }
            Ok::<_, Failed>(cx)
        };
        let cx = tokio::select! {
            prepared = start => prepared?,
            () = self.stop.cancelled() => return Ok(()),
        };
        tokio::select! {
            () = self.drive(cx) => {}
            () = self.unready() => {}
            lost = candidate.hold(), if !alone => return Err(lost.into()),
            // A watch never ends by itself: a panic in one must not leave a process that sees nothing.
            ended = watches.join_next() => return Err(format!("a watch ended: {ended:?}").into()),
        }
        candidate.release().await;
        tracing::info!("silverback has stopped");
        Ok(())
    }

    /// Everything up to the point from which it is ready. The authority is made by whoever comes first.
    async fn prepare(&self, watches: &mut JoinSet<()>, claim: Claim) -> Result<Context, Failed> {
        let secret = &self.run.cluster_ca_secret;
        let first = kit(&self.client, &self.metrics, Claim::forever()).writer;
        let authority = authority::ensure(&self.client, &first, &self.run.namespace, secret).await?;
        let hubs = Hubs::start(&self.client, &self.metrics, watches);
        tokio::select! {
            () = hubs.synced() => {}
            ended = watches.join_next() => return Err(format!("a watch ended: {ended:?}").into()),
        }
        self.readiness.set(true);
        tracing::info!("watch stores are warm");
        let settings = Arc::new(Settings { image: self.run.data_plane_image.clone() });
        let kit = kit(&self.client, &self.metrics, claim);
        Ok(Context { settings, authority: Arc::new(authority), hubs, kit })
    }

    /// Says that it is not ready as soon as it is told to stop; never ends.
    async fn unready(&self) {
        self.stop.cancelled().await;
        self.readiness.set(false);
        std::future::pending::<()>().await;
    }

    async fn drive(&self, cx: Context) {
        let hub = cx.hubs.dataplanes.clone();
        let (calls, kit) = (triggers(&cx), cx.kit.clone());
        drive::drive(DataPlanes(cx), hub, calls, kit, self.stop.clone()).await;
    }
}

/// Another one for each replica, and the same one for a container that was restarted in its pod: there
/// process numbers repeat, and the one before is surely gone.
fn holder() -> String {
    let host = std::env::var("POD_NAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "silverback".into());
    format!("{host}-{}", std::process::id())
}
