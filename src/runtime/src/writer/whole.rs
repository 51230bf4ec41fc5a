//! Writes of objects that have no owner, and of finalizers.
//!
//! In: an object as it was read and changed, or the fields of one that are ours. Out: the object as it is now. Never: a
//! write over somebody else's who was faster: each carries the version that it was decided on.

use crds::names::managers;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::ClusterResourceScope;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::{Error, Target, Writer, Written, bounded};
use crate::hub::Watched;

impl Writer {
    /// Replaces an object as a whole, if it still has the version that it carries.
    ///
    /// # Errors
    /// [`Error::Api`], a conflict included, [`Error::Late`], [`Error::Refused`] or [`Error::Fenced`].
    pub async fn replace<K: Written>(&self, namespace: &str, object: &K) -> Result<K, Error> {
        let params = PostParams { field_manager: Some(self.manager.to_owned()), ..PostParams::default() };
        let (api, name) = (self.api::<K>(namespace), object.name_any());
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.replace(&name, &params, object);
        self.answered("replace", Target::of::<K>(&name), sent).await
    }

    /// Applies fields of an object of the cluster; where `metadata` has a version, only to that one.
    ///
    /// # Errors
    /// [`Error::Api`], a conflict included, [`Error::Late`], [`Error::Refused`] or [`Error::Fenced`].
    pub async fn apply_global<K>(&self, name: &str, body: &Value) -> Result<K, Error>
    where
        K: Watched + Resource<Scope = ClusterResourceScope>,
    {
        let (api, params) = (Api::<K>::all(self.client.clone()), PatchParams::apply(self.manager).force());
        let body = Patch::Apply(body);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch(name, &params, &body);
        self.answered("apply", Target::of::<K>(name), sent).await
    }

    /// Writes the status of an object of the cluster by server-side apply, and returns the object.
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Late`], [`Error::Refused`] or [`Error::Fenced`].
    pub async fn status_global<K>(&self, object: &K, status: &impl serde::Serialize) -> Result<K, Error>
    where
        K: Watched + Resource<Scope = ClusterResourceScope>,
    {
        let name = object.name_any();
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": name, "uid": object.uid() },
            "status": status,
        });
        let (api, params) =
            (Api::<K>::all(self.client.clone()), PatchParams::apply(managers::STATUS).force());
        let body = Patch::Apply(&body);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch_status(&name, &params, &body);
        self.answered("status", Target::of::<K>(&name), sent).await
    }

    /// Replaces the named fields of an object as it was seen, lists as a whole.
    ///
    /// # Errors
    /// See [`Error`]. It is an [`Error::Api`] when the object has changed since it was seen.
    pub async fn merge<K: Written>(&self, object: &K, fields: &Value) -> Result<K, Error> {
        let name = object.name_any();
        let mut fields = fields.as_object().cloned().unwrap_or_default();
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("resourceVersion".to_owned(), json!(object.resource_version()));
        }
        let manager = Some(self.manager.to_owned());
        let params = PatchParams { field_manager: manager, ..PatchParams::default() };
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let body = Patch::Merge(&fields);
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch(&name, &params, &body);
        self.answered("merge", Target::of::<K>(&name), sent).await
    }

    /// Replaces the named fields of an object of the cluster, lists as a whole; where `metadata` has a version, only
    /// of that one.
    ///
    /// # Errors
    /// [`Error::Api`], a conflict included, [`Error::Late`], [`Error::Refused`] or [`Error::Fenced`].
    pub async fn merge_global<K>(&self, name: &str, fields: &Value) -> Result<K, Error>
    where
        K: Watched + Resource<Scope = ClusterResourceScope>,
    {
        let manager = Some(self.manager.to_owned());
        let params = PatchParams { field_manager: manager, ..PatchParams::default() };
        let (api, body) = (Api::<K>::all(self.client.clone()), Patch::Merge(fields));
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch(name, &params, &body);
        self.answered("merge", Target::of::<K>(name), sent).await
    }

    /// Adds a finalizer to an object, or takes it off, and returns the object.
    ///
    /// # Errors
    /// See [`Error`]. It is an [`Error::Api`] when the object has changed since it was seen.
    pub async fn finalizer<K: Written>(&self, object: &K, name: &str, is_there: bool) -> Result<K, Error> {
        let others = object.finalizers().iter().filter(|other| *other != name).cloned();
        let all: Vec<_> = others.chain(is_there.then(|| name.to_owned())).collect();
        let body = json!({ "metadata": {
            "uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": all,
        } });
        let params = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        let (api, body) = (self.api::<K>(&object.namespace().unwrap_or_default()), Patch::Merge(body));
        let name = object.name_any();
        #[expect(clippy::disallowed_methods, reason = "this is the writer")]
        let sent = api.patch(&name, &params, &body);
        self.answered("finalizer", Target::of::<K>(&name), sent).await
    }

    /// Asks what would become of an object if it were made; nothing is stored.
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Late`] or [`Error::Refused`].
    pub async fn rehearse<K: Written>(&self, namespace: &str, object: &K) -> Result<K, Error> {
        let manager = Some(self.manager.to_owned());
        let params = PostParams { dry_run: true, field_manager: manager };
        let api = self.api::<K>(namespace);
        #[expect(clippy::disallowed_methods, reason = "this is the writer, and nothing is written")]
        let sent = api.create(&params, object);
        bounded("create", Target::of::<K>(&object.name_any()), sent).await
    }
}
