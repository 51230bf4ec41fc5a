//! `silverback run`: everything is brought up in order and taken down in order.
//!
//! TLS provider → logs → client → listeners → authority → watch stores → ready → reconcilers; on SIGTERM not
//! ready → reconcilers finish → end.

use std::error::Error;
use std::sync::Arc;

use control::dataplane::{DataPlanes, triggers};
use control::{Context, Hubs, authority, kit};
use kube::Client;
use plan::dataplane::Settings;
use runtime::health::{self, Readiness};
use runtime::metrics::Metrics;
use runtime::{client, drive, shutdown};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::Run;
use crate::logs;

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
        let cx = tokio::select! {
            prepared = self.prepare(&mut watches) => prepared?,
            () = self.stop.cancelled() => return Ok(()),
        };
        tokio::select! {
            () = self.drive(cx) => {}
            () = self.unready() => {}
            // A watch never ends by itself: a panic in one must not leave a process that sees nothing.
            ended = watches.join_next() => return Err(format!("a watch ended: {ended:?}").into()),
        }
        tracing::info!("silverback has stopped");
        Ok(())
    }

    /// Everything up to the point from which it is ready.
    async fn prepare(&self, watches: &mut JoinSet<()>) -> Result<Context, Failed> {
        let kit = kit(&self.client, &self.metrics);
        let secret = &self.run.cluster_ca_secret;
        let authority = authority::ensure(&self.client, &kit.writer, &self.run.namespace, secret).await?;
        let hubs = Hubs::start(&self.client, &self.metrics, watches);
        tokio::select! {
            () = hubs.synced() => {}
            ended = watches.join_next() => return Err(format!("a watch ended: {ended:?}").into()),
        }
        self.readiness.set(true);
        tracing::info!("watch stores are warm, reconciling");
        let settings = Arc::new(Settings { image: self.run.data_plane_image.clone() });
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
