//! `ControlPlane`: what it takes to run Kong Ingress Controller for a `DataPlane`.
//!
//! In: settings of the operator, the resource, and what was found around it: its `DataPlane`, grants, definitions,
//! certificates. Out: its children as they are wanted and, from the children as they are, its status. What is wrong comes
//! out as [`Invalid`], before anything is made.

mod accepted;
mod admission;
mod beside;
mod children;
mod container;
mod environment;
mod namespaces;
mod pod;
mod problems;
mod roles;
mod settle;
mod status;
mod switches;
mod version;

use std::collections::{BTreeMap, BTreeSet};

use crds::k8s::{
    ClusterRole, ClusterRoleBinding, Deployment, Lease, OwnerReference, Role, RoleBinding, Secret, Service,
    ServiceAccount, ValidatingWebhookConfiguration,
};
use crds::names::{self, labels, values};
use crds::wanted::Wanted;
use crds::{ControlPlane, DataPlane};
use serde_json::{Map, Value};

use crate::dataplane::{Reference, references};
use crate::invalid::{Invalid, Problem};
use version::Version;

pub use accepted::{Verdict, as_told};
pub use beside::{Beside, owner};
pub use namespaces::{Watched, listed};
pub use problems::{TEMPLATE, problems, surprises, template};
pub use status::{Seen, failed, status};
pub use switches::DEFINITIONS;

/// What keeps a `ControlPlane` until that of it which can have no owner reference is gone.
pub const FINALIZER: &str = "gateway-operator.konghq.com/controlplane";
/// The variable with the name of the lease.
const ELECTION: &str = "CONTROLLER_ELECTION_ID";

/// What the operator was told about every `ControlPlane`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Image of Kong Ingress Controller where a `ControlPlane` names none.
    pub image: String,
    /// `spec.controllerName` of the `GatewayClass`es that are ours.
    pub controller: String,
}

/// What was found around a `ControlPlane`.
#[derive(Debug, Clone, Default)]
pub struct Found<'a> {
    /// The `DataPlane` that it names, where there is one.
    pub dataplane: Option<&'a DataPlane>,
    /// Namespaces that let themselves be read by its namespace.
    pub granted: BTreeSet<String>,
    /// Definitions of Kong's own kinds that are installed, by name.
    pub definitions: BTreeSet<String>,
    /// `spec.controllerName` of the class that it names, where it is known.
    pub controller: Option<String>,
    /// What tells one version and router of the `DataPlane`'s pods from another, once they are known.
    pub kong: Option<String>,
}

/// A certificate with its key and what vouches for the other side, in PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The leaf.
    pub chain: String,
    /// Its private key.
    pub key: String,
    /// The authority that the other side is verified by.
    pub authority: String,
}

impl Certificate {
    /// Tells this one from the next: pods read it once.
    pub fn digest(&self) -> String {
        names::digest(&format!("{}{}", self.chain, self.authority))
    }
}

/// A `ControlPlane` that can be provisioned.
pub struct Valid<'a> {
    identity: Identity<'a>,
    found: &'a Found<'a>,
    watched: Watched,
    version: Version,
    /// `spec.controllerName` of the classes that are the operator's.
    controller: String,
    /// Our pod template with the user's merged onto it, but for what hangs on the certificate.
    template: Value,
    references: Vec<Reference>,
}

/// Who it is, and what it may do.
#[derive(Debug, Clone)]
pub struct Access {
    /// Who the pods are, unless the user names somebody else.
    pub account: Option<Wanted<ServiceAccount>>,
    /// What they may do in their own namespace, and who.
    pub own: (Wanted<Role>, Wanted<RoleBinding>),
    /// What they may do in the whole cluster, and who.
    pub cluster: (Wanted<ClusterRole>, Wanted<ClusterRoleBinding>),
    /// What they may do in namespaces of others, by namespace.
    pub abroad: BTreeMap<String, (Wanted<Role>, Wanted<RoleBinding>)>,
}

/// What validates Kong's and others' resources before they are stored.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Its certificate.
    pub certificate: Wanted<Secret>,
    /// Where the API server finds it.
    pub service: Wanted<Service>,
    /// What it is asked about.
    pub configuration: Wanted<ValidatingWebhookConfiguration>,
}

/// Who the children belong to.
struct Identity<'a> {
    name: &'a str,
    namespace: &'a str,
    owner: OwnerReference,
    object: &'a ControlPlane,
}

impl Identity<'_> {
    /// Labels of the pods; a Deployment's selector, which can never change.
    fn selector(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            (labels::APP, names::label_value(self.name)),
            (labels::MANAGED_BY, values::CONTROLPLANE.to_owned()),
        ])
    }
}

/// Names that the certificate of the admission webhook has to carry.
pub fn webhook_names(namespace: &str, controlplane: &str) -> Vec<String> {
    vec![format!("{}.{namespace}.svc", names::controller_webhook(controlplane))]
}

/// The name in the certificate that opens the admin API to a `ControlPlane`.
pub fn client_names(namespace: &str, controlplane: &str) -> Vec<String> {
    vec![format!("{}.{namespace}", names::label_value(controlplane))]
}

/// What tells one version and router of Kong's pods from another: Kong Ingress Controller asks for both once.
pub fn kong(deployment: &Deployment) -> String {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let containers = template.and_then(|template| template.spec.as_ref()).map(|spec| &spec.containers);
    let proxy = containers.into_iter().flatten().find(|container| container.name == names::PROXY_CONTAINER);
    let image = proxy.and_then(|proxy| proxy.image.as_deref()).unwrap_or_default();
    let mut variables = proxy.into_iter().flat_map(|proxy| proxy.env.iter().flatten());
    let router = variables.find(|variable| variable.name == "KONG_ROUTER_FLAVOR");
    let router = router.and_then(|router| router.value.as_deref()).unwrap_or_default();
    names::digest(&format!("{image} {router}"))
}

/// The lease by which the pods of a Deployment elect, where its name is written down.
pub fn election(deployment: &Deployment) -> Option<&str> {
    let containers = &deployment.spec.as_ref()?.template.spec.as_ref()?.containers;
    let controller =
        containers.iter().find(|container| container.name == crate::pod::CONTROLLER.container)?;
    let variable = controller.env.iter().flatten().find(|variable| variable.name == ELECTION)?;
    variable.value.as_deref().filter(|_| variable.value_from.is_none())
}

/// The reference to a `ControlPlane` of what goes with it and is not looked after.
///
/// # Errors
/// What is missing in its metadata.
pub fn reference(object: &ControlPlane) -> Result<OwnerReference, Invalid> {
    identity(object).map(|identity| children::reference(&identity))
}

/// Reads the specification of `object`.
///
/// # Errors
/// Everything in it that cannot be provisioned, all at once.
pub fn valid<'a>(
    settings: &Settings,
    object: &'a ControlPlane,
    found: &'a Found<'a>,
) -> Result<Valid<'a>, Invalid> {
    let identity = identity(object)?;
    let problems = problems(&object.spec.options, "spec");
    if !problems.is_empty() {
        return Err(Invalid(problems));
    }
    let watched = namespaces::watched(&object.spec.options, identity.namespace, &found.granted);
    let written = template(&object.spec.options).unwrap_or_else(|| Value::Object(Map::new()));
    let patch = crate::dataplane::template::read(&written);
    let version = Version::of(container::image(&patch).unwrap_or(&settings.image));
    let ours = pod::ours(&pod::Facts { settings, identity: &identity, found, watched: &watched, version });
    let template = pod::merged(&ours, &patch);
    let references = references(&patch);
    let controller = settings.controller.clone();
    Ok(Valid { identity, found, watched, version, controller, template, references })
}

impl Valid<'_> {
    /// Which namespaces are watched, and which are not although they are asked for.
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Definitions of Kong's own kinds that are missing, so that what would watch them is off.
    pub fn missing_definitions(&self) -> Vec<String> {
        switches::missing(self.version, &self.found.definitions)
    }

    /// Who it is, and what it may do.
    pub fn access(&self) -> Access {
        roles::access(self)
    }

    /// Its certificate for the admin API.
    pub fn certificate(&self, certificate: &Certificate) -> Wanted<Secret> {
        let name = names::controller_certificate(self.identity.name);
        children::certificate(&self.identity, &name, certificate)
    }

    /// Whether it answers to classes that are not the operator's.
    fn has_class_of_its_own(&self) -> bool {
        let answers_to = container::value(&self.template, "CONTROLLER_GATEWAY_API_CONTROLLER_NAME");
        environment::gateway(self.identity.object).is_none() && answers_to != Some(&self.controller)
    }

    /// Whether its own admission webhook is wanted.
    pub fn admits(&self) -> bool {
        container::value(&self.template, "CONTROLLER_ADMISSION_WEBHOOK_LISTEN") != Some("off")
    }

    /// Its own admission webhook.
    pub fn admission(&self, certificate: &Certificate) -> Admission {
        let name = names::controller_webhook(self.identity.name);
        Admission {
            certificate: children::certificate(&self.identity, &name, certificate),
            service: children::webhook(&self.identity),
            configuration: admission::configuration(self, &certificate.authority),
        }
    }

    /// The `ControlPlane`s of the further `DataPlane`s that it names.
    pub fn beside(&self) -> Vec<Wanted<ControlPlane>> {
        beside::of(&self.identity)
    }

    /// Its pods.
    pub fn deployment(&self, certificate: &Certificate) -> Wanted<Deployment> {
        children::deployment(&self.identity, &pod::with_certificate(&self.template, &certificate.digest()))
    }

    /// The lease that tells which replica leads, as it is made, where its name can be told.
    pub fn lease(&self) -> Option<Lease> {
        self.election().map(|name| children::lease(&self.identity, name))
    }

    /// The name of that lease.
    fn election(&self) -> Option<&str> {
        container::value(&self.template, ELECTION)
    }

    /// The Secrets and `ConfigMaps` that the user's template needs.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }
}

fn identity(object: &ControlPlane) -> Result<Identity<'_>, Invalid> {
    let missing = |field: &str| Invalid(vec![Problem::at(format!("metadata.{field}"), "is missing")]);
    let name = object.metadata.name.as_deref().ok_or_else(|| missing("name"))?;
    let namespace = object.metadata.namespace.as_deref().ok_or_else(|| missing("namespace"))?;
    let uid = object.metadata.uid.clone().ok_or_else(|| missing("uid"))?;
    let owner = OwnerReference {
        api_version: crds::k8s::api_version::<ControlPlane>(),
        block_owner_deletion: Some(true),
        controller: Some(true),
        kind: crds::k8s::kind::<ControlPlane>(),
        name: name.to_owned(),
        uid,
    };
    Ok(Identity { name, namespace, owner, object })
}

#[cfg(test)]
mod tests;
