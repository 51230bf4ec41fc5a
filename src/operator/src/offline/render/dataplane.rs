//! What is made of a `DataPlane`.

use crds::DataPlane;
use crds::k8s::{Deployment, Service};
use crds::wanted::Wanted;
use plan::Invalid;
use plan::dataplane::{Certificate, Clients, Families, Network, Workload};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::marks::Marks;
use super::{Around, Group, Made};

/// What stands for the certificate, its key and its authority.
const TEXTS: [&str; 5] = [
    "<certificate of the admin API, issued in the cluster>",
    "<private key of the admin API, made in the cluster>",
    "<authority of the operator>",
    "<authority of the clients of the admin API, made in the cluster>",
    "<private key of the authority of the clients, made in the cluster>",
];

/// The children of a `DataPlane`.
///
/// # Errors
/// What cannot be provisioned.
pub fn made(around: &Around<'_>, object: &DataPlane) -> Result<Made, Invalid> {
    let is_configured = around.is_configured(object);
    Ok(Made::Objects(vec![Group::own(children(around, object, is_configured)?)]))
}

/// The same, where it is known whether a control plane configures it.
///
/// # Errors
/// What cannot be provisioned.
pub fn children(around: &Around<'_>, object: &DataPlane, is_configured: bool) -> Result<Vec<Value>, Invalid> {
    let certificate = placeholder();
    let (network, workload) = planned(around, object, is_configured)?;
    let marks = Marks { owner: &crds::k8s::kind::<DataPlane>(), texts: &TEXTS, hash: certificate.digest() };
    Ok(bodies(&network, &workload).into_iter().map(|body| marks.put(body)).collect())
}

/// Its pods as they are wanted.
///
/// # Errors
/// What cannot be provisioned.
pub fn pods(around: &Around<'_>, object: &DataPlane) -> Result<Deployment, Invalid> {
    planned(around, object, true).map(|(_, workload)| typed(&workload.deployment))
}

fn planned(
    around: &Around<'_>,
    object: &DataPlane,
    is_configured: bool,
) -> Result<(Network, Workload), Invalid> {
    let certificate = placeholder();
    let valid = plan::dataplane::valid(around.settings(), object)?.configured(is_configured);
    let network = valid.network(&certificate);
    let services: [Service; 2] = [&network.admin, &network.ingress].map(typed);
    let workload = valid.workload(&certificate, Families::of(&services));
    Ok((network, workload))
}

/// A certificate that nobody issued.
pub fn placeholder() -> Certificate {
    let [chain, key, authority, certificate, own_key] = TEXTS.map(str::to_owned);
    let clients = Clients { trusted: certificate.clone(), certificate, key: own_key };
    Certificate { chain, key, authority, clients }
}

/// An object as it is wanted, in its type.
fn typed<K: DeserializeOwned + Default>(wanted: &Wanted<K>) -> K {
    serde_json::from_value(wanted.body().clone()).unwrap_or_default()
}

/// All children, in the order in which they are applied.
fn bodies(network: &Network, workload: &Workload) -> Vec<Value> {
    let Network { certificate, clients, admin, ingress, disruption_budget } = network;
    let Workload { deployment, autoscaler, .. } = workload;
    let mut bodies = vec![
        clients.body().clone(),
        certificate.body().clone(),
        admin.body().clone(),
        ingress.body().clone(),
    ];
    bodies.extend(disruption_budget.iter().map(|budget| budget.body().clone()));
    bodies.push(deployment.body().clone());
    bodies.extend(autoscaler.iter().map(|autoscaler| autoscaler.body().clone()));
    bodies
}
