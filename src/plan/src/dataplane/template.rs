//! The user's pod template, merged onto ours.
//!
//! In: our template and the user's. Out: what runs, or everything that is wrong with the user's. A value of the
//! user's wins over a default of ours, and never over what the product needs to work.

use crds::k8s::PodTemplateSpec;
use serde_json::Value;

use super::{needs, settle};
use crate::invalid::Problem;
use crate::merge;

/// Where the user's template stands.
pub const PATH: &str = "spec.deployment.podTemplateSpec";

/// A user's template in the form in which Kubernetes has it: quantities as text, and of variables that are named
/// twice the last one, which is the one that a container gets.
pub fn read(template: &Value) -> Value {
    let mut template = template.clone();
    crds::quantity::spell(&mut template);
    for list in ["/spec/containers", "/spec/initContainers"] {
        let containers = template.pointer_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let variables = container.get_mut("env").and_then(Value::as_array_mut);
            variables.into_iter().for_each(last_of_each);
        }
    }
    template
}

fn last_of_each(variables: &mut Vec<Value>) {
    let name = |variable: &Value| variable.get("name").cloned();
    let names: Vec<_> = variables.iter().map(name).collect();
    let mut index = 0;
    variables.retain(|variable| {
        index += 1;
        variable.get("name").is_none() || !names.iter().skip(index).any(|later| *later == name(variable))
    });
}

/// The template that runs, of a user's one that has no problems.
pub fn merged(ours: &Value, patch: &Value) -> Value {
    let mut template = ours.clone();
    merge::onto(&mut template, patch, PATH);
    settle::all(&mut template, ours, patch);
    template
}

/// Every unknown or mistyped field of the user's template, every directive that cannot be carried out, and what
/// the product cannot work with.
pub fn problems(ours: &Value, patch: &Value) -> Vec<Problem> {
    let mut template = ours.clone();
    let mut problems = typed(&merge::bare(patch));
    problems.extend(merge::onto(&mut template, patch, PATH));
    settle::all(&mut template, ours, patch);
    problems.extend(needs::missing(ours, &template));
    problems
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
