//! Writes of objects that belong to somebody and cannot have an owner reference: those without a namespace, and those
//! of another namespace.
//!
//! In: an object as wanted, which carries the uid of its owner in an annotation, and the hub of its kind. Out: the object
//! as it is now. Never: a change of an object that carries another uid or none, whatever its name and labels say.

use std::sync::Arc;

use crds::names::annotations;
use crds::wanted::{APPLIED, Wanted};
use kube::core::{ClusterResourceScope, NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;

use super::{Error, Owner, Target, Writer, bounded, difference};
use crate::hub::{Hub, Watched};

impl Writer {
    /// Makes an object without a namespace what is wanted; sends nothing when it already is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn apply_cluster<K>(
        &self,
        hub: &Hub<K>,
        owner: &Owner,
        want: &Wanted<K>,
    ) -> Result<Arc<K>, Error>
    where
        K: Watched + Resource<Scope = ClusterResourceScope> + Serialize,
    {
        self.marked(&Api::all(self.client.clone()), hub, (owner, ObjectRef::new(want.name())), want).await
    }

    /// Makes an object of any namespace what is wanted; sends nothing when it already is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn apply_abroad<K>(
        &self,
        hub: &Hub<K>,
        owner: &Owner,
        namespace: &str,
        want: &Wanted<K>,
    ) -> Result<Arc<K>, Error>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope> + Serialize,
    {
        let key = ObjectRef::new(want.name()).within(namespace);
        self.marked(&self.abroad(namespace), hub, (owner, key), want).await
    }

    /// Deletes an object without a namespace, if it carries the owner's uid.
    ///
    /// # Errors
    /// [`Error::Api`] or [`Error::Late`].
    pub async fn remove_cluster<K>(&self, owner: &Owner, object: &K) -> Result<(), Error>
    where
        K: Watched + Resource<Scope = ClusterResourceScope>,
    {
        if !is_marked(owner, object) || !object.annotations().contains_key(APPLIED) {
            return Ok(());
        }
        self.delete(&Api::all(self.client.clone()), object).await
    }

    /// Deletes an object of any namespace, if it carries the owner's uid.
    ///
    /// # Errors
    /// [`Error::Api`] or [`Error::Late`].
    pub async fn remove_abroad<K>(&self, owner: &Owner, object: &K) -> Result<(), Error>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        if !is_marked(owner, object) || !object.annotations().contains_key(APPLIED) {
            return Ok(());
        }
        self.delete(&self.abroad(&object.namespace().unwrap_or_default()), object).await
    }

    fn abroad<K>(&self, namespace: &str) -> Api<K>
    where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn marked<K: Watched + Serialize>(
        &self,
        api: &Api<K>,
        hub: &Hub<K>,
        (owner, key): (&Owner, ObjectRef<K>),
        want: &Wanted<K>,
    ) -> Result<Arc<K>, Error> {
        self.allowed(|| Target::of::<K>(want.name()))?;
        let digest = want.digest();
        let uid = match hub.get(&key) {
            Some(live) => {
                claim(owner, live.as_ref())?;
                let Some(path) = difference(want, &digest, live.as_ref()) else { return Ok(live) };
                if self.is_kept(live.as_ref(), &digest, &path) {
                    return Ok(live);
                }
                tracing::info!(kind = %K::kind(&()), name = want.name(), field = path, "applying");
                live.uid()
            }
            None => self.hidden(api, owner, want).await?,
        };
        let written = self.send(api, want, &digest, uid).await?;
        self.learn(want, &digest, &written);
        hub.note(written.clone());
        Ok(Arc::new(written))
    }

    /// The store holds what carries our labels: before making an object, one read makes sure that its name is free.
    async fn hidden<K: Watched>(
        &self,
        api: &Api<K>,
        owner: &Owner,
        want: &Wanted<K>,
    ) -> Result<Option<String>, Error> {
        let found: Option<PartialObjectMeta<K>> =
            bounded("get", Target::of::<K>(want.name()), api.get_metadata_opt(want.name())).await?;
        if let Some(object) = &found {
            claim(owner, object)?;
        }
        tracing::info!(kind = %K::kind(&()), name = want.name(), "making");
        Ok(found.and_then(|object| object.metadata.uid))
    }
}

/// Whether an object carries the owner's uid.
pub fn is_marked<K: Resource>(owner: &Owner, object: &K) -> bool {
    object.annotations().get(annotations::OWNER) == Some(&owner.uid)
}

fn claim<K: Resource<DynamicType = ()>>(owner: &Owner, object: &K) -> Result<(), Error> {
    let target = Target::of::<K>(&object.name_any());
    match (is_marked(owner, object), object.meta().deletion_timestamp.is_some()) {
        (true, false) => Ok(()),
        (true, true) => Err(Error::Terminating(target)),
        (false, _) => Err(Error::Taken { target, wanted_by: owner.name.clone() }),
    }
}
