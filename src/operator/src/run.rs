//! `silverback run`: everything is brought up in order and taken down in order.
//!
//! TLS provider → logs and traces → client → probes → authority → metrics, certificates → watch stores → webhooks →
//! ready → lease → reconcilers; on SIGTERM not ready → everything goes on for a while → listeners drain, reconcilers
//! finish → lease released → end.
//! Losing the lease ends the process too, in the same order, and as a failure.

use std::error::Error;
use std::sync::{Arc, OnceLock};

use certs::Authority;
use control::controlplane::{self, ControlPlanes, pushes};
use control::dataplane::{self, DataPlanes};
use control::rollout::{self, Rollouts};
use control::webhook::{self, Certificates};
use control::{Context, Entrances, Hubs, Others, Planes, authority, gateway, kit};
use kube::Client;
use kube::api::Api;
use plan::dataplane::Settings;
use runtime::drive::Kit;
use runtime::health::{self, Checks, Step};
use runtime::hub::Place;
use runtime::lease::{Candidate, Claim};
use runtime::listen::Told;
use runtime::metrics::Metrics;
use runtime::{client, drive, listen, shutdown};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use webhooks::world::World;

use crate::admission::{self, Admission};
use crate::args::Run;
use crate::logs;
use crate::scrape::Scrape;
use crate::traces::Traces;
use crate::world::Stores;

/// Name of the lease.
const LEASE: &str = "silverback-leader";

/// What readiness calls the watch stores.
const STORES: &str = "watch-stores";

/// What ends the process early.
pub type Failed = Box<dyn Error + Send + Sync>;

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
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let traces = Traces::start(run.otlp_endpoint.as_deref(), VERSION, runtime.handle())?;
    logs::start(&run.log_level, run.log_format, traces.as_ref().map(Traces::tracer))?;
    let ended = runtime.block_on(operate(run));
    if let Some(traces) = traces {
        traces.end();
    }
    ended
}

/// What every part of the process shares.
struct Process {
    run: Run,
    client: Client,
    metrics: Metrics,
    /// What `/healthz` asks.
    live: Checks,
    ready: Readiness,
    /// Cancelled by a signal.
    stop: CancellationToken,
    /// Cancelled when everybody has had the time to notice that it stops.
    drain: CancellationToken,
    /// Why it stops, where nobody asked for it.
    lost: OnceLock<Failed>,
}

/// What is there when reconciles can begin.
struct Known {
    authority: Arc<Authority>,
    stores: Arc<Stores>,
    certificates: Option<Certificates>,
}

/// What `/readyz` asks.
struct Readiness {
    checks: Checks,
    authority: Step,
    /// What is looked up at admission.
    lookups: Step,
    going: Step,
}

impl Readiness {
    fn new() -> Self {
        let checks = Checks::default();
        let authority = checks.step("authority", "its Secret is not read yet");
        checks.step(STORES, "not begun");
        let lookups =
            checks.step("admission-stores", "not all of what is looked up at admission is known yet");
        let going = checks.step("shutdown", "");
        going.done();
        Self { checks, authority, lookups, going }
    }
}

async fn operate(run: Run) -> Result<(), Failed> {
    tracing::info!(version = VERSION, "silverback starts");
    let metrics = Metrics::new(VERSION);
    let process = Process {
        run,
        client: client::connect(USER_AGENT, &metrics).await?,
        metrics,
        live: Checks::default(),
        ready: Readiness::new(),
        stop: shutdown::on_signal()?,
        drain: CancellationToken::new(),
        lost: OnceLock::new(),
    };
    tokio::select! {
        ended = process.work() => ended,
        failed = process.probes() => failed,
    }
}

impl Process {
    /// Answers probes to the very end: a process that finishes its work is alive.
    async fn probes(&self) -> Result<(), Failed> {
        let routes = health::probes(self.live.clone(), self.ready.checks.clone());
        let listener = listen::bind(self.run.health_probe_bind_address).await?;
        Ok(listen::plain(listener, routes, CancellationToken::new()).await?)
    }

    async fn work(&self) -> Result<(), Failed> {
        let authority = tokio::select! {
            authority = self.authority() => Arc::new(authority?),
            () = self.stop.cancelled() => return Ok(()),
        };
        let mut watches = JoinSet::new();
        let stores = self.stores(&mut watches);
        let (admission, certificates) = self.admission(&stores, &mut watches).unzip();
        let known = Known { authority: Arc::clone(&authority), stores, certificates };
        tokio::try_join!(
            self.linger(),
            self.scrape(&authority).serve(self.drain.clone()),
            self.answer(admission),
            self.reconcile(known, watches),
        )?;
        if let Some(lost) = self.lost.get() {
            return Err(lost.to_string().into());
        }
        tracing::info!("silverback has stopped");
        Ok(())
    }

    /// What is read, from here on.
    fn stores(&self, watches: &mut JoinSet<()>) -> Arc<Stores> {
        let places = Place::all(&self.run.watch_namespaces);
        let hubs = Hubs::start(&self.client, &self.metrics, &places, watches);
        let entrances = Entrances::start(&self.client, &self.metrics, &places, watches);
        let serves = !self.run.webhooks.no_webhooks;
        let others = if serves {
            Others::start(&self.client, &self.metrics, &places, watches)
        } else {
            Others::default()
        };
        let coverage = hubs.coverage.clone();
        self.ready.checks.add(STORES, move || coverage.whole());
        let controlled = Planes::start(&self.client, &self.metrics, &places, watches);
        Arc::new(Stores { hubs, planes: controlled, entrances, others, places })
    }

    /// The webhooks, where they are wanted.
    fn admission(
        &self,
        stores: &Arc<Stores>,
        watches: &mut JoinSet<()>,
    ) -> Option<(Admission, Certificates)> {
        let flags = &self.run.webhooks;
        if flags.no_webhooks {
            return None;
        }
        let first = kit(&self.client, &self.metrics, Claim::forever(), &self.live);
        let certificates = Certificates::start(admission::setup(&self.run), &self.client, &first, watches);
        certificates.check(flags.webhook_bind_address, &self.ready.checks, watches);
        let admission = Admission {
            address: flags.webhook_bind_address,
            settings: self.settings(),
            controller: flags.controller_name.clone(),
            world: Arc::clone(stores) as Arc<dyn World>,
            resolver: certificates.resolver(),
            metrics: self.metrics.clone(),
        };
        Some((admission, certificates))
    }

    async fn answer(&self, admission: Option<Admission>) -> Result<(), Failed> {
        let told = Told { leave: self.stop.clone(), drain: self.drain.clone() };
        match admission {
            Some(admission) => admission.serve(told).await,
            None => Ok(()),
        }
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::new(Settings { image: self.run.data_plane_image.clone() })
    }

    fn controller(&self) -> Arc<plan::controlplane::Settings> {
        let (image, controller) =
            (self.run.control_plane_image.clone(), self.run.webhooks.controller_name.clone());
        Arc::new(plan::controlplane::Settings { image, controller })
    }

    /// The authority is made by whoever comes first.
    async fn authority(&self) -> Result<Authority, Failed> {
        let first = kit(&self.client, &self.metrics, Claim::forever(), &self.live).writer;
        let secret = &self.run.cluster_ca_secret;
        let authority = authority::ensure(&self.client, &first, &self.run.namespace, secret).await?;
        self.ready.authority.done();
        Ok(authority)
    }

    fn scrape(&self, authority: &Arc<Authority>) -> Scrape {
        Scrape {
            address: self.run.metrics_bind_address,
            namespace: self.run.namespace.clone(),
            authority: Arc::clone(authority),
            client: self.client.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Told to stop, it is not ready at once, and goes on with everything until nobody sends it work any more:
    /// endpoints and load balancers take their time. What was never ready has nobody to wait for.
    async fn linger(&self) -> Result<(), Failed> {
        self.stop.cancelled().await;
        let known = self.ready.checks.hold();
        self.ready.going.failed("the process is stopping");
        if known {
            tracing::info!(delay = ?self.run.shutdown_delay, "not ready any more, still serving");
            tokio::time::sleep(self.run.shutdown_delay).await;
        }
        tracing::info!("draining");
        self.drain.cancel();
        Ok(())
    }

    async fn reconcile(&self, known: Known, mut watches: JoinSet<()>) -> Result<(), Failed> {
        let certificates = known.certificates.clone();
        let leases = Api::namespaced(self.client.clone(), &self.run.namespace);
        let mut candidate = Candidate::new(leases, LEASE, holder(), self.live.clone());
        let alone = self.run.no_leader_election;
        let claim = if alone { Claim::forever() } else { candidate.claim() };
        let leads = claim.clone();
        self.metrics.leader(move || leads.is_current());
        let start = async {
            let cx = self.prepare(&mut watches, known, claim).await?;
            tokio::select! {
                () = candidate.acquire(), if !alone => Ok::<_, Failed>(cx),
                // Who waits serves reviews from these.
                ended = watches.join_next(), if !alone => Err(format!("a watch ended: {ended:?}").into()),
                else => Ok(cx),
            }
        };
        let cx = tokio::select! {
            prepared = start => prepared?,
            // It never led: the others do, and it serves what every replica serves.
            () = self.stop.cancelled() => {
                self.drain.cancelled().await;
                return Ok(());
            }
        };
        let events = cx.kit.events.clone();
        tokio::select! {
            () = self.register(certificates, cx.kit.clone()) => {}
            () = self.drive(cx) => {}
            // It writes nothing from here on; those who ask its webhooks have to notice first, as at any other end.
            lost = candidate.hold(), if !alone => {
                self.stop.cancel();
                self.drain.cancelled().await;
                let _ = self.lost.set(lost.into());
                return Ok(());
            }
            // A watch never ends by itself: a panic in one must not leave a process that sees nothing.
            ended = watches.join_next() => return Err(format!("a watch ended: {ended:?}").into()),
        }
        events.published().await;
        candidate.release().await;
        Ok(())
    }

    /// Everything up to the point from which it is ready.
    async fn prepare(
        &self,
        watches: &mut JoinSet<()>,
        known: Known,
        claim: Claim,
    ) -> Result<Context, Failed> {
        let Known { authority, stores, .. } = known;
        let warm = async {
            stores.hubs.synced().await;
            stores.planes.synced().await;
            stores.others.synced().await;
            self.ready.lookups.done();
        };
        tokio::select! {
            () = warm => {}
            ended = watches.join_next() => return Err(format!("a watch ended: {ended:?}").into()),
        }
        tracing::info!("watch stores are warm");
        let kit = kit(&self.client, &self.metrics, claim, &self.live);
        let (hubs, planes) = (stores.hubs.clone(), stores.planes.clone());
        let (settings, controller) = (self.settings(), self.controller());
        let entrances = stores.entrances.clone();
        Ok(Context { settings, controller, authority, hubs, planes, entrances, kit })
    }

    /// Keeps the certificate and the registration of the webhooks as they should be; never ends.
    async fn register(&self, certificates: Option<Certificates>, kit: Kit) {
        match certificates {
            Some(certificates) => {
                let registration = admission::registration(&self.run);
                Box::pin(webhook::lead(&certificates, &self.client, &kit, registration)).await;
            }
            None => std::future::pending().await,
        }
    }

    async fn roll_out(&self, cx: &Context, kit: Kit) {
        let (all, calls) = (cx.hubs.rollouts.clone(), rollout::triggers(cx));
        match Rollouts::new(cx.clone()) {
            Ok(rollouts) => drive::drive(rollouts, all, calls, kit, self.drain.clone()).await,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no rollout is looked after");
            }
        }
    }

    async fn drive(&self, cx: Context) {
        let (of_data, of_control) = (cx.hubs.dataplanes.clone(), cx.planes.controlplanes.clone());
        let (calls, kit) = (dataplane::triggers(&cx), cx.kit.clone());
        let controlled = controlplane::triggers(&cx);
        tokio::join!(
            drive::drive(DataPlanes(cx.clone()), of_data, calls, kit.clone(), self.drain.clone()),
            drive::drive(ControlPlanes(cx.clone()), of_control, controlled, kit.clone(), self.drain.clone()),
            self.roll_out(&cx, kit),
            pushes::keep(&cx, self.drain.clone()),
            gateway::keep(cx.clone(), self.drain.clone()),
        );
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
