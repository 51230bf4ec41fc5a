//! What Kubernetes refuses of a user's pod template, before it does, and the images of the containers.
//!
//! In: the template as its author wrote it, where it stands, and what we add to it. Out: every problem, at the place
//! where the author finds it. A template is a part of a whole: what is absent is ours to give, and no problem.

mod containers;
mod lists;
mod names;
mod placement;
mod sources;
mod typed;
mod values;

use serde_json::Value;

use crate::image::{self, Product};
use crate::invalid::{Cause, Problem};
use crate::path::At;

pub use names::{QUALIFIED, is_qualified};
pub use typed::UNKNOWN;
pub use values::without_empty;

/// What we add to a user's template.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// The container that we bring, image and probes included.
    pub container: &'static str,
    /// Volumes that we bring.
    pub volumes: &'static [&'static str],
    /// What the container runs.
    pub product: &'static Product,
}

/// The pods of a `ControlPlane`; the volumes are those of Kong Gateway Operator, which users' templates mount.
pub const CONTROLLER: Role = Role {
    container: "controller",
    volumes: &["admission-webhook-certificate", "cluster-certificate"],
    product: &image::CONTROLLER,
};

/// Everything that is wrong with `template`, which stands at `path`.
pub fn problems(template: &Value, path: &str, role: &Role) -> Vec<Problem> {
    let mut check = Check { role, problems: typed::problems(template, path) };
    // Beside a field of the wrong type, whatever else is said would only confuse.
    if check.problems.iter().all(|problem| problem.cause != Cause::TypeInvalid) {
        check.template(template, &At::root(path));
    }
    check.problems
}

/// Problems as they are found.
struct Check<'a> {
    role: &'a Role,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn tell(&mut self, at: &At<'_>, cause: Cause, message: impl Into<String>) {
        self.problems.push(Problem::at(at.to_string(), message).because(cause));
    }

    fn template(&mut self, patch: &Value, at: &At<'_>) {
        if let Some(metadata) = patch.get("metadata") {
            self.metadata(metadata, &at.field("metadata"));
        }
        if let Some(spec) = patch.get("spec") {
            self.spec(spec, &at.field("spec"));
        }
    }

    fn metadata(&mut self, metadata: &Value, at: &At<'_>) {
        let (labels, annotations) = (at.field("labels"), at.field("annotations"));
        for (map, at) in [("labels", &labels), ("annotations", &annotations)] {
            for (key, value) in metadata.get(map).and_then(Value::as_object).into_iter().flatten() {
                let at = at.key(key);
                if !names::is_qualified(key) {
                    self.tell(&at, Cause::Invalid, format!("{key:?} is no key: {}", names::QUALIFIED));
                }
                let value = value.as_str().unwrap_or_default();
                if map == "labels" && !names::is_label_value(value) {
                    self.tell(
                        &at,
                        Cause::Invalid,
                        format!("{value:?} is no value of a label: {}", names::LABEL_VALUE),
                    );
                }
            }
        }
    }

    fn spec(&mut self, spec: &Value, at: &At<'_>) {
        for (list, is_init) in [("containers", false), ("initContainers", true)] {
            self.containers(spec, &at.field(list), list, is_init);
        }
        self.volumes(spec, &at.field("volumes"));
        self.mounts(spec, at);
        self.sources(spec, at);
        self.placement(spec, at);
        self.words(spec, at);
        self.forbidden(spec, at);
    }

    /// What a Deployment's pods cannot have.
    fn forbidden(&mut self, spec: &Value, at: &At<'_>) {
        if let Some(policy) = spec
            .get("restartPolicy")
            .and_then(Value::as_str)
            .filter(|policy| !["", "Always"].contains(policy))
        {
            let message =
                format!("{policy:?} is not supported: pods of a Deployment always restart, remove it");
            self.tell(&at.field("restartPolicy"), Cause::NotSupported, message);
        }
        for (field, why) in [
            ("activeDeadlineSeconds", "pods of a Deployment run without an end"),
            ("ephemeralContainers", "Kubernetes takes them for pods that run, by kubectl debug"),
        ] {
            if spec.get(field).is_some_and(|value| !value.is_null()) {
                self.tell(&at.field(field), Cause::Forbidden, format!("cannot be used: {why}, remove it"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
