//! What people want of a rollout by annotations of its `DataPlane`.
//!
//! In: annotations `rollout.gateway-operator.konghq.com/VERB: REVISION`. Out: the same in `spec.action` of the rollout, and
//! then the annotation goes. Never: a verb that is heard twice: the machine hears of it only when the annotation is gone, and
//! an operator that ends in between writes the same action again, which changes nothing.

use std::sync::Arc;

use crds::names::annotations::ROLLOUT_VERBS;
use crds::names::managers;
use crds::rollout::{RolloutAction, RolloutVerb};
use crds::{DataPlane, GatewayRollout};
use kube::ResourceExt;
use serde_json::json;

use super::{Error, Rollouts};

/// Who is told to have wanted what an annotation says.
const BY: &str = "annotation";

/// Verbs as annotations have them. `rollback-to` names the revision that is to serve again, and all others the one that they
/// are about.
const VERBS: [(&str, RolloutVerb); 7] = [
    ("abort", RolloutVerb::Abort),
    ("rollback-to", RolloutVerb::Rollback),
    ("pause", RolloutVerb::Pause),
    ("resume", RolloutVerb::Resume),
    ("retry", RolloutVerb::Retry),
    ("promote", RolloutVerb::Promote),
    ("promote-full", RolloutVerb::PromoteFull),
];

impl Rollouts {
    /// Moves what an annotation wants into the specification of the last rollout, where nothing else is wanted already.
    pub(super) async fn by_annotation(
        &self,
        object: Arc<GatewayRollout>,
        dataplane: &DataPlane,
    ) -> Result<Arc<GatewayRollout>, Error> {
        let Some((key, action)) = wanted(dataplane, &object) else { return Ok(object) };
        if !self.is_latest(&object) || object.spec.action.as_ref().is_some_and(|other| *other != action) {
            return Ok(object);
        }
        let writer = self.cx.kit.writer.under(managers::ROLLOUTS);
        let asked = writer.merge(object.as_ref(), &json!({ "spec": { "action": action } })).await?;
        self.cx.hubs.rollouts.note(asked.clone());
        let fields = json!({ "metadata": { "annotations": { key: null } } });
        self.cx.hubs.dataplanes.note(writer.merge(dataplane, &fields).await?);
        Ok(Arc::new(asked))
    }

    fn is_latest(&self, object: &GatewayRollout) -> bool {
        let all = self.cx.hubs.rollouts.select(|other| {
            other.spec.target == object.spec.target && other.namespace() == object.namespace()
        });
        plan::attempt::latest(&all).is_none_or(|latest| latest.name_any() == object.name_any())
    }
}

/// The first verb among the annotations: what is careful goes before what is bold.
fn wanted(dataplane: &DataPlane, rollout: &GatewayRollout) -> Option<(String, RolloutAction)> {
    let (key, verb, value) = VERBS.into_iter().find_map(|(word, verb)| {
        let key = format!("{ROLLOUT_VERBS}{word}");
        let value = dataplane.annotations().get(&key)?.clone();
        Some((key, verb, value))
    })?;
    let spec = &rollout.spec;
    let is_back = verb == RolloutVerb::Rollback && value == spec.from.revision;
    let revision = if is_back { spec.to.revision.clone() } else { value };
    // What cannot be a revision is refused as one that is meant for another.
    let revision = Some(revision).filter(|revision| (1..=63).contains(&revision.len()));
    let revision = revision.unwrap_or_else(|| "none".to_owned());
    Some((key, RolloutAction { verb, revision, step: None, by: Some(BY.to_owned()) }))
}

#[cfg(test)]
mod tests {
    use crds::rollout::{GatewayRolloutSpec, RolloutRevision};

    use super::*;

    fn rollout() -> GatewayRollout {
        let revision = |name: &str| RolloutRevision { revision: name.into(), ..RolloutRevision::default() };
        let spec = GatewayRolloutSpec {
            from: revision("old"),
            to: revision("new"),
            ..GatewayRolloutSpec::default()
        };
        GatewayRollout::new("edge-1", spec)
    }

    fn with(notes: &[(&str, &str)]) -> DataPlane {
        let mut object = DataPlane::default();
        object.annotations_mut().extend(
            notes.iter().map(|(word, value)| (format!("{ROLLOUT_VERBS}{word}"), (*value).to_owned())),
        );
        object
    }

    fn heard(notes: &[(&str, &str)]) -> Option<(String, RolloutVerb, String)> {
        wanted(&with(notes), &rollout()).map(|(key, action)| (key, action.verb, action.revision))
    }

    #[test]
    fn each_verb_is_meant_for_the_revision_of_its_value() {
        for (word, verb) in VERBS {
            let (key, found, revision) = heard(&[(word, "new")]).unwrap();
            assert_eq!((key, found, revision.as_str()), (format!("{ROLLOUT_VERBS}{word}"), verb, "new"));
        }
        assert_eq!(heard(&[("promotes", "new")]), None);
        assert_eq!(heard(&[]), None);
    }

    #[test]
    fn a_rollback_names_what_is_to_serve_again() {
        assert_eq!(heard(&[("rollback-to", "old")]).unwrap().2, "new", "it is this rollout that goes back");
        assert_eq!(heard(&[("rollback-to", "elder")]).unwrap().2, "elder", "which the machine refuses");
    }

    #[test]
    fn what_is_careful_goes_first_and_what_is_no_revision_is_none() {
        assert_eq!(heard(&[("promote", "new"), ("abort", "new")]).unwrap().1, RolloutVerb::Abort);
        assert_eq!(heard(&[("promote", "")]).unwrap().2, "none");
    }
}
