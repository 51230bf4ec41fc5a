//! The user's pod template, merged onto ours.
//!
//! In: our template and the user's. Out: what runs, or everything that is wrong with the user's. A value of the
//! user's wins over a default of ours, and never over what the product needs to work.

use std::collections::HashMap;

use crds::names::PROXY_CONTAINER;
use serde_json::Value;

use super::needs;
use super::pod::{CERTIFICATE_VOLUME, PREFIX_VOLUME, TMP_VOLUME};
use super::settle::{self, Listens};
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
pub fn merged(ours: Value, patch: &Value) -> Value {
    let (listens, mut template) = (Listens::of(&ours), ours);
    merge::onto(&mut template, patch, PATH);
    settle::all(&mut template, &listens, patch);
    template
}

/// Every unknown or mistyped field of the user's template as it was written, and what Kubernetes would refuse.
pub fn refused(written: &Value) -> Vec<Problem> {
    pod::problems(written, PATH, &ROLE)
}

/// Every directive of the user's template that cannot be carried out, and what the product cannot work with. `written`
/// is the template as it was written, and `patch` the same [`read`].
pub fn unusable(ours: Value, written: &Value, patch: &Value) -> Vec<Problem> {
    let metadata = ours.get("metadata").cloned().unwrap_or_default();
    let (listens, mut template) = (Listens::of(&ours), ours);
    let mut problems = merge::onto(&mut template, patch, PATH);
    settle::all(&mut template, &listens, patch);
    problems.extend(needs::missing(&metadata, written, &template));
    problems
}
