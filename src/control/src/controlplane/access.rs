//! What a `ControlPlane` may do, in its own namespace, in those of others and in the cluster.
//!
//! In: roles and bindings as they are wanted. Out: the same in the cluster, and none besides.

use std::sync::Arc;

use crds::ControlPlane;
use crds::names;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::controlplane::Access;
use runtime::hub::{Hub, Watched};
use runtime::writer::{Owner, is_marked};

use super::{ControlPlanes, Error};

impl ControlPlanes {
    /// Roles come before the pods that need them.
    pub(super) async fn allow(&self, owner: &Owner, access: &Access) -> Result<(), Error> {
        let (planes, writer) = (&self.0.planes, self.writer());
        let Access { account, own, cluster, abroad } = access;
        match account {
            Some(account) => drop(writer.apply(&planes.accounts, owner, account).await?),
            None => writer.remove(&planes.accounts, owner, &names::controller(&owner.name)).await?,
        }
        writer.apply(&planes.roles, owner, &own.0).await?;
        writer.apply(&planes.role_bindings, owner, &own.1).await?;
        writer.apply_cluster(&planes.cluster_roles, owner, &cluster.0).await?;
        writer.apply_cluster(&planes.cluster_role_bindings, owner, &cluster.1).await?;
        for (namespace, (role, binding)) in abroad {
            writer.apply_abroad(&planes.roles, owner, namespace, role).await?;
            writer.apply_abroad(&planes.role_bindings, owner, namespace, binding).await?;
        }
        Ok(())
    }

    /// Rights in namespaces that are no longer watched go, after the pods were told: bindings first.
    pub(super) async fn prune(&self, owner: &Owner, is_wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
        let (planes, writer) = (&self.0.planes, self.writer());
        for binding in abroad(&planes.role_bindings, owner, &is_wanted) {
            writer.remove_abroad(owner, binding.as_ref()).await?;
        }
        for role in abroad(&planes.roles, owner, &is_wanted) {
            writer.remove_abroad(owner, role.as_ref()).await?;
        }
        Ok(())
    }

    /// All that has no owner reference.
    pub(super) async fn revoke(&self, owner: &Owner, object: &ControlPlane) -> Result<(), Error> {
        let (planes, writer) = (&self.0.planes, self.writer());
        let name = names::controller_abroad(&owner.namespace, &owner.name);
        if let Some(binding) = planes.cluster_role_bindings.get(&ObjectRef::new(&name)) {
            writer.remove_cluster(owner, binding.as_ref()).await?;
        }
        if let Some(role) = planes.cluster_roles.get(&ObjectRef::new(&name)) {
            writer.remove_cluster(owner, role.as_ref()).await?;
        }
        // What was written a moment ago is not among what the watch has shown yet.
        for namespace in plan::controlplane::listed(&object.spec.options, &owner.namespace) {
            if let Some(binding) = planes.role_bindings.get(&ObjectRef::new(&name).within(namespace)) {
                writer.remove_abroad(owner, binding.as_ref()).await?;
            }
            if let Some(role) = planes.roles.get(&ObjectRef::new(&name).within(namespace)) {
                writer.remove_abroad(owner, role.as_ref()).await?;
            }
        }
        self.prune(owner, |_| false).await
    }
}

/// What the owner has in namespaces that are not wanted.
fn abroad<K: Watched>(hub: &Hub<K>, owner: &Owner, is_wanted: &impl Fn(&str) -> bool) -> Vec<Arc<K>> {
    hub.select(|object| is_marked(owner, object) && !is_wanted(&object.namespace().unwrap_or_default()))
}
