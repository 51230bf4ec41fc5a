//! What the manifests at hand say of the surroundings of one of them.
//!
//! In: all manifests, and one; objects of a cluster, where one is compared with. Out: the objects around it, from its own
//! folder; classes and definitions from any. Never: a guess: what is not among them is not there. Certificates are taken
//! for good, since nothing that is made follows from them; so are grants for them.

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

/// All that is known, whichever manifest is looked at.
pub struct Scene<'a> {
    /// The manifests.
    pub items: &'a [Item],
    /// What goes without saying about them.
    pub premises: &'a Premises,
    /// The definitions of our kinds.
    pub definitions: &'a Definitions,
    /// Objects of the cluster that the manifests are for, where there is one.
    pub cluster: Option<&'a [Value]>,
}

/// What is around one manifest.
pub struct Around<'a> {
    scene: &'a Scene<'a>,
    folder: &'a Path,
}

impl<'a> Around<'a> {
    /// What is around a manifest of that folder.
    pub const fn of(folder: &'a Path, scene: &'a Scene<'a>) -> Self {
        Self { scene, folder }
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
        let mut object = self.scene.definitions.stored(kind, object);
        known::complete(&mut object, &self.scene.premises.namespace);
        serde_json::from_value(object).ok()
    }

    pub const fn settings(&self) -> &Settings {
        &self.scene.premises.settings
    }

    /// `spec.controllerName` of classes that are ours.
    pub fn controller(&self) -> &str {
        &self.scene.premises.controller
    }

    pub fn controller_image(&self) -> String {
        self.scene.premises.controller_image.clone()
    }

    /// A class; one of the same folder comes first.
    pub fn class(&self, name: &str) -> Option<GatewayClass> {
        self.anywhere::<GatewayClass>().find(|class| class.name_any() == name)
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

    /// Where something was looked for in vain.
    pub const fn nowhere(&self) -> &'static str {
        match self.scene.cluster {
            None => "not among the manifests",
            Some(_) => "neither among the manifests nor in the cluster",
        }
    }

    /// All manifests of a kind, of whichever folder.
    pub fn given<K: DeserializeOwned + Resource<DynamicType = ()>>(&self) -> Vec<K> {
        self.manifests::<K>(|_| true).filter_map(|(kind, object)| self.typed(kind, object)).collect()
    }

    /// Whether it may be in the cluster what is not among the manifests.
    pub const fn has_cluster(&self) -> bool {
        self.scene.cluster.is_some()
    }

    /// Objects of a kind in the same folder. What is compared with one cluster is all for that one: there other folders
    /// count too, and what is in the cluster.
    fn near<K: DeserializeOwned + Resource<DynamicType = ()>>(&self) -> impl Iterator<Item = K> {
        self.select(self.has_cluster())
    }

    fn anywhere<K: DeserializeOwned + Resource<DynamicType = ()>>(&self) -> impl Iterator<Item = K> {
        self.select(true)
    }

    /// Those of the same folder come first, then those of others, then those of the cluster; of several that have one
    /// name the first one counts.
    fn select<K: DeserializeOwned + Resource<DynamicType = ()>>(
        &self,
        is_wide: bool,
    ) -> impl Iterator<Item = K> {
        let near = self.manifests::<K>(|folder| folder == self.folder);
        let far = self.manifests::<K>(move |folder| is_wide && folder != self.folder);
        let live = self.scene.cluster.into_iter().flatten().filter(|object| is_of::<K>(object));
        let mut seen = BTreeSet::new();
        let all = near.chain(far).chain(live.map(|object| (None, object)));
        let all = all.filter(move |(_, object)| {
            let (namespace, name) = self.key(object);
            name.is_empty() || seen.insert((namespace.to_owned(), name.to_owned()))
        });
        all.filter_map(|(kind, object)| self.typed(kind, object))
    }

    fn typed<K: DeserializeOwned>(&self, kind: Option<Kind>, object: &Value) -> Option<K> {
        if let Some(kind) = kind {
            return self.read(kind, object);
        }
        let mut object = object.clone();
        known::complete(&mut object, &self.scene.premises.namespace);
        serde_json::from_value(object).ok()
    }

    fn manifests<K: Resource<DynamicType = ()>>(
        &self,
        is_seen: impl Fn(&Path) -> bool,
    ) -> impl Iterator<Item = (Option<Kind>, &'a Value)> {
        let scene = self.scene;
        scene.items.iter().filter_map(move |item| {
            let (kind, folder, object) = match item {
                Item::Ours(found) => (Some(found.kind), &found.folder, &found.object),
                Item::Other(found) => (None, &found.folder, &found.object),
                Item::Broken(..) => return None,
            };
            (is_seen(folder) && is_of::<K>(object)).then_some((kind, object))
        })
    }

    /// Namespace and name.
    fn key<'o>(&'o self, object: &'o Value) -> (&'o str, &'o str) {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let namespace = text("/metadata/namespace").unwrap_or(&self.scene.premises.namespace);
        (namespace, text("/metadata/name").unwrap_or_default())
    }
}

/// Whether an object is of a kind, in whichever version.
pub fn is_of<K: Resource<DynamicType = ()>>(object: &Value) -> bool {
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
