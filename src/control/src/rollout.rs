//! The reconciler of `GatewayRollout`: it sees, asks the machine, and writes down what is wanted.
//!
//! In: a rollout, the pods of both revisions, what they and Kong Ingress Controller say. Out: a status, by which the
//! reconciler of `DataPlane` makes tracks and switches Services. Never: a child: every object of a `DataPlane` has one
//! writer, and this is not it.

mod attempt;
mod hooks;
mod observe;
mod probe;
mod triggers;
mod verbs;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::conditions::reasons;
use crds::k8s::Condition;
use crds::names::annotations::PROMOTE_WHEN_READY;
use crds::names::managers;
use crds::rollout::{GatewayRolloutStatus, RolloutVerb};
use crds::{DataPlane, GatewayRollout};
use kong::hook::Caller;
use kong::parity::Prober;
use kong::scrape::Scraper;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::attempt::{Probed, Seen};
use rollout::Observation;
use rollout::observation::{Request, Revision, Verb};
use rollout::plan::Plan;
use rollout::state::{Stage, State};
use rollout::wanted::{Event, Wanted};
use runtime::events::Happening;
use runtime::{Failure, Impact, Next, Outcome, Reconciler, clock, failure, writer};
use serde_json::json;

use crate::Context;
use attempt::Attempt;

pub use triggers::triggers;

/// How soon to look again while something is about to happen.
const SOON: Duration = Duration::from_secs(2);

/// Why a rollout was not reconciled. It stays where it is, and so does traffic.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server could not be asked or written to.
    #[error(transparent)]
    Api(#[from] writer::Error),
    /// No client certificate could be made.
    #[error("no certificate for the admin API could be made")]
    Certificate(#[source] certs::Error),
    /// The plan that was frozen cannot be read by this version.
    #[error("spec.strategy cannot be carried out: abort it, and change the DataPlane for another rollout")]
    Plan,
}

impl Failure for Error {
    fn impact(&self) -> Impact {
        match self {
            Self::Api(error) => error.impact(),
            Self::Certificate(_) => Impact::Bug,
            Self::Plan => Impact::User,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Api(error) => error.reason(),
            Self::Certificate(_) => reasons::UNABLE_TO_PROVISION,
            Self::Plan => reasons::VALIDATION_FAILED,
        }
    }

    fn public(&self) -> String {
        failure::chain(self)
    }
}

/// Leads each rollout to its end.
pub struct Rollouts {
    cx: Context,
    prober: Prober,
    caller: Caller,
    scraper: Scraper,
    /// What is known besides statuses, by uid; after a restart it is found out anew.
    attempts: Mutex<HashMap<String, Attempt>>,
}

impl Reconciler for Rollouts {
    type Kind = GatewayRollout;
    type Status = GatewayRolloutStatus;
    type Error = Error;

    /// By its status the `DataPlane` is made.
    const POSTPONES: bool = false;

    async fn reconcile(&self, object: Arc<GatewayRollout>) -> Result<Outcome<GatewayRolloutStatus>, Error> {
        let before = plan::attempt::state(&object);
        let unchanged = |object: &GatewayRollout| Outcome {
            status: object.status.clone().unwrap_or_default(),
            next: Next::Settled { again: None },
        };
        let Some(dataplane) = self.target(&object) else { return Ok(unchanged(&object)) };
        self.take_leave(&dataplane, before.as_ref()).await?;
        let object = self.without_what_was_heard(object, before.as_ref()).await?;
        let object = self.by_annotation(object, &dataplane).await?;
        if is_history(&object, before.as_ref(), &self.cx) {
            self.attempts().remove(&object.uid().unwrap_or_default());
            return Ok(unchanged(&object));
        }
        let spec = &object.spec;
        let (from, to) = (spec.from.pod_template_spec.as_ref(), spec.to.pod_template_spec.as_ref());
        let plan = plan::attempt::strategy(&spec.strategy, from, to).ok_or(Error::Plan)?;
        let state = before.unwrap_or_else(|| self.first(&object, &plan));
        let uid = object.uid().unwrap_or_default();
        let mut attempt = self.attempts().remove(&uid).unwrap_or_default();
        let turned = self.turn(&object, &dataplane, (&plan, state), &mut attempt).await;
        self.attempts().insert(uid, attempt);
        turned
    }

    fn failed(&self, object: &GatewayRollout, _: &'static str, words: String) -> GatewayRolloutStatus {
        GatewayRolloutStatus { message: Some(words), ..object.status.clone().unwrap_or_default() }
    }

    fn conditions(_: &GatewayRolloutStatus) -> &[Condition] {
        // The machine tells of its events itself; a condition that changes with them would tell them twice.
        &[]
    }
}

impl Rollouts {
    /// Without any memory of rollouts.
    ///
    /// # Errors
    /// Where the cryptography of this process has no version of TLS.
    pub fn new(cx: Context) -> Result<Self, tokio_rustls::rustls::Error> {
        Ok(Self {
            cx,
            prober: Prober::new()?,
            caller: Caller::new()?,
            scraper: Scraper::default(),
            attempts: Mutex::default(),
        })
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, HashMap<String, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self, object: &GatewayRollout) -> Option<Arc<DataPlane>> {
        let key = ObjectRef::new(&object.spec.target.name).within(&object.namespace().unwrap_or_default());
        self.cx.hubs.dataplanes.get(&key)
    }

    /// An action that is in the status goes from the specification, so that the same can be wanted again.
    async fn without_what_was_heard(
        &self,
        object: Arc<GatewayRollout>,
        before: Option<&State>,
    ) -> Result<Arc<GatewayRollout>, Error> {
        let heard = before.and_then(|state| state.last_action.as_ref());
        let is_heard =
            object.spec.action.is_some() && heard.is_some_and(|heard| heard.request.id == id(&object));
        if !is_heard {
            return Ok(object);
        }
        let writer = self.cx.kit.writer.under(managers::ROLLOUTS);
        let cleared = writer.merge(object.as_ref(), &json!({ "spec": { "action": null } })).await?;
        self.cx.hubs.rollouts.note(cleared.clone());
        Ok(Arc::new(cleared))
    }

    /// The annotation that let new pods take over goes, as with Kong Gateway Operator: the next ones wait for their own.
    async fn take_leave(&self, dataplane: &DataPlane, before: Option<&State>) -> Result<(), Error> {
        let heard = before.and_then(|state| state.last_action.as_ref());
        let is_heard = heard.is_some_and(|heard| heard.request.id == by_annotation(&heard.request.revision));
        if is_heard && is_promoted_when_ready(dataplane) {
            let fields = json!({ "metadata": { "annotations": { PROMOTE_WHEN_READY: null } } });
            let writer = self.cx.kit.writer.under(managers::ROLLOUTS);
            self.cx.hubs.dataplanes.note(writer.merge(dataplane, &fields).await?);
        }
        Ok(())
    }

    /// The state of an attempt that begins. A revision that served not long ago comes back without steps.
    fn first(&self, object: &GatewayRollout, plan: &Plan) -> State {
        let to = &object.spec.to.revision;
        let past = self.cx.hubs.rollouts.select(|other| {
            other.spec.target == object.spec.target && other.namespace() == object.namespace()
        });
        let mut served: Vec<_> = past
            .iter()
            .filter_map(|other| {
                let over = other.status.as_ref()?.completion.as_ref()?;
                let is_promoted =
                    [reasons::PROMOTED, reasons::PROMOTED_BY_OVERRIDE].contains(&over.status.as_str());
                is_promoted.then(|| (over.finished_at.0, &other.spec.from.revision))
            })
            .collect();
        served.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let now = clock::now();
        let is_recent = served.iter().enumerate().any(|(nth, (at, revision))| {
            *revision == to && plan.rollback_window.holds(nth, rollout::state::between(*at, now))
        });
        State::begin(Revision(object.spec.from.revision.clone()), Revision(to.clone()), is_recent, now)
    }

    async fn turn(
        &self,
        object: &GatewayRollout,
        dataplane: &DataPlane,
        (plan, state): (&Plan, State),
        attempt: &mut Attempt,
    ) -> Result<Outcome<GatewayRolloutStatus>, Error> {
        let mut observation = self.observe(object, dataplane, &state, attempt).await?;
        observation.request = request(object, dataplane, &state);
        let (before, now) = (state.stage, clock::now());
        let (state, wanted) = rollout::step(plan, state, &observation, now);
        if state.stage != before && state.stage == Stage::Preflight {
            attempt.forget_answers();
        }
        let probed = self.probe(object, &wanted, attempt).await?;
        for event in &wanted.events {
            self.tell(object, event, (plan, &state));
        }
        let probed = Probed { words: probed };
        let seen = Seen {
            plan,
            state: &state,
            wanted: &wanted,
            observation: &observation,
            probed: &probed,
            generation: dataplane.metadata.generation,
            now,
        };
        let status = plan::attempt::status(object, &seen);
        let next = next(&state, &wanted, &observation);
        Ok(Outcome { status, next })
    }

    fn tell(&self, object: &GatewayRollout, event: &Event, attempt: (&Plan, &State)) {
        let told = plan::attempt::told(event, attempt);
        let happening =
            Happening { action: "Rollout", reason: told.reason, note: &told.note, warns: told.warns };
        self.cx.kit.events.happened(object, &happening);
    }
}

/// Whether there is nothing left to be done: it is over, no pod of it is kept, and nobody wants anything.
fn is_history(object: &GatewayRollout, state: Option<&State>, cx: &Context) -> bool {
    let status = object.status.as_ref();
    let is_over = state.is_some_and(|state| state.stage == Stage::Done);
    let wanted = status.and_then(|status| status.wanted.as_ref());
    let is_kept =
        wanted.is_some_and(|wanted| wanted.canary > 0 && wanted.ingress == crds::rollout::Selection::Stable);
    let later = |other: &GatewayRollout| {
        other.spec.target == object.spec.target
            && other.namespace() == object.namespace()
            && other.creation_timestamp() > object.creation_timestamp()
    };
    is_over && ((!is_kept && object.spec.action.is_none()) || !cx.hubs.rollouts.select(later).is_empty())
}

/// Tells one action from the next.
fn id(object: &GatewayRollout) -> String {
    object.metadata.generation.unwrap_or_default().to_string()
}

fn is_promoted_when_ready(dataplane: &DataPlane) -> bool {
    dataplane.annotations().get(PROMOTE_WHEN_READY).is_some_and(|value| value == "true")
}

/// The same for the one approval that a revision needs.
fn by_annotation(revision: &Revision) -> String {
    format!("{PROMOTE_WHEN_READY}/{}", revision.0)
}

/// What somebody wants: by the rollout itself, or by the annotation that Kong Gateway Operator has for blue and green.
fn request(object: &GatewayRollout, dataplane: &DataPlane, state: &State) -> Option<Request> {
    if let Some(action) = &object.spec.action {
        return Some(Request {
            id: id(object),
            verb: verb(action.verb),
            revision: Revision(action.revision.clone()),
            step: action.step.clone(),
        });
    }
    let is_ready = matches!(state.pause, Some(rollout::state::Pause::Approval));
    let is_asked = is_promoted_when_ready(dataplane) && object.spec.strategy.blue_green.is_some();
    (is_ready && is_asked).then(|| Request {
        id: by_annotation(&state.to),
        verb: Verb::Promote,
        revision: state.to.clone(),
        step: None,
    })
}

const fn verb(verb: RolloutVerb) -> Verb {
    match verb {
        RolloutVerb::Promote => Verb::Promote,
        RolloutVerb::PromoteFull => Verb::PromoteFull,
        RolloutVerb::Pause => Verb::Pause,
        RolloutVerb::Resume => Verb::Resume,
        RolloutVerb::Abort => Verb::Abort,
        RolloutVerb::Retry => Verb::Retry,
        RolloutVerb::Rollback => Verb::Rollback,
    }
}

/// When to look again: soon while pods come or go, and as the machine wants while a step only holds.
fn next(state: &State, wanted: &Wanted, seen: &Observation) -> Next {
    if state.stage == Stage::Done && wanted.wake.is_none() {
        return Next::Settled { again: None };
    }
    let holds = matches!(state.stage, Stage::Stepping)
        && seen.canary.ready >= wanted.canary
        && wanted.asks.is_empty();
    let wake = wanted.wake.unwrap_or(SOON);
    Next::Waiting(if holds || state.stage == Stage::Done {
        wake.min(Duration::from_secs(5))
    } else {
        SOON.min(wake)
    })
}
