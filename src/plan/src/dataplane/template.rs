//! The user's pod template, merged onto ours.
//!
//! In: our template and the user's. Out: what runs, or everything that is wrong with the user's. A value of the
//! user's wins over a default of ours, and never over what the product needs to work.

use crds::dataplane::DeploymentOptions;
use crds::k8s::PodTemplateSpec;
use crds::names::PROXY_CONTAINER;
use serde_json::{Value, json};

use super::pod::DRAIN_SECONDS;
use crate::invalid::Problem;
use crate::merge;

const PATH: &str = "spec.deployment.podTemplateSpec";
/// What is left of a grace period after the pause before the stop signal, in seconds.
const TO_END: u64 = 5;

/// The template that runs.
///
/// # Errors
/// Every unknown or mistyped field, and what Kong cannot run with.
pub fn merged(ours: Value, options: Option<&DeploymentOptions>) -> Result<Value, Vec<Problem>> {
    let Some(patch) = options.and_then(|options| options.pod_template_spec.as_ref()) else { return Ok(ours) };
    let patch = patch.to_value();
    let mut template = ours.clone();
    let mut problems = typed(&merge::bare(&patch));
    problems.extend(merge::onto(&mut template, &patch, PATH));
    problems.extend(needed(&ours, &template));
    problems.extend(database(&template));
    settle_readiness(&mut template, &patch);
    settle_drain(&mut template, &patch);
    settle_resources(&mut template, &patch);
    if problems.is_empty() { Ok(template) } else { Err(problems) }
}

/// With a declarative configuration of its own, a pod is ready when Kong has loaded it. Without one only a
/// control plane could make it so, and `/status` is all that can be asked.
fn settle_readiness(template: &mut Value, patch: &Value) {
    let configured = proxy(template).is_some_and(|proxy| {
        let mut names = variables(proxy).filter_map(|variable| variable.get("name").and_then(Value::as_str));
        names.any(|name| name.starts_with("KONG_DECLARATIVE_CONFIG"))
    });
    let theirs = proxy(patch).is_some_and(|proxy| proxy.get("readinessProbe").is_some());
    if configured
        && !theirs
        && let Some(path) = of_proxy(template, "/readinessProbe/httpGet/path")
    {
        *path = json!("/status/ready");
    }
}

/// Kubernetes refuses a pause before the stop signal that is longer than the grace period: ours makes room for
/// a shorter one of the user's.
fn settle_drain(template: &mut Value, patch: &Value) {
    let grace = patch.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
    let theirs = proxy(patch).is_some_and(|proxy| proxy.pointer("/lifecycle/preStop").is_some());
    if let (Some(grace), false) = (grace, theirs)
        && let Some(pause) = of_proxy(template, "/lifecycle/preStop/sleep/seconds")
    {
        *pause = json!(DRAIN_SECONDS.min(grace.saturating_sub(TO_END)).max(1));
    }
}

/// A limit below our request, or a request above our limit, would be refused: where the user names one of the
/// two for a resource, our default of the other one goes.
fn settle_resources(template: &mut Value, patch: &Value) {
    let named = |field: &str| -> Vec<String> {
        let theirs = proxy(patch)
            .and_then(|proxy| proxy.pointer(&format!("/resources/{field}")))
            .and_then(Value::as_object);
        theirs.into_iter().flat_map(|resources| resources.keys().cloned()).collect()
    };
    let (requests, limits) = (named("requests"), named("limits"));
    for (field, given, other) in [("limits", &limits, &requests), ("requests", &requests, &limits)] {
        let Some(ours) = of_proxy(template, &format!("/resources/{field}")).and_then(Value::as_object_mut)
        else {
            continue;
        };
        ours.retain(|resource, _| given.contains(resource) || !other.contains(resource));
    }
}

/// The labels by which Services and the Deployment find the pods, our annotations, and Kong itself.
fn needed(ours: &Value, merged: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    for field in ["labels", "annotations"] {
        let of = |template: &Value| {
            template
                .pointer(&format!("/metadata/{field}"))
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let found = of(merged);
        for (key, value) in of(ours) {
            if found.get(&key) != Some(&value) {
                let message = format!(
                    "must be {value}: the operator finds the pods by it; remove it from podTemplateSpec"
                );
                problems.push(Problem::at(format!("{PATH}.metadata.{field}[{key}]"), message));
            }
        }
    }
    if proxy(merged).is_none() {
        let message = format!(
            "no container is named {PROXY_CONTAINER:?}: it is the one that runs Kong, and cannot be removed"
        );
        problems.push(Problem::at(format!("{PATH}.spec.containers"), message));
    }
    problems
}

/// A field of Kong's container.
fn of_proxy<'a>(template: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut)?;
    containers.iter_mut().find(|container| is_proxy(container))?.pointer_mut(pointer)
}

fn is_proxy(container: &Value) -> bool {
    container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER)
}

fn proxy(template: &Value) -> Option<&Value> {
    template.pointer("/spec/containers")?.as_array()?.iter().find(|c| is_proxy(c))
}

fn variables(container: &Value) -> impl Iterator<Item = &Value> {
    container.get("env").and_then(Value::as_array).into_iter().flatten()
}

/// Kong runs without a database here; `off` and an empty value say so.
fn database(template: &Value) -> Vec<Problem> {
    let postgres = proxy(template).into_iter().flat_map(variables).find_map(|variable| {
        let name = variable.get("name")?.as_str()?;
        let value = variable.get("value").and_then(Value::as_str).unwrap_or_default();
        (name == "KONG_DATABASE" && !matches!(value, "off" | "")).then(|| value.to_owned())
    });
    let problem = |value: String| {
        let message = format!(
            "{value:?} is not supported: Kong runs without a database here, remove the variable or set it to \"off\""
        );
        Problem::at(format!("{PATH}.spec.containers[{PROXY_CONTAINER}].env[KONG_DATABASE]"), message)
    };
    postgres.map(problem).into_iter().collect()
}

/// Fields that a pod template does not have, and fields of the wrong type.
fn typed(patch: &Value) -> Vec<Problem> {
    let known: PodTemplateSpec = match serde_path_to_error::deserialize(patch) {
        Ok(known) => known,
        Err(error) => {
            let field = format!("{PATH}.{}", error.path());
            return vec![Problem::at(field, format!("{}: correct the type of the field", error.inner()))];
        }
    };
    let mut problems = Vec::new();
    if let Ok(known) = serde_json::to_value(known) {
        unknown(patch, &known, PATH, &mut problems);
    }
    problems
}

fn unknown(given: &Value, known: &Value, path: &str, problems: &mut Vec<Problem>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (name, value) in given {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(found) => unknown(value, found, &path, problems),
                    None => problems.push(Problem::at(path, "unknown field: correct its name or remove it")),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                unknown(given, known, &format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}
