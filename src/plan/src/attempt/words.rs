//! What the machine says, for people.
//!
//! In: reasons and events of the machine. Out: reasons of conditions and events, and sentences with the remedy. Never: a
//! decision.

use rollout::judge::{Alarm, Shortfall, Verdict};
use rollout::observation::Trouble;
use rollout::plan::Plan;
use rollout::state::State;
use rollout::wanted::{Event, Reason};

use crds::conditions::reasons;

/// An event for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether something is wrong.
    pub warns: bool,
    /// The event's reason.
    pub reason: &'static str,
    /// What happened.
    pub note: String,
}

/// What an event of the machine is called, and says.
pub fn told(event: &Event, (plan, state): (&Plan, &State)) -> Told {
    let normal = |reason, note: String| Told { warns: false, reason, note };
    let warning = |reason, note: String| Told { warns: true, reason, note };
    match event {
        Event::Started => normal("RolloutStarted", "a pod of the new revision starts, without traffic".into()),
        Event::PreflightPassed => normal("PreflightPassed", "the canary runs, takes its configuration and answers as stable does".into()),
        Event::Entered(step) => normal("StepEntered", format!("step {step:?} begins")),
        Event::Passed(step) => normal("StepPassed", format!("step {step:?} is passed")),
        Event::AwaitingApproval(step) => normal("AwaitingApproval", step.as_ref().map_or_else(|| "the promotion waits for approval: set spec.action.verb to Promote".into(), |step| format!("the end of step {step:?} waits for approval: set spec.action.verb to Promote"))),
        Event::Inconclusive(verdict) => warning("AnalysisInconclusive", doubts(plan, state, *verdict)),
        Event::Warning(reason) | Event::Failed(reason) => warning(found(reason), sentence(reason)),
        Event::Promoted => normal("RolloutPromoted", "the new revision serves everything".into()),
        Event::Succeeded => normal("RolloutSucceeded", "the old revision is gone".into()),
        Event::RolledBack(Reason::Superseded) => warning("RolloutSuperseded", sentence(&Reason::Superseded)),
        Event::RolledBack(reason) => warning("RolloutRolledBack", format!("stable serves everything: {}", sentence(reason))),
        Event::Coarse => warning("WeightResolutionLimited", "few pods make the weight coarse: the canary gets more than one and a half times what the step asks for".into()),
        Event::StableDegraded => warning("StableDegraded", "stable has fewer ready pods than it is to have, while the canary is well".into()),
        Event::Stale => warning("StaleRolloutVerb", "the action was meant for another revision or step, and is not carried out".into()),
        Event::Refused => warning("RefusedRolloutVerb", "the action makes no sense in this phase, and is not carried out".into()),
    }
}

/// The reason of an event that tells why a canary fails.
fn found(reason: &Reason) -> &'static str {
    match reason {
        Reason::ConfigRejected(_) => "PreflightConfigRejected",
        Reason::RouteMismatch(_) => "RouteParityMismatch",
        Reason::Worse(_) => reasons::ANALYSIS_FAILED,
        Reason::Inconclusive(_) => "AnalysisInconclusive",
        Reason::ApprovalExpired => "ApprovalExpired",
        _ => "CanaryUnhealthy",
    }
}

/// A word for why an attempt did not go to its end.
pub(super) fn word(reason: &Reason) -> &'static str {
    match reason {
        Reason::Pods(trouble) | Reason::NotReady(Some(trouble)) => of_pods(*trouble),
        Reason::NotReady(None) => reasons::PODS_NOT_READY,
        Reason::ConfigRejected(_) => reasons::CONFIG_REJECTED,
        Reason::RouteMismatch(_) => reasons::ROUTE_MISMATCH,
        Reason::Worse(_) => reasons::ANALYSIS_FAILED,
        Reason::Inconclusive(verdict) => of_verdict(*verdict),
        Reason::Hook(_) => "HookRefused",
        Reason::ApprovalExpired => "ApprovalExpired",
        Reason::DeadlineExceeded => reasons::DEADLINE_EXCEEDED,
        Reason::Aborted => reasons::ABORTED,
        Reason::Reverted => "Reverted",
        Reason::Superseded => reasons::SUPERSEDED,
        Reason::Withdrawn => "Withdrawn",
    }
}

pub(super) const fn of_pods(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::ImagePull | Trouble::ImageName => reasons::IMAGE_PULL_FAILED,
        Trouble::Reference => reasons::REFERENCED_RESOURCES_NOT_AVAILABLE,
        Trouble::CrashLoop => reasons::CRASH_LOOP,
        Trouble::OutOfMemory => reasons::OUT_OF_MEMORY,
        Trouble::Unschedulable => reasons::UNSCHEDULABLE,
        Trouble::Version => reasons::UNEXPECTED_VERSION,
    }
}

pub(super) const fn of_verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => reasons::PASSED,
        Verdict::Fail => reasons::ANALYSIS_FAILED,
        Verdict::Insufficient => reasons::INSUFFICIENT_TRAFFIC,
        Verdict::NoData => reasons::METRICS_UNAVAILABLE,
        Verdict::Noisy => reasons::ENVIRONMENT_NOISY,
    }
}

/// Why nothing can be said of the step that an attempt is in, with figures and the remedy.
pub(super) fn doubts(plan: &Plan, state: &State, verdict: Verdict) -> String {
    let analysis = plan.analysis.as_ref().filter(|_| verdict == Verdict::Insufficient);
    let Some(analysis) = analysis else { return doubt(verdict).to_owned() };
    let shortfalls = state.record.shortfalls(analysis);
    if shortfalls.is_empty() || shortfalls.iter().any(|short| short.step.of == 0) {
        return doubt(verdict).to_owned();
    }
    let short: Vec<_> = shortfalls.iter().map(shortfall).collect();
    let remedy = "lengthen the step, raise its weight or analysis.errorBudget, or decide by spec.action (Resume, Promote or Abort)";
    format!("too little was seen of the canary in this step to say anything. {}: {remedy}", short.join("; "))
}

fn shortfall(short: &Shortfall<'_>) -> String {
    let Shortfall { metric, step, needed } = short;
    if step.of < *needed {
        return format!("{metric} has {} of the {needed} requests that it needs", step.of);
    }
    format!(
        "{metric} is bad in {} of {}, which is too many for the budget and too few to compare",
        step.failed, step.of
    )
}

/// Why nothing can be said, with the remedy.
pub(super) const fn doubt(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "the canary is good enough",
        Verdict::Fail => "the canary is worse than stable",
        Verdict::Insufficient => {
            "too few requests, or too little time observed, to say anything: lower analysis.minRequests, lengthen the step, or decide by spec.action (Resume, Promote or Abort). Kong counts requests only where its prometheus plugin is on, with status_code_metrics and latency_metrics"
        }
        Verdict::NoData => {
            "the pods' metrics on port 8100 could not be read: see whether a NetworkPolicy keeps the operator out, or decide by spec.action (Resume, Promote or Abort)"
        }
        Verdict::Noisy => {
            "pods of stable differ among each other as much as the canary does from them: wait until the disturbance is over and resume, or decide by spec.action"
        }
    }
}

/// Why an attempt does not go on to the end.
pub(super) fn sentence(reason: &Reason) -> String {
    match reason {
        Reason::Pods(trouble) | Reason::NotReady(Some(trouble)) => {
            format!("a pod of the canary cannot run: {}", remedy(*trouble))
        }
        Reason::NotReady(None) => {
            "pods of the canary were not ready within deadlines.ready: see their events and logs".into()
        }
        Reason::ConfigRejected(words) => {
            format!("the canary refuses the configuration that stable has: {words}")
        }
        Reason::RouteMismatch(count) => {
            format!("{count} routes are answered in another way than by stable: see status.preflight.parity")
        }
        Reason::Worse(alarm) => worse(alarm),
        Reason::Inconclusive(verdict) => doubt(*verdict).into(),
        Reason::Hook(key) => format!("the hook {key} said no, or nothing in time"),
        Reason::ApprovalExpired => "nobody approved within deadlines.approval".into(),
        Reason::DeadlineExceeded => "it took longer than deadlines.total".into(),
        Reason::Aborted => "somebody aborted it".into(),
        Reason::Reverted => "the specification asks for stable's revision again".into(),
        Reason::Superseded => "the specification asks for another revision".into(),
        Reason::Withdrawn => "spec.deployment.rollout.strategy was taken away".into(),
    }
}

const fn remedy(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::ImagePull => "its image cannot be pulled. Correct the image, or the pull secret",
        Trouble::ImageName => "its image's name cannot be read. Correct it",
        Trouble::Reference => {
            "a Secret or ConfigMap that it refers to is missing. Create it, or correct the reference"
        }
        Trouble::CrashLoop => "a container ends again and again. See its log",
        Trouble::OutOfMemory => "a container was killed for its memory. Raise its limit, or find the leak",
        Trouble::Unschedulable => "no node has room for it. Add capacity, or lower its requests",
        Trouble::Version => "its Kong is of another version than its image was said to have",
    }
}

fn worse(alarm: &Alarm) -> String {
    let Alarm { metric, canary, control, evidence, threshold } = alarm;
    format!(
        "{metric}: {} of {} at the canary, {} of {} at stable; evidence {evidence:.1}, and {threshold:.1} is beyond doubt",
        canary.failed, canary.of, control.failed, control.of
    )
}

#[cfg(test)]
mod tests {
    use crds::dataplane::{Canary, CanaryStep, RolloutStrategy};
    use jiff::Timestamp;
    use rollout::judge::{Counts, Evidence, Metric};
    use rollout::observation::Revision;

    use super::*;

    fn attempt() -> (Plan, State) {
        let steps = vec![CanaryStep { name: "half".into(), weight: 50, ..CanaryStep::default() }];
        let canary = Canary { steps, ..Canary::default() };
        let strategy = RolloutStrategy { canary: Some(canary), ..RolloutStrategy::default() };
        let plan = crate::attempt::strategy(&strategy, None, None).unwrap();
        let revision = |name: &str| Revision(name.to_owned());
        (plan, State::begin(revision("a"), revision("b"), false, Timestamp::UNIX_EPOCH))
    }

    fn counted(step: Counts) -> Evidence {
        let mut evidence = Evidence::default();
        evidence.step = step;
        evidence
    }

    #[test]
    fn what_a_step_lacks_is_told_in_figures() {
        let (plan, mut state) = attempt();
        let words = |state: &State| doubts(&plan, state, Verdict::Insufficient);
        assert!(words(&state).contains("prometheus plugin"), "nothing was counted: {}", words(&state));
        for metric in Metric::ALL {
            let step = Counts::new(0, if metric == Metric::GatewayLatency { 360 } else { 900 });
            state.record.metrics.insert(metric.name().into(), counted(step));
        }
        let told = words(&state);
        assert!(told.contains("gateway-latency has 360 of the 666 requests that it needs"), "{told}");
        assert!(!told.contains("gateway-errors"), "{told}");
        let slow = counted(Counts::new(12, 720));
        state.record.metrics.insert(Metric::GatewayLatency.name().into(), slow);
        assert!(words(&state).contains("gateway-latency is bad in 12 of 720"), "{}", words(&state));
        assert_eq!(doubts(&plan, &state, Verdict::NoData), doubt(Verdict::NoData));
    }
}
