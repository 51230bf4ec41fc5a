//! What is made of a `ControlPlane`.
//!
//! A `DataPlane` that is not among the manifests is taken for one without options.

use crds::{ControlPlane, DataPlane, DataPlaneSpec};
use plan::Invalid;
use plan::controlplane::{Access, Admission, Certificate, Found, Settings, Valid};
use serde_json::{Value, json};
use webhooks::Kind;

use super::marks::Marks;
use super::{Around, Group, Made, dataplane};

/// What stands for a certificate, its key and its authority.
const TEXTS: [&str; 3] = [
    "<certificate, issued in the cluster>",
    "<private key, made in the cluster>",
    "<authority of the operator>",
];
/// What is said where the `DataPlane` is not at hand.
const ASSUMED: &str = "# Its DataPlane is not among the manifests: it is taken for one without options.\n";

/// The children of a `ControlPlane`.
///
/// # Errors
/// What cannot be provisioned.
pub fn made(around: &Around<'_>, object: &ControlPlane) -> Result<Made, Invalid> {
    let named = object.spec.dataplane.as_deref().filter(|name| !name.is_empty());
    let found = named.and_then(|name| around.dataplane(object, name));
    let is_assumed = found.is_none() && named.is_some();
    let dataplane = found.or_else(|| named.map(|name| assumed(object, name)));
    let objects = children(around, object, dataplane.as_ref())?;
    let note = if is_assumed { ASSUMED.to_owned() } else { String::new() };
    Ok(Made::Objects(vec![Group { note, ..Group::own(objects) }]))
}

fn assumed(object: &ControlPlane, name: &str) -> DataPlane {
    let mut dataplane = DataPlane::new(name, DataPlaneSpec::default());
    dataplane.metadata.namespace.clone_from(&object.metadata.namespace);
    dataplane.metadata.uid.clone_from(&object.metadata.uid);
    dataplane
}

/// The same, where its `DataPlane` is known. Without one there is nothing to configure, and nothing that runs.
///
/// # Errors
/// What cannot be provisioned.
pub fn children(
    around: &Around<'_>,
    object: &ControlPlane,
    dataplane: Option<&DataPlane>,
) -> Result<Vec<Value>, Invalid> {
    let found = found(around, object, dataplane)?;
    let valid = plan::controlplane::valid(&settings(around), object, &found)?;
    let certificate = placeholder();
    let mut bodies = rights(valid.access());
    if dataplane.is_some() {
        bodies.extend(running(&valid, &certificate));
    }
    let marks =
        Marks { owner: &crds::k8s::kind::<ControlPlane>(), texts: &TEXTS, hash: certificate.digest() };
    let mut objects: Vec<_> = bodies.into_iter().map(|body| marks.put(body)).collect();
    for wanted in valid.beside() {
        objects.push(marks.put(wanted.body().clone()));
        if let Some(other) = around.read::<ControlPlane>(Kind::ControlPlane, wanted.body()) {
            let name = other.spec.dataplane.clone().unwrap_or_default();
            let dataplane = around.dataplane(&other, &name).unwrap_or_else(|| assumed(&other, &name));
            objects.extend(children(around, &other, Some(&dataplane))?);
        }
    }
    Ok(objects)
}

/// What the operator would find around it, once its `DataPlane` is as it is wanted.
///
/// # Errors
/// What of its `DataPlane` cannot be provisioned.
pub fn found<'a>(
    around: &Around<'_>,
    object: &ControlPlane,
    dataplane: Option<&'a DataPlane>,
) -> Result<Found<'a>, Invalid> {
    let pods = dataplane.map(|dataplane| dataplane::pods(around, dataplane)).transpose()?;
    let class = object.spec.options.gateway_class.as_deref().and_then(|class| around.class(class));
    Ok(Found {
        dataplane,
        granted: around.granted(object),
        definitions: around.definitions(),
        controller: class.map(|class| class.spec.controller_name),
        kong: pods.as_ref().map(plan::controlplane::kong),
    })
}

/// What the operator is told about every `ControlPlane`.
pub fn settings(around: &Around<'_>) -> Settings {
    Settings { image: around.controller_image(), controller: around.controller().to_owned() }
}

/// Roles and bindings, which come before the pods that need them.
fn rights(access: Access) -> Vec<Value> {
    let Access { account, own, cluster, abroad } = access;
    let mut bodies: Vec<_> = account.iter().map(|account| account.body().clone()).collect();
    bodies.extend([own.0.body().clone(), own.1.body().clone()]);
    bodies.extend([cluster.0.body().clone(), cluster.1.body().clone()]);
    bodies.extend(
        abroad.into_values().flat_map(|(role, binding)| [role.body().clone(), binding.body().clone()]),
    );
    bodies
}

/// What it runs with, itself, and last what has it asked.
fn running(valid: &Valid<'_>, certificate: &Certificate) -> Vec<Value> {
    let admission = valid.admits().then(|| valid.admission(certificate));
    let mut bodies = vec![valid.certificate(certificate).body().clone()];
    if let Some(Admission { certificate, service, .. }) = &admission {
        bodies.extend([certificate.body().clone(), service.body().clone()]);
    }
    bodies.extend(valid.lease().map(|lease| json!(lease)));
    bodies.push(valid.deployment(certificate).body().clone());
    bodies.extend(admission.map(|admission| admission.configuration.body().clone()));
    bodies
}

/// A certificate that nobody issued.
pub fn placeholder() -> Certificate {
    let [chain, key, authority] = TEXTS.map(str::to_owned);
    Certificate { chain, key, authority }
}
