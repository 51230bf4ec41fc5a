//! The tracks of a `DataPlane`: usually one, and two while a rollout is under way.
//!
//! In: Deployments and rollouts as they are. Out: the course that `plan::attempt` says, the attempt that begins, the second
//! Deployment, and none besides. Never: a step of a rollout; that is written in its status by then.

use std::sync::Arc;

use crds::names::{self, managers};
use crds::wanted::Wanted;
use crds::{DataPlane, GatewayRollout};
use kube::ResourceExt;
use plan::attempt::{Course, Live, Track};
use plan::dataplane::{Certificate, Families};
use runtime::writer::Owner;

use super::{DataPlanes, Error, owner};
use crate::Context;

/// How many attempts are kept, the one under way among them.
const HISTORY: usize = 10;

impl Context {
    /// The track by which a `DataPlane` is served.
    pub(crate) fn serving(&self, object: &DataPlane) -> String {
        let owner = owner(object);
        let (deployments, rollouts) = (self.hubs.tracks_of(&owner), self.hubs.rollouts_of(&owner.uid));
        plan::attempt::serving(Live { deployments: &deployments, rollouts: &rollouts })
    }
}

impl DataPlanes {
    pub(super) fn course(&self, object: &DataPlane) -> Course {
        let (hubs, owner) = (&self.0.hubs, owner(object));
        let (deployments, rollouts) = (hubs.tracks_of(&owner), hubs.rollouts_of(&owner.uid));
        Course::of(object, Live { deployments: &deployments, rollouts: &rollouts })
    }

    /// Writes down that an attempt begins, and forgets the oldest ones.
    pub(super) async fn begin(&self, owner: &Owner, attempt: &Wanted<GatewayRollout>) -> Result<(), Error> {
        let hub = &self.0.hubs.rollouts;
        let writer = self.0.kit.writer.under(managers::ROLLOUTS);
        writer.apply(hub, owner, attempt).await?;
        let mut all = self.0.hubs.rollouts_of(&owner.uid);
        all.sort_by_key(|rollout| std::cmp::Reverse(rollout.creation_timestamp()));
        for old in all.iter().skip(HISTORY) {
            writer.remove(hub, owner, &old.name_any()).await?;
        }
        Ok(())
    }

    /// The last attempt.
    pub(super) fn latest(&self, owner: &Owner) -> Option<Arc<GatewayRollout>> {
        plan::attempt::latest(&self.0.hubs.rollouts_of(&owner.uid)).cloned()
    }

    /// The track beside the one that serves. What of it cannot be provisioned keeps the one that serves from nothing.
    pub(super) async fn beside(
        &self,
        object: &DataPlane,
        (course, track): (&Course, &Track),
        (certificate, families): (&Certificate, Families),
    ) -> Result<(), Error> {
        let placed = track.of(object);
        let valid = plan::dataplane::valid(&self.0.settings, &placed)?
            .configured(self.is_configured(object, &course.primary.name))
            .placed(course.placing(track));
        let workload = valid.workload(certificate, families);
        let (hubs, writer) = (&self.0.hubs, &self.0.kit.writer);
        writer.apply(&hubs.deployments, &owner(object), &workload.deployment).await?;
        Ok(())
    }

    /// Deployments of tracks that are no longer wanted go.
    pub(super) async fn prune(&self, owner: &Owner, course: &Course) -> Result<(), Error> {
        let wanted: Vec<_> = [Some(&course.primary), course.beside.as_ref()]
            .into_iter()
            .flatten()
            .map(|track| names::deployment(&owner.name, &track.name))
            .collect();
        let (hubs, writer) = (&self.0.hubs, &self.0.kit.writer);
        for old in hubs.tracks_of(owner) {
            if !wanted.contains(&old.name_any()) {
                writer.remove(&hubs.deployments, owner, &old.name_any()).await?;
            }
        }
        Ok(())
    }
}
