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
    let own = object.metadata.name.as_deref().unwrap_or_default();
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    match object.spec.dataplane.as_deref().filter(|name| !name.is_empty()) {
        None => verdict.warnings.push("spec.dataplane: without it the controller is not started".to_owned()),
        Some(dataplane) => {
            let before = subject.old.and_then(|old| old.pointer("/spec/dataplane")).and_then(Value::as_str);
            if before != Some(dataplane) {
                verdict.problems.extend(in_use(judge.world, namespace, own, dataplane));
            }
            if matches!(judge.world.dataplane(namespace, dataplane), Found::Absent) {
                verdict
                    .warnings
                    .push(format!("spec.dataplane: there is no DataPlane {dataplane:?} in this namespace"));
            }
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

/// Two of them would take turns in configuring one `DataPlane`.
fn in_use(world: &dyn World, namespace: &str, own: &str, dataplane: &str) -> Option<Problem> {
    let all = world.configuring(namespace, dataplane);
    let other = all.iter().find(|other| {
        other.metadata.name.as_deref() != Some(own) && other.metadata.deletion_timestamp.is_none()
    })?;
    let name = other.metadata.name.as_deref().unwrap_or_default();
    let message = format!(
        "the DataPlane {dataplane:?} is configured by the ControlPlane {name:?}: use another, or delete that one first"
    );
    Some(Problem::at("spec.dataplane", message).because(Cause::Duplicate))
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
