//! What is in the cluster around manifests, and what of it they change.
//!
//! In: a client and manifests. Out: objects that count for what is made of them, and of those the ones that are not among
//! the manifests and that are made otherwise because of them. Never: a Secret, or what is in one.

use std::collections::BTreeSet;

use crds::k8s::{CustomResourceDefinition, Namespace, ObjectMeta};
use crds::{ControlPlane, DataPlane, GatewayConfiguration, WatchNamespaceGrant};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::listenersets::ListenerSet;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Client, Resource, ResourceExt};
use plan::controlplane::listed;
use plan::gateway::{self, Place};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use webhooks::Kind;

use super::asked::failed;
use crate::offline::Failed;
use crate::offline::manifest::Item;
use crate::offline::render::{Around, is_of};

/// An object of the cluster that is made otherwise because of the manifests.
pub struct Affected {
    /// Its kind.
    pub kind: Kind,
    /// Itself.
    pub object: Value,
}

/// Everything that counts for what is made of these manifests. Of what cannot count nothing is asked, so that nobody needs
/// rights for it.
///
/// # Errors
/// When the API server does not answer, or refuses to list a kind.
pub async fn surroundings(client: &Client, items: &[Item]) -> Result<Vec<Value>, Failed> {
    let mut found = list::<ControlPlane>(client).await?;
    let is_entrance = items.iter().any(is_entrance);
    let is_alone = |item: &Item| match item {
        Item::Ours(manifest) => manifest.kind == Kind::DataPlane,
        _ => true,
    };
    let dataplanes: Vec<_> = found.iter().filter_map(|object| object.pointer("/spec/dataplane")).collect();
    let is_configured = items.iter().any(|item| match item {
        Item::Ours(manifest) => dataplanes.contains(&&json!(manifest.name())),
        _ => false,
    });
    if is_entrance || is_configured || !items.iter().all(is_alone) {
        found.extend(list::<DataPlane>(client).await?);
        found.extend(list::<WatchNamespaceGrant>(client).await?);
        found.extend(list::<GatewayClass>(client).await?);
        found.extend(definitions(client).await?);
    }
    if is_entrance {
        found.extend(list::<Gateway>(client).await?);
        found.extend(list::<GatewayConfiguration>(client).await?);
        found.extend(list::<ListenerSet>(client).await?);
        found.extend(list::<Namespace>(client).await?);
    }
    Ok(found)
}

fn is_entrance(item: &Item) -> bool {
    match item {
        Item::Ours(manifest) => {
            [Kind::Gateway, Kind::GatewayClass, Kind::GatewayConfiguration].contains(&manifest.kind)
        }
        Item::Other(other) => is_of::<ListenerSet>(&other.object),
        Item::Broken(..) => false,
    }
}

/// All objects of a kind; none where it is not installed.
async fn list<K: Resource<DynamicType = ()>>(client: &Client) -> Result<Vec<Value>, Failed> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
    let found = match api.list(&ListParams::default()).await {
        Ok(found) => found.items,
        Err(kube::Error::Api(status)) if status.is_not_found() => Vec::new(),
        Err(error) => return Err(failed(&K::plural(&()), error)),
    };
    let values = found.into_iter().map(|mut object| {
        object.metadata.managed_fields = None;
        Ok(typed::<K>(serde_json::to_value(object)?))
    });
    values.collect()
}

/// Definitions by their names, which is all that counts of them.
async fn definitions(client: &Client) -> Result<Vec<Value>, Failed> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let found = api.list_metadata(&ListParams::default()).await;
    let found = found.map_err(|error| failed("customresourcedefinitions", error))?;
    let named = |name: String| typed::<CustomResourceDefinition>(json!({ "metadata": { "name": name } }));
    Ok(found.into_iter().map(|definition| named(definition.name_any())).collect())
}

/// Items of a list do not say of which kind they are.
fn typed<K: Resource<DynamicType = ()>>(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".to_owned(), json!(K::api_version(&())));
        members.insert("kind".to_owned(), json!(K::kind(&())));
    }
    object
}

/// What is not among the manifests and made otherwise because of them, Gateways first. What is compared with its owner
/// anyhow is not told twice.
pub fn affected(around: &Around<'_>, cluster: &[Value]) -> Vec<Affected> {
    let given = Given::of(around);
    let gateways = select(cluster, Kind::Gateway, |gateway: &Gateway| {
        !given.gateways.iter().any(|found| is_same(found, gateway)) && given.changes_gateway(around, gateway)
    });
    let mut owners: BTreeSet<_> = given.gateways.iter().map(key).collect();
    owners.extend(
        gateways
            .iter()
            .filter_map(|found| serde_json::from_value(found.object.clone()).ok())
            .map(|found: Gateway| key(&found)),
    );
    owners.extend(given.controlplanes.iter().map(key));
    let is_free = |meta: &ObjectMeta| !owner(meta).is_some_and(|by| owners.contains(&by));
    let dataplanes = select(cluster, Kind::DataPlane, |dataplane: &DataPlane| {
        let is_given = given.dataplanes.iter().any(|found| is_same(found, dataplane));
        !is_given && is_free(&dataplane.metadata) && given.configures(dataplane)
    });
    let controlplanes = select(cluster, Kind::ControlPlane, |controlplane: &ControlPlane| {
        let is_given = given.controlplanes.iter().any(|found| is_same(found, controlplane));
        !is_given && is_free(&controlplane.metadata) && given.changes_controlplane(controlplane)
    });
    gateways.into_iter().chain(dataplanes).chain(controlplanes).collect()
}

fn select<K: DeserializeOwned + Resource<DynamicType = ()>>(
    cluster: &[Value],
    kind: Kind,
    is_changed: impl Fn(&K) -> bool,
) -> Vec<Affected> {
    let of_kind = cluster.iter().filter(|object| is_of::<K>(object));
    let changed = of_kind.filter(|object| {
        let read: Option<K> = serde_json::from_value((*object).clone()).ok();
        read.is_some_and(|read| is_changed(&read))
    });
    changed.map(|object| Affected { kind, object: object.clone() }).collect()
}

/// Kind, namespace and name.
type Key = (String, String, String);

fn key<K: Resource<DynamicType = ()>>(object: &K) -> Key {
    (K::kind(&()).into_owned(), object.namespace().unwrap_or_default(), object.name_any())
}

/// The object that controls it.
fn owner(meta: &ObjectMeta) -> Option<Key> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    Some((owner.kind.clone(), meta.namespace.clone().unwrap_or_default(), owner.name.clone()))
}

fn is_same<K: Resource<DynamicType = ()>>(one: &K, other: &K) -> bool {
    key(one) == key(other)
}

/// What the manifests give to the cluster.
struct Given {
    gateways: Vec<Gateway>,
    dataplanes: Vec<DataPlane>,
    controlplanes: Vec<ControlPlane>,
    classes: Vec<GatewayClass>,
    configurations: Vec<GatewayConfiguration>,
    grants: Vec<WatchNamespaceGrant>,
    sets: Vec<ListenerSet>,
}

impl Given {
    fn of(around: &Around<'_>) -> Self {
        Self {
            gateways: around.given(),
            dataplanes: around.given(),
            controlplanes: around.given(),
            classes: around.given(),
            configurations: around.given(),
            grants: around.given(),
            sets: around.given(),
        }
    }

    /// By its class, by a configuration, or by a set of listeners.
    fn changes_gateway(&self, around: &Around<'_>, gateway: &Gateway) -> bool {
        let Some(class) = around.class(&gateway.spec.gateway_class_name) else { return false };
        if class.spec.controller_name != around.controller() {
            return false;
        }
        let places = [gateway::of_class(&class), gateway::of_gateway(gateway)];
        let places: Vec<_> = places.into_iter().filter_map(|place| place.ok().flatten()).collect();
        let is_there = |found: &GatewayConfiguration| {
            let place = Place { namespace: found.namespace().unwrap_or_default(), name: found.name_any() };
            places.contains(&place)
        };
        self.classes.iter().any(|found| found.name_any() == class.name_any())
            || self.configurations.iter().any(is_there)
            || self.sets.iter().any(|set| gateway::names_gateway(set, gateway))
    }

    /// By its `DataPlane`, by its class, or by what it may watch.
    fn changes_controlplane(&self, controlplane: &ControlPlane) -> bool {
        let namespace = controlplane.namespace().unwrap_or_default();
        let options = &controlplane.spec.options;
        let is_named = |dataplane: &DataPlane| is_configured(dataplane, controlplane);
        let is_class = |class: &GatewayClass| options.gateway_class.as_ref() == Some(&class.name_any());
        let opens = |grant: &WatchNamespaceGrant| {
            let open = grant.namespace().unwrap_or_default();
            listed(options, &namespace).any(|listed| listed == open)
                && grant.spec.from.iter().any(|from| from.namespace == namespace)
        };
        self.dataplanes.iter().any(is_named)
            || self.classes.iter().any(is_class)
            || self.grants.iter().any(opens)
    }

    fn configures(&self, dataplane: &DataPlane) -> bool {
        self.controlplanes.iter().any(|controlplane| is_configured(dataplane, controlplane))
    }
}

fn is_configured(dataplane: &DataPlane, controlplane: &ControlPlane) -> bool {
    let name = dataplane.name_any();
    dataplane.namespace() == controlplane.namespace() && controlplane.spec.names().any(|named| named == name)
}
