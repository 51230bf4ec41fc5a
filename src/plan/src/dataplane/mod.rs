//! `DataPlane`: what it takes to run Kong as one asks for it.
//!
//! In: settings of the operator, the resource, the certificate of its admin API. Out: its children as they are
//! wanted and, from the children as they are, its status. What is wrong comes out as [`Invalid`], before anything
//! is made.

mod budget;
mod children;
mod claims;
mod container;
mod environment;
mod front;
mod kong;
mod listen;
mod needs;
mod pod;
mod ports;
mod references;
mod scaling;
mod scheduling;
mod selector;
mod settle;
mod status;
mod surprises;
pub(crate) mod template;
pub(crate) mod trouble;

use std::collections::BTreeMap;

use crds::dataplane::{DeploymentOptions, HorizontalScaling, IngressService};
use crds::k8s::{Deployment, HorizontalPodAutoscaler, OwnerReference, PodDisruptionBudget, Secret, Service};
use crds::names::{self, labels, values};
use crds::wanted::Wanted;
use crds::{DataPlane, DataPlaneSpec, PodTemplatePatch};
use serde_json::{Map, Value};

use crate::invalid::{Cause, Invalid, Problem};
use claims::Claims;
use ports::Mapped;

pub use budget::blocked as blocked_evictions;
pub use listen::{Families, proxy_ports};
pub use references::{Kind, Reference, of as references};
pub use status::{Seen, failed, is_rolled_out, status};
pub use surprises::NODE_PORTS;
pub use template::{PATH as TEMPLATE, read as read_template};

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
    /// The authority that issued it.
    pub authority: String,
    /// Whose clients are let in.
    pub clients: Clients,
}

impl Certificate {
    /// Tells it from another one, so that another one rolls the pods: Kong reads it once.
    pub fn digest(&self) -> String {
        names::digest(&format!("{}{}", self.chain, self.clients.trusted))
    }
}

/// The authority of a `DataPlane` whose clients its admin API lets in, in PEM. It is the `DataPlane`'s own: what opens
/// one admin API opens no other.
#[derive(Clone)]
pub struct Clients {
    /// Its certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// All that are trusted: this one, and for a while the one before it.
    pub trusted: String,
}

/// A `DataPlane` that can be provisioned.
pub struct Valid<'a> {
    settings: &'a Settings,
    identity: Identity<'a>,
    ports: Vec<Mapped>,
    template: Value,
}

/// The children that stand in front of the pods. Whoever writes them names each, so that none is forgotten.
#[derive(Debug, Clone)]
pub struct Network {
    /// The certificate of the admin API.
    pub certificate: Wanted<Secret>,
    /// The authority whose clients the admin API lets in.
    pub clients: Wanted<Secret>,
    /// The headless Service of the admin API.
    pub admin: Wanted<Service>,
    /// The Service that takes the traffic.
    pub ingress: Wanted<Service>,
    /// What evictions leave running, where a budget is asked for.
    pub disruption_budget: Option<Wanted<PodDisruptionBudget>>,
}

/// The children that run the pods.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The pods.
    pub deployment: Wanted<Deployment>,
    /// What decides on their number, where the user leaves it to that.
    pub autoscaler: Option<Wanted<HorizontalPodAutoscaler>>,
    /// What the pods refer to and somebody else has to provide.
    pub references: Vec<Reference>,
}

/// Which track children are of, and which tracks the Services select. Without attempts there is one track, and all of it.
#[derive(Debug, Clone)]
pub struct Placing {
    /// The track.
    pub track: String,
    /// The number of its pods, where it is another than the specification's.
    pub replicas: Option<i32>,
    /// Whether it is the one that serves, or serves most.
    pub is_primary: bool,
    /// The track that the ingress Service selects; without one, all.
    pub ingress: Option<String>,
    /// The track that the Service of the admin API selects; without one, all.
    pub admin: Option<String>,
    /// Whether an autoscaler may take pods away.
    pub shrinks: bool,
}

impl Placing {
    /// The only track.
    pub fn alone(track: &str) -> Self {
        Self {
            track: track.to_owned(),
            replicas: None,
            is_primary: true,
            ingress: Some(track.to_owned()),
            admin: Some(track.to_owned()),
            shrinks: true,
        }
    }
}

/// Who the children belong to.
struct Identity<'a> {
    name: &'a str,
    namespace: &'a str,
    owner: OwnerReference,
    placing: Placing,
    /// The user's pod template as it was written.
    written: Option<&'a PodTemplatePatch>,
    spec: DataPlaneSpec,
    ingress: IngressService,
    /// What the user wants Services to select instead of the pods.
    selected: Option<BTreeMap<String, String>>,
    /// Whether a control plane configures the pods.
    configured: bool,
}

impl Identity<'_> {
    /// Labels of the pods of this track; a Deployment's selector, which can never change.
    fn selector(&self) -> BTreeMap<&'static str, String> {
        selector(self.name, &self.placing.track)
    }

    /// What a Service selects that is to have the pods of that track, or of all.
    fn service_selector(&self, track: Option<&String>) -> BTreeMap<String, String> {
        let own = || {
            let mut all = selector(self.name, track.unwrap_or(&self.placing.track));
            if track.is_none() {
                all.remove(labels::TRACK);
            }
            all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
        };
        self.selected.clone().unwrap_or_else(own)
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

/// Labels of the pods of a track.
pub(crate) fn selector(name: &str, track: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (labels::APP, names::label_value(name)),
        (labels::MANAGED_BY, values::DATAPLANE.to_owned()),
        (labels::TRACK, track.to_owned()),
    ])
}

/// The name of the Service that takes the traffic of `object`.
pub fn ingress_service(object: &DataPlane) -> String {
    let given = object.ingress().and_then(|ingress| ingress.name.clone());
    given.unwrap_or_else(|| names::ingress_service(object.metadata.name.as_deref().unwrap_or_default()))
}

/// Names that the certificate of the admin API has to carry: Kong Ingress Controller connects to a pod's
/// address and asks for `pod.<admin service>.<namespace>.svc`.
pub fn certificate_names(namespace: &str, dataplane: &str) -> Vec<String> {
    let service = names::admin_service(dataplane);
    vec![format!("*.{service}.{namespace}.svc"), format!("{service}.{namespace}.svc")]
}

/// Reads the specification of `object`.
///
/// # Errors
/// Everything in it that cannot be provisioned, all at once.
pub fn valid<'a>(settings: &'a Settings, object: &'a DataPlane) -> Result<Valid<'a>, Invalid> {
    let mut problems = Vec::new();
    let selected = selector::overridden(object).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let identity = Identity { selected, ..identity(object)? };
    let template =
        object.spec.deployment.as_ref().and_then(|deployment| deployment.pod_template_spec.as_ref());
    let none = Value::Object(Map::new());
    let written = template.map_or(&none, PodTemplatePatch::as_value);
    let refused = template::refused(written);
    // Beside a field of the wrong type, whatever else is said of the template would only confuse.
    let readable = refused.iter().all(|problem| problem.cause != Cause::TypeInvalid);
    let written = if readable { written } else { &none };
    let template = template::read(written);
    let ports = identity.ingress().ports.as_deref().unwrap_or_default();
    let ports = ports::mapped(ports, &Claims::of(&template)).unwrap_or_else(|wrong| {
        problems.extend(wrong);
        Vec::new()
    });
    problems.extend(front::problems(identity.ingress()));
    problems.extend(identity.horizontal().map(scaling::problems).unwrap_or_default());
    problems.extend(budget::problems(&identity.spec));
    let rollout = identity
        .spec
        .deployment
        .as_ref()
        .and_then(|deployment| deployment.rollout.as_ref()?.strategy.as_ref());
    problems.extend(rollout.map(crate::attempt::problems).unwrap_or_default());
    problems.extend(kong::problems(written, &template, &ports, has_ports(object)));
    let admin = names::admin_service(identity.name);
    if identity.ingress_name() == admin {
        let message = format!("{admin:?} is the name of the Service of the admin API: choose another");
        problems.push(Problem::at("spec.network.services.ingress.name", message));
    }
    let valid = Valid { settings, identity, ports, template };
    problems.extend(refused);
    if readable {
        // Neither the certificate nor the families make a template wrong.
        let ours = pod::ours(&valid, "", Families::default());
        problems.extend(template::unusable(ours, written, &valid.template));
    }
    if problems.is_empty() { Ok(valid) } else { Err(Invalid(problems)) }
}

/// Whether the ports are the author's own.
fn has_ports(object: &DataPlane) -> bool {
    object.ingress().and_then(|ingress| ingress.ports.as_ref()).is_some_and(|ports| !ports.is_empty())
}

impl Valid<'_> {
    /// The same, its pods ready only when a control plane has configured them, where `configured`; that of a Gateway always
    /// is, so that its pods are not rolled when the control plane appears.
    #[must_use]
    pub fn configured(mut self, configured: bool) -> Self {
        self.identity.configured |= configured;
        self
    }

    /// The same, of another track than the first, or beside one.
    #[must_use]
    pub fn placed(mut self, placing: Placing) -> Self {
        self.identity.placing = placing;
        self
    }

    /// The Service of a canary alone, by which it can be tried before it serves.
    pub fn preview(&self, track: &str) -> Wanted<Service> {
        children::preview(&self.identity, &self.ports, track)
    }

    /// The children in front of the pods.
    pub fn network(&self, certificate: &Certificate) -> Network {
        let identity = &self.identity;
        Network {
            certificate: children::certificate(identity, certificate),
            clients: children::clients(identity, &certificate.clients),
            admin: children::admin(identity),
            ingress: children::ingress(identity, &self.ports),
            disruption_budget: children::disruption_budget(identity),
        }
    }

    /// What is legal but surprising, a sentence each.
    pub fn surprises(&self) -> Vec<String> {
        surprises::all(self)
    }

    /// The Secrets and `ConfigMaps` that the user's template needs.
    pub fn references(&self) -> Vec<Reference> {
        references::of(&self.template)
    }

    /// The children that run the pods, whose Services got addresses of these families.
    pub fn workload(&self, certificate: &Certificate, families: Families) -> Workload {
        let ours = pod::ours(self, &certificate.digest(), families);
        let template = template::merged(ours, &self.template);
        Workload {
            deployment: children::deployment(&self.identity, &template),
            autoscaler: children::autoscaler(&self.identity),
            references: self.references(),
        }
    }
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
    let spec = crds::defaults::defaulted(without_template(&object.spec));
    let services = spec.network.as_ref().and_then(|network| network.services.as_ref());
    let ingress = services.and_then(|services| services.ingress.clone()).unwrap_or_default();
    Ok(Identity {
        name,
        namespace,
        owner,
        placing: Placing::alone(values::FIRST_TRACK),
        written: object.spec.deployment.as_ref().and_then(|deployment| deployment.pod_template_spec.as_ref()),
        spec,
        ingress,
        selected: None,
        configured: is_of_gateway(object),
    })
}

fn is_of_gateway(object: &DataPlane) -> bool {
    let owners = object.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| {
        let is_controller = owner.controller == Some(true) && owner.kind == "Gateway";
        is_controller && owner.api_version.starts_with("gateway.networking.k8s.io/")
    })
}

/// The specification but for its pod template, which is the most of it and read elsewhere.
fn without_template(spec: &DataPlaneSpec) -> DataPlaneSpec {
    let deployment = spec.deployment.as_ref().map(|deployment| DeploymentOptions {
        replicas: deployment.replicas,
        scaling: deployment.scaling.clone(),
        pod_template_spec: None,
        rollout: deployment.rollout.clone(),
    });
    DataPlaneSpec {
        deployment,
        network: spec.network.clone(),
        resources: spec.resources.clone(),
        extensions: None,
        plugins_to_install: None,
    }
}

#[cfg(test)]
mod tests;
