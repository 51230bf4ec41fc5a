//! The status of a `GatewayRollout`.
//!
//! In: the state and the wishes of the machine, and what it saw. Out: the status that tells all of it, and the state back
//! from a status. Never: a decision.

use std::time::Duration;

use crds::GatewayRollout;
use crds::conditions::{self, Status, Update, reasons, types};
use crds::k8s::{Time, Timestamp};
use crds::rollout::{
    AnalysisStatus, Completion, CountsStatus, GatewayRolloutStatus, HookStatus, LastAction, Memory,
    MetricStatus, ParityStatus, PreflightStatus, RolloutVerb, Selection, StepStatus, TrackStatus,
    TracksStatus, WantedStatus, WeightsStatus,
};
use rollout::judge::{Counts, Evidence, Metric, Verdict, limits};
use rollout::observation::{Answer, Configuration, Observation, Parity, Verb};
use rollout::plan::Plan;
use rollout::state::{Effect, Outcome, Pause, Phase, Stage, State};
use rollout::wanted::{Selects, Wanted};
use serde_json::Value;

use super::words;

/// What was found out by asking pods.
#[derive(Debug, Clone, Default)]
pub struct Probed {
    /// Routes that were answered differently, the first few.
    pub words: Vec<String>,
}

/// What a turn of the machine had and gave.
pub struct Seen<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The state after the turn.
    pub state: &'a State,
    /// What is wanted.
    pub wanted: &'a Wanted,
    /// What was seen.
    pub observation: &'a Observation,
    /// What was found out by asking pods.
    pub probed: &'a Probed,
    /// The `DataPlane`'s generation.
    pub generation: Option<i64>,
    /// The current time.
    pub now: Timestamp,
}

/// The state that a status holds, if it has one that can be read.
pub fn state(object: &GatewayRollout) -> Option<State> {
    let memory = object.status.as_ref()?.state.as_ref()?;
    serde_json::from_value(memory.to_value()).ok()
}

/// The status after a turn. `lastTransitionTime` is kept where nothing changed.
pub fn status(object: &GatewayRollout, seen: &Seen<'_>) -> GatewayRolloutStatus {
    let generation = object.metadata.generation;
    let before = object.status.clone().unwrap_or_default();
    let mut conditions = before.conditions.unwrap_or_default();
    for update in [progressing(seen), healthy(seen), conclusive(seen), completed(seen)] {
        conditions::set(&mut conditions, Update { generation, ..update }, seen.now);
    }
    let message = conditions::get(&conditions, types::PROGRESSING).map(|condition| condition.message.clone());
    GatewayRolloutStatus {
        observed_generation: generation,
        phase: Some(format!("{:?}", seen.state.phase(seen.plan))),
        message,
        step: step(seen),
        weights: Some(weights(seen)),
        replicas: Some(replicas(seen)),
        preflight: preflight(seen, before.preflight),
        analysis: analysis(seen),
        hooks: hooks(seen),
        last_action: last_action(seen),
        completion: completion(seen)
            .map(|now| before.completion.filter(|old| old.status == now.status).unwrap_or(now)),
        wanted: Some(wanted(seen.wanted)),
        state: memory(seen.state),
        conditions: Some(conditions),
    }
}

fn memory(state: &State) -> Option<Memory> {
    match serde_json::to_value(state) {
        Ok(Value::Object(fields)) => Some(Memory::from(fields)),
        _ => None,
    }
}

fn signed(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn large(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn wanted(wanted: &Wanted) -> WantedStatus {
    let selection = |selects| match selects {
        Selects::Stable => Selection::Stable,
        Selects::Both => Selection::Both,
        Selects::Canary => Selection::Canary,
    };
    WantedStatus {
        stable: signed(wanted.stable),
        canary: signed(wanted.canary),
        ingress: selection(wanted.ingress),
        admin: selection(wanted.admin),
        preview: wanted.preview,
        shrinks: wanted.shrinks,
    }
}

fn step(seen: &Seen<'_>) -> Option<StepStatus> {
    let step = seen.plan.steps.get(seen.state.step)?;
    Some(StepStatus {
        index: signed(seen.state.step),
        name: step.name.clone(),
        held_seconds: large(Duration::from_millis(seen.state.held).as_secs()),
        hold_seconds: large(step.hold.as_secs()),
    })
}

/// Thousandths as people write them.
fn percent(thousandths: u16) -> String {
    let (whole, rest) = (thousandths / 10, thousandths % 10);
    if rest == 0 { format!("{whole}%") } else { format!("{whole}.{rest}%") }
}

fn weights(seen: &Seen<'_>) -> WeightsStatus {
    let nothing = Evidence::default();
    let counted = seen.state.record.metrics.get(Metric::ALL[0].name()).unwrap_or(&nothing);
    let (canary, control) = (counted.canary.of, counted.control.of);
    let observed =
        (canary + control > 0).then(|| percent(rollout::weight::Split::parts(canary, control).canary()));
    WeightsStatus {
        requested: percent(seen.wanted.requested.canary()),
        effective: percent(seen.wanted.effective.canary()),
        observed,
    }
}

fn replicas(seen: &Seen<'_>) -> TracksStatus {
    let track = |desired: u32, pods: &rollout::observation::Pods| TrackStatus {
        desired: signed(desired),
        ready: signed(pods.ready),
        serving: signed(pods.serving),
    };
    TracksStatus {
        stable: track(seen.wanted.stable, &seen.observation.stable),
        canary: track(seen.wanted.canary, &seen.observation.canary),
    }
}

/// What is known from the preflight. It is kept afterwards: what a restarted operator no longer knows stays said.
fn preflight(seen: &Seen<'_>, before: Option<PreflightStatus>) -> Option<PreflightStatus> {
    if matches!(seen.state.stage, Stage::Pending) {
        return None;
    }
    let before = before.unwrap_or_default();
    let (config, words) = match &seen.observation.configuration {
        Configuration::Rejected(words) => ("Rejected".to_owned(), Some(words.clone())),
        Configuration::Accepted => ("Accepted".to_owned(), None),
        Configuration::Unknown if before.config.is_empty() => ("Unknown".to_owned(), None),
        Configuration::Unknown => (before.config, before.words),
    };
    let parity = match seen.observation.parity {
        Parity::Unknown => before.parity,
        Parity::Compared { checked, mismatched } => {
            let words = Some(seen.probed.words.clone()).filter(|words| !words.is_empty());
            Some(ParityStatus { checked: signed(checked), mismatched: signed(mismatched), words })
        }
    };
    Some(PreflightStatus { config, words, parity })
}

fn analysis(seen: &Seen<'_>) -> Option<AnalysisStatus> {
    let judged = seen.plan.analysis.as_ref()?;
    let counts = |counts: Counts| CountsStatus { n: large(counts.of), x: large(counts.failed) };
    let metric = |(name, known): (&String, &Evidence)| {
        let kind = Metric::ALL.into_iter().find(|metric| metric.name() == name);
        MetricStatus {
            name: name.clone(),
            critical: kind.is_none_or(Metric::is_critical),
            canary: counts(known.canary),
            stable: counts(known.control),
            evidence: format!("{:.1}", known.log()),
            threshold: format!("{:.1}", Evidence::threshold(&limits(judged, kind))),
        }
    };
    let metrics: Vec<_> = seen.state.record.metrics.iter().map(metric).collect();
    Some(AnalysisStatus {
        verdict: verdict(seen).map(|verdict| format!("{verdict:?}")),
        windows_observed: signed(seen.state.record.windows),
        metrics: (!metrics.is_empty()).then_some(metrics),
    })
}

fn verdict(seen: &Seen<'_>) -> Option<Verdict> {
    use rollout::wanted::Reason;
    match (&seen.state.failure, &seen.state.pause) {
        (Some(Reason::Worse(_)), _) | (_, Some(Pause::Failed(Reason::Worse(_)))) => Some(Verdict::Fail),
        (Some(Reason::Inconclusive(verdict)), _) | (_, Some(Pause::Inconclusive(verdict))) => Some(*verdict),
        _ if seen.state.judged => Some(Verdict::Pass),
        _ => None,
    }
}

fn last_action(seen: &Seen<'_>) -> Option<LastAction> {
    let last = seen.state.last_action.as_ref()?;
    let result = match last.effect {
        Effect::Applied => "Applied",
        Effect::Stale => "Stale",
        Effect::Refused => "Refused",
    };
    Some(LastAction {
        verb: verb(last.request.verb),
        revision: last.request.revision.0.clone(),
        observed_at: Time(last.observed_at),
        result: result.to_owned(),
    })
}

const fn verb(verb: Verb) -> RolloutVerb {
    match verb {
        Verb::Promote => RolloutVerb::Promote,
        Verb::PromoteFull => RolloutVerb::PromoteFull,
        Verb::Pause => RolloutVerb::Pause,
        Verb::Resume => RolloutVerb::Resume,
        Verb::Abort => RolloutVerb::Abort,
        Verb::Retry => RolloutVerb::Retry,
        Verb::Rollback => RolloutVerb::Rollback,
    }
}

/// What became of those that were asked.
fn hooks(seen: &Seen<'_>) -> Option<Vec<HookStatus>> {
    let said = |answer| match answer {
        Answer::Waiting => "Waiting",
        Answer::Passed => "Passed",
        Answer::Refused => "Refused",
    };
    let all = seen.state.hooks.iter().map(|(name, asked)| HookStatus {
        name: name.clone(),
        asked_at: Time(asked.at),
        answer: said(asked.answer).to_owned(),
    });
    (!seen.state.hooks.is_empty()).then(|| all.collect())
}

/// How it ended, as the condition's reason.
const fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted => reasons::PROMOTED,
        Outcome::PromotedByOverride => reasons::PROMOTED_BY_OVERRIDE,
        Outcome::RolledBack => reasons::ROLLED_BACK,
        Outcome::Aborted => reasons::ABORTED,
        Outcome::Superseded => reasons::SUPERSEDED,
        Outcome::DeadlineExceeded => reasons::DEADLINE_EXCEEDED,
    }
}

fn completion(seen: &Seen<'_>) -> Option<Completion> {
    let outcome = seen.state.outcome.filter(|_| seen.state.stage == Stage::Done)?;
    let (reason, message) = seen.state.failure.as_ref().map_or_else(
        || (reasons::PROMOTED, "the new revision serves everything".to_owned()),
        |why| (words::word(why), words::sentence(why)),
    );
    Some(Completion {
        status: ended(outcome).to_owned(),
        reason: reason.to_owned(),
        message,
        finished_at: Time(seen.now),
        generation: seen.generation,
    })
}

fn update(type_: &'static str, status: Status, reason: &'static str, message: impl Into<String>) -> Update {
    Update { type_, status, reason, message: message.into(), generation: None }
}

/// Why nothing goes on, where that is so.
fn paused(seen: &Seen<'_>, step: &str) -> Option<Update> {
    let say = |reason, message: String| Some(update(types::PROGRESSING, Status::False, reason, message));
    match seen.state.pause.as_ref()? {
        Pause::Manual => {
            say(reasons::MANUALLY_PAUSED, "paused: set spec.action.verb to Resume to go on".into())
        }
        Pause::Approval => {
            let remedy = "set spec.action.verb to Promote to go on, or to Abort";
            say(reasons::AWAITING_APPROVAL, format!("step {step:?} is done: {remedy}"))
        }
        Pause::Inconclusive(verdict) => {
            say(reasons::AWAITING_DATA, words::doubts(seen.plan, seen.state, *verdict))
        }
        Pause::Failed(why) => {
            let remedy = "set spec.action.verb to Retry or Abort";
            say(reasons::FAILED_AND_KEPT, format!("{}: {remedy}", words::sentence(why)))
        }
    }
}

fn progressing(seen: &Seen<'_>) -> Update {
    let name = seen.plan.steps.get(seen.state.step).map(|step| step.name.as_str()).unwrap_or_default();
    if let Some(paused) = paused(seen, name) {
        return paused;
    }
    let say = |reason, message: String| update(types::PROGRESSING, Status::True, reason, message);
    match seen.state.phase(seen.plan) {
        Phase::Pending => {
            say(reasons::WAITING_FOR_TRACK, "waits until the pods of the attempt before are gone".into())
        }
        Phase::Preflight => say(
            reasons::WAITING_FOR_PODS,
            "a pod of the canary has to run, take its configuration and answer as stable does".into(),
        ),
        Phase::Preview | Phase::Progressing | Phase::Paused => stepping(seen, name),
        Phase::Promoting => {
            say(reasons::PROMOTING, "the canary grows to full strength, to serve everything".into())
        }
        Phase::Draining => {
            say(reasons::DRAINING, "the new revision serves everything; the old one goes".into())
        }
        Phase::RollingBack => {
            let why = seen.state.failure.as_ref();
            say(reasons::ROLLING_BACK, why.map_or_else(String::new, words::sentence))
        }
        Phase::Succeeded | Phase::RolledBack | Phase::Superseded => {
            let reason = seen.state.outcome.map_or(reasons::ABORTED, ended);
            update(types::PROGRESSING, Status::False, reason, "over")
        }
    }
}

fn stepping(seen: &Seen<'_>, step: &str) -> Update {
    let say = |reason, message: String| update(types::PROGRESSING, Status::True, reason, message);
    if seen.wanted.canary > seen.observation.canary.ready {
        return say(reasons::WAITING_FOR_PODS, format!("step {step:?} waits for pods of the canary"));
    }
    if !seen.observation.fed {
        let message = format!("step {step:?} waits for Kong Ingress Controller, of which no pod runs");
        return say(reasons::AWAITING_CONTROL_PLANE, message);
    }
    say(reasons::STEP_HOLDING, format!("step {step:?} holds its weight"))
}

fn healthy(seen: &Seen<'_>) -> Update {
    use rollout::wanted::Reason;
    let say = |status, reason, message: String| update(types::CANARY_HEALTHY, status, reason, message);
    let why = match (&seen.state.failure, &seen.state.pause) {
        (Some(why), _) | (None, Some(Pause::Failed(why))) => Some(why),
        _ => None,
    };
    if let Some(
        why @ (Reason::Pods(_) | Reason::NotReady(_) | Reason::ConfigRejected(_) | Reason::RouteMismatch(_)),
    ) = why
    {
        return say(Status::False, words::word(why), words::sentence(why));
    }
    if let Some((trouble, _)) = seen.state.trouble {
        return say(Status::False, words::of_pods(trouble), words::sentence(&Reason::Pods(trouble)));
    }
    if matches!(seen.state.stage, Stage::Pending | Stage::Preflight) {
        return say(
            Status::Unknown,
            reasons::NOT_OBSERVED,
            "the canary has not passed its preflight yet".into(),
        );
    }
    say(Status::True, reasons::PODS_READY, "the canary runs, and took its configuration".into())
}

fn conclusive(seen: &Seen<'_>) -> Update {
    let say = |status, reason, message: String| update(types::ANALYSIS_CONCLUSIVE, status, reason, message);
    if seen.plan.analysis.is_none() {
        return say(
            Status::Unknown,
            reasons::NOT_JUDGED,
            "nobody judges: gates, deadlines and people decide".into(),
        );
    }
    match verdict(seen) {
        Some(verdict @ (Verdict::Pass | Verdict::Fail)) => {
            let why = seen.state.failure.as_ref().filter(|_| verdict == Verdict::Fail);
            say(
                Status::True,
                words::of_verdict(verdict),
                why.map_or_else(|| words::doubt(verdict).to_owned(), words::sentence),
            )
        }
        Some(verdict) => {
            say(Status::False, words::of_verdict(verdict), words::doubts(seen.plan, seen.state, verdict))
        }
        None => say(Status::Unknown, reasons::NOT_OBSERVED, "no step with traffic has ended yet".into()),
    }
}

fn completed(seen: &Seen<'_>) -> Update {
    let say = |status, reason, message: String| update(types::COMPLETED, status, reason, message);
    match (completion(seen), seen.state.outcome) {
        (Some(completion), Some(outcome)) => say(Status::True, ended(outcome), completion.message),
        _ => say(Status::False, reasons::PROGRESSING, "under way".into()),
    }
}
