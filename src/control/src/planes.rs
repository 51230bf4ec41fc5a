//! The watch stores of what only control planes need: themselves, grants, accounts, roles, webhooks, definitions.
//!
//! In: a client and places. Out: warm stores. Where one of these kinds cannot be watched no `ControlPlane` there is looked
//! after, and every `DataPlane` still is.

use std::collections::BTreeSet;

use crds::k8s::{
    ClusterRole, ClusterRoleBinding, CustomResourceDefinition, Role, RoleBinding, ServiceAccount,
    ValidatingWebhookConfiguration,
};
use crds::names::{labels, values};
use crds::{ControlPlane, WatchNamespaceGrant};
use kube::core::ClusterResourceScope;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use plan::controlplane::DEFINITIONS;
use runtime::hub::{Coverage, Hub, Names, Place, Source, Streamed, Watched};
use runtime::metrics::Metrics;
use tokio::task::JoinSet;

use crate::controlplane::lease::Candidates;
use crate::controlplane::pushes::Pushes;
use crate::others::{Classes, while_served};
use crate::trim;

/// A store for each kind. Cloning shares them.
#[derive(Clone)]
pub struct Planes {
    /// All of them, as users wrote them.
    pub controlplanes: Hub<ControlPlane>,
    /// All of them.
    pub grants: Hub<WatchNamespaceGrant>,
    /// Those of a `ControlPlane`.
    pub accounts: Hub<ServiceAccount>,
    /// Those of a `ControlPlane`.
    pub roles: Hub<Role>,
    /// Those of a `ControlPlane`.
    pub role_bindings: Hub<RoleBinding>,
    /// Those of a `ControlPlane`.
    pub cluster_roles: Hub<ClusterRole>,
    /// Those of a `ControlPlane`.
    pub cluster_role_bindings: Hub<ClusterRoleBinding>,
    /// Those of a `ControlPlane`.
    pub webhooks: Hub<ValidatingWebhookConfiguration>,
    /// Who looks after which class.
    pub classes: Classes,
    /// What became of the last configuration of each `ControlPlane`.
    pub pushes: Pushes,
    /// The pods that may have held the lease of each `ControlPlane`.
    pub(crate) candidates: Candidates,
    /// Names of all definitions.
    pub(crate) definitions: Names,
    places: Vec<Place>,
    coverage: Coverage,
}

impl Planes {
    /// Starts the watches of each place in `tasks`.
    pub fn start(client: &Client, metrics: &Metrics, places: &[Place], tasks: &mut JoinSet<()>) -> Self {
        let stores = Self::empty(places);
        let of = |place: &Place, selector| Source {
            client: client.clone(),
            place: place.clone(),
            selector,
            coverage: stores.coverage.clone(),
            metrics: metrics.clone(),
        };
        let all = || watcher::Config::default();
        let ours = || all().labels(&format!("{}={}", labels::MANAGED_BY, values::CONTROLPLANE));
        for place in places {
            let source = of(place, ours());
            tasks.spawn(stores.accounts.watch(source.clone()));
            tasks.spawn(stores.roles.watch(source.clone()));
            tasks.spawn(stores.role_bindings.watch(source));
        }
        let source = of(&Place::Everywhere, ours());
        start(&stores.cluster_roles, &source, tasks);
        start(&stores.cluster_role_bindings, &source, tasks);
        start(&stores.webhooks, &source, tasks);
        let definitions = of(&Place::Everywhere, all());
        tasks.spawn(stores.definitions.watch_cluster::<CustomResourceDefinition>(definitions));
        let sources: Vec<_> = places.iter().map(|place| of(place, all())).collect();
        tasks.spawn(while_served(client.clone(), stores.controlplanes.clone(), sources.clone()));
        tasks.spawn(while_served(client.clone(), stores.grants.clone(), sources));
        tasks.spawn(stores.classes.clone().follow(client.clone()));
        stores
    }

    fn empty(places: &[Place]) -> Self {
        Self {
            controlplanes: Hub::trimmed(trim::controlplane),
            grants: Hub::default(),
            accounts: Hub::default(),
            roles: Hub::default(),
            role_bindings: Hub::default(),
            cluster_roles: Hub::packed(),
            cluster_role_bindings: Hub::default(),
            webhooks: Hub::packed(),
            classes: Classes::default(),
            pushes: Pushes::default(),
            candidates: Candidates::default(),
            definitions: Names::default(),
            places: places.to_vec(),
            coverage: Coverage::beside(),
        }
    }

    /// Waits until all that is there is known, or known not to be readable.
    pub async fn synced(&self) {
        self.coverage.begun().await;
        self.classes.begun().await;
    }

    /// Whether a `ControlPlane` is to configure the `DataPlane` of that name.
    pub fn configures(&self, namespace: &str, dataplane: &str) -> bool {
        !self.of(namespace, dataplane).is_empty()
    }

    /// The `ControlPlane`s that are to configure the `DataPlane` of that name; at admission more than one is refused.
    pub fn of(&self, namespace: &str, dataplane: &str) -> Vec<std::sync::Arc<ControlPlane>> {
        self.controlplanes.select(|object| {
            object.metadata.namespace.as_deref() == Some(namespace)
                && object.spec.dataplane.as_deref() == Some(dataplane)
                && object.metadata.deletion_timestamp.is_none()
        })
    }

    /// Whether `namespace` lets `ControlPlane`s of `reader` read it.
    pub fn is_granted(&self, namespace: &str, reader: &str) -> bool {
        let granted = self.grants.select(|grant| {
            grant.metadata.namespace.as_deref() == Some(namespace)
                && grant.spec.from.iter().any(|from| from.namespace == reader)
        });
        !granted.is_empty()
    }

    /// Definitions of Kong's own kinds that are installed.
    pub fn installed(&self) -> BTreeSet<String> {
        let there = DEFINITIONS.iter().filter(|name| self.definitions.contains("", name));
        there.map(|name| (*name).to_owned()).collect()
    }

    /// Whether all objects of a kind in that namespace are in its store.
    pub fn knows<K: Streamed>(&self, namespace: &str) -> bool {
        self.is_listed(namespace, &Hub::<K>::known_as())
    }

    /// Whether all that may belong to a `ControlPlane` of that namespace is known; what is not, would be made again.
    pub fn knows_children(&self, namespace: &str) -> bool {
        let everywhere = [
            Hub::<ClusterRole>::known_as(),
            Hub::<ClusterRoleBinding>::known_as(),
            Hub::<ValidatingWebhookConfiguration>::known_as(),
            Names::known_as::<CustomResourceDefinition>(),
        ];
        self.knows::<ServiceAccount>(namespace)
            && self.knows::<Role>(namespace)
            && self.knows::<RoleBinding>(namespace)
            && self.knows::<WatchNamespaceGrant>(namespace)
            && everywhere.iter().all(|kind| self.coverage.is_listed(&Place::Everywhere, kind))
    }

    fn is_listed(&self, namespace: &str, kind: &str) -> bool {
        let mut there = self.places.iter().filter(|place| place.holds(namespace));
        there.any(|place| self.coverage.is_listed(place, kind))
    }
}

fn start<K>(hub: &Hub<K>, source: &Source, tasks: &mut JoinSet<()>)
where
    K: Watched + Resource<Scope = ClusterResourceScope>,
{
    tasks.spawn(hub.watch_cluster(source.clone()));
}

/// The owner that an object without an owner reference names: namespace and name.
pub fn owner<K: Resource>(object: &K) -> Option<(String, String)> {
    let name = object.annotations().get(crds::names::annotations::CONTROLPLANE)?;
    let namespace = object.labels().get(labels::OWNER_NAMESPACE)?;
    Some((namespace.clone(), name.clone()))
}
