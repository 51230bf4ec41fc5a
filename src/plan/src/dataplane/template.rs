//! The user's pod template, merged onto ours.
//!
//! In: our template and the user's. Out: what runs, or everything that is wrong with the user's. A value of the
//! user's wins over a default of ours, and never over what the product needs to work.

use std::collections::HashMap;

use crds::names::PROXY_CONTAINER;
use serde_json::Value;

use super::pod::{CERTIFICATE_VOLUME, PREFIX_VOLUME, TMP_VOLUME};
use super::{needs, settle};
use crate::image;
use crate::invalid::Problem;
use crate::merge;
use crate::pod::{self, Role};

/// What we bring into the pods, besides their containers' fields.
const ROLE: Role = Role {
    container: PROXY_CONTAINER,
    volumes: &[CERTIFICATE_VOLUME, PREFIX_VOLUME, TMP_VOLUME],
    product: &image::GATEWAY,
};

/// Where the user's template stands.
pub const PATH: &str = "spec.deployment.podTemplateSpec";

/// A user's template in the form in which Kubernetes has it: quantities as text, no empty words, and of variables that are named
/// twice the last one, which is the one that a container gets.
pub fn read(template: &Value) -> Value {
    let mut template = template.clone();
    crds::quantity::spell(&mut template);
    pod::without_empty(&mut template);
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
    let name = |variable: &Value| variable.get("name").and_then(Value::as_str).map(str::to_owned);
    let last: HashMap<_, _> =
        variables.iter().map(name).enumerate().map(|(index, name)| (name, index)).collect();
    let mut index = 0;
    variables.retain(|variable| {
        let (name, here) = (name(variable), index);
        index += 1;
        name.is_none() || last.get(&name) == Some(&here)
    });
}

/// The template that runs, of a user's one that has no problems.
pub fn merged(ours: &Value, patch: &Value) -> Value {
    let mut template = ours.clone();
    merge::onto(&mut template, patch, PATH);
    settle::all(&mut template, ours, patch);
    template
}

/// Every unknown or mistyped field of the user's template, every directive that cannot be carried out, what
/// Kubernetes would refuse, and what the product cannot work with. `written` is the user's template as it was written,
/// and `patch` the same [`read`].
pub fn problems(ours: &Value, written: &Value, patch: &Value) -> Vec<Problem> {
    let mut template = ours.clone();
    let mut problems = pod::problems(written, PATH, &ROLE);
    problems.extend(merge::onto(&mut template, patch, PATH));
    settle::all(&mut template, ours, patch);
    problems.extend(needs::missing(ours, written, &template));
    problems
}
