//! `ControlPlane`: what of it can never run, clashes with others, or surprises.

use std::sync::Arc;

use crds::controlplane::{ControlPlaneOptions, WatchNamespacesType};
use crds::{ControlPlane, WatchNamespaceGrant};
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
    verdict.warnings.extend(unknown_class(judge.world, &object));
    let closed = closed(judge.world, namespace, &object.spec.options);
    verdict.warnings.extend(closed.into_iter().map(|other| {
        format!("spec.watchNamespaces.list: no WatchNamespaceGrant in {other:?} lets {namespace:?} read it")
    }));
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

/// Its `GatewayClass`, where there is none of that name: its Gateways would wait.
fn unknown_class(world: &dyn World, object: &ControlPlane) -> Option<String> {
    let class = object.spec.options.gateway_class.as_deref().filter(|class| !class.is_empty())?;
    let is_absent = world.gateway_class(class) == Found::Absent;
    is_absent.then(|| format!("spec.gatewayClass: there is no GatewayClass {class:?}"))
}

/// Namespaces to be watched that do not let `reader` read them, as far as anybody knows; a grant may follow.
pub fn closed<'a>(world: &dyn World, reader: &str, options: &'a ControlPlaneOptions) -> Vec<&'a str> {
    let lets = |grants: &[Arc<WatchNamespaceGrant>]| {
        grants.iter().flat_map(|grant| &grant.spec.from).any(|from| from.namespace == reader)
    };
    let is_closed = |namespace: &&str| match world.grants(namespace) {
        Found::Here(grants) => !lets(&grants),
        Found::Absent => true,
        Found::Unknown => false,
    };
    listed(options).filter(|namespace| *namespace != reader).filter(is_closed).collect()
}

/// The namespaces that are named one by one.
pub fn listed(options: &ControlPlaneOptions) -> impl Iterator<Item = &str> {
    let watched = options.watch_namespaces.as_ref().filter(|w| w.type_ == WatchNamespacesType::List);
    watched.into_iter().flat_map(|watched| watched.list.iter().flatten()).map(String::as_str)
}

#[cfg(test)]
mod tests;
