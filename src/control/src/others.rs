//! What admission has to know besides what is reconciled: one watch per kind and place, like the others.
//!
//! A kind whose definition is not installed has no objects, and keeps nobody waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crds::k8s::Service;
use crds::names::{labels, values};
use futures::future::join_all;
use futures::{StreamExt, pin_mut};
use gateway_api::gatewayclasses::GatewayClass;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use runtime::hub::{Coverage, Hub, Names, Place, Source, Streamed};
use runtime::metrics::Metrics;
use runtime::optional;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Stores of what is looked up when something else is judged; by default they know nothing. Cloning shares them.
#[derive(Clone, Default)]
pub struct Others {
    /// Services that neither a `DataPlane` nor a `ControlPlane` owns.
    pub services: Names,
    places: Vec<Place>,
    coverage: Coverage,
}

impl Others {
    /// Starts the watches of each place in `tasks`.
    pub fn start(client: &Client, metrics: &Metrics, places: &[Place], tasks: &mut JoinSet<()>) -> Self {
        let others = Self { places: places.to_vec(), ..Self::default() };
        let source = |place: &Place| Source {
            client: client.clone(),
            place: place.clone(),
            selector: watcher::Config::default(),
            coverage: others.coverage.clone(),
            metrics: metrics.clone(),
        };
        for source in places.iter().map(source) {
            let kinds = format!("({},{})", values::CONTROLPLANE, values::DATAPLANE);
            let foreign = format!("{} notin {kinds}", labels::MANAGED_BY);
            let selector = watcher::Config::default().labels(&foreign);
            tasks.spawn(others.services.watch::<Service>(Source { selector, ..source }));
        }
        others
    }

    /// Waits until all that is there is known, or known not to be readable.
    pub async fn synced(&self) {
        if self.places.is_empty() {
            return;
        }
        self.coverage.begun().await;
    }

    /// Whether all Services of strangers in that namespace are known.
    pub fn knows_services(&self, namespace: &str) -> bool {
        let kind = Names::known_as::<Service>();
        let mut there = self.places.iter().filter(|place| place.holds(namespace));
        there.any(|place| self.coverage.is_listed(place, &kind))
    }
}

/// Watches a kind while its definition is there.
pub async fn while_served<K: Streamed + serde::Serialize>(client: Client, hub: Hub<K>, sources: Vec<Source>) {
    let kind = Hub::<K>::known_as();
    let tell = |is_served: bool| {
        for Source { coverage, place, .. } in &sources {
            if is_served {
                coverage.expect(place, &kind);
            } else {
                hub.clear(place);
                coverage.absent(place, &kind, &optional::definition::<K>());
            }
        }
    };
    for Source { coverage, place, .. } in &sources {
        coverage.expect(place, &kind);
    }
    let watch = || join_all(sources.iter().map(|source| hub.watch(source.clone())));
    optional::while_served::<K, _>(client, tell, watch).await;
}

/// Which controller looks after each `GatewayClass`. Cloning shares it.
#[derive(Clone, Default)]
pub struct Classes {
    /// None before the first list.
    known: Arc<RwLock<Option<BTreeMap<String, String>>>>,
    begun: watch::Sender<bool>,
}

impl Classes {
    /// `spec.controllerName` of the class of that name; none where classes are not known at all.
    pub fn controller(&self, class: &str) -> Option<Option<String>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|classes| classes.get(class).cloned())
    }

    pub(crate) async fn begun(&self) {
        // The sender is ours, so the wait cannot fail.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Follows the classes while Gateway API is installed; never ends.
    pub(crate) async fn follow(self, client: Client) {
        let tell = |is_served: bool| {
            if !is_served {
                self.set(None);
            }
        };
        let watch = || self.watched(Api::all(client.clone()));
        optional::while_served::<GatewayClass, _>(client.clone(), tell, watch).await;
    }

    async fn watched(&self, api: Api<GatewayClass>) {
        let events = kube::runtime::watcher(api, watcher::Config::default()).default_backoff();
        pin_mut!(events);
        let mut listed = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(class)) => {
                    drop(listed.insert(class.name_any(), class.spec.controller_name));
                }
                Ok(Event::InitDone) => self.set(Some(std::mem::take(&mut listed))),
                Ok(Event::Apply(class)) => self.change(|known| {
                    known.insert(class.name_any(), class.spec.controller_name.clone());
                }),
                Ok(Event::Delete(class)) => self.change(|known| {
                    known.remove(&class.name_any());
                }),
                // Without the right to read them, classes are not known, and nobody waits for them.
                Err(error) => {
                    tracing::debug!(%error, "the watch of GatewayClasses is broken");
                    self.begun.send_replace(true);
                }
            }
        }
    }

    fn set(&self, known: Option<BTreeMap<String, String>>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.begun.send_replace(true);
    }

    fn change(&self, with: impl FnOnce(&mut BTreeMap<String, String>)) {
        if let Some(known) = self.known.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            with(known);
        }
    }
}
