//! What the manifests at hand say of the surroundings of one of them.
//!
//! In: all manifests, and one. Out: the objects around it, from its own folder; classes and definitions from any. Never: a
//! guess: what is not among them is not there. Certificates are taken for good, since nothing that is made follows from
//! them; so are grants for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crds::gatewayapi::ReferenceGrant;
use crds::k8s::{CustomResourceDefinition, Namespace};
use crds::{ControlPlane, DataPlane, GatewayConfiguration, WatchNamespaceGrant};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::listenersets::ListenerSet;
use kube::{Resource, ResourceExt};
use plan::dataplane::Settings;
use plan::gateway::{Place, Unusable, World};
use serde::de::DeserializeOwned;
use serde_json::Value;
use webhooks::Kind;
use webhooks::rules::read;

use crate::offline::check::Premises;
use crate::offline::definitions::Definitions;
use crate::offline::known;
use crate::offline::manifest::{Item, Manifest};

/// The label with its name that every namespace has.
const NAME: &str = "kubernetes.io/metadata.name";

/// What is around one manifest.
pub struct Around<'a> {
    items: &'a [Item],
    premises: &'a Premises,
    definitions: &'a Definitions,
    folder: &'a Path,
}

impl<'a> Around<'a> {
    /// What is around that manifest.
    pub fn of(
        manifest: &'a Manifest,
        (items, premises, definitions): (&'a [Item], &'a Premises, &'a Definitions),
    ) -> Self {
        Self { items, premises, definitions, folder: &manifest.folder }
    }

    /// The object of that manifest, as a reconciler would see it.
    pub fn object<K: DeserializeOwned + Resource>(&self, manifest: &Manifest) -> Option<K> {
        let mut object: K = self.read(manifest.kind, &manifest.object)?;
        // The placeholder of admission, where the cluster makes the name.
        read::complete(object.meta_mut());
        Some(object)
    }

    /// An object of one of our kinds, as a reconciler would see it.
    pub fn read<K: DeserializeOwned>(&self, kind: Kind, object: &Value) -> Option<K> {
        let mut object = self.definitions.stored(kind, object);
        known::complete(&mut object, &self.premises.namespace);
        serde_json::from_value(object).ok()
    }

    pub const fn settings(&self) -> &Settings {
        &self.premises.settings
    }

    /// `spec.controllerName` of classes that are ours.
    pub fn controller(&self) -> &str {
        &self.premises.controller
    }

    pub fn controller_image(&self) -> String {
        self.premises.controller_image.clone()
    }

    /// A class; one of the same folder comes first.
    pub fn class(&self, name: &str) -> Option<GatewayClass> {
        let named = |class: &GatewayClass| class.name_any() == name;
        self.near::<GatewayClass>().find(named).or_else(|| self.anywhere().find(named))
    }

    pub fn dataplane(&self, controlplane: &ControlPlane, name: &str) -> Option<DataPlane> {
        let is_it =
            |found: &DataPlane| found.name_any() == name && found.namespace() == controlplane.namespace();
        self.near().find(is_it)
    }

    /// Whether a `ControlPlane` names it.
    pub fn is_configured(&self, dataplane: &DataPlane) -> bool {
        let name = dataplane.name_any();
        self.near::<ControlPlane>().any(|found| {
            found.namespace() == dataplane.namespace() && found.spec.names().any(|named| named == name)
        })
    }

    /// Namespaces that let themselves be read by a `ControlPlane`.
    pub fn granted(&self, controlplane: &ControlPlane) -> BTreeSet<String> {
        let reader = controlplane.namespace().unwrap_or_default();
        let lets = |grant: &WatchNamespaceGrant| grant.spec.from.iter().any(|from| from.namespace == reader);
        self.near().filter(lets).filter_map(|grant: WatchNamespaceGrant| grant.namespace()).collect()
    }

    /// Definitions of Kong's own kinds.
    pub fn definitions(&self) -> BTreeSet<String> {
        let all = self.anywhere::<CustomResourceDefinition>().map(|definition| definition.name_any());
        all.filter(|name| plan::controlplane::DEFINITIONS.contains(&name.as_str())).collect()
    }

    pub fn configuration(&self, place: &Place) -> Option<Arc<GatewayConfiguration>> {
        let is_it = |found: &GatewayConfiguration| {
            found.name_any() == place.name && found.namespace().as_ref() == Some(&place.namespace)
        };
        self.near().find(is_it).map(Arc::new)
    }

    /// Sets of listeners that name a Gateway.
    pub fn sets(&self, gateway: &Gateway) -> Vec<Arc<ListenerSet>> {
        self.near().filter(|set| plan::gateway::names_gateway(set, gateway)).map(Arc::new).collect()
    }

    /// Objects of a kind in the same folder.
    fn near<K: DeserializeOwned + Resource<DynamicType = ()>>(&self) -> impl Iterator<Item = K> {
        self.select(|folder| folder == self.folder)
    }

    fn anywhere<K: DeserializeOwned + Resource<DynamicType = ()>>(&self) -> impl Iterator<Item = K> {
        self.select(|_| true)
    }

    fn select<K: DeserializeOwned + Resource<DynamicType = ()>>(
        &self,
        is_seen: impl Fn(&Path) -> bool,
    ) -> impl Iterator<Item = K> {
        self.items.iter().filter_map(move |item| match item {
            Item::Ours(found) if is_seen(&found.folder) && is_of::<K>(&found.object) => {
                self.read(found.kind, &found.object)
            }
            Item::Other(found) if is_seen(&found.folder) && is_of::<K>(&found.object) => {
                let mut object = found.object.clone();
                known::complete(&mut object, &self.premises.namespace);
                serde_json::from_value(object).ok()
            }
            _ => None,
        })
    }
}

/// Whether an object is of a kind, in whichever version.
fn is_of<K: Resource<DynamicType = ()>>(object: &Value) -> bool {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    text("kind") == K::kind(&()) && group == K::group(&())
}

impl World for Around<'_> {
    fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        let found = self.anywhere::<Namespace>().find(|found| found.name_any() == namespace);
        let mut labels = found.and_then(|found| found.metadata.labels).unwrap_or_default();
        labels.insert(NAME.to_owned(), namespace.to_owned());
        Some(labels)
    }

    fn grants(&self, _: &str) -> Vec<Arc<ReferenceGrant>> {
        Vec::new()
    }

    fn certificate(&self, _: &str, _: &str) -> Result<(), Unusable> {
        Ok(())
    }
}
