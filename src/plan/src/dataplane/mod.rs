//! `DataPlane`: what it takes to run Kong as one asks for it.
//!
//! In: settings of the operator, the resource, the certificate of its admin API. Out: its children as they are
//! wanted and, from the children as they are, its status. What is wrong comes out as [`Invalid`].

mod children;
mod environment;
mod pod;
mod ports;
mod status;
mod template;
mod trouble;

use std::collections::BTreeMap;

use crds::DataPlane;
use crds::DataPlaneSpec;
use crds::dataplane::{HorizontalScaling, IngressService};
use crds::k8s::{Deployment, HorizontalPodAutoscaler, OwnerReference, PodDisruptionBudget, Secret, Service};
use crds::names::{self, labels, values};
use crds::wanted::Wanted;

use crate::invalid::{Invalid, Problem};

pub use status::{Seen, failed, is_rolled_out, status};

/// What the operator was told about every `DataPlane`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Image of Kong where a `DataPlane` names none.
    pub image: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { image: crds::defaults::IMAGE.to_owned() }
    }
}

/// The certificate of the admin API, in PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The leaf and what leads to the authority.
    pub chain: String,
    /// Its private key.
    pub key: String,
    /// The authority, by which clients are told apart.
    pub authority: String,
}

/// The children of a `DataPlane`. Whoever writes them names each, so that none is forgotten.
#[derive(Debug, Clone)]
pub struct Objects {
    /// The certificate of the admin API.
    pub certificate: Wanted<Secret>,
    /// The headless Service of the admin API.
    pub admin: Wanted<Service>,
    /// The Service that takes the traffic.
    pub ingress: Wanted<Service>,
    /// What evictions leave running, where a budget is asked for.
    pub disruption_budget: Option<Wanted<PodDisruptionBudget>>,
    /// The pods.
    pub deployment: Wanted<Deployment>,
    /// What decides on their number, where the user leaves it to that.
    pub autoscaler: Option<Wanted<HorizontalPodAutoscaler>>,
}

/// Who the children belong to.
struct Identity<'a> {
    name: &'a str,
    namespace: &'a str,
    owner: OwnerReference,
    track: &'a str,
    spec: DataPlaneSpec,
    ingress: IngressService,
}

impl Identity<'_> {
    /// Labels of the pods of this track; a Deployment's selector, which can never change.
    fn selector(&self) -> BTreeMap<&'static str, String> {
        selector(self.name, self.track)
    }

    fn ingress(&self) -> &IngressService {
        &self.ingress
    }

    fn ingress_name(&self) -> String {
        self.ingress.name.clone().unwrap_or_else(|| names::ingress_service(self.name))
    }

    fn horizontal(&self) -> Option<&HorizontalScaling> {
        self.spec.deployment.as_ref()?.scaling.as_ref()?.horizontal.as_ref()
    }
}

fn selector(name: &str, track: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (labels::APP, names::label_value(name)),
        (labels::MANAGED_BY, values::DATAPLANE.to_owned()),
        (labels::TRACK, track.to_owned()),
    ])
}

/// Names that the certificate of the admin API has to carry: Kong Ingress Controller connects to a pod's
/// address and asks for `pod.<admin service>.<namespace>.svc`.
pub fn certificate_names(namespace: &str, dataplane: &str) -> Vec<String> {
    let service = names::admin_service(dataplane);
    vec![format!("*.{service}.{namespace}.svc"), format!("{service}.{namespace}.svc")]
}

/// The children of `object`.
///
/// # Errors
/// Everything in its specification that cannot be provisioned, all at once.
pub fn objects(
    settings: &Settings,
    object: &DataPlane,
    certificate: &Certificate,
) -> Result<Objects, Invalid> {
    let identity = identity(object)?;
    let ports = ports::mapped(identity.ingress().ports.as_deref().unwrap_or_default()).map_err(Invalid)?;
    let ours = pod::ours(settings, &identity, &ports, &names::digest(&certificate.chain));
    let template = template::merged(ours, identity.spec.deployment.as_ref()).map_err(Invalid)?;
    Ok(Objects {
        certificate: children::certificate(&identity, certificate),
        admin: children::admin(&identity),
        ingress: children::ingress(&identity, &ports),
        disruption_budget: children::disruption_budget(&identity),
        deployment: children::deployment(&identity, &template),
        autoscaler: children::autoscaler(&identity),
    })
}

fn identity(object: &DataPlane) -> Result<Identity<'_>, Invalid> {
    let missing = |field: &str| Invalid(vec![Problem::at(format!("metadata.{field}"), "is missing")]);
    let name = object.metadata.name.as_deref().ok_or_else(|| missing("name"))?;
    let namespace = object.metadata.namespace.as_deref().ok_or_else(|| missing("namespace"))?;
    let uid = object.metadata.uid.clone().ok_or_else(|| missing("uid"))?;
    let owner = OwnerReference {
        api_version: crds::k8s::api_version::<DataPlane>(),
        block_owner_deletion: Some(true),
        controller: Some(true),
        kind: crds::k8s::kind::<DataPlane>(),
        name: name.to_owned(),
        uid,
    };
    let spec = crds::defaults::defaulted(object.spec.clone());
    let services = spec.network.as_ref().and_then(|network| network.services.as_ref());
    let ingress = services.and_then(|services| services.ingress.clone()).unwrap_or_default();
    Ok(Identity { name, namespace, owner, track: values::FIRST_TRACK, spec, ingress })
}

#[cfg(test)]
mod tests;
