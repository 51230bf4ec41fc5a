//! The watch stores of what only Gateways need: themselves, their classes, sets of listeners, configurations, routes,
//! grants, namespaces, certificates, network policies.
//!
//! In: a client and places. Out: warm stores. Gateway API may be absent, or come later; Gateways and classes are shown only
//! when everything else is known, so that nothing is said of them that the next moment takes back.

use crds::GatewayConfiguration;
use crds::gatewayapi::{Grpc, Http, ReferenceGrant, Route, Tcp, Tls, Udp};
use crds::k8s::{CustomResourceDefinition, CustomResourceDefinitionSpec, Namespace, NetworkPolicy, Secret};
use crds::names::{labels, values};
use futures::future::join_all;
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::listenersets::ListenerSet;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use runtime::hub::{Coverage, Hub, Place, Source, Streamed};
use runtime::metrics::Metrics;
use runtime::optional;
use tokio::task::JoinSet;

use super::life;
use crate::others::while_served;

/// Annotation of Gateway API's definitions with their version.
const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";

/// A store for each kind. Cloning shares them.
#[derive(Clone)]
pub struct Entrances {
    /// All of them, whosever they are.
    pub gateways: Hub<Gateway>,
    /// All of them, whosever they are.
    pub classes: Hub<GatewayClass>,
    /// All of them.
    pub sets: Hub<ListenerSet>,
    /// All of them.
    pub configurations: Hub<GatewayConfiguration>,
    /// All of them.
    pub grants: Hub<ReferenceGrant>,
    /// Their names and labels.
    pub namespaces: Hub<Namespace>,
    /// Routes, by what attaches them.
    pub routes: Routes,
    /// TLS Secrets of others, with a verdict in the place of what is in them.
    pub certificates: Hub<Secret>,
    /// Those of a Gateway.
    pub policies: Hub<NetworkPolicy>,
    /// The definition of `GatewayClass`, by its metadata.
    definition: Hub<CustomResourceDefinition>,
    coverage: Coverage,
    places: Vec<Place>,
}

/// A store for each kind of route.
#[derive(Clone, Default)]
pub struct Routes {
    /// Routes of HTTP requests.
    pub http: Hub<Route<Http>>,
    /// Routes of gRPC requests.
    pub grpc: Hub<Route<Grpc>>,
    /// Routes of TLS streams.
    pub tls: Hub<Route<Tls>>,
    /// Routes of TCP streams.
    pub tcp: Hub<Route<Tcp>>,
    /// Routes of UDP datagrams.
    pub udp: Hub<Route<Udp>>,
}

impl Entrances {
    /// Starts the watches of each place in `tasks`.
    pub fn start(client: &Client, metrics: &Metrics, places: &[Place], tasks: &mut JoinSet<()>) -> Self {
        let stores = Self::empty(places);
        let all = watcher::Config::default;
        let of = |place: &Place, selector| Source {
            client: client.clone(),
            place: place.clone(),
            selector,
            coverage: stores.coverage.clone(),
            metrics: metrics.clone(),
        };
        for place in places {
            let ours = all().labels(&format!("{}={}", labels::MANAGED_BY, values::GATEWAY));
            tasks.spawn(stores.policies.watch(of(place, ours)));
            let kinds = format!("({},{})", values::CONTROLPLANE, values::DATAPLANE);
            let theirs = all().labels(&format!("{} notin {kinds}", labels::MANAGED_BY));
            tasks.spawn(stores.certificates.watch(of(place, theirs.fields("type=kubernetes.io/tls"))));
        }
        let everywhere = of(&Place::Everywhere, all());
        tasks.spawn(stores.namespaces.watch_cluster(everywhere.clone()));
        let one = format!("metadata.name={}", optional::definition::<GatewayClass>());
        tasks.spawn(stores.definition.watch_cluster(of(&Place::Everywhere, all().fields(&one))));
        let sources: Vec<_> = places.iter().map(|place| of(place, all())).collect();
        stores.optional(client, &sources, tasks);
        tasks.spawn(stores.clone().classes(client.clone(), everywhere));
        tasks.spawn(stores.clone().gateways(client.clone(), sources));
        stores
    }

    fn empty(places: &[Place]) -> Self {
        Self {
            gateways: Hub::trimmed(without_notes),
            classes: Hub::trimmed(without_notes),
            sets: Hub::trimmed(without_notes),
            configurations: Hub::trimmed(without_notes),
            grants: Hub::trimmed(bare),
            namespaces: Hub::trimmed(labels_only),
            routes: Routes::trimmed(),
            certificates: Hub::trimmed(life::judged),
            policies: Hub::default(),
            definition: Hub::trimmed(notes_only),
            coverage: Coverage::beside(),
            places: places.to_vec(),
        }
    }

    fn optional(&self, client: &Client, sources: &[Source], tasks: &mut JoinSet<()>) {
        let Routes { http, grpc, tls, tcp, udp } = &self.routes;
        self.follow(client, &self.sets, sources, tasks);
        self.follow(client, &self.configurations, sources, tasks);
        self.follow(client, &self.grants, sources, tasks);
        self.follow(client, http, sources, tasks);
        self.follow(client, grpc, sources, tasks);
        self.follow(client, tls, sources, tasks);
        self.follow(client, tcp, sources, tasks);
        self.follow(client, udp, sources, tasks);
    }

    fn follow<K: Streamed + serde::Serialize>(
        &self,
        client: &Client,
        hub: &Hub<K>,
        sources: &[Source],
        tasks: &mut JoinSet<()>,
    ) {
        for source in sources {
            self.coverage.expect(&source.place, &Hub::<K>::known_as());
        }
        tasks.spawn(while_served(client.clone(), hub.clone(), sources.to_vec()));
    }

    /// Watches Gateways once everything else is known.
    async fn gateways(self, client: Client, sources: Vec<Source>) {
        let tell = |is_served: bool| {
            if !is_served {
                for source in &sources {
                    self.gateways.clear(&source.place);
                }
            }
        };
        let watch = || async {
            self.settled().await;
            join_all(sources.iter().map(|source| self.gateways.watch(source.clone()))).await
        };
        optional::while_served::<Gateway, _>(client, tell, watch).await;
    }

    /// Watches classes once everything else is known.
    async fn classes(self, client: Client, source: Source) {
        let tell = |is_served: bool| {
            if !is_served {
                self.classes.clear(&source.place);
            }
        };
        let watch = || async {
            self.settled().await;
            self.classes.watch_cluster(source.clone()).await;
        };
        optional::while_served::<GatewayClass, _>(client, tell, watch).await;
    }

    async fn settled(&self) {
        let own = [Hub::<Gateway>::known_as(), Hub::<GatewayClass>::known_as()];
        self.coverage.settled(&own).await;
    }

    /// Whether sets of listeners are installed, as far as a namespace is watched.
    pub fn has_sets(&self, namespace: &str) -> bool {
        self.knows::<ListenerSet>(namespace)
    }

    /// Whether all objects of a kind, by the name of its watch, are known there.
    pub(super) fn is_listed(&self, namespace: &str, kind: &str) -> bool {
        let mut there = self.places.iter().filter(|place| place.holds(namespace));
        there.any(|place| self.coverage.is_listed(place, kind))
    }

    /// The version of Gateway API that is installed.
    pub fn bundle(&self) -> Option<String> {
        let found = self.definition.select(|definition| definition.annotations().contains_key(BUNDLE));
        found.first().and_then(|definition| definition.annotations().get(BUNDLE).cloned())
    }

    /// What tells of another version.
    pub(super) fn definitions(&self) -> &Hub<CustomResourceDefinition> {
        &self.definition
    }
}

impl Routes {
    fn trimmed() -> Self {
        Self {
            http: Hub::trimmed(bare),
            grpc: Hub::trimmed(bare),
            tls: Hub::trimmed(bare),
            tcp: Hub::trimmed(bare),
            udp: Hub::trimmed(bare),
        }
    }
}

/// All but kubectl's notes, which are as long as the object.
fn without_notes<K: Resource>(object: &mut K) {
    if let Some(notes) = &mut object.meta_mut().annotations {
        notes.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Without labels and annotations, which nobody here reads.
pub fn bare<K: Resource>(object: &mut K) {
    object.meta_mut().labels = None;
    object.meta_mut().annotations = None;
}

fn labels_only(namespace: &mut Namespace) {
    namespace.metadata.annotations = None;
    namespace.spec = None;
    namespace.status = None;
}

fn notes_only(definition: &mut CustomResourceDefinition) {
    definition.spec = CustomResourceDefinitionSpec::default();
    definition.status = None;
}
