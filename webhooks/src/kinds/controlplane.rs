//! `ControlPlane`: what of it can never run, clashes with others, or surprises.

use crds::ControlPlane;
use crds::controlplane::{ControlPlaneOptions, WatchNamespacesType};
use plan::controlplane::{self, TEMPLATE};
use plan::{Cause, Problem};
use serde_json::Value;

use super::{Judge, Subject};
use crate::rules::{meant, others, read};
use crate::verdict::Verdict;
use crate::world::{Found, World};

/// The verdict.
pub fn verdict(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    let mut object: ControlPlane = match read::object(subject.object) {
        Ok(object) => object,
        Err(problem) => return Verdict { problems: vec![problem], warnings: Vec::new() },
    };
    read::complete(&mut object.metadata);
    let mut verdict = options(&object.spec.options, "spec");
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    if object.spec.dataplane.as_deref().is_none_or(str::is_empty) {
        verdict.warnings.push("spec.dataplane: without it the controller is not started".to_owned());
    }
    let before = subject.old.map(named).unwrap_or_default();
    for (path, dataplane) in named(subject.object) {
        if before.iter().all(|(_, name)| *name != dataplane) {
            verdict.problems.extend(in_use(judge.world, &object, &path, dataplane));
        }
        if matches!(judge.world.dataplane(namespace, dataplane), Found::Absent) {
            verdict.warnings.push(format!("{path}: there is no DataPlane {dataplane:?} in this namespace"));
        }
    }
    verdict.warnings.extend(ungranted(judge.world, namespace, &object.spec.options));
    if let Some(template) = controlplane::template(&object.spec.options) {
        let references = plan::dataplane::references(&template);
        verdict.warnings.extend(others::missing(judge.world, namespace, &references));
    }
    verdict
}

/// What the options of a control plane tell by themselves, wherever they stand.
pub fn options(options: &ControlPlaneOptions, path: &str) -> Verdict {
    let mut problems = controlplane::problems(options, path);
    let template = options.deployment.as_ref().and_then(|deployment| deployment.pod_template_spec.as_ref());
    meant::spell(&mut problems, template, &format!("{path}.{TEMPLATE}"));
    Verdict { problems, warnings: controlplane::surprises(options, path) }
}

/// Every `DataPlane` that it names, and where.
fn named(object: &Value) -> Vec<(String, &str)> {
    let first = object.pointer("/spec/dataplane").and_then(Value::as_str).filter(|name| !name.is_empty());
    let others = object.pointer("/spec/dataplanes").and_then(Value::as_array).into_iter().flatten();
    let others = others.filter_map(Value::as_str).enumerate();
    let others = others.map(|(number, name)| (format!("spec.dataplanes[{number}]"), name));
    first.map(|name| ("spec.dataplane".to_owned(), name)).into_iter().chain(others).collect()
}

/// Two of them would take turns in configuring one `DataPlane`; one that was made for the other is no other.
fn in_use(world: &dyn World, object: &ControlPlane, path: &str, dataplane: &str) -> Option<Problem> {
    let own = object.metadata.name.as_deref();
    let all = world.configuring(object.metadata.namespace.as_deref().unwrap_or_default(), dataplane);
    let other = all.iter().find(|other| {
        let name = other.metadata.name.as_deref();
        let is_same = name == own || controlplane::owner(other) == own || controlplane::owner(object) == name;
        !is_same && other.metadata.deletion_timestamp.is_none()
    })?;
    let name = other.metadata.name.as_deref().unwrap_or_default();
    let message = format!(
        "the DataPlane {dataplane:?} is configured by the ControlPlane {name:?}: use another, or delete that one first"
    );
    Some(Problem::at(path, message).because(Cause::Duplicate))
}

/// Namespaces that do not let themselves be read, as far as anybody knows; a grant may follow.
fn ungranted(world: &dyn World, own: &str, options: &ControlPlaneOptions) -> Vec<String> {
    let Some(watched) = options.watch_namespaces.as_ref().filter(|w| w.type_ == WatchNamespacesType::List)
    else {
        return Vec::new();
    };
    let listed = watched.list.iter().flatten().filter(|namespace| *namespace != own);
    let closed = listed.filter(|namespace| match world.grants(namespace) {
        Found::Here(grants) => {
            !grants.iter().flat_map(|grant| &grant.spec.from).any(|from| from.namespace == own)
        }
        Found::Absent => true,
        Found::Unknown => false,
    });
    closed
        .map(|namespace| {
            format!("spec.watchNamespaces.list: no WatchNamespaceGrant in {namespace:?} lets {own:?} read it")
        })
        .collect()
}

#[cfg(test)]
mod tests;
