//! The life of the process, in KIC's order.
//! In: settings. Out: nothing once it is asked to end, else the error with which KIC ends. No port is open before Kong was
//! found, but with releases before 3.4.4.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::discovery::{self, Found};
use crate::admin::nodes::Nodes;
use crate::cluster::caches::Caches;
use crate::cluster::informers::Informers;
use crate::cluster::lease::Election;
use crate::cluster::recorder::Recorder;
use crate::serve::health::{self, Asked, Role};
use crate::serve::metrics::Metrics;
use crate::serve::webhook::{self, Certificate};
use crate::settings::Settings;
use crate::settings::values::Named;
use crate::shared::Shared;
use crate::translate::object::Object;
use crate::translate::view::{Admitted, Options};
use crate::{keeper, log, sync};

/// Runs until a signal or an error.
///
/// # Errors
/// What KIC ends with.
pub async fn run(settings: Settings) -> Result<(), String> {
    let settings = Arc::new(settings);
    log::info(&format!("diagnostics: starting release {}", settings.release_text));
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    tokio::select! {
        ended = live(&settings) => ended,
        _ = term.recv() => leave(&settings).await,
        _ = interrupt.recv() => leave(&settings).await,
    }
}

/// The end that was asked for. The Lease is not released.
async fn leave(settings: &Settings) -> Result<(), String> {
    let delay = settings.duration("term-delay");
    log::info(&format!("Signal received, shutting down in {delay:?}"));
    tokio::time::sleep(delay).await;
    Ok(())
}

async fn live(settings: &Arc<Settings>) -> Result<(), String> {
    let mut tasks = JoinSet::new();
    let state = Arc::new(State::default());
    let early = !settings.release.since(4, 4);
    if early {
        probes(settings, &state, &mut tasks);
    }
    let begun = begin(settings);
    let shared = tokio::select! {
        begun = begun => begun?,
        Some(ended) = tasks.join_next() => return ended.map_err(|error| error.to_string())?,
    };
    let certificate = match settings.text("admission-webhook-listen") {
        "off" => None,
        _ => Some(Arc::new(Certificate::load(settings)?)),
    };
    let _ = state.shared.set(Arc::clone(&shared));
    if !early {
        probes(settings, &state, &mut tasks);
    }
    if let Some(certificate) = certificate {
        tasks.spawn(webhook::listen(Arc::clone(&shared), certificate));
    }
    tasks.spawn(discovery::follow(shared.client.clone(), Arc::clone(settings), Arc::clone(&shared.nodes)));
    tasks.spawn(lead(shared));
    match tasks.join_next().await {
        Some(ended) => ended.map_err(|error| error.to_string())?,
        None => Ok(()),
    }
}

/// Listens for probes and scrapes.
fn probes(settings: &Settings, state: &Arc<State>, tasks: &mut JoinSet<Result<(), String>>) {
    for (flag, role) in [("health-probe-bind-address", Role::Health), ("metrics-bind-address", Role::Metrics)]
    {
        let address = settings.text(flag).to_owned();
        if address != "0" {
            tasks.spawn(health::listen(address, role, Arc::clone(state) as Arc<dyn Asked>));
        }
    }
}

/// What probes ask, before and after the start.
#[derive(Default)]
struct State {
    shared: OnceLock<Arc<Shared>>,
}

impl Asked for State {
    fn ready(&self) -> bool {
        self.shared.get().is_some_and(|shared| shared.ready())
    }

    fn figures(&self) -> String {
        let Some(shared) = self.shared.get() else { return String::new() };
        let lease = shared.settings.text("election-id");
        let leads = shared.leads.load(Ordering::Relaxed);
        shared.metrics.text(shared.settings.elects().then_some((lease, leads)))
    }
}

/// Everything before the first port is open.
async fn begin(settings: &Arc<Settings>) -> Result<Arc<Shared>, String> {
    let client = kubernetes(settings).await?;
    let Found { met, root } = discovery::find(&client, settings).await?;
    discovery::api_server(&client).await?;
    let options = Options::new(settings, root.release, &root.flavor);
    let pod = own_pod(&client, settings).await;
    let instance = settings.release.since(4, 4).then(|| uuid::Uuid::new_v4().to_string());
    let (changed, _) = watch::channel(0);
    Ok(Arc::new(Shared {
        options,
        root,
        recorder: Recorder::new(client.clone(), hostname(), emits(settings)),
        client,
        caches: Arc::new(Caches::default()),
        nodes: Arc::new(Nodes::new(Arc::clone(settings), met)),
        pod,
        metrics: Metrics::new(instance),
        admitted: Mutex::new(Admitted::default()),
        reports: Mutex::default(),
        changed,
        leads: AtomicBool::new(false),
        applied: AtomicBool::new(false),
        settings: Arc::clone(settings),
    }))
}

/// Releases without the flag write Events.
fn emits(settings: &Settings) -> bool {
    settings.text("emit-kubernetes-events").is_empty() || settings.truth("emit-kubernetes-events")
}

fn hostname() -> String {
    std::env::var("HOSTNAME").unwrap_or_default()
}

async fn kubernetes(settings: &Settings) -> Result<Client, String> {
    let failed = |error: &dyn std::fmt::Display| format!("get kubeconfig: {error}");
    let config = match (settings.text("kubeconfig"), settings.text("apiserver-host")) {
        ("", "") => kube::Config::incluster().map_err(|error| failed(&error))?,
        ("", host) => kube::Config::new(host.parse().map_err(|error| failed(&error))?),
        (path, _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|error| failed(&error))?
        }
    };
    Client::try_from(config).map_err(|error| failed(&error))
}

/// The own pod, to which Events are attached.
async fn own_pod(client: &Client, settings: &Settings) -> Option<Object> {
    let Some(own) = &settings.pod else {
        log::error("Failed to get pod information: POD_NAME or POD_NAMESPACE is not set");
        return None;
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), &own.namespace);
    match pods.get(&own.name).await {
        Ok(pod) => Some(Object::of("", "v1", "Pod", &pod.metadata)),
        Err(error) => {
            log::error(&format!("Failed to get pod information: {error}"));
            None
        }
    }
}

/// Waits for the Lease where there is one, then works until that is lost.
async fn lead(shared: Arc<Shared>) -> Result<(), String> {
    if !shared.settings.elects() {
        return work(shared).await;
    }
    let namespace = match shared.settings.text("election-namespace") {
        "" => shared.client.default_namespace().to_owned(),
        namespace => namespace.to_owned(),
    };
    let lease = Named::new(&namespace, shared.settings.text("election-id"));
    let identity = format!("{}_{}", hostname(), uuid::Uuid::new_v4());
    let mut election = Election::new(&shared.client, &lease, identity);
    election.lead().await;
    tokio::select! {
        lost = election.keep() => Err(lost),
        ended = work(Arc::clone(&shared)) => ended,
    }
}

/// What a leader does: fills caches, keeps statuses, pushes.
async fn work(shared: Arc<Shared>) -> Result<(), String> {
    shared.leads.store(true, Ordering::Relaxed);
    let informers = Informers::new(shared.client.clone(), &shared.settings, shared.changed.clone());
    let filled = async {
        informers.all(&shared.settings, &shared.caches).await?;
        std::future::pending::<Result<(), String>>().await
    };
    tokio::select! {
        ended = filled => ended,
        ended = keeper::run(Arc::clone(&shared)) => ended,
        ended = sync::rounds::run(Arc::clone(&shared)) => ended,
    }
}
