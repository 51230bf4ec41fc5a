//! From the stanza `rollout.strategy` to a plan.
//!
//! In: a strategy, and the two pod templates that it leads from and to. Out: a plan whose every number is within its range, or
//! what is wrong with the stanza, by path. Never: a default that is written back.

use std::time::Duration;

use crds::PodTemplatePatch;
use crds::dataplane::{
    AnalysisProfile, Approval, Canary, CanaryAnalysis, CanaryDeadlines, CanaryHook, CanaryPromotion,
    CanaryStep, Gate, HookWhen, OnFailure, OnInconclusive, RolloutStrategy,
};
use crds::names::PROXY_CONTAINER;
use jiff::SignedDuration;
use rollout::plan::{
    Analysis, Approval as Approved, ControlPlane, Deadlines, Flaw, Gate as Gated, Hook, OnFailure as Failing,
    OnInconclusive as Doubt, Plan, Ratio, RollbackWindow, Share, Step, Steps, Surge, Weight, When,
};
use serde_json::Value;

use crate::image::Image;
use crate::invalid::Problem;

/// Where the stanza stands in a `DataPlane`.
const PATH: &str = "spec.deployment.rollout.strategy.canary";

/// The ratio of failure rates that nobody minds.
const HARMLESS: f64 = 1.25;
/// Differences of shares below this are of no interest.
const DIFFERENCE: f64 = 0.001;

/// What of a strategy makes no sense, by path.
pub fn problems(strategy: &RolloutStrategy) -> Vec<Problem> {
    let canary = strategy.canary.as_ref();
    canary.map(|canary| plan(canary, Gated::Enforce).err().unwrap_or_default()).unwrap_or_default()
}

/// The plan of an attempt from one pod template to another; none where pods are updated in place.
pub fn strategy(
    strategy: &RolloutStrategy,
    from: Option<&PodTemplatePatch>,
    to: Option<&PodTemplatePatch>,
) -> Option<Plan> {
    // What one minor version exports another one may not take.
    let usual = if minor(from) == minor(to) { Gated::Enforce } else { Gated::Warn };
    if let Some(canary) = &strategy.canary {
        return plan(canary, usual).ok();
    }
    strategy.blue_green.as_ref()?;
    let canary = Canary {
        steps: vec![CanaryStep { name: "preview".into(), ..CanaryStep::default() }],
        ..Canary::default()
    };
    let plan = plan(&canary, usual).ok()?;
    let plan = plan.blue_green(Approved::Required);
    Some(Plan { keep_failed: Duration::ZERO, watch: Duration::ZERO, ..plan })
}

/// Major and minor version of Kong in a pod template, where its image says so.
fn minor(template: Option<&PodTemplatePatch>) -> Option<(u64, u64)> {
    let containers = template?.as_value().pointer("/spec/containers").and_then(Value::as_array)?;
    let named = |container: &&Value| container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER);
    let image = containers.iter().find(named)?.get("image").and_then(Value::as_str)?;
    let mut parts = Image::read(image).ok()?.tag?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn plan(canary: &Canary, usual: Gated) -> Result<Plan, Vec<Problem>> {
    let mut wrong = Wrong(Vec::new());
    let preflight = canary.preflight.clone().unwrap_or_default();
    let parity = preflight.route_parity.unwrap_or_default();
    let window = canary.rollback_window.clone().unwrap_or_default();
    let steps = wrong.steps(&canary.steps);
    let plan = Plan {
        steps: steps.ok_or_else(|| std::mem::take(&mut wrong.0))?,
        max_surge: canary.max_surge.as_deref().and_then(surge).unwrap_or(Surge::WHOLE),
        full_size: false,
        control_plane: ControlPlane::Shared,
        acceptance: preflight.config_acceptance.map_or(usual, gate),
        parity: parity.mode.map_or(Gated::Warn, gate),
        parity_drift: parity.allowed_status_drift.and_then(|drift| drift.try_into().ok()).unwrap_or(0),
        promotion: match canary.promotion {
            Some(CanaryPromotion::Manual) => Approved::Required,
            Some(CanaryPromotion::Automatic) | None => Approved::Automatic,
        },
        on_failure: match canary.on_failure {
            Some(OnFailure::Pause) => Failing::Pause,
            Some(OnFailure::Rollback) | None => Failing::Rollback,
        },
        on_inconclusive: match canary.on_inconclusive {
            Some(OnInconclusive::Rollback) => Doubt::Rollback,
            Some(OnInconclusive::Promote) => Doubt::Promote,
            Some(OnInconclusive::Pause) | None => Doubt::Pause,
        },
        deadlines: wrong.deadlines(&canary.deadlines.clone().unwrap_or_default()),
        scale_down_delay: wrong.duration(
            "scaleDownDelay",
            canary.scale_down_delay.as_deref(),
            Duration::from_mins(1),
        ),
        keep_failed: wrong.duration(
            "keepFailedCanary",
            canary.keep_failed_canary.as_deref(),
            Duration::from_mins(15),
        ),
        watch: wrong.duration(
            "watchAfterPromotion",
            canary.watch_after_promotion.as_deref(),
            Duration::from_mins(30),
        ),
        analysis: wrong.analysis(&canary.analysis.clone().unwrap_or_default()),
        rollback_window: RollbackWindow {
            revisions: window.revisions.and_then(|count| count.try_into().ok()).unwrap_or(3),
            max_age: wrong.duration(
                "rollbackWindow.maxAge",
                window.max_age.as_deref(),
                Duration::from_hours(24),
            ),
        },
    };
    if wrong.0.is_empty() { Ok(plan) } else { Err(wrong.0) }
}

const fn gate(gate: Gate) -> Gated {
    match gate {
        Gate::Enforce => Gated::Enforce,
        Gate::Warn => Gated::Warn,
        Gate::Off => Gated::Off,
    }
}

fn surge(text: &str) -> Option<Surge> {
    Surge::new(text.strip_suffix('%')?.parse().ok()?)
}

/// What is wrong so far.
struct Wrong(Vec<Problem>);

impl Wrong {
    fn say(&mut self, field: &str, message: String) {
        self.0.push(Problem::at(format!("{PATH}.{field}"), message));
    }

    fn hooks(&mut self, field: &str, hooks: &[CanaryHook]) -> Vec<Hook> {
        let mut read = Vec::new();
        for (index, hook) in hooks.iter().enumerate() {
            let at = format!("{field}[{index}]");
            let containers =
                hook.job.as_ref().map(|job| job.spec.as_value().pointer("/template/spec/containers"));
            if containers.is_some_and(|found| found.and_then(Value::as_array).is_none_or(Vec::is_empty)) {
                self.say(
                    &format!("{at}.job.spec.template.spec.containers"),
                    "a Job needs a container: add one".into(),
                );
            }
            // A name that is there twice is refused by the definition.
            if read.iter().all(|known: &Hook| known.name != hook.name) {
                read.push(Hook {
                    name: hook.name.clone(),
                    when: match hook.when {
                        Some(HookWhen::Exit) => When::Exit,
                        Some(HookWhen::Enter) | None => When::Enter,
                    },
                    timeout: self.duration(
                        &format!("{at}.timeout"),
                        hook.timeout.as_deref(),
                        Duration::from_mins(5),
                    ),
                });
            }
        }
        read
    }

    fn steps(&mut self, steps: &[CanaryStep]) -> Option<Steps> {
        let read = |(index, step): (usize, &CanaryStep)| {
            let weight = u8::try_from(step.weight).ok().and_then(Weight::new);
            if weight.is_none() {
                self.say(
                    &format!("steps[{index}].weight"),
                    format!("{} is no weight: use 0 to 50", step.weight),
                );
            }
            Step {
                name: step.name.clone(),
                weight: weight.unwrap_or(Weight::NONE),
                hold: self.duration(&format!("steps[{index}].hold"), step.hold.as_deref(), Duration::ZERO),
                approval: step.approval.map_or(Approved::Automatic, |Approval::Required| Approved::Required),
                hooks: self
                    .hooks(&format!("steps[{index}].hooks"), step.hooks.as_deref().unwrap_or_default()),
            }
        };
        let read: Vec<_> = steps.iter().enumerate().map(read).collect();
        if !self.0.is_empty() {
            return None;
        }
        match Steps::new(read) {
            Ok(steps) => Some(steps),
            Err(flaw) => {
                self.flaw(flaw, steps);
                None
            }
        }
    }

    fn flaw(&mut self, flaw: Flaw, steps: &[CanaryStep]) {
        let name = |index: usize| steps.get(index).map(|step| step.name.as_str()).unwrap_or_default();
        match flaw {
            Flaw::Number => self.say("steps", format!("{} steps: a canary has 1 to 16", steps.len())),
            Flaw::Name(index) => {
                let message = format!("{:?} is the name of another step too: give each its own", name(index));
                self.say(&format!("steps[{index}].name"), message);
            }
            Flaw::Weight(index) => {
                let weight = |index: usize| steps.get(index).map_or(0, |step| step.weight);
                let (here, before) = (weight(index), weight(index.saturating_sub(1)));
                let message = format!(
                    "{here} is less than the {before} of the step before: raise it, or put the steps in order"
                );
                self.say(&format!("steps[{index}].weight"), message);
            }
        }
    }

    fn deadlines(&mut self, stanza: &CanaryDeadlines) -> Deadlines {
        let usual = |hours| Duration::from_hours(hours);
        Deadlines {
            ready: self.duration("deadlines.ready", stanza.ready.as_deref(), Duration::from_mins(10)),
            approval: self.duration("deadlines.approval", stanza.approval.as_deref(), usual(72)),
            total: self.duration("deadlines.total", stanza.total.as_deref(), usual(24)),
        }
    }

    /// A duration as Go writes it.
    fn duration(&mut self, field: &str, text: Option<&str>, usual: Duration) -> Duration {
        let Some(text) = text else { return usual };
        let read = text.parse::<SignedDuration>().ok().and_then(|read| Duration::try_from(read).ok());
        // A year is longer than anybody means.
        if let Some(read) = read.filter(|read| *read <= Duration::from_hours(24 * 366)) {
            return read;
        }
        let remedy = "write it as \"90s\", \"15m\" or \"1h30m\"";
        self.say(field, format!("{text:?} is no duration of up to a year: {remedy}"));
        usual
    }

    fn analysis(&mut self, stanza: &CanaryAnalysis) -> Option<Analysis> {
        let (alpha, budget, ratio) = match stanza.profile {
            Some(AnalysisProfile::Off) => return None,
            Some(AnalysisProfile::Strict) => (0.05, 0.005, 2.0),
            Some(AnalysisProfile::Standard) | None => (0.01, 0.01, 2.0),
            Some(AnalysisProfile::Lenient) => (0.001, 0.05, 4.0),
        };
        let alpha = self.share("analysis.alpha", stanza.alpha.as_deref(), alpha);
        let error_budget = self.share("analysis.errorBudget", stanza.error_budget.as_deref(), budget);
        Some(Analysis {
            alpha: alpha?,
            harmless: Ratio::new(HARMLESS)?,
            max_ratio: Ratio::new(stanza.max_ratio.map_or(ratio, f64::from))?,
            error_budget: error_budget?,
            difference: Share::new(DIFFERENCE)?,
            min_requests: stanza.min_requests.and_then(|least| least.try_into().ok()).unwrap_or(500),
            custom: Vec::new(),
        })
    }

    fn share(&mut self, field: &str, text: Option<&str>, usual: f64) -> Option<Share> {
        let Some(text) = text else { return Share::new(usual) };
        let read = text.strip_suffix('%').and_then(|digits| digits.parse::<f64>().ok());
        let share = read.and_then(|percent| Share::new(percent / 100.0));
        if share.is_none() {
            self.say(
                field,
                format!(
                    "{text:?} is no share between 0% and 100%, both excluded: write it as \"1%\" or \"0.5%\""
                ),
            );
        }
        share
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "literals of JSON are handed over")]

    use super::*;
    use serde_json::json;

    fn read(canary: Value) -> RolloutStrategy {
        serde_json::from_value(json!({ "canary": canary })).unwrap()
    }

    fn template(image: &str) -> PodTemplatePatch {
        let patch = json!({ "spec": { "containers": [{ "name": "proxy", "image": image }] } });
        serde_json::from_value(patch).unwrap()
    }

    #[test]
    fn what_is_absent_is_decided_here() {
        let canary = read(json!({ "steps": [{ "name": "first", "weight": 5, "hold": "1h30m" }] }));
        let plan = strategy(&canary, None, None).unwrap();
        let step = plan.steps.get(0).unwrap();
        assert_eq!((step.weight.percent(), step.hold), (5, Duration::from_mins(90)));
        assert_eq!((plan.acceptance, plan.parity), (Gated::Enforce, Gated::Warn));
        assert_eq!(plan.deadlines.approval, Duration::from_hours(72));
        assert_eq!(plan.analysis.unwrap().min_requests, 500);
        let off = json!({ "steps": [{ "name": "a", "weight": 0 }], "analysis": { "profile": "Off" } });
        assert!(strategy(&read(off), None, None).unwrap().analysis.is_none());
        assert!(strategy(&RolloutStrategy::default(), None, None).is_none());
    }

    #[test]
    fn across_minor_versions_a_refusal_warns_unless_it_is_asked_for() {
        let (old, new) = (template("kong/kong-gateway:3.9.1"), template("docker.io/kong:3.10.0"));
        let canary = read(json!({ "steps": [{ "name": "a", "weight": 5 }] }));
        assert_eq!(strategy(&canary, Some(&old), Some(&new)).unwrap().acceptance, Gated::Warn);
        assert_eq!(strategy(&canary, Some(&old), Some(&old)).unwrap().acceptance, Gated::Enforce);
        let asked = read(
            json!({ "steps": [{ "name": "a", "weight": 5 }], "preflight": { "configAcceptance": "Enforce" } }),
        );
        assert_eq!(strategy(&asked, Some(&old), Some(&new)).unwrap().acceptance, Gated::Enforce);
    }

    #[test]
    fn blue_and_green_waits_for_somebody() {
        let stanza = serde_json::from_value(json!({ "blueGreen": {} })).unwrap();
        let plan = strategy(&stanza, None, None).unwrap();
        assert!(plan.full_size && plan.promotion == Approved::Required && plan.analysis.is_none());
    }

    #[test]
    fn all_that_is_wrong_is_said_with_its_path() {
        let canary = json!({
            "steps": [{ "name": "a", "weight": 20 }, { "name": "b", "weight": 5 }],
        });
        let told = |canary: Value| -> Vec<_> {
            problems(&read(canary)).into_iter().map(|p| (p.path, p.message)).collect()
        };
        let found = told(canary);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].0.ends_with("canary.steps[1].weight")
                && found[0].1.contains("the 20 of the step before")
        );
        let canary = json!({
            "steps": [{ "name": "a", "weight": 5 }], "scaleDownDelay": "9999999h",
            "deadlines": { "total": "soon" }, "analysis": { "alpha": "0%", "errorBudget": "0.0%" },
        });
        let paths: Vec<_> = told(canary)
            .into_iter()
            .map(|(path, _)| path.rsplit("canary.").next().unwrap().to_owned())
            .collect();
        assert_eq!(paths, ["deadlines.total", "scaleDownDelay", "analysis.alpha", "analysis.errorBudget"]);
    }
}
