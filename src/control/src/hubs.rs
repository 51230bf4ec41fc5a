//! The watch stores of the process: one watch per kind and place, of what we own only; of what is not ours, names.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::k8s::{ConfigMap, Deployment, HorizontalPodAutoscaler, Pod, PodDisruptionBudget, Secret, Service};
use crds::names::{self, labels, values};
use crds::{DataPlane, GatewayRollout};
use futures::future::join_all;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use plan::dataplane::Kind;
use runtime::Hub;
use runtime::hub::{Coverage, Names, Place, Source, Streamed};
use runtime::metrics::Metrics;
use runtime::optional;
use runtime::writer::Owner;
use tokio::task::JoinSet;

use crate::others::while_served;
use crate::references::References;
use crate::trim;

/// A store for each kind that is read.
#[derive(Clone)]
pub struct Hubs {
    /// All of them, as users wrote them.
    pub dataplanes: Hub<DataPlane>,
    /// All of them: what was and is under way of `DataPlane`s.
    pub rollouts: Hub<GatewayRollout>,
    /// Those of a `DataPlane` or a `ControlPlane`.
    pub deployments: Hub<Deployment>,
    /// Those of a `DataPlane` or a `ControlPlane`.
    pub services: Hub<Service>,
    /// Those of a `DataPlane`.
    pub autoscalers: Hub<HorizontalPodAutoscaler>,
    /// Those of a `DataPlane`.
    pub budgets: Hub<PodDisruptionBudget>,
    /// Certificates of a `DataPlane` or a `ControlPlane`.
    pub secrets: Hub<Secret>,
    /// Those of a `DataPlane` or a `ControlPlane`; read only, to say why they do not run.
    pub pods: Hub<Pod>,
    /// Which Secrets and ConfigMaps exist, whoever's they are.
    pub references: References,
    /// What is watched by now, and what is not.
    pub coverage: Coverage,
}

impl Hubs {
    /// Starts the watches of each place in `tasks`.
    pub fn start(client: &Client, metrics: &Metrics, places: &[Place], tasks: &mut JoinSet<()>) -> Self {
        let hubs = Self::empty();
        let source = |place: &Place| Source {
            client: client.clone(),
            place: place.clone(),
            selector: watcher::Config::default(),
            coverage: hubs.coverage.clone(),
            metrics: metrics.clone(),
        };
        let sources: Vec<_> = places.iter().map(source).collect();
        for place in places {
            hubs.coverage.expect(place, &Hub::<DataPlane>::known_as());
        }
        let known = sources.iter().map(|source| hubs.watch_children(source, tasks)).collect();
        tasks.spawn(while_served(client.clone(), hubs.rollouts.clone(), sources.clone()));
        tasks.spawn(dataplanes(client.clone(), hubs.dataplanes.clone(), sources, known));
        hubs
    }

    fn empty() -> Self {
        let secrets = Hub::default();
        let references =
            References { config_maps: Names::default(), foreign: Names::default(), own: secrets.clone() };
        Self {
            dataplanes: Hub::trimmed(trim::dataplane),
            rollouts: Hub::default(),
            deployments: Hub::packed(),
            services: Hub::default(),
            autoscalers: Hub::default(),
            budgets: Hub::default(),
            secrets,
            pods: Hub::trimmed(trim::pod),
            references,
            coverage: Coverage::default(),
        }
    }

    /// Watches what may belong to the `DataPlane`s of a place; returns what the coverage calls these watches.
    fn watch_children(&self, source: &Source, tasks: &mut JoinSet<()>) -> BTreeSet<String> {
        let kinds = format!("({},{})", values::CONTROLPLANE, values::DATAPLANE);
        let ours = selected(source, &format!("{} in {kinds}", labels::MANAGED_BY));
        let foreign = selected(source, &format!("{} notin {kinds}", labels::MANAGED_BY));
        BTreeSet::from([
            start(&self.deployments, &ours, tasks),
            start(&self.services, &ours, tasks),
            start(&self.autoscalers, &ours, tasks),
            start(&self.budgets, &ours, tasks),
            start(&self.secrets, &ours, tasks),
            start(&self.pods, &ours, tasks),
            start_names::<Secret>(&self.references.foreign, &foreign, tasks),
            start_names::<ConfigMap>(&self.references.config_maps, source, tasks),
            // Without what is under way, a DataPlane would be made as its specification says, at once.
            Hub::<GatewayRollout>::known_as(),
        ])
    }

    /// What was and is under way of the `DataPlane` of that uid.
    pub fn rollouts_of(&self, uid: &str) -> Vec<Arc<GatewayRollout>> {
        self.rollouts.select(|rollout| is_owned(rollout, uid))
    }

    /// The Deployments of a `DataPlane`, one for each track.
    pub fn tracks_of(&self, owner: &Owner) -> Vec<Arc<Deployment>> {
        let named = [values::FIRST_TRACK, values::SECOND_TRACK].into_iter().filter_map(|track| {
            let name = names::deployment(&owner.name, track);
            self.deployments.get(&ObjectRef::new(&name).within(&owner.namespace))
        });
        named.filter(|deployment| is_owned(deployment.as_ref(), &owner.uid)).collect()
    }

    /// Whether a Secret or `ConfigMap` of that name exists, whoever's it is.
    pub fn exists(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        self.references.exists(kind, namespace, name)
    }

    /// Waits until every place is known in full, or known to be refused.
    pub async fn synced(&self) {
        self.coverage.begun().await;
    }
}

fn is_owned(object: &impl ResourceExt, uid: &str) -> bool {
    object.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

fn selected(source: &Source, labels: &str) -> Source {
    Source { selector: watcher::Config::default().labels(labels), ..source.clone() }
}

fn start<K: Streamed>(hub: &Hub<K>, source: &Source, tasks: &mut JoinSet<()>) -> String {
    tasks.spawn(hub.watch(source.clone()));
    Hub::<K>::known_as()
}

fn start_names<K: Streamed>(names: &Names, source: &Source, tasks: &mut JoinSet<()>) -> String {
    tasks.spawn(names.watch::<K>(source.clone()));
    Names::known_as::<K>()
}

/// Watches `DataPlane`s while their definition is there, and in each place only when all that may belong to them is
/// known: one that the store shows can be reconciled.
async fn dataplanes(client: Client, hub: Hub<DataPlane>, sources: Vec<Source>, known: Vec<BTreeSet<String>>) {
    let kind = Hub::<DataPlane>::known_as();
    let tell = |is_served: bool| {
        let definition = optional::definition::<DataPlane>();
        if !is_served {
            tracing::error!(
                definition,
                "nothing is looked after before this CustomResourceDefinition is installed: apply crds/yaml"
            );
        }
        for Source { coverage, place, .. } in &sources {
            if is_served {
                coverage.expect(place, &kind);
            } else {
                hub.clear(place);
                coverage.absent(place, &kind, &definition);
            }
        }
    };
    let watch = || {
        join_all(sources.iter().zip(&known).map(async |(source, known)| {
            source.coverage.holds(&source.place, known).await;
            hub.watch(source.clone()).await;
        }))
    };
    optional::while_served::<DataPlane, _>(client, tell, watch).await;
}
