//! What the manifests at hand tell of each other.
//!
//! In: all manifests. Out: answers about other objects, for each manifest from those of its own folder: other folders
//! may be of other clusters. What is not among them may be in the cluster all the same, so that nothing is ever known
//! to be absent: a warning here is true there too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crds::gatewayapi::ReferenceGrant;
use crds::k8s::ByteString;
use crds::{ControlPlane, DataPlane, GatewayConfiguration, WatchNamespaceGrant};
use gateway_api::gatewayclasses::GatewayClass;
use plan::dataplane::ingress_service;
use plan::gateway::Unusable;
use serde::de::DeserializeOwned;
use serde_json::Value;
use webhooks::Kind;
use webhooks::world::{Found, Holder, Named, World};

use super::manifest::{Item, Manifest};

/// Type of the Secrets that hold certificates.
const TLS: &str = "kubernetes.io/tls";

/// Folder, namespace and name.
type Key = (Arc<Path>, String, String);

/// Objects by folder, namespace and what they want there: nobody looks through all of them for one.
type Wanted<T> = BTreeMap<Key, Vec<Arc<T>>>;

/// The manifests, by what is asked about them.
#[derive(Debug, Default)]
pub struct Known {
    dataplanes: BTreeMap<Key, Arc<DataPlane>>,
    /// `DataPlane`s by the ingress Service that they want.
    wanting: Wanted<DataPlane>,
    /// `ControlPlane`s by the `DataPlane` that they name.
    configuring: Wanted<ControlPlane>,
    services: BTreeMap<Key, Holder>,
    /// Classes by folder and name.
    classes: BTreeMap<(Arc<Path>, String), Arc<GatewayClass>>,
    configurations: BTreeMap<Key, Arc<GatewayConfiguration>>,
    /// Types of Secrets.
    secrets: BTreeMap<Key, String>,
    /// Kind and key of everything.
    names: BTreeSet<(String, Key)>,
    /// What `ConfigMap`s and Secrets hold.
    contents: BTreeMap<(String, Key), BTreeMap<String, String>>,
}

/// What of them is seen from one folder.
#[derive(Debug)]
pub struct Seen<'a> {
    known: &'a Known,
    folder: Arc<Path>,
}

impl Known {
    /// What these manifests tell; those without a namespace are in `namespace`.
    pub fn of(items: &[Item], namespace: &str) -> Self {
        let mut known = Self::default();
        for item in items {
            match item {
                Item::Ours(manifest) => known.learn(manifest, namespace),
                Item::Other(other) => {
                    known.note(other.kind(), key(&other.folder, &other.object, namespace), &other.object);
                }
                Item::Broken(..) => {}
            }
        }
        known
    }

    /// What that manifest sees of them.
    pub fn seen_by(&self, manifest: &Manifest) -> Seen<'_> {
        Seen { known: self, folder: Arc::clone(&manifest.folder) }
    }

    fn learn(&mut self, manifest: &Manifest, namespace: &str) {
        let object = &manifest.object;
        let key = key(&manifest.folder, object, namespace);
        match manifest.kind {
            Kind::DataPlane => self.learn_dataplane(key.clone(), object),
            Kind::ControlPlane => self.learn_controlplane(&key, object),
            Kind::GatewayClass => {
                let at = (Arc::clone(&manifest.folder), manifest.name().to_owned());
                self.classes.extend(read(&key, object).map(|class| (at, Arc::new(class))));
            }
            Kind::GatewayConfiguration => {
                let found = read(&key, object).map(|found| (key.clone(), Arc::new(found)));
                self.configurations.extend(found);
            }
            Kind::WatchNamespaceGrant | Kind::Gateway => {}
        }
        self.note(manifest.kind.name(), key, object);
    }

    fn learn_dataplane(&mut self, key: Key, object: &Value) {
        let Some(object) = read::<DataPlane>(&key, object).map(Arc::new) else { return };
        let wanted = (Arc::clone(&key.0), key.1.clone(), ingress_service(&object));
        self.wanting.entry(wanted).or_default().push(Arc::clone(&object));
        self.dataplanes.insert(key, object);
    }

    fn learn_controlplane(&mut self, key: &Key, object: &Value) {
        let Some(object) = read::<ControlPlane>(key, object).map(Arc::new) else { return };
        for dataplane in object.spec.names() {
            let key = (Arc::clone(&key.0), key.1.clone(), dataplane.to_owned());
            self.configuring.entry(key).or_default().push(Arc::clone(&object));
        }
    }

    fn note(&mut self, kind: &str, key: Key, object: &Value) {
        let text = |field: &str| object.get(field).and_then(Value::as_str);
        match (text("apiVersion"), kind) {
            (Some("v1"), "Service") => drop(self.services.insert(key.clone(), holder(object))),
            (Some("v1"), "Secret") => {
                drop(self.secrets.insert(key.clone(), text("type").unwrap_or_default().to_owned()));
            }
            _ => {}
        }
        if ["ConfigMap", "Secret"].contains(&kind) {
            self.contents.insert((kind.to_owned(), key.clone()), content(kind, object));
        }
        self.names.insert((kind.to_owned(), key));
    }
}

fn key(folder: &Arc<Path>, object: &Value, namespace: &str) -> Key {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let namespace = text("/metadata/namespace").unwrap_or(namespace);
    (Arc::clone(folder), namespace.to_owned(), text("/metadata/name").unwrap_or_default().to_owned())
}

fn read<K: DeserializeOwned>((_, namespace, _): &Key, object: &Value) -> Option<K> {
    let mut object = object.clone();
    complete(&mut object, namespace);
    serde_json::from_value(object).ok()
}

/// Gives an object the namespace that it is in, and a uid, which a cluster would have given it by now.
pub fn complete(object: &mut Value, namespace: &str) {
    let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) else { return };
    if metadata.get("namespace").is_none_or(Value::is_null) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    metadata.entry("uid").or_insert_with(|| super::UID.into());
}

/// The texts in a `ConfigMap` or a Secret.
fn content(kind: &str, object: &Value) -> BTreeMap<String, String> {
    let plain = |field: &str| -> BTreeMap<String, String> {
        object.get(field).and_then(|held| serde_json::from_value(held.clone()).ok()).unwrap_or_default()
    };
    if kind == "ConfigMap" {
        return plain("data");
    }
    let coded = object.get("data").and_then(|held| serde_json::from_value(held.clone()).ok());
    let coded: BTreeMap<String, ByteString> = coded.unwrap_or_default();
    let decoded = coded.into_iter().filter_map(|(key, bytes)| Some((key, String::from_utf8(bytes.0).ok()?)));
    // As the API server merges the two.
    decoded.chain(plain("stringData")).collect()
}

/// Whose a Service is: what is read from a cluster names its owner.
fn holder(service: &Value) -> Holder {
    let owners = service.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let kind = crds::k8s::kind::<DataPlane>();
    let of_dataplane = |owner: &&Value| owner.get("kind").and_then(Value::as_str) == Some(&kind);
    let owner = owners.into_iter().flatten().find(of_dataplane);
    let name = owner.and_then(|owner| owner.get("name")?.as_str());
    name.map_or(Holder::Stranger, |name| Holder::DataPlane(name.to_owned()))
}

impl Seen<'_> {
    fn key(&self, namespace: &str, name: &str) -> Key {
        (Arc::clone(&self.folder), namespace.to_owned(), name.to_owned())
    }

    /// What stands under a key of a `ConfigMap` or a Secret; absent is a key of one that is at hand.
    pub fn held(&self, namespace: &str, (kind, name, key): (&str, &str, &str)) -> Found<String> {
        let content = self.known.contents.get(&(kind.to_owned(), self.key(namespace, name)));
        let Some(content) = content else { return Found::Unknown };
        content.get(key).cloned().map_or(Found::Absent, Found::Here)
    }
}

impl World for Seen<'_> {
    fn exists(&self, kind: Named, namespace: &str, name: &str) -> Found<()> {
        let kind = match kind {
            Named::Secret => "Secret",
            Named::ConfigMap => "ConfigMap",
        };
        let known = self.known.names.contains(&(kind.to_owned(), self.key(namespace, name)));
        found(known.then_some(()))
    }

    fn service(&self, namespace: &str, name: &str) -> Found<Holder> {
        found(self.known.services.get(&self.key(namespace, name)).cloned())
    }

    fn dataplane(&self, namespace: &str, name: &str) -> Found<Arc<DataPlane>> {
        found(self.known.dataplanes.get(&self.key(namespace, name)).cloned())
    }

    fn wanting(&self, namespace: &str, service: &str) -> Vec<Arc<DataPlane>> {
        self.known.wanting.get(&self.key(namespace, service)).cloned().unwrap_or_default()
    }

    fn configuring(&self, namespace: &str, dataplane: &str) -> Vec<Arc<ControlPlane>> {
        self.known.configuring.get(&self.key(namespace, dataplane)).cloned().unwrap_or_default()
    }

    fn grants(&self, _: &str) -> Found<Vec<Arc<WatchNamespaceGrant>>> {
        // There may be more of them in the cluster: that those at hand do not suffice proves nothing.
        Found::Unknown
    }

    /// Classes often have a folder of their own: one that is not in this folder may be in any.
    fn gateway_class(&self, name: &str) -> Found<Arc<GatewayClass>> {
        let classes = &self.known.classes;
        let near = classes.get(&(Arc::clone(&self.folder), name.to_owned()));
        let far = || classes.iter().find(|((_, class), _)| class == name).map(|(_, class)| class);
        found(near.or_else(far).cloned())
    }

    fn configuration(&self, namespace: &str, name: &str) -> Found<Arc<GatewayConfiguration>> {
        found(self.known.configurations.get(&self.key(namespace, name)).cloned())
    }

    fn reference_grants(&self, _: &str) -> Found<Vec<Arc<ReferenceGrant>>> {
        // As with the grants above.
        Found::Unknown
    }

    /// Files often hold what is in a Secret in another form, encrypted or not at all: its type is what counts here.
    fn certificate(&self, namespace: &str, name: &str) -> Found<Result<(), Unusable>> {
        let type_ = self.known.secrets.get(&self.key(namespace, name));
        found(type_.map(|type_| if type_ == TLS { Ok(()) } else { Err(Unusable::OtherType) }))
    }
}

fn found<T>(found: Option<T>) -> Found<T> {
    found.map_or(Found::Unknown, Found::Here)
}

#[cfg(test)]
mod tests {
    use super::super::check::{self, Premises};
    use super::super::manifest;
    use super::super::sources::Source;
    use plan::dataplane::Settings;

    const DATAPLANE: &str = "apiVersion: gateway-operator.konghq.com/v1beta1\nkind: DataPlane\nmetadata: {name: edge, uid: 1a, resourceVersion: '7'}\nspec: {}\nstatus: {service: dataplane-ingress-edge}\n";

    /// Fields and messages of what is wrong with these, each a folder and a text.
    fn told(texts: &[(&str, &str)]) -> Vec<String> {
        let source = |(folder, text): &(&str, &str)| Source {
            name: format!("{folder}/x.yaml"),
            folder: folder.into(),
            bytes: text.as_bytes().to_vec(),
        };
        let sources: Vec<_> = texts.iter().map(source).collect();
        let premises = Premises {
            settings: Settings { image: crds::defaults::IMAGE.to_owned() },
            controller: crds::names::CONTROLLER.to_owned(),
            controller_image: crds::defaults::CONTROLLER_IMAGE.to_owned(),
            namespace: "team".to_owned(),
        };
        let checks = check::all(&manifest::items(&sources), &premises);
        let problems = checks.objects.into_iter().flat_map(|object| object.problems);
        problems.map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    fn service(version: &str, owner: &str) -> String {
        format!(
            "---\napiVersion: {version}\nkind: Service\nmetadata: {{name: dataplane-ingress-edge, ownerReferences: [{owner}]}}\n"
        )
    }

    fn controlplane(name: &str) -> String {
        format!(
            "---\napiVersion: gateway-operator.konghq.com/v1beta1\nkind: ControlPlane\nmetadata: {{name: {name}}}\nspec: {{dataplane: edge, gatewayClass: kong}}\n"
        )
    }

    #[test]
    fn a_service_belongs_to_the_dataplane_that_owns_it() {
        let beside = |service: String| told(&[("eu", &format!("{DATAPLANE}{service}"))]);
        assert_eq!(beside(service("v1", "{kind: DataPlane, name: edge}")), [] as [&str; 0]);
        let stranger = beside(service("v1", ""));
        assert!(stranger[0].contains("exists, and belongs to no DataPlane"), "{stranger:?}");
        let other = beside(service("v1", "{kind: DataPlane, name: other}"));
        assert!(other[0].contains("belongs to the DataPlane \"other\""), "{other:?}");
        assert_eq!(
            beside(service("serving.knative.dev/v1", "")),
            [] as [&str; 0],
            "another kind of that name"
        );
    }

    #[test]
    fn only_objects_of_one_folder_clash() {
        let (a, b, stranger) = (controlplane("a"), controlplane("b"), service("v1", ""));
        let clash = told(&[("eu", &a), ("eu", &b)]);
        assert!(clash.len() == 2 && clash[0].contains("configured by the ControlPlane \"b\""), "{clash:?}");
        assert_eq!(told(&[("eu", &a), ("us", &b)]), [] as [&str; 0]);
        assert_eq!(told(&[("eu", DATAPLANE), ("us", &stranger)]), [] as [&str; 0]);
        assert_eq!(told(&[("eu", DATAPLANE), ("eu", &stranger)]).len(), 1);
    }

    #[test]
    fn a_class_may_be_in_any_folder_and_its_own_comes_first() {
        let class = |controller: &str| {
            format!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {{name: kong}}\nspec: {{controllerName: {controller}}}\n"
            )
        };
        // Without a name it is wrong as soon as it is looked at.
        let gateway = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {}\nspec: {gatewayClassName: kong}\n";
        let (ours, others) = (class(crds::names::CONTROLLER), class("example.com/other"));
        assert_eq!(told(&[("base", &ours), ("eu", gateway)]).len(), 1);
        assert_eq!(told(&[("base", &ours), ("eu", gateway), ("eu", &others)]).len(), 0);
        assert_eq!(told(&[("base", &others), ("eu", gateway), ("eu", &ours)]).len(), 1);
    }
}
