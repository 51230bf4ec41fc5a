//! The budget of disruptions that a user asks for.
//!
//! In: the budget, and how many pods there are. Out: what Kubernetes would refuse, and whether any pod may ever be
//! evicted. Kubernetes takes a budget that forbids it; nodes can then not be drained, and a gateway has nothing that
//! would be worth that. It is asked at admission only: one that is there already keeps nobody from reconciling.

use crds::DataPlaneSpec;
use crds::dataplane::DisruptionBudgetSpec;
use crds::defaults::REPLICAS;
use crds::k8s::IntOrString;

use crate::invalid::Problem;

/// Where the budget stands.
const PATH: &str = "spec.resources.podDisruptionBudget.spec";

/// How many pods are wanted, at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pods {
    /// Fewest.
    pub least: i32,
    /// Most.
    pub most: i32,
}

impl Pods {
    /// How many a specification asks for.
    pub fn of(spec: &DataPlaneSpec) -> Self {
        let deployment = spec.deployment.as_ref();
        let scaling = deployment.and_then(|deployment| deployment.scaling.as_ref()?.horizontal.as_ref());
        let fixed = deployment.and_then(|deployment| deployment.replicas).unwrap_or(REPLICAS);
        scaling.map_or(Self { least: fixed, most: fixed }, |scaling| Self {
            least: scaling.min_replicas.unwrap_or(1),
            most: scaling.max_replicas,
        })
    }
}

/// What of the budget of `spec` cannot be read.
pub fn problems(spec: &DataPlaneSpec) -> Vec<Problem> {
    let Some(budget) = of(spec) else { return Vec::new() };
    let fields = [("minAvailable", &budget.min_available), ("maxUnavailable", &budget.max_unavailable)];
    let amounts = fields.into_iter().filter_map(|(field, amount)| Some((field, amount.as_ref()?)));
    amounts
        .filter_map(|(field, amount)| Some(Problem::at(format!("{PATH}.{field}"), unreadable(amount)?)))
        .collect()
}

/// A budget that never lets a pod be evicted. One pod is a choice of its own: it is told of, and not refused.
pub fn blocked(spec: &DataPlaneSpec) -> Option<Problem> {
    let (budget, pods) = (of(spec)?, Pods::of(spec));
    let counts = problems(spec).is_empty() && (pods.most > 1 || is_closed(budget));
    counts.then(|| closed(budget, pods.most))?
}

/// Whether the budget of `spec` keeps its pods from being evicted while as few run as may.
pub fn holds(spec: &DataPlaneSpec) -> bool {
    let pods = Pods::of(spec);
    of(spec).is_some_and(|budget| pods.least > 0 && allowed(budget, pods.least) == Some(0))
}

fn of(spec: &DataPlaneSpec) -> Option<&DisruptionBudgetSpec> {
    Some(&spec.resources.as_ref()?.pod_disruption_budget.as_ref()?.spec)
}

/// What is wrong with a number or a percentage.
fn unreadable(amount: &IntOrString) -> Option<String> {
    match amount {
        IntOrString::Int(number) if *number < 0 => {
            Some(format!("{number} is negative: use 0 or more, or a percentage"))
        }
        IntOrString::Int(_) => None,
        IntOrString::String(text) => match percent(text) {
            Some(0..=100) => None,
            _ => Some(format!(
                "{text:?} is no percentage from \"0%\" to \"100%\": use one, or a number without quotes"
            )),
        },
    }
}

fn percent(text: &str) -> Option<i32> {
    let digits = text.strip_suffix('%')?;
    digits.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Whether it forbids evictions by its own words, however many pods there are.
fn is_closed(budget: &DisruptionBudgetSpec) -> bool {
    let is = |amount: &Option<IntOrString>, wanted: i32| match amount {
        Some(IntOrString::Int(number)) => *number == 0 && wanted == 0,
        Some(IntOrString::String(text)) => percent(text) == Some(wanted),
        None => false,
    };
    is(&budget.max_unavailable, 0) || is(&budget.min_available, 100)
}

fn closed(budget: &DisruptionBudgetSpec, most: i32) -> Option<Problem> {
    if allowed(budget, most) != Some(0) {
        return None;
    }
    let (field, amount, remedy) = match (&budget.min_available, &budget.max_unavailable) {
        (Some(amount), _) => ("minAvailable", amount, "lower it, or use maxUnavailable: 1"),
        (None, Some(amount)) => ("maxUnavailable", amount, "use 1 or more"),
        (None, None) => return None,
    };
    let of = if is_closed(budget) { String::new() } else { format!(" of {most} pods") };
    let message =
        format!("{}{of} lets no pod be evicted, so no node can be drained: {remedy}", spelt(amount));
    Some(Problem::at(format!("{PATH}.{field}"), message))
}

/// How many of so many pods may be away at once; percentages are rounded up, as Kubernetes does.
fn allowed(budget: &DisruptionBudgetSpec, pods: i32) -> Option<i32> {
    let count = |amount: &IntOrString| match amount {
        IntOrString::Int(number) => Some(i64::from(*number)),
        IntOrString::String(text) => Some((i64::from(percent(text)?) * i64::from(pods) + 99) / 100),
    };
    let away = match (&budget.min_available, &budget.max_unavailable) {
        (Some(least), _) => i64::from(pods) - count(least)?,
        (None, Some(most)) => count(most)?,
        (None, None) => return None,
    };
    i32::try_from(away.max(0)).ok()
}

fn spelt(amount: &IntOrString) -> String {
    match amount {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(deployment: &Value, budget: &Value) -> DataPlaneSpec {
        let spec =
            json!({ "deployment": deployment, "resources": { "podDisruptionBudget": { "spec": budget } } });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_budget_that_lets_no_node_be_drained_is_refused() {
        let scaled = |least: i32, most: i32| json!({ "scaling": { "horizontal": { "minReplicas": least, "maxReplicas": most } } });
        for (deployment, budget, field, words) in [
            (json!({ "replicas": 3 }), json!({ "minAvailable": 3 }), "minAvailable", "3 of 3 pods"),
            (json!({ "replicas": 2 }), json!({ "minAvailable": "90%" }), "minAvailable", "\"90%\" of 2 pods"),
            (json!({ "replicas": 2 }), json!({ "maxUnavailable": 0 }), "maxUnavailable", "use 1 or more"),
            (json!({}), json!({ "maxUnavailable": "0%" }), "maxUnavailable", "\"0%\" lets"),
            (scaled(2, 5), json!({ "minAvailable": "100%" }), "minAvailable", "\"100%\" lets"),
            (scaled(2, 5), json!({ "minAvailable": 5 }), "minAvailable", "5 of 5 pods"),
            (json!({}), json!({ "minAvailable": -1 }), "minAvailable", "negative"),
            (json!({}), json!({ "minAvailable": "two" }), "minAvailable", "\"two\""),
            (json!({}), json!({ "maxUnavailable": "101%" }), "maxUnavailable", "\"101%\""),
            (json!({}), json!({ "maxUnavailable": "+1%" }), "maxUnavailable", "\"+1%\""),
        ] {
            let spec = spec(&deployment, &budget);
            let problems: Vec<_> = problems(&spec).into_iter().chain(blocked(&spec)).collect();
            assert_eq!(problems.len(), 1, "{deployment} {budget}: {problems:?}");
            let Problem { path, message, .. } = &problems[0];
            assert!(path.ends_with(field) && message.contains(words), "{path}: {message}");
        }
    }

    #[test]
    fn others_are_taken_and_those_that_hold_a_single_pod_are_known() {
        let scaled = json!({ "scaling": { "horizontal": { "minReplicas": 2, "maxReplicas": 5 } } });
        for (deployment, budget, holds_) in [
            (json!({}), json!({ "minAvailable": 1 }), true),
            (json!({ "replicas": 0 }), json!({ "minAvailable": 1 }), false),
            (json!({ "replicas": 2 }), json!({ "minAvailable": 1 }), false),
            (json!({ "replicas": 3 }), json!({ "maxUnavailable": "10%" }), false),
            (json!({ "replicas": 3 }), json!({ "minAvailable": "50%" }), false),
            (scaled.clone(), json!({ "minAvailable": 2 }), true),
            (scaled, json!({ "minAvailable": 1 }), false),
        ] {
            let spec = spec(&deployment, &budget);
            assert_eq!((problems(&spec), blocked(&spec)), (Vec::new(), None), "{deployment} {budget}");
            assert_eq!(holds(&spec), holds_, "{deployment} {budget}");
        }
    }
}
