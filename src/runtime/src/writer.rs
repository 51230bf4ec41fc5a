//! The only way to write to the API server.
//!
//! In: an object as wanted, its owner, and the hub of its kind. Out: the object as it is now. It sends
//! nothing when the live object already is what is wanted, and it never touches an object that belongs
//! to somebody else, whatever its labels say.

use std::fmt::Debug;
use std::sync::Arc;

use crds::wanted::{APPLIED, Wanted};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use crate::drift;
use crate::failure::Impact;
use crate::hub::{Hub, Watched};
use crate::metrics::Metrics;

/// Field manager of everything but status.
pub const MANAGER: &str = "silverback";
/// Field manager of status.
pub const STATUS_MANAGER: &str = "silverback/status";

/// A namespaced kind this process writes.
pub trait Written: Watched + Resource<Scope = NamespaceResourceScope> + Serialize {}
impl<K: Watched + Resource<Scope = NamespaceResourceScope> + Serialize> Written for K {}

/// Whose children are written.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Namespace of the owner, and so of its children.
    pub namespace: String,
    /// The owner's name, for messages.
    pub name: String,
    /// The owner's uid: what decides whether an object is a child.
    pub uid: String,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An object of this name exists and is not ours.
    #[error("{kind} {name} already exists and is not controlled by {wanted_by}: delete or rename it, or choose another name")]
    Taken {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// Who wanted to have it.
        wanted_by: String,
    },
    /// The object is being deleted; it is made anew when it is gone.
    #[error("{kind} {name} is being deleted")]
    Terminating {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A resource quota leaves no room.
    #[error("{kind} {name} exceeds a quota of its namespace: {message}")]
    Quota {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// The API server's words.
        message: String,
    },
    /// The API server refuses the object as it was asked for.
    #[error("the API server refuses {kind} {name}: {message}")]
    Refused {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// The API server's words.
        message: String,
    },
    /// The API server or the way to it failed.
    #[error("{verb} of {kind} {name} failed")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
}

impl Error {
    /// Who has to act on it.
    pub fn impact(&self) -> Impact {
        match self {
            // Both go away without any object of ours changing, so a watch may never tell.
            Self::Taken { .. } | Self::Terminating { .. } | Self::Quota { .. } => Impact::Waiting,
            Self::Refused { .. } => Impact::User,
            Self::Api { .. } => Impact::Transient,
        }
    }

    /// Reason for the condition.
    pub fn reason(&self) -> &'static str {
        use crds::conditions::reasons;
        match self {
            Self::Taken { .. } => reasons::NAME_TAKEN,
            Self::Terminating { .. } => reasons::WAITING_TO_BECOME_READY,
            Self::Quota { .. } => reasons::QUOTA_EXCEEDED,
            Self::Refused { .. } | Self::Api { .. } => reasons::UNABLE_TO_PROVISION,
        }
    }

    fn of<K: Resource<DynamicType = ()>>(verb: &'static str, name: &str, source: kube::Error) -> Self {
        let (kind, name) = (K::kind(&()).into_owned(), name.to_owned());
        match &source {
            kube::Error::Api(status) if status.is_forbidden() && status.message.contains("exceeded quota") => {
                Self::Quota { kind, name, message: status.message.clone() }
            }
            kube::Error::Api(status) if status.is_invalid() || status.code == 400 => {
                Self::Refused { kind, name, message: status.message.clone() }
            }
            _ => Self::Api { verb, kind, name, source: Box::new(source) },
        }
    }
}

/// Writes for the whole process; cloning shares the client and the counters.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    metrics: Metrics,
}

impl Writer {
    /// A writer over `client` that counts in `metrics`.
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self { client, metrics }
    }

    /// Makes the live object what is wanted, by server-side apply, and returns it; sends nothing when it
    /// already is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn apply<K: Written>(&self, hub: &Hub<K>, owner: &Owner, want: &Wanted<K>) -> Result<Arc<K>, Error> {
        let key = ObjectRef::<K>::new(want.name()).within(&owner.namespace);
        let digest = want.digest();
        match hub.get(&key) {
            Some(live) => {
                claim(owner, want.name(), live.as_ref())?;
                let Some(path) = difference(want, &digest, live.as_ref()) else { return Ok(live) };
                tracing::info!(kind = %K::kind(&()), name = want.name(), field = path, "applying");
            }
            None => self.unseen(owner, want).await?,
        }
        let written = self.send(owner, want, &digest).await?;
        hub.note(written.clone());
        Ok(Arc::new(written))
    }

    /// Writes a status by server-side apply and returns the object.
    ///
    /// # Errors
    /// [`Error::Api`] or [`Error::Refused`].
    pub async fn status<K: Written>(&self, object: &K, status: &impl Serialize) -> Result<K, Error> {
        let name = object.name_any();
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": name, "uid": object.uid() },
            "status": status,
        });
        let params = PatchParams::apply(STATUS_MANAGER).force();
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let answer = api.patch_status(&name, &params, &Patch::Apply(&body)).await;
        self.metrics.wrote(&K::kind(&()), "status", answer.is_ok());
        answer.map_err(|source| Error::of::<K>("status", &name, source))
    }

    /// Makes an object that has no owner; `None` where one of this name exists already.
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Refused`] or [`Error::Quota`].
    pub async fn create<K: Written>(&self, namespace: &str, object: &K) -> Result<Option<K>, Error> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let answer = self.api::<K>(namespace).create(&params, object).await;
        self.metrics.wrote(&K::kind(&()), "create", answer.is_ok());
        match answer {
            Ok(made) => Ok(Some(made)),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
            Err(source) => Err(Error::of::<K>("create", &object.name_any(), source)),
        }
    }

    /// Deletes those of `found` that are the owner's and whose name is not in `keep`.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn prune<K: Written>(&self, found: &[Arc<K>], owner: &Owner, keep: &[&str]) -> Result<(), Error> {
        for object in found {
            let name = object.name_any();
            let going = object.meta().deletion_timestamp.is_some();
            if !going && controlled_by(object.as_ref(), &owner.uid) && !keep.contains(&name.as_str()) {
                self.delete(object.as_ref(), &owner.namespace, &name).await?;
            }
        }
        Ok(())
    }

    async fn delete<K: Written>(&self, object: &K, namespace: &str, name: &str) -> Result<(), Error> {
        tracing::info!(kind = %K::kind(&()), name, "deleting what is no longer wanted");
        // By uid: another object may have taken the name since this one was seen.
        let only_this = Preconditions { uid: object.uid(), ..Preconditions::default() };
        let params = DeleteParams::background().preconditions(only_this);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let answer = self.api::<K>(namespace).delete(name, &params).await;
        let gone = matches!(&answer, Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict());
        self.metrics.wrote(&K::kind(&()), "delete", answer.is_ok() || gone);
        match answer {
            Err(source) if !gone => Err(Error::of::<K>("delete", name, source)),
            _ => Ok(()),
        }
    }

    /// Nothing of this name is in the store, which holds only what carries our labels: before making it,
    /// one read makes sure that the name is free or the object ours.
    async fn unseen<K: Written>(&self, owner: &Owner, want: &Wanted<K>) -> Result<(), Error> {
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &owner.namespace);
        let found = api.get_metadata_opt(want.name()).await;
        let found = found.map_err(|source| Error::of::<K>("get", want.name(), source))?;
        tracing::info!(kind = %K::kind(&()), name = want.name(), "making");
        found.map_or(Ok(()), |object| claim_meta::<K>(owner, want.name(), &object.metadata))
    }

    async fn send<K: Written>(&self, owner: &Owner, want: &Wanted<K>, digest: &str) -> Result<K, Error> {
        let mut body = want.body().clone();
        annotate(&mut body, digest);
        let params = PatchParams::apply(MANAGER).force();
        let api = self.api::<K>(&owner.namespace);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let answer = api.patch(want.name(), &params, &Patch::Apply(&body)).await;
        self.metrics.wrote(&K::kind(&()), "apply", answer.is_ok());
        answer.map_err(|source| Error::of::<K>("apply", want.name(), source))
    }

    fn api<K: Written>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Whether `uid` is the controlling owner of `object`.
pub fn controlled_by<K: Resource>(object: &K, uid: &str) -> bool {
    controller(object.meta()).is_some_and(|owner| owner == uid)
}

fn controller(meta: &crds::k8s::ObjectMeta) -> Option<&str> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.uid.as_str())
}

fn claim<K: Written>(owner: &Owner, name: &str, live: &K) -> Result<(), Error> {
    claim_meta::<K>(owner, name, live.meta())
}

fn claim_meta<K: Written>(owner: &Owner, name: &str, meta: &crds::k8s::ObjectMeta) -> Result<(), Error> {
    let kind = K::kind(&()).into_owned();
    let name = name.to_owned();
    if controller(meta) != Some(owner.uid.as_str()) {
        return Err(Error::Taken { kind, name, wanted_by: owner.name.clone() });
    }
    if meta.deletion_timestamp.is_some() {
        return Err(Error::Terminating { kind, name });
    }
    Ok(())
}

/// Why `live` is not what is wanted: what we applied last was something else (only that tells of fields we
/// no longer want), or somebody changed a field of ours.
fn difference<K: Serialize + Resource + Debug>(want: &Wanted<K>, digest: &str, live: &K) -> Option<String> {
    let applied = live.meta().annotations.as_ref().and_then(|a| a.get(APPLIED));
    if applied.map(String::as_str) != Some(digest) {
        return Some(format!(".metadata.annotations.{APPLIED}"));
    }
    match serde_json::to_value(live) {
        Ok(live) => drift::first(want.body(), &live),
        Err(error) => Some(error.to_string()),
    }
}

fn annotate(body: &mut Value, digest: &str) {
    if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(APPLIED.to_owned(), json!(digest));
        }
    }
}
