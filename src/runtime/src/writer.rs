//! The only way to write to the API server.
//!
//! In: an object as wanted, its owner, and the hub of its kind. Out: the object as it is now. It sends
//! nothing when the live object already is what is wanted, and it never touches an object that belongs
//! to somebody else, whatever its labels say.

mod error;
mod marked;
mod whole;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::k8s::{ObjectMeta, OwnerReference};
use crds::names::managers;
use crds::wanted::{APPLIED, Wanted};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use crate::drift;
use crate::hub::{Hub, Watched};
use crate::lease::Claim;
use crate::metrics::Metrics;

pub use error::{Cause, Error, Target};
pub use marked::is_marked;

/// How long a call may take. The API server itself gives a request a minute; whoever waits that long is
/// better off trying again.
const DEADLINE: Duration = Duration::from_secs(30);

/// A namespaced kind this process writes.
pub trait Written: Watched + Resource<Scope = NamespaceResourceScope> + Serialize {}
impl<K: Watched + Resource<Scope = NamespaceResourceScope> + Serialize> Written for K {}

/// Whose children are written.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Kind of the owner.
    pub kind: String,
    /// Namespace of the owner, and so of its children.
    pub namespace: String,
    /// The owner's name.
    pub name: String,
    /// The owner's uid: what decides whether an object is a child.
    pub uid: String,
}

/// What the API server made of an apply, where that is not what was sent: which digest, and where it differs.
type Kept = HashMap<String, (String, String)>;

/// Writes for the whole process; cloning shares the client, the counters and what was learnt.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    metrics: Metrics,
    manager: &'static str,
    claim: Claim,
    kept: Arc<Mutex<Kept>>,
}

impl Writer {
    /// A writer over `client` that counts in `metrics`, as the field manager of a `DataPlane`'s children. It
    /// writes only while `claim` is current.
    pub fn new(client: Client, metrics: Metrics, claim: Claim) -> Self {
        Self { client, metrics, manager: managers::DATAPLANE, claim, kept: Arc::default() }
    }

    /// The same writer as another field manager.
    #[must_use]
    pub fn under(&self, manager: &'static str) -> Self {
        Self { manager, ..self.clone() }
    }

    /// Makes the live object what is wanted, by server-side apply, and returns it; sends nothing when it
    /// already is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn apply<K: Written>(
        &self,
        hub: &Hub<K>,
        owner: &Owner,
        want: &Wanted<K>,
    ) -> Result<Arc<K>, Error> {
        self.allowed(|| Target::of::<K>(want.name()))?;
        let key = ObjectRef::<K>::new(want.name()).within(&owner.namespace);
        let digest = want.digest();
        let uid = match hub.get(&key) {
            Some(live) => {
                claim::<K>(owner, live.meta())?;
                let Some(path) = difference(want, &digest, live.as_ref()) else { return Ok(live) };
                if self.is_kept(live.as_ref(), &digest, &path) {
                    return Ok(live);
                }
                tracing::info!(kind = %K::kind(&()), name = want.name(), field = path, "applying");
                live.uid()
            }
            None => self.unseen(owner, want).await?,
        };
        let written = self.send(&self.api(&owner.namespace), want, &digest, uid).await?;
        self.learn(want, &digest, &written);
        hub.note(written.clone());
        Ok(Arc::new(written))
    }

    /// Applies a part of the specification of a child that is known to be the owner's, and nothing else of it.
    ///
    /// # Errors
    /// See [`Error`]. It is an [`Error::Api`] when the child has changed since it was seen.
    pub async fn field<K: Written>(&self, live: &K, owner: &Owner, spec: &Value) -> Result<(), Error> {
        claim::<K>(owner, live.meta())?;
        let name = live.name_any();
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": name, "uid": live.uid(), "resourceVersion": live.resource_version() },
            "spec": spec,
        });
        let (api, params) = (self.api::<K>(&owner.namespace), PatchParams::apply(self.manager).force());
        let body = Patch::Apply(&body);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch(&name, &params, &body);
        self.answered("apply", Target::of::<K>(&name), sent).await.map(drop)
    }

    /// Writes a status by server-side apply and returns the object.
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Late`] or [`Error::Refused`].
    pub async fn status<K: Written>(&self, object: &K, status: &impl Serialize) -> Result<K, Error> {
        let name = object.name_any();
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": name, "uid": object.uid() },
            "status": status,
        });
        let (params, body) = (PatchParams::apply(managers::STATUS).force(), Patch::Apply(&body));
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch_status(&name, &params, &body);
        self.answered("status", Target::of::<K>(&name), sent).await
    }

    /// Makes an object that has no owner; `None` where one of this name exists already.
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Late`] or [`Error::Refused`].
    pub async fn create<K: Written>(&self, namespace: &str, object: &K) -> Result<Option<K>, Error> {
        let params = PostParams { field_manager: Some(self.manager.to_owned()), ..PostParams::default() };
        let api = self.api::<K>(namespace);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.create(&params, object);
        match self.answered("create", Target::of::<K>(&object.name_any()), sent).await {
            Ok(made) => Ok(Some(made)),
            Err(Error::Api { cause, .. }) if is(&cause, kube::core::Status::is_already_exists) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a child that is no longer wanted, if this writer's product made it for the owner. What another
    /// operator made for the same owner is not ours to delete.
    ///
    /// # Errors
    /// [`Error::Api`] or [`Error::Late`].
    pub async fn remove<K: Written>(&self, hub: &Hub<K>, owner: &Owner, name: &str) -> Result<(), Error> {
        let Some(object) = hub.get(&ObjectRef::new(name).within(&owner.namespace)) else { return Ok(()) };
        let meta = object.meta();
        let theirs = controller(meta).is_none_or(|found| found.uid != owner.uid);
        if theirs || meta.deletion_timestamp.is_some() || !object.annotations().contains_key(APPLIED) {
            return Ok(());
        }
        self.delete(&self.api(&owner.namespace), object.as_ref()).await
    }

    /// The object as the API server has it, where a watch store may not show it.
    ///
    /// # Errors
    /// [`Error::Api`] or [`Error::Late`].
    pub async fn read<K: Written>(&self, namespace: &str, name: &str) -> Result<Option<K>, Error> {
        let api = self.api::<K>(namespace);
        bounded("get", Target::of::<K>(name), api.get_opt(name)).await
    }

    /// The objects of a namespace that have these labels, as the API server has them, where no watch store shows them.
    ///
    /// # Errors
    /// [`Error::Api`] or [`Error::Late`].
    pub async fn list<K: Written>(&self, namespace: &str, labels: &str) -> Result<Vec<K>, Error> {
        let (api, params) = (self.api::<K>(namespace), ListParams::default().labels(labels));
        Ok(bounded("list", Target::of::<K>(labels), api.list(&params)).await?.items)
    }

    async fn delete<K: Watched>(&self, api: &Api<K>, object: &K) -> Result<(), Error> {
        let name = &object.name_any();
        tracing::info!(kind = %K::kind(&()), name, "deleting what is no longer wanted");
        // By uid: another object may have taken the name since this one was seen.
        let only_this = Preconditions { uid: object.uid(), ..Preconditions::default() };
        let params = DeleteParams::background().preconditions(only_this);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.delete(name, &params);
        match self.answered("delete", Target::of::<K>(name), sent).await {
            // A conflict is no end: it may be another object by now, or the API server's hiccup. The next look tells.
            Err(Error::Api { cause, .. }) if is(&cause, kube::core::Status::is_not_found) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Nothing of this name is in the store, which holds only what carries our labels: before making it,
    /// one read makes sure that the name is free or the object ours. Returns the uid of ours.
    async fn unseen<K: Written>(&self, owner: &Owner, want: &Wanted<K>) -> Result<Option<String>, Error> {
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &owner.namespace);
        let found = bounded("get", Target::of::<K>(want.name()), api.get_metadata_opt(want.name())).await?;
        if let Some(object) = &found {
            claim::<K>(owner, &object.metadata)?;
        }
        tracing::info!(kind = %K::kind(&()), name = want.name(), "making");
        Ok(found.and_then(|object| object.metadata.uid))
    }

    async fn send<K: Watched>(
        &self,
        api: &Api<K>,
        want: &Wanted<K>,
        digest: &str,
        uid: Option<String>,
    ) -> Result<K, Error> {
        let mut body = want.body().clone();
        complete(&mut body, digest, uid);
        let (params, body) = (PatchParams::apply(self.manager).force(), Patch::Apply(&body));
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch(want.name(), &params, &body);
        self.answered("apply", Target::of::<K>(want.name()), sent).await
    }

    /// Sends what nothing was done for yet, if we may; waits for an answer, but not for ever, and counts it.
    async fn answered<T>(
        &self,
        verb: &'static str,
        target: Target,
        sent: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        self.allowed(|| target.clone())?;
        let kind = target.kind.clone();
        let answer = bounded(verb, target, sent).await;
        self.metrics.wrote(&kind, verb, answer.is_ok());
        answer
    }

    fn allowed(&self, target: impl Fn() -> Target) -> Result<(), Error> {
        if self.claim.is_current() { Ok(()) } else { Err(Error::Fenced(target())) }
    }

    /// Remembers what an admission webhook or a gate made of an apply: sending it again would change nothing,
    /// for ever.
    fn learn<K: Watched + Serialize>(&self, want: &Wanted<K>, digest: &str, written: &K) {
        let uid = written.uid().unwrap_or_default();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match difference(want, digest, written) {
            Some(path) => {
                let (kind, name) = (K::kind(&()), want.name());
                tracing::warn!(%kind, name, field = path, "the API server keeps another value than the applied one, left alone");
                kept.insert(uid, (digest.to_owned(), path));
            }
            None => drop(kept.remove(&uid)),
        }
    }

    fn is_kept<K: Watched>(&self, live: &K, digest: &str, path: &str) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = live.uid().and_then(|uid| kept.get(&uid).cloned());
        known.is_some_and(|(of, at)| of == digest && at == path)
    }

    fn api<K: Written>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

async fn bounded<T>(
    verb: &'static str,
    target: Target,
    sent: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, sent).await {
        Ok(answer) => answer.map_err(|source| Error::of(verb, target, source)),
        Err(_) => Err(Error::Late { verb, target }),
    }
}

fn is(error: &kube::Error, check: impl Fn(&kube::core::Status) -> bool) -> bool {
    matches!(error, kube::Error::Api(status) if check(status))
}

fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_deref().unwrap_or_default().iter().find(|owner| owner.controller == Some(true))
}

/// Fails unless the object is the owner's and stays.
fn claim<K: Written>(owner: &Owner, meta: &ObjectMeta) -> Result<(), Error> {
    let target = Target::of::<K>(meta.name.as_deref().unwrap_or_default());
    match controller(meta) {
        Some(found) if found.uid == owner.uid && meta.deletion_timestamp.is_none() => Ok(()),
        Some(found) if found.uid == owner.uid => Err(Error::Terminating(target)),
        // The child of one of the same name that was deleted: the garbage collector is on its way.
        Some(found) if found.kind == owner.kind && found.name == owner.name => {
            Err(Error::Terminating(target))
        }
        _ => Err(Error::Taken { target, wanted_by: owner.name.clone() }),
    }
}

/// Why `live` is not what is wanted: what we applied last was something else (only that tells of fields we
/// no longer want), or somebody changed a field of ours.
fn difference<K: Watched + Serialize>(want: &Wanted<K>, digest: &str, live: &K) -> Option<String> {
    let applied = live.annotations().get(APPLIED);
    if applied.map(String::as_str) != Some(digest) {
        return Some(format!(".metadata.annotations.{APPLIED}"));
    }
    match serde_json::to_value(live) {
        Ok(live) => drift::first(want.body(), &live),
        Err(error) => Some(error.to_string()),
    }
}

/// Adds the digest and, so that no other object of the same name is taken for it, the uid.
fn complete(body: &mut Value, digest: &str, uid: Option<String>) {
    if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(APPLIED.to_owned(), json!(digest));
        }
        if let Some(uid) = uid {
            metadata.insert("uid".to_owned(), json!(uid));
        }
    }
}
