//! Writes of objects that have no owner.
//!
//! In: an object as it was read and changed, or the fields of one that are ours. Out: the object as it is now. Never: a
//! write over somebody else's who was faster: each carries the version that it was decided on.

use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::ClusterResourceScope;
use kube::{Resource, ResourceExt};
use serde_json::Value;

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
