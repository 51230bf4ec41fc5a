//! A cluster, asked about the children of one object.
//!
//! In: children as they are wanted. Out: what would become of each, and of those that are no longer wanted. Never: a change.

use std::sync::Arc;

use crds::k8s::Secret;
use crds::names::{annotations, managers};
use crds::wanted::{APPLIED, Wanted};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::offline::change::Change;
use crate::offline::{Failed, UID};

/// The cluster and the object whose children are asked about.
pub struct Asked {
    client: Client,
    pub namespace: String,
    pub name: String,
    /// The uid of the object, or what stands for it.
    pub uid: String,
}

impl Asked {
    pub async fn about<K>(client: &Client, object: &K) -> Result<Self, Failed>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let mut asked = Self { client: client.clone(), namespace, name, uid: UID.to_owned() };
        let found = asked.live::<K>(Some(&asked.namespace), &asked.name).await?;
        if let Some(uid) = found.as_ref().and_then(|found| found.pointer("/metadata/uid")?.as_str()) {
            uid.clone_into(&mut asked.uid);
        }
        Ok(asked)
    }

    /// An object as it is; those of kinds that are not installed are not there.
    pub async fn live<K: Resource<DynamicType = ()>>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, Failed> {
        let found = self.api::<K>(namespace).get_opt(name).await;
        let found = found.map_err(|error| failed(&shown::<K>(name), error))?;
        Ok(found.map(serde_json::to_value).transpose()?)
    }

    /// The same of the object's own namespace, in its type.
    pub async fn typed<K>(&self, name: &str) -> Result<Option<K>, Failed>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let found = self.live::<K>(Some(&self.namespace), name).await?;
        Ok(found.map(serde_json::from_value).transpose()?)
    }

    /// Objects of its own with these labels, in their type; of a kind that is not installed there are none.
    pub async fn own<K>(&self, labels: &str) -> Result<Vec<Arc<K>>, Failed>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let listed = self.api::<K>(Some(&self.namespace)).list(&ListParams::default().labels(labels)).await;
        let all = match listed {
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(Vec::new()),
            other => other.map_err(|error| failed(&shown::<K>(labels), error))?.items,
        };
        let is_own =
            |object: &DynamicObject| object.owner_references().iter().any(|owner| owner.uid == self.uid);
        let own = all
            .into_iter()
            .filter(is_own)
            .map(|object| Ok::<_, Failed>(Arc::new(serde_json::from_value(serde_json::to_value(object)?)?)));
        own.collect()
    }

    /// Certificate, key and authority that are there, in PEM: they stay as long as they are good.
    pub async fn certificate(&self, secret: &str) -> Result<Option<[String; 3]>, Failed> {
        let found: Option<Secret> = self.typed(secret).await?;
        let data = found.and_then(|found| found.data).unwrap_or_default();
        let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
        let all = || Some([text("tls.crt")?, text("tls.key")?, text("ca.crt")?]);
        Ok(all())
    }

    /// What an apply of the operator's would make of a child.
    pub async fn apply<K: Resource<DynamicType = ()>>(
        &self,
        want: &Wanted<K>,
        manager: &str,
    ) -> Result<Change, Failed> {
        let namespace = want.body().pointer("/metadata/namespace").and_then(Value::as_str);
        let before = self.live::<K>(namespace, want.name()).await?;
        let change = self.change::<K>(namespace, want.name());
        if let Some(before) = before.as_ref().filter(|before| self.belongs_to_others(before)) {
            let words = format!(
                "{} {}: is there and belongs to somebody else: the operator would not touch it",
                change.kind, change.name
            );
            let before = Some(before.clone());
            return Ok(Change { after: before.clone(), before, refused: Some(words), ..change });
        }
        let mut body = want.body().clone();
        note(&mut body, &want.digest());
        let params = PatchParams { dry_run: true, ..PatchParams::apply(manager).force() };
        let api = self.api::<K>(namespace);
        #[expect(clippy::disallowed_methods, reason = "a dry run writes nothing")]
        let sent = api.patch(want.name(), &params, &Patch::Apply(&body)).await;
        let after = match sent {
            Ok(after) => serde_json::to_value(after)?,
            // There is not even the namespace.
            Err(kube::Error::Api(status)) if status.is_not_found() => body,
            Err(error) => return Err(failed(&shown::<K>(&change.name), error)),
        };
        Ok(Change { before, after: Some(after), ..change })
    }

    /// A child of the object's own namespace that may be wanted or not, and goes when it no longer is.
    pub async fn optional<K: Resource<DynamicType = ()>>(
        &self,
        name: &str,
        want: Option<&Wanted<K>>,
    ) -> Result<Option<Change>, Failed> {
        match want {
            Some(want) => Ok(Some(self.apply(want, managers::DATAPLANE).await?)),
            None => self.gone::<K>(Some(&self.namespace), name).await,
        }
    }

    /// What becomes of a child that is not wanted; nothing where it is not there.
    pub async fn gone<K: Resource<DynamicType = ()>>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Change>, Failed> {
        let live = self.live::<K>(namespace, name).await?.filter(|live| self.is_made(live));
        Ok(live.map(|live| Change { before: Some(live), ..self.change::<K>(namespace, name) }))
    }

    /// Children by their labels, of all namespaces or of the object's own, that go because they are not wanted.
    pub async fn former<K: Resource<DynamicType = ()>>(
        &self,
        (namespace, labels): (Option<&str>, &str),
        is_wanted: impl Fn(&DynamicObject) -> bool,
    ) -> Result<Vec<Change>, Failed> {
        let listed = self.api::<K>(namespace).list(&ListParams::default().labels(labels)).await;
        let found = match listed {
            Ok(found) => found.items,
            Err(kube::Error::Api(status)) if status.is_not_found() => Vec::new(),
            Err(error) => return Err(failed(&K::plural(&()), error)),
        };
        let mut changes = Vec::new();
        for object in found.into_iter().filter(|object| !is_wanted(object)) {
            let change = self.change::<K>(object.namespace().as_deref(), &object.name_any());
            let live = serde_json::to_value(object)?;
            if self.is_made(&live) {
                changes.push(Change { before: Some(live), ..change });
            }
        }
        Ok(changes)
    }

    fn api<K: Resource<DynamicType = ()>>(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        let (client, resource) = (self.client.clone(), ApiResource::erase::<K>(&()));
        match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        }
    }

    /// Nothing known of it yet but what it is called; in the object's own namespace that goes without saying.
    fn change<K: Resource<DynamicType = ()>>(&self, namespace: Option<&str>, name: &str) -> Change {
        let namespace = namespace.filter(|namespace| *namespace != self.namespace);
        let name = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        Change { kind: K::kind(&()).into_owned(), name, before: None, after: None, refused: None }
    }

    /// Whether the operator made it for this object.
    fn is_made(&self, live: &Value) -> bool {
        let notes = live.pointer("/metadata/annotations");
        notes.is_some_and(|notes| notes.get(APPLIED).is_some()) && !self.belongs_to_others(live)
    }

    /// What can have no owner reference carries the uid of its owner in an annotation.
    fn belongs_to_others(&self, live: &Value) -> bool {
        let text = |object: &Value, field: &str| object.get(field)?.as_str().map(str::to_owned);
        let metadata = live.get("metadata").cloned().unwrap_or_default();
        let owner = if text(&metadata, "namespace").as_ref() == Some(&self.namespace) {
            let owners = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
            let mut controllers = owners.filter(|owner| owner.get("controller") == Some(&Value::Bool(true)));
            controllers.next().and_then(|owner| text(owner, "uid"))
        } else {
            metadata.get("annotations").and_then(|notes| text(notes, annotations::OWNER))
        };
        owner.as_ref() != Some(&self.uid)
    }
}

/// An error in the API server's words.
pub fn failed(what: &str, error: kube::Error) -> Failed {
    match error {
        kube::Error::Api(status) => format!("{what} cannot be compared: {}", status.message).into(),
        error => error.into(),
    }
}

fn shown<K: Resource<DynamicType = ()>>(name: &str) -> String {
    format!("{} {name}", K::kind(&()))
}

/// The digest of what is applied, which the operator leaves on every child.
fn note(body: &mut Value, digest: &str) {
    let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(APPLIED.to_owned(), json!(digest));
    }
}
