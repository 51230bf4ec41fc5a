//! Finding Kong: at the start, and from then on.
//! In: settings, `EndpointSlice`s. Out: instances that answer, or the error with which KIC ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::api::{Api, ListParams};
use kube::runtime::{WatchStreamExt, watcher};

use super::endpoints::{self, Endpoint};
use super::nodes::{self, Node, Nodes};
use super::root::{self, Root};
use crate::log;
use crate::settings::Settings;
use crate::settings::values::Named;

/// Kong as it was found.
pub struct Found {
    /// The instances, all of which answered.
    pub met: Vec<(Endpoint, Arc<Node>)>,
    /// What one of them says of itself; taken for all.
    pub root: Root,
}

/// Waits for the first endpoints and for the answers of all of them, as often as the settings allow.
///
/// # Errors
/// Where no endpoint comes, one never answers, the API refuses, or roots cannot be used.
pub async fn find(client: &Client, settings: &Settings) -> Result<Found, String> {
    let endpoints = match settings.named("kong-admin-svc") {
        Some(service) => wait(client, settings, &service).await?,
        None => settings
            .list("kong-admin-url")
            .into_iter()
            .map(|url| Endpoint { base: url.trim_end_matches('/').to_owned(), name: None })
            .collect(),
    };
    let mut met = Vec::new();
    for endpoint in endpoints {
        let node = first(settings, &endpoint).await?;
        met.push((endpoint, node));
    }
    let mut roots = Vec::new();
    for (_, node) in &met {
        roots.push(root::read(&node.client.get("/").await?.json())?);
    }
    let root = roots.into_iter().next().ok_or("no admin API was found")?;
    Ok(Found { met, root })
}

/// Tries so often before giving up; releases before 3.4.4 never gave up waiting for endpoints, and met them once.
fn tries(settings: &Settings, otherwise: u32) -> u32 {
    if settings.release.since(4, 4) { settings.count("kong-admin-init-retries").max(1) } else { otherwise }
}

async fn wait(client: &Client, settings: &Settings, service: &Named) -> Result<BTreeSet<Endpoint>, String> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), &service.namespace);
    let labels = ListParams::default().labels(&selector(service));
    let ports = settings.list("kong-admin-svc-port-names");
    let delay = settings.duration("kong-admin-init-retry-delay");
    for _ in 0..tries(settings, u32::MAX) {
        let slices = api.list(&labels).await;
        let slices =
            slices.map_err(|error| format!("failed to list EndpointSlices of {service}: {error}"))?;
        let found = strategy(settings, endpoints::of(slices.items.iter(), &ports)?, service);
        if !found.is_empty() {
            return Ok(found);
        }
        log::info(&format!(
            "Retrying kong admin api client call after error: no endpoints for service: {service}"
        ));
        tokio::time::sleep(delay).await;
    }
    Err(format!("unable to build kong api client(s): no endpoints for service: {service}"))
}

fn selector(service: &Named) -> String {
    format!("kubernetes.io/service-name={}", service.name)
}

/// Releases before 3.4.3 verified the address itself, or a host name that stood for it.
fn strategy(settings: &Settings, found: BTreeSet<Endpoint>, service: &Named) -> BTreeSet<Endpoint> {
    if settings.release.since(4, 3) {
        return found;
    }
    let old = |endpoint: Endpoint| {
        let (address, port) =
            endpoint.base.trim_start_matches("https://").rsplit_once(':').unwrap_or_default();
        let dashed = address.trim_matches(['[', ']']).replace(['.', ':'], "-");
        let Named { namespace, name } = service;
        let host = match settings.text("gateway-discovery-dns-strategy") {
            "service" => format!("{dashed}.{name}.{namespace}.svc"),
            "pod" => format!("{dashed}.{namespace}.pod"),
            _ => address.to_owned(),
        };
        Endpoint { base: format!("https://{host}:{port}"), name: None }
    };
    found.into_iter().map(old).collect()
}

async fn first(settings: &Settings, endpoint: &Endpoint) -> Result<Arc<Node>, String> {
    let tries = tries(settings, 1);
    let mut last = String::new();
    for attempt in 1..=tries {
        match nodes::meet(settings, endpoint).await {
            Ok(node) => return Ok(node),
            Err(error) => last = error,
        }
        log::info(&format!("Retrying kong admin api client call after error ({attempt}/{tries}): {last}"));
        tokio::time::sleep(settings.duration("kong-admin-init-retry-delay")).await;
    }
    Err(format!("unable to build kong api client(s): could not connect to {}: {last}", endpoint.base))
}

/// Follows the endpoints and asks instances from time to time. Only where the namespace of the admin Service is watched
/// are changes seen: KIC does not add it to those that are.
pub async fn follow(client: Client, settings: Arc<Settings>, nodes: Arc<Nodes>) -> Result<(), String> {
    let [interval, _] = settings.readiness();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    let Some(service) = settings.named("kong-admin-svc") else {
        return std::future::pending().await;
    };
    let watched = settings.watched();
    let sees = watched.is_empty() || watched.contains(&service.namespace);
    let api: Api<EndpointSlice> = Api::namespaced(client, &service.namespace);
    let config = watcher::Config::default().labels(&selector(&service));
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    let ports = settings.list("kong-admin-svc-port-names");
    let mut slices = Slices::default();
    let deadline = tokio::time::sleep(settings.duration("cache-sync-timeout"));
    let mut deadline = std::pin::pin!(deadline);
    loop {
        tokio::select! {
            () = &mut deadline, if sees && !slices.synced => {
                return Err("failed to wait for KongAdminAPIEndpoints caches to sync: timed out waiting for cache to \
                            be synced for Kind *v1.EndpointSlice".to_owned());
            }
            _ = ticks.tick() => nodes.check().await,
            Some(event) = events.next(), if sees => {
                if !slices.take(event) { continue }
                match endpoints::of(slices.found.iter(), &ports) {
                    Ok(found) => nodes.discovered(&strategy(&settings, found, &service)).await,
                    Err(error) => log::error(&error),
                }
            }
        }
    }
}

/// The slices of the admin Service.
#[derive(Default)]
struct Slices {
    found: Vec<EndpointSlice>,
    listed: Vec<EndpointSlice>,
    synced: bool,
}

impl Slices {
    /// Takes an event, and says whether the slices are others now.
    fn take(&mut self, event: watcher::Result<watcher::Event<EndpointSlice>>) -> bool {
        match event {
            Ok(watcher::Event::Init) => self.listed.clear(),
            Ok(watcher::Event::InitApply(slice)) => self.listed.push(slice),
            Ok(watcher::Event::InitDone) => {
                self.found = std::mem::take(&mut self.listed);
                self.synced = true;
                return true;
            }
            Ok(watcher::Event::Apply(slice)) => {
                self.found.retain(|known| known.metadata.name != slice.metadata.name);
                self.found.push(slice);
                return true;
            }
            Ok(watcher::Event::Delete(slice)) => {
                self.found.retain(|known| known.metadata.name != slice.metadata.name);
                return true;
            }
            Err(error) => log::error(&format!("failed to watch EndpointSlices: {error}")),
        }
        false
    }
}

/// Between tries to reach the API server.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits for the API server's own readiness, for at most a minute.
///
/// # Errors
/// Where it does not come.
pub async fn api_server(client: &Client) -> Result<(), String> {
    for _ in 0..60 {
        let request = hyper::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
        match client.request_text(request).await {
            Ok(_) => return Ok(()),
            Err(error) => log::info(&format!("Retrying Kubernetes API server ready check: {error}")),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err("unable to connect to Kubernetes API server".to_owned())
}
