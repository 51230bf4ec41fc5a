//! Which tracks a `DataPlane` has, what each runs, and which of them its Services select.
//!
//! In: a `DataPlane`, its Deployments and its attempts as they are. Out: one track as the specification says, or two as the
//! attempt says that is under way, or a new attempt to begin. Never: a step of an attempt; its status says what is wanted.

use std::borrow::Cow;
use std::sync::Arc;

use crds::dataplane::RolloutStrategy;
use crds::k8s::Deployment;
use crds::names::{self, annotations, labels, values};
use crds::rollout::{RolloutRevision, Selection, WantedStatus};
use crds::wanted::Wanted;
use crds::{DataPlane, GatewayRollout, PodTemplatePatch};
use serde_json::{Map, Value, json};

use super::stanza;
use crate::dataplane::{Placing, read_template};

/// What there is of a `DataPlane`.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// Its Deployments.
    pub deployments: &'a [Arc<Deployment>],
    /// Its attempts, in any order.
    pub rollouts: &'a [Arc<GatewayRollout>],
}

/// A pod template of the user's that an attempt keeps, or that there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Frozen(Option<PodTemplatePatch>);

/// One Deployment of a `DataPlane`.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its name: the value of the label.
    pub name: String,
    /// The user's pod template, where it is another than the specification's.
    pub template: Option<Frozen>,
    /// The number of pods, where it is another than the specification's.
    pub replicas: Option<i32>,
}

/// How a `DataPlane` is served.
#[derive(Debug, Clone)]
pub struct Course {
    /// The track that serves, or serves most: what status, autoscaler and budget are about.
    pub primary: Track,
    /// The other one.
    pub beside: Option<Track>,
    /// The track that the ingress Service selects; without one, both.
    pub ingress: Option<String>,
    /// The track that the Service of the admin API selects; without one, both.
    pub admin: Option<String>,
    /// The track that has a Service of its own beside.
    pub preview: Option<String>,
    /// Whether an autoscaler may take pods away.
    pub shrinks: bool,
    /// The attempt to begin.
    pub begin: Option<Wanted<GatewayRollout>>,
}

/// Tells one pod template from another, however it is written.
pub fn revision(template: Option<&PodTemplatePatch>) -> String {
    let none = Value::Object(Map::new());
    names::digest(&read_template(template.map_or(&none, PodTemplatePatch::as_value)).to_string())
}

/// The track that serves, of a `DataPlane` that has these.
pub fn serving(live: Live<'_>) -> String {
    let latest = latest(live.rollouts).map(AsRef::as_ref);
    latest.map_or_else(
        || only(live.deployments),
        |latest| if is_promoted(latest) { &latest.spec.to } else { &latest.spec.from }.track.clone(),
    )
}

impl Track {
    /// The `DataPlane` as this track has it: with the pod template that an attempt has frozen.
    pub fn of<'a>(&self, object: &'a DataPlane) -> Cow<'a, DataPlane> {
        let Some(template) = &self.template else { return Cow::Borrowed(object) };
        let mut object = object.clone();
        object.spec.deployment.get_or_insert_default().pod_template_spec.clone_from(&template.0);
        Cow::Owned(object)
    }
}

impl Course {
    /// Where the children of a track stand.
    pub fn placing(&self, track: &Track) -> Placing {
        Placing {
            track: track.name.clone(),
            replicas: track.replicas,
            is_primary: track.name == self.primary.name,
            ingress: self.ingress.clone(),
            admin: self.admin.clone(),
            shrinks: self.shrinks,
        }
    }

    /// What is to be made of `object`.
    pub fn of(object: &DataPlane, live: Live<'_>) -> Self {
        let asked = revision(template(object));
        match latest(live.rollouts) {
            Some(latest) if completion(latest).is_none() => Self::under_way(object, latest),
            Some(latest) if is_over(latest) && asked == latest.spec.to.revision => Self::held(object, latest),
            latest => {
                let track = serving(live);
                let next = latest.map_or(1, |latest| number(latest) + 1);
                Self::begun(object, live, (&track, &asked, next)).unwrap_or_else(|| Self::plain(&track))
            }
        }
    }

    /// One track, as the specification says.
    fn plain(track: &str) -> Self {
        Self {
            primary: Track { name: track.to_owned(), template: None, replicas: None },
            beside: None,
            ingress: Some(track.to_owned()),
            admin: Some(track.to_owned()),
            preview: None,
            shrinks: true,
            begin: None,
        }
    }

    /// The attempt that a changed template calls for. Until it says otherwise everything stays as it is.
    fn begun(object: &DataPlane, live: Live<'_>, (track, asked, number): (&str, &str, u64)) -> Option<Self> {
        let strategy = staged(object)?;
        let deployment =
            live.deployments.iter().find(|deployment| label(deployment, labels::TRACK) == Some(track))?;
        let notes = deployment.metadata.annotations.as_ref()?;
        let runs = notes.get(annotations::REVISION).filter(|runs| *runs != asked)?;
        let frozen = frozen(notes.get(annotations::POD_TEMPLATE), runs)?;
        if scaled_to_zero(object, deployment) {
            return None;
        }
        let to = if track == values::FIRST_TRACK { values::SECOND_TRACK } else { values::FIRST_TRACK };
        let from = RolloutRevision {
            revision: runs.clone(),
            track: track.to_owned(),
            pod_template_spec: frozen.0.clone(),
        };
        let to = RolloutRevision {
            revision: asked.to_owned(),
            track: to.to_owned(),
            pod_template_spec: template(object).cloned(),
        };
        // A plan that cannot be made was refused at admission; without admission the change reaches the traffic at once.
        stanza::strategy(strategy, from.pod_template_spec.as_ref(), to.pod_template_spec.as_ref())?;
        let mut course = Self::plain(track);
        course.primary.template = Some(frozen);
        course.begin = Some(attempt(object, strategy, (from, to, number))?);
        Some(course)
    }

    /// Both tracks, as the attempt says.
    fn under_way(object: &DataPlane, latest: &GatewayRollout) -> Self {
        let wanted = latest.status.as_ref().and_then(|status| status.wanted.clone());
        let Some(wanted) = wanted else {
            // It has just begun.
            let mut course = Self::plain(&latest.spec.from.track);
            course.primary.template = Some(Frozen(latest.spec.from.pod_template_spec.clone()));
            return course;
        };
        let fixed = !is_autoscaled(object);
        let is_promoted = wanted.ingress == Selection::Canary;
        let (from, to) = (&latest.spec.from, &latest.spec.to);
        let track = |of: &RolloutRevision, replicas, is_primary: bool| Track {
            name: of.track.clone(),
            template: Some(Frozen(of.pod_template_spec.clone())),
            // The autoscaler has the say of what serves.
            replicas: (fixed || !is_primary).then_some(replicas),
        };
        let stable = track(from, wanted.stable, !is_promoted);
        let canary = track(to, wanted.canary, is_promoted);
        let (primary, beside) = if is_promoted { (canary, stable) } else { (stable, canary) };
        Self {
            primary,
            beside: (beside.replicas != Some(0)).then_some(beside),
            ingress: selected(latest, wanted.ingress),
            admin: selected(latest, wanted.admin),
            preview: wanted.preview.then(|| to.track.clone()),
            shrinks: wanted.shrinks,
            begin: None,
        }
    }

    /// The specification still asks for what an attempt failed with: stable stays what it is, until somebody says so.
    fn held(object: &DataPlane, latest: &GatewayRollout) -> Self {
        let (from, to) = (&latest.spec.from, &latest.spec.to);
        if is_promoted(latest) {
            return Self::plain(&to.track);
        }
        let ended = completion(latest).and_then(|completion| completion.generation);
        if staged(object).is_none() && object.metadata.generation > ended {
            return Self::plain(&from.track);
        }
        let kept = latest
            .status
            .as_ref()
            .and_then(|status| status.wanted.as_ref())
            .map_or(0, |wanted| wanted.canary);
        let mut course = Self::plain(&from.track);
        course.primary.template = Some(Frozen(from.pod_template_spec.clone()));
        course.beside = (kept > 0).then(|| Track {
            name: to.track.clone(),
            template: Some(Frozen(to.pod_template_spec.clone())),
            replicas: Some(kept),
        });
        course
    }
}

fn selected(latest: &GatewayRollout, selection: Selection) -> Option<String> {
    match selection {
        Selection::Stable => Some(latest.spec.from.track.clone()),
        Selection::Canary => Some(latest.spec.to.track.clone()),
        Selection::Both => None,
    }
}

fn template(object: &DataPlane) -> Option<&PodTemplatePatch> {
    object.spec.deployment.as_ref()?.pod_template_spec.as_ref()
}

/// Whether the specification asks for attempts.
pub fn is_staged(object: &DataPlane) -> bool {
    staged(object).is_some()
}

/// The strategy, where the specification asks for one that has attempts. What a user makes the Services select is not ours
/// to switch.
fn staged(object: &DataPlane) -> Option<&RolloutStrategy> {
    let notes = object.metadata.annotations.as_ref();
    if notes.is_some_and(|notes| notes.contains_key(annotations::SELECTOR_OVERRIDE)) {
        return None;
    }
    let strategy = object.spec.deployment.as_ref()?.rollout.as_ref()?.strategy.as_ref()?;
    (strategy.blue_green.is_some() || strategy.canary.is_some()).then_some(strategy)
}

/// The user's template that a Deployment was made from, where it was noted.
fn frozen(noted: Option<&String>, runs: &str) -> Option<Frozen> {
    match noted {
        Some(text) => serde_json::from_str(text).ok().map(Some).map(Frozen),
        None => (runs == revision(None)).then_some(Frozen(None)),
    }
}

fn is_autoscaled(object: &DataPlane) -> bool {
    object.spec.deployment.as_ref().is_some_and(|deployment| {
        deployment.scaling.as_ref().is_some_and(|scaling| scaling.horizontal.is_some())
    })
}

/// Nothing serves, so there is nothing to be careful of.
fn scaled_to_zero(object: &DataPlane, deployment: &Deployment) -> bool {
    let asked = object.spec.deployment.as_ref().and_then(|deployment| deployment.replicas);
    let runs = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    asked == Some(0) || (asked.is_none() && runs == Some(0))
}

fn label<'a>(deployment: &'a Deployment, key: &str) -> Option<&'a str> {
    deployment.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// The track of what there is without any attempt.
fn only(deployments: &[Arc<Deployment>]) -> String {
    let tracks = deployments.iter().filter_map(|deployment| {
        let is_live = label(deployment, labels::DEPLOYMENT_STATE) == Some(values::LIVE);
        Some((!is_live, label(deployment, labels::TRACK)?))
    });
    tracks.min().map_or(values::FIRST_TRACK, |(_, track)| track).to_owned()
}

fn number(rollout: &GatewayRollout) -> u64 {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The last attempt.
pub fn latest(rollouts: &[Arc<GatewayRollout>]) -> Option<&Arc<GatewayRollout>> {
    rollouts.iter().max_by_key(|rollout| number(rollout))
}

fn completion(rollout: &GatewayRollout) -> Option<&crds::rollout::Completion> {
    rollout.status.as_ref()?.completion.as_ref()
}

fn is_over(rollout: &GatewayRollout) -> bool {
    completion(rollout).is_some()
}

fn is_promoted(rollout: &GatewayRollout) -> bool {
    use crds::conditions::reasons::{PROMOTED, PROMOTED_BY_OVERRIDE};
    let over = completion(rollout).map(|completion| completion.status.as_str());
    let wanted: Option<&WantedStatus> = rollout.status.as_ref().and_then(|status| status.wanted.as_ref());
    over.map_or(wanted.is_some_and(|wanted| wanted.ingress == Selection::Canary), |status| {
        [PROMOTED, PROMOTED_BY_OVERRIDE].contains(&status)
    })
}

fn attempt(
    object: &DataPlane,
    strategy: &RolloutStrategy,
    (from, to, number): (RolloutRevision, RolloutRevision, u64),
) -> Option<Wanted<GatewayRollout>> {
    let name = object.metadata.name.as_deref()?;
    let owner = json!({
        "apiVersion": crds::k8s::api_version::<DataPlane>(),
        "blockOwnerDeletion": true,
        "controller": true,
        "kind": crds::k8s::kind::<DataPlane>(),
        "name": name,
        "uid": object.metadata.uid.as_deref()?,
    });
    let labels = json!({ labels::APP: names::label_value(name), labels::MANAGED_BY: values::DATAPLANE });
    let metadata = Map::from_iter([
        ("labels".to_owned(), labels),
        ("namespace".to_owned(), json!(object.metadata.namespace.as_deref()?)),
        ("ownerReferences".to_owned(), json!([owner])),
    ]);
    let spec = json!({
        "target": { "kind": crds::k8s::kind::<DataPlane>(), "name": name },
        "from": from,
        "to": to,
        "strategy": strategy,
    });
    Some(Wanted::new(names::rollout(name, number), metadata, Map::from_iter([("spec".to_owned(), spec)])))
}

#[cfg(test)]
mod tests;
