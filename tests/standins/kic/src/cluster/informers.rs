//! Watches that fill caches, started as KIC's controllers start them.
//! In: settings and the API server. Out: filled caches, or the error with which KIC ends. A kind that cannot be listed
//! is tried again until the time for it is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use kube::api::Api;
use kube::core::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cache::{Cache, Kept};
use super::caches::Caches;
use super::kinds::{self, Kind};
use crate::log;
use crate::settings::Settings;

/// Told of each change of a cache.
pub type Changed = watch::Sender<u64>;

/// Starts watches.
#[derive(Clone)]
pub struct Informers {
    client: Client,
    namespaces: Vec<String>,
    timeout: Duration,
    secrets: String,
    config_maps: String,
    changed: Changed,
}

impl Informers {
    /// Watches as these settings say.
    pub fn new(client: Client, settings: &Settings, changed: Changed) -> Self {
        Self {
            client,
            namespaces: settings.watched(),
            timeout: settings.duration("cache-sync-timeout"),
            secrets: labelled(settings.text("secret-label-selector")),
            config_maps: labelled(settings.text("configmap-label-selector")),
            changed,
        }
    }

    /// Watches everything that the settings ask for, and returns when all caches are filled.
    pub async fn all(&self, settings: &Settings, caches: &Arc<Caches>) -> Result<(), String> {
        let mut fill = JoinSet::new();
        let mut missing = Vec::new();
        for kind in every().filter(|kind| kind.watched(settings)) {
            if kind.optional() && !self.served(&kind).await? {
                missing.push(kind);
                continue;
            }
            let (informers, caches) = (self.clone(), Arc::clone(caches));
            fill.spawn(async move { informers.fill(kind, &caches).await });
        }
        if !missing.is_empty() {
            let (informers, caches) = (self.clone(), Arc::clone(caches));
            let definitions = self.watch(kinds::DEFINITION, &caches.nothing);
            fill.spawn(definitions);
            tokio::spawn(async move { informers.later(missing, &caches).await });
        }
        while let Some(filled) = fill.join_next().await {
            filled.map_err(|error| error.to_string())??;
        }
        Ok(())
    }

    async fn fill(&self, kind: Kind, caches: &Caches) -> Result<(), String> {
        match kind {
            kinds::SERVICE => self.watch(kind, &caches.services).await,
            kinds::SLICE => self.watch(kind, &caches.slices).await,
            kinds::SECRET => self.watch(kind, &caches.secrets).await,
            kinds::NAMESPACE => self.watch(kind, &caches.namespaces).await,
            kinds::INGRESS => self.watch(kind, &caches.ingresses).await,
            kinds::INGRESS_CLASS => self.watch(kind, &caches.ingress_classes).await,
            kinds::GATEWAY_KIND => self.watch(kind, &caches.gateways).await,
            kinds::GATEWAY_CLASS => self.watch(kind, &caches.classes).await,
            kinds::GRANT => self.watch(kind, &caches.grants).await,
            other => match routes().iter().zip(&caches.routes).find(|(kind, _)| **kind == other) {
                Some((_, cache)) => self.watch(kind, cache).await,
                None => self.watch(kind, &caches.nothing).await,
            },
        }
    }

    /// Starts the watches of a kind; done when each has listed once. The first lists are given the time for caches.
    pub fn watch<T: Kept>(
        &self,
        kind: Kind,
        cache: &Arc<Cache<T>>,
    ) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let everywhere = !kind.namespaced || self.namespaces.is_empty();
        let scopes: Vec<Option<String>> =
            if everywhere { vec![None] } else { self.namespaces.iter().cloned().map(Some).collect() };
        let filled: Vec<_> = scopes.into_iter().map(|scope| self.watch_in(kind, scope, cache)).collect();
        let timeout = self.timeout;
        async move {
            let deadline = Instant::now() + timeout;
            for mut done in filled {
                let waited = tokio::time::timeout_at(deadline, done.wait_for(|done| *done)).await;
                if waited.is_err() {
                    let name = kind.name;
                    return Err(format!(
                        "failed to wait for {name} caches to sync kind source: *{}.{name}: timed out waiting for \
                         cache to be synced for Kind *{}.{name}",
                        kind.version, kind.version
                    ));
                }
            }
            Ok(())
        }
    }

    /// Watches a kind in a namespace, or everywhere.
    pub fn watch_in<T: Kept>(
        &self,
        kind: Kind,
        namespace: Option<String>,
        cache: &Arc<Cache<T>>,
    ) -> watch::Receiver<bool> {
        let resource = kind.resource();
        let api: Api<DynamicObject> = match &namespace {
            None => Api::all_with(self.client.clone(), &resource),
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
        };
        let config = match kind.plural {
            "secrets" if !self.secrets.is_empty() => watcher::Config::default().labels(&self.secrets),
            "configmaps" if !self.config_maps.is_empty() => {
                watcher::Config::default().labels(&self.config_maps)
            }
            _ => watcher::Config::default(),
        };
        let (told, done) = watch::channel(false);
        let (cache, changed) = (Arc::clone(cache), self.changed.clone());
        tokio::spawn(async move {
            let mut listed = BTreeMap::new();
            let mut events = std::pin::pin!(watcher(api, config).default_backoff());
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        // While a list comes in, nothing has changed yet.
                        let lists = matches!(event, watcher::Event::Init | watcher::Event::InitApply(_));
                        if cache.take(namespace.as_deref(), &mut listed, event) {
                            told.send_replace(true);
                        }
                        if !lists {
                            changed.send_modify(|count| *count += 1);
                        }
                    }
                    Err(error) => log::error(&format!("failed to watch {}: {error}", kind.name)),
                }
            }
        });
        done
    }

    /// Whether the API server has this version of a kind.
    async fn served(&self, kind: &Kind) -> Result<bool, String> {
        let version = format!("{}/{}", kind.group, kind.version);
        match self.client.list_api_group_resources(&version).await {
            Ok(list) => Ok(list.resources.iter().any(|resource| resource.name == kind.plural)),
            // The answer to a version that is not there is a text and no status.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(format!("could not retrieve the resources of {version}: {error}")),
        }
    }

    /// Starts the watches of kinds once they are served; a change of any definition is a reason to look.
    async fn later(&self, mut missing: Vec<Kind>, caches: &Caches) {
        let mut changes = self.changed.subscribe();
        while !missing.is_empty() && changes.changed().await.is_ok() {
            let mut still = Vec::new();
            for kind in missing {
                if self.served(&kind).await.unwrap_or(false) {
                    log::info(&format!("{} is served now: starting its controller", kind.name));
                    // One that cannot be listed is tried again for ever: its controller was started late.
                    if let Err(error) = self.fill(kind, caches).await {
                        log::error(&error);
                    }
                } else {
                    still.push(kind);
                }
            }
            missing = still;
            // Definitions come in bursts; a second is soon enough for the rest.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// A selector as KIC takes it: the key alone means the value `true`.
fn labelled(text: &str) -> String {
    if text.is_empty() || text.contains('=') { text.to_owned() } else { format!("{text}=true") }
}

/// The kinds of routes, in the order of their caches.
fn routes() -> [Kind; 4] {
    [kinds::HTTP_ROUTE, kinds::TCP_ROUTE, kinds::TLS_ROUTE, kinds::UDP_ROUTE]
}

fn every() -> impl Iterator<Item = Kind> {
    let acting = [
        kinds::SERVICE,
        kinds::SLICE,
        kinds::SECRET,
        kinds::NAMESPACE,
        kinds::INGRESS,
        kinds::INGRESS_CLASS,
        kinds::GATEWAY_KIND,
        kinds::GATEWAY_CLASS,
        kinds::GRANT,
    ];
    acting.into_iter().chain(routes()).chain(kinds::WITHOUT_EFFECT.iter().copied())
}
