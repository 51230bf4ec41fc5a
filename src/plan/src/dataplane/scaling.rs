//! The autoscaler that a user asks for: what Kubernetes would refuse of it (`pkg/apis/autoscaling/validation`).
//!
//! In: the `horizontal` stanza. Out: problems. What one field can tell by itself is in the schema.

use crds::dataplane::HorizontalScaling;
use crds::k8s::{HPAScalingRules, MetricSpec, MetricTarget, Quantity};
use crds::quantity;
use serde_json::json;

use crate::invalid::{Cause, Problem};
use crate::path::At;

/// Where the stanza stands.
pub const PATH: &str = "spec.deployment.scaling.horizontal";
/// Longest window over which recommendations are watched, in seconds.
const LONGEST_WINDOW: i32 = 3600;
/// Longest period of a policy, in seconds.
const LONGEST_PERIOD: i32 = 1800;

/// Everything that is wrong with it.
pub fn problems(scaling: &HorizontalScaling) -> Vec<Problem> {
    let root = At::root(PATH);
    let mut problems: Vec<Problem> = to_zero(scaling, &root).into_iter().collect();
    let list = root.field("metrics");
    for (index, metric) in scaling.metrics.iter().flatten().enumerate() {
        problems.extend(of_metric(metric, &list.index(index)));
    }
    let behavior = root.field("behavior");
    for (field, rules) in
        scaling.behavior.iter().flat_map(|b| [("scaleDown", &b.scale_down), ("scaleUp", &b.scale_up)])
    {
        if let Some(rules) = rules {
            problems.extend(of_rules(rules, &behavior.field(field)));
        }
    }
    problems
}

/// Metrics of pods cannot bring the first one back.
fn to_zero(scaling: &HorizontalScaling, at: &At<'_>) -> Option<Problem> {
    let outside = |metric: &MetricSpec| ["External", "Object"].contains(&metric.type_.as_str());
    if scaling.min_replicas != Some(0) || scaling.metrics.iter().flatten().any(outside) {
        return None;
    }
    let message = "0 needs a metric of type Object or External, which says when pods are wanted again: add one, or set 1";
    Some(Problem::at(at.field("minReplicas").to_string(), message))
}

/// A metric has the one source that its type names.
fn of_metric(metric: &MetricSpec, at: &At<'_>) -> Vec<Problem> {
    let sources = [
        ("ContainerResource", "containerResource", metric.container_resource.as_ref().map(|s| &s.target)),
        ("External", "external", metric.external.as_ref().map(|s| &s.target)),
        ("Object", "object", metric.object.as_ref().map(|s| &s.target)),
        ("Pods", "pods", metric.pods.as_ref().map(|s| &s.target)),
        ("Resource", "resource", metric.resource.as_ref().map(|s| &s.target)),
    ];
    let Some((word, field, source)) = sources.iter().find(|(word, ..)| *word == metric.type_) else {
        let words: Vec<_> = sources.iter().map(|(word, ..)| *word).collect();
        let message = format!("{:?} is not supported: use {}", metric.type_, words.join(", "));
        return vec![Problem::at(at.field("type").to_string(), message).because(Cause::NotSupported)];
    };
    let mut problems: Vec<Problem> = sources
        .iter()
        .filter(|(other, _, source)| other != word && source.is_some())
        .map(|(_, other, _)| {
            let message = format!("cannot be used with type {word}: give {field}, or correct the type");
            Problem::at(at.field(other).to_string(), message).because(Cause::Forbidden)
        })
        .collect();
    match source {
        None => {
            let message = format!("is missing: a metric of type {word} says what it measures here");
            problems.push(Problem::at(at.field(field).to_string(), message).because(Cause::Required));
        }
        Some(target) => problems.extend(of_target(word, target, &at.field(field).field("target"))),
    }
    problems
}

fn of_target(metric: &str, target: &MetricTarget, at: &At<'_>) -> Option<Problem> {
    let word = target.type_.as_str();
    if !["AverageValue", "Utilization", "Value"].contains(&word) {
        let message = format!("{word:?} is not supported: use AverageValue, Utilization, Value");
        return Some(Problem::at(at.field("type").to_string(), message).because(Cause::NotSupported));
    }
    let wanted = match metric {
        "Resource" | "ContainerResource" => ["averageUtilization", "averageValue"].as_slice(),
        "Pods" => &["averageValue"],
        _ => &["value", "averageValue"],
    };
    let positive = |amount: &Option<Quantity>| {
        amount.as_ref().map(|q| quantity::parse(&json!(q.0)).is_some_and(|q| q > 0))
    };
    let given = [
        ("averageUtilization", target.average_utilization.map(|percent| percent > 0)),
        ("averageValue", positive(&target.average_value)),
        ("value", positive(&target.value)),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(field, good)| Some((field, good?))).collect();
    match given.as_slice() {
        [(field, _)] if !wanted.contains(field) => {
            let message =
                format!("cannot be used for a metric of type {metric}: use {}", wanted.join(" or "));
            Some(Problem::at(at.field(field).to_string(), message).because(Cause::Forbidden))
        }
        [(_, true)] => None,
        [(field, false)] => {
            Some(Problem::at(at.field(field).to_string(), "must be greater than 0: correct the number"))
        }
        _ => {
            let message =
                format!("{} values are given: a target has one, {}", given.len(), wanted.join(" or "));
            Some(Problem::at(at.to_string(), message))
        }
    }
}

fn of_rules(rules: &HPAScalingRules, at: &At<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut tell = |at: At<'_>, message: String| problems.push(Problem::at(at.to_string(), message));
    if let Some(seconds) = rules.stabilization_window_seconds.filter(|s| !(0..=LONGEST_WINDOW).contains(s)) {
        let message = format!("{seconds} is out of range: use seconds from 0 to {LONGEST_WINDOW}");
        tell(at.field("stabilizationWindowSeconds"), message);
    }
    if let Some(word) =
        rules.select_policy.as_deref().filter(|word| !["Disabled", "Max", "Min"].contains(word))
    {
        tell(at.field("selectPolicy"), format!("{word:?} is not supported: use Disabled, Max, Min"));
    }
    let list = at.field("policies");
    for (index, policy) in rules.policies.iter().flatten().enumerate() {
        let at = list.index(index);
        if !["Percent", "Pods"].contains(&policy.type_.as_str()) {
            tell(at.field("type"), format!("{:?} is not supported: use Percent, Pods", policy.type_));
        }
        if policy.value < 1 {
            tell(at.field("value"), format!("{} is too small: use 1 or more", policy.value));
        }
        if !(1..=LONGEST_PERIOD).contains(&policy.period_seconds) {
            let message =
                format!("{} is out of range: use seconds from 1 to {LONGEST_PERIOD}", policy.period_seconds);
            tell(at.field("periodSeconds"), message);
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn told(fields: &Value) -> Vec<String> {
        let mut scaling = json!({ "maxReplicas": 3 });
        scaling.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let problems = problems(&serde_json::from_value(scaling).unwrap());
        problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
    }

    fn metric(metric: &Value) -> Value {
        json!({ "metrics": [metric] })
    }

    #[test]
    fn what_kubernetes_takes_is_no_problem() {
        let object = json!({ "describedObject": { "kind": "Service", "name": "x" }, "metric": { "name": "m" }, "target": { "type": "Value", "value": 5 } });
        for fields in [
            json!({}),
            json!({ "minReplicas": 0, "metrics": [{ "type": "Object", "object": object }] }),
            metric(
                &json!({ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } } }),
            ),
            metric(
                &json!({ "type": "Pods", "pods": { "metric": { "name": "m" }, "target": { "type": "AverageValue", "averageValue": "100m" } } }),
            ),
            json!({ "behavior": { "scaleDown": { "stabilizationWindowSeconds": 0, "selectPolicy": "Min", "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 60 }] } } }),
        ] {
            assert_eq!(told(&fields), [] as [&str; 0], "{fields}");
        }
    }

    #[test]
    fn what_it_would_refuse_is_told_with_its_place() {
        let target = |target: &Value| {
            metric(&json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }))
        };
        let down = |rules: &Value| json!({ "behavior": { "scaleDown": rules } });
        for (fields, path, words) in [
            (json!({ "minReplicas": 0 }), "minReplicas", "Object or External"),
            (metric(&json!({ "type": "Cpu" })), "metrics[0].type", "\"Cpu\""),
            (metric(&json!({ "type": "Resource" })), "metrics[0].resource", "missing"),
            (
                metric(
                    &json!({ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 1 } }, "pods": { "metric": { "name": "m" }, "target": { "type": "AverageValue" } } }),
                ),
                "metrics[0].pods",
                "type Resource",
            ),
            (target(&json!({ "type": "Utilization" })), "metrics[0].resource.target", "0 values"),
            (
                target(&json!({ "type": "Percent", "averageUtilization": 70 })),
                "metrics[0].resource.target.type",
                "\"Percent\"",
            ),
            (
                target(&json!({ "type": "Value", "value": "1" })),
                "metrics[0].resource.target.value",
                "averageUtilization or",
            ),
            (
                target(&json!({ "type": "Utilization", "averageUtilization": 0 })),
                "metrics[0].resource.target.averageUtilization",
                "greater than 0",
            ),
            (
                down(&json!({ "stabilizationWindowSeconds": 4000 })),
                "behavior.scaleDown.stabilizationWindowSeconds",
                "4000",
            ),
            (down(&json!({ "selectPolicy": "Most" })), "behavior.scaleDown.selectPolicy", "\"Most\""),
            (
                down(&json!({ "policies": [{ "type": "Pod", "value": 1, "periodSeconds": 60 }] })),
                "behavior.scaleDown.policies[0].type",
                "\"Pod\"",
            ),
            (
                down(&json!({ "policies": [{ "type": "Pods", "value": 0, "periodSeconds": 60 }] })),
                "behavior.scaleDown.policies[0].value",
                "0 is",
            ),
            (
                down(&json!({ "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 1801 }] })),
                "behavior.scaleDown.policies[0].periodSeconds",
                "1801",
            ),
        ] {
            let told = told(&fields);
            assert_eq!(told.len(), 1, "{fields}: {told:?}");
            assert!(told[0].starts_with(&format!("{PATH}.{path}: ")) && told[0].contains(words), "{told:?}");
        }
    }
}
