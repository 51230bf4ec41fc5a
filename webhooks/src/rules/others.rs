//! Objects that an object needs, or that are in its way.
//!
//! In: names, and what is known of other objects. Out: problems where two would fight over something, warnings where
//! something is not there yet: manifests are applied in any order. What nobody knows is no problem.

use crds::DataPlane;
use crds::names;
use plan::dataplane::{Kind, Reference, TEMPLATE, ingress_service};
use plan::{Cause, Problem};
use serde_json::Value;

use crate::world::{Found, Holder, Named, World};

const NAME: &str = "spec.network.services.ingress.name";

/// Secrets and `ConfigMaps` that a pod template refers to and that are not there.
pub fn missing(world: &dyn World, namespace: &str, references: &[Reference]) -> Vec<String> {
    let absent = references.iter().filter_map(|reference| {
        let (named, noun) = match reference.kind {
            Kind::ConfigMap => (Named::ConfigMap, "ConfigMap"),
            Kind::Secret => (Named::Secret, "Secret"),
        };
        let is_absent = world.exists(named, namespace, &reference.name) == Found::Absent;
        let at =
            reference.path.strip_prefix(TEMPLATE).unwrap_or(&reference.path).trim_start_matches(".spec.");
        is_absent.then(|| format!("{noun} {:?} does not exist, and pods wait for it: {at}", reference.name))
    });
    absent.collect()
}

/// A Service of the name that this `DataPlane` wants which is somebody else's. `old` is the object before; the name it
/// has already is not asked about again.
pub fn service(world: &dyn World, object: &DataPlane, old: Option<&Value>) -> Vec<Problem> {
    let (Some(own), Some(namespace)) =
        (object.metadata.name.as_deref(), object.metadata.namespace.as_deref())
    else {
        return Vec::new();
    };
    let wanted = ingress_service(object);
    let before = old.map(|old| {
        let given = old.pointer("/spec/network/services/ingress/name").and_then(Value::as_str);
        given.map_or_else(|| names::ingress_service(own), str::to_owned)
    });
    let mut problems = Vec::new();
    if before.as_deref() != Some(&wanted) {
        let named = object.ingress().is_some_and(|ingress| ingress.name.is_some());
        let path = if named { NAME } else { "metadata.name" };
        problems.extend(holder(world, namespace, own, &wanted).map(|who| taken(path, &wanted, &who)));
    }
    if before.is_none() {
        let admin = names::admin_service(own);
        problems
            .extend(holder(world, namespace, own, &admin).map(|who| taken("metadata.name", &admin, &who)));
    }
    problems
}

fn taken(path: &str, service: &str, who: &str) -> Problem {
    let remedy =
        if path == NAME { "choose another name" } else { "delete it, or give the DataPlane another name" };
    Problem::at(path, format!("the Service {service:?} {who}: {remedy}")).because(Cause::Duplicate)
}

/// Whose the Service is, where it is not this one's.
fn holder(world: &dyn World, namespace: &str, own: &str, service: &str) -> Option<String> {
    match world.service(namespace, service) {
        Found::Here(Holder::DataPlane(name)) if name != own => {
            return Some(format!("belongs to the DataPlane {name:?}"));
        }
        Found::Here(Holder::Stranger) => return Some("exists, and belongs to no DataPlane".to_owned()),
        Found::Here(_) | Found::Absent | Found::Unknown => {}
    }
    // Neither may have made it yet.
    let others = world.wanting(namespace, service).into_iter().find(|other| {
        other.metadata.deletion_timestamp.is_none() && other.metadata.name.as_deref() != Some(own)
    })?;
    Some(format!("is wanted by the DataPlane {:?} too", others.metadata.name.as_deref().unwrap_or_default()))
}
