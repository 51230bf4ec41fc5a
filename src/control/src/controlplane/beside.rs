//! The `ControlPlane`s of further `DataPlane`s.
//!
//! In: those that are wanted. Out: the same in the cluster, none besides, and each as it is.

use crds::ControlPlane;
use kube::ResourceExt;
use plan::controlplane::{Beside, Valid};
use runtime::writer::Owner;

use super::{ControlPlanes, Error};

impl ControlPlanes {
    /// Those of names that were taken off the list go.
    pub(super) async fn beside(
        &self,
        owner: &Owner,
        object: &ControlPlane,
        valid: &Valid<'_>,
    ) -> Result<Vec<Beside>, Error> {
        let (hub, writer) = (&self.0.planes.controlplanes, self.writer());
        let wanted = valid.beside();
        let is_former = |found: &ControlPlane| {
            found.owner_references().iter().any(|by| by.uid == owner.uid)
                && wanted.iter().all(|wanted| wanted.name() != found.name_any())
        };
        for former in hub.select(is_former) {
            writer.remove(hub, owner, &former.name_any()).await?;
        }
        let mut found = Vec::new();
        for (dataplane, wanted) in object.spec.dataplanes.iter().flatten().zip(&wanted) {
            let controlplane = Some(writer.apply(hub, owner, wanted).await?);
            found.push(Beside { dataplane: dataplane.clone(), controlplane });
        }
        Ok(found)
    }
}
