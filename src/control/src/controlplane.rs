//! The reconciler of `ControlPlane`.

mod access;
mod admission;
mod beside;
pub mod lease;
pub mod pushes;
mod triggers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use certs::{Authority, Pair, Request};
use crds::conditions::{self, reasons, types};
use crds::controlplane::ControlPlaneStatus;
use crds::k8s::{Condition, Deployment, Pod, Secret};
use crds::names::{self, annotations, managers};
use crds::{ControlPlane, DataPlane};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::Invalid;
use plan::controlplane::{Beside, Certificate, Found, Seen, Valid};
use plan::dataplane::Reference;
use runtime::writer::{self, Owner};
use runtime::{Failure, Impact, Next, Outcome, Reconciler, Writer, clock, failure};

use crate::Context;
use crate::certificate::{self, Issued};

pub use triggers::triggers;

/// How soon to look again while pods start; watches usually tell first.
const SOON: Duration = Duration::from_secs(15);

/// Why a `ControlPlane` was not reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The specification cannot be provisioned.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A child could not be written.
    #[error(transparent)]
    Write(#[from] writer::Error),
    /// No certificate could be made.
    #[error("the certificate of the ControlPlane could not be made")]
    Certificate(#[source] certs::Error),
    /// It would be made anew what may be there.
    #[error(
        "what belongs to it is not known yet. Where that lasts, the operator may not watch it: apply manifests/rbac"
    )]
    Unknown,
}

impl Failure for Error {
    fn impact(&self) -> Impact {
        match self {
            Self::Invalid(_) => Impact::User,
            Self::Write(error) => error.impact(),
            Self::Certificate(_) => Impact::Bug,
            Self::Unknown => Impact::Passing,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => reasons::VALIDATION_FAILED,
            Self::Write(error) => error.reason(),
            Self::Certificate(_) => reasons::UNABLE_TO_PROVISION,
            Self::Unknown => reasons::FORBIDDEN,
        }
    }

    fn public(&self) -> String {
        failure::chain(self)
    }
}

/// Makes of each `ControlPlane` what it asks for.
pub struct ControlPlanes(pub Context);

/// What runs for it, and when to look at it again by the clock.
struct Done {
    deployment: Option<Arc<Deployment>>,
    renew_in: Option<Duration>,
    beside: Vec<Beside>,
}

impl Reconciler for ControlPlanes {
    type Kind = ControlPlane;
    type Status = ControlPlaneStatus;
    type Error = Error;

    const FINALIZER: Option<&'static str> = Some(plan::controlplane::FINALIZER);

    async fn reconcile(&self, object: Arc<ControlPlane>) -> Result<Outcome<ControlPlaneStatus>, Error> {
        let owner = self.known(&object)?;
        let dataplane = self.dataplane(&object);
        let found = self.found(&object, dataplane.as_deref());
        let valid = plan::controlplane::valid(&self.0.controller, &object, &found)?;
        self.keep(&object).await?;
        let access = valid.access();
        self.allow(&owner, &access).await?;
        let done = match self.client(&owner, dataplane.as_deref()).await? {
            Some(issued) if found.kong.is_some() => self.start(&owner, &valid, issued).await?,
            _ => self.stop(&owner).await?,
        };
        let beside = self.beside(&owner, &object, &valid).await?;
        self.prune(&owner, |namespace| access.abroad.contains_key(namespace)).await?;
        Ok(self.outcome(&object, (&owner, &valid), dataplane.as_deref(), &Done { beside, ..done }))
    }

    /// What has no owner reference goes first: then the rest goes by its own.
    async fn finish(&self, object: Arc<ControlPlane>) -> Result<(), Error> {
        let owner = self.known(&object)?;
        self.withdraw(&owner).await?;
        self.revoke(&owner, &object).await?;
        match plan::controlplane::reference(&object) {
            Ok(reference) => self.resign(&owner, reference).await,
            Err(_) => Ok(()),
        }
    }

    fn failed(&self, object: &ControlPlane, reason: &'static str, words: String) -> ControlPlaneStatus {
        plan::controlplane::failed(object, (reason, words), clock::now())
    }

    fn conditions(status: &ControlPlaneStatus) -> &[Condition] {
        status.conditions.as_deref().unwrap_or_default()
    }
}

impl ControlPlanes {
    fn writer(&self) -> Writer {
        self.0.kit.writer.under(managers::CONTROLPLANE)
    }

    /// The owner of the children, which are all known.
    fn known(&self, object: &ControlPlane) -> Result<Owner, Error> {
        let namespace = object.namespace().unwrap_or_default();
        if !self.0.planes.knows_children(&namespace) {
            return Err(Error::Unknown);
        }
        let kind = crds::k8s::kind::<ControlPlane>();
        Ok(Owner { kind, namespace, name: object.name_any(), uid: object.uid().unwrap_or_default() })
    }

    fn dataplane(&self, object: &ControlPlane) -> Option<Arc<DataPlane>> {
        let name = object.spec.dataplane.as_deref().filter(|name| !name.is_empty())?;
        let key = ObjectRef::new(name).within(&object.namespace().unwrap_or_default());
        self.0.hubs.dataplanes.get(&key).filter(|found| found.metadata.deletion_timestamp.is_none())
    }

    fn found<'a>(&self, object: &ControlPlane, dataplane: Option<&'a DataPlane>) -> Found<'a> {
        let planes = &self.0.planes;
        let namespace = object.namespace().unwrap_or_default();
        let options = &object.spec.options;
        let granted: BTreeSet<String> = plan::controlplane::listed(options, &namespace)
            .filter(|listed| planes.is_granted(listed, &namespace))
            .map(str::to_owned)
            .collect();
        let class = options.gateway_class.as_deref().filter(|class| !class.is_empty());
        Found {
            dataplane,
            granted,
            definitions: planes.installed(),
            controller: class.and_then(|class| self.answers_to(class)),
            kong: dataplane.and_then(|dataplane| self.kong(object, dataplane)),
        }
    }

    /// `spec.controllerName` of a class.
    fn answers_to(&self, class: &str) -> Option<String> {
        let class = self.0.entrances.classes.get(&ObjectRef::new(class))?;
        Some(class.spec.controller_name.clone())
    }

    /// What Kong Ingress Controller asks Kong for once: during a roll it might be told either, so it is rolled after that.
    fn kong(&self, object: &ControlPlane, dataplane: &DataPlane) -> Option<String> {
        let hub = &self.0.hubs.deployments;
        let namespace = object.namespace().unwrap_or_default();
        let within = |name: &str| hub.get(&ObjectRef::new(name).within(&namespace));
        let kong = within(&names::deployment(&dataplane.name_any(), &self.0.serving(dataplane)))?;
        let controller = within(&names::controller(&object.name_any()));
        let known = controller.as_deref().and_then(told);
        match known {
            Some(known) if !plan::dataplane::is_rolled_out(&kong) => Some(known),
            _ => Some(plan::controlplane::kong(&kong)),
        }
    }

    /// It is kept until what has no owner reference is gone.
    async fn keep(&self, object: &ControlPlane) -> Result<(), Error> {
        let Some(finalizer) = Self::FINALIZER else { return Ok(()) };
        if object.finalizers().iter().any(|found| found == finalizer) {
            return Ok(());
        }
        let kept = self.writer().finalizer(object, finalizer, true).await?;
        self.0.planes.controlplanes.note(kept);
        Ok(())
    }

    /// The certificate that opens the admin API of its `DataPlane`, and of no other: where that has an authority already.
    async fn client(
        &self,
        owner: &Owner,
        dataplane: Option<&DataPlane>,
    ) -> Result<Option<Issued<Certificate>>, Error> {
        let Some(dataplane) = dataplane else { return Ok(None) };
        let name = names::client_authority(&dataplane.name_any());
        let Some(clients) = self.0.hubs.secrets.get(&ObjectRef::new(&name).within(&owner.namespace)) else {
            return Ok(None);
        };
        let of_dataplane =
            clients.owner_references().iter().any(|by| Some(&by.uid) == dataplane.uid().as_ref());
        let (Some(pair), Some(trusted), true) =
            (certificate::pair(&clients), certificate::text(&clients, "ca.crt"), of_dataplane)
        else {
            return Ok(None);
        };
        let authority = Authority::read(&pair).map_err(Error::Certificate)?;
        let request = Request::client(plan::controlplane::client_names(&owner.namespace, &owner.name));
        let secret = names::controller_certificate(&owner.name);
        let issued = self.issued((&authority, &trusted), (owner, &secret), &request).await?;
        // The other side is verified by who issued the certificate of the admin API.
        Ok(Some(self.vouched(issued)))
    }

    /// The certificate that is there, while it is good.
    async fn issued(
        &self,
        authority: (&Authority, &str),
        (owner, secret): (&Owner, &str),
        request: &Request,
    ) -> Result<Issued<Pair>, Error> {
        let found = match self.0.hubs.secrets.get(&ObjectRef::new(secret).within(&owner.namespace)) {
            Some(found) => Some(found),
            None => self.writer().read::<Secret>(&owner.namespace, secret).await?.map(Arc::new),
        };
        certificate::keep_or_issue(authority, found.as_deref(), request, clock::now())
            .map_err(Error::Certificate)
    }

    fn vouched(&self, issued: Issued<Pair>) -> Issued<Certificate> {
        let Issued { certificate, renew_in } = issued;
        let authority = self.0.authority.certificate().to_owned();
        let certificate = Certificate { chain: certificate.certificate, key: certificate.key, authority };
        Issued { certificate, renew_in }
    }

    async fn start(
        &self,
        owner: &Owner,
        valid: &Valid<'_>,
        issued: Issued<Certificate>,
    ) -> Result<Done, Error> {
        let hubs = &self.0.hubs;
        let certificates = self.0.kit.writer.under(managers::CERTIFICATES);
        certificates.apply(&hubs.secrets, owner, &valid.certificate(&issued.certificate)).await?;
        let mut renew_in = issued.renew_in;
        let admission = if valid.admits() { Some(self.serve(owner, valid).await?) } else { None };
        self.elect(owner, valid).await?;
        let wanted = valid.deployment(&issued.certificate);
        let deployment = self.writer().apply(&hubs.deployments, owner, &wanted).await?;
        self.hand_over(owner, valid).await?;
        match admission {
            Some(Issued { certificate, renew_in: again }) => {
                renew_in = renew_in.into_iter().chain(again).min();
                self.register(owner, (valid, &certificate)).await?;
            }
            None => self.withdraw(owner).await?,
        }
        Ok(Done { deployment: Some(deployment), renew_in, beside: Vec::new() })
    }

    /// Without anything to configure nothing runs.
    async fn stop(&self, owner: &Owner) -> Result<Done, Error> {
        self.withdraw(owner).await?;
        let name = names::controller(&owner.name);
        self.writer().remove(&self.0.hubs.deployments, owner, &name).await?;
        Ok(Done { deployment: None, renew_in: None, beside: Vec::new() })
    }

    fn outcome(
        &self,
        object: &ControlPlane,
        (owner, valid): (&Owner, &Valid<'_>),
        dataplane: Option<&DataPlane>,
        done: &Done,
    ) -> Outcome<ControlPlaneStatus> {
        let deployment = done.deployment.as_deref();
        let pods = deployment.map(|deployed| self.pods(owner, deployed)).unwrap_or_default();
        let missing: Vec<Reference> = self.missing(owner, valid.references());
        let definitions = valid.missing_definitions();
        let (watched, now) = (valid.watched(), clock::now());
        let seen = Seen {
            deployment,
            dataplane,
            pods: &pods,
            beside: &done.beside,
            verdict: self.0.planes.pushes.verdict(&owner.namespace, &owner.name),
            missing: &missing,
            watched,
            definitions: &definitions,
            now,
        };
        let status = plan::controlplane::status(object, &seen);
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let idle = conditions::get(conditions, types::READY).is_some_and(|ready| {
            [reasons::SCALED_TO_ZERO, reasons::NO_DATA_PLANE].contains(&ready.reason.as_str())
        });
        let settled = idle || conditions::holds(conditions, types::READY);
        let next = if settled { Next::Settled { again: done.renew_in } } else { Next::Waiting(SOON) };
        Outcome { status, next }
    }

    /// Pods are asked only why something is not as it should be.
    fn pods(&self, owner: &Owner, deployed: &Deployment) -> Vec<Arc<Pod>> {
        if plan::dataplane::is_rolled_out(deployed) {
            return Vec::new();
        }
        self.0.hubs.pods.select(|pod| {
            pod.metadata.namespace.as_ref() == Some(&owner.namespace)
                && pod.annotations().get(annotations::CONTROLPLANE) == Some(&owner.name)
        })
    }

    fn missing(&self, owner: &Owner, references: &[Reference]) -> Vec<Reference> {
        let exists =
            |reference: &Reference| self.0.hubs.exists(reference.kind, &owner.namespace, &reference.name);
        references.iter().filter(|reference| !exists(reference)).cloned().collect()
    }
}

/// What the pods of a Kong Ingress Controller were told of Kong.
fn told(controller: &Deployment) -> Option<String> {
    let template = &controller.spec.as_ref()?.template;
    template.metadata.as_ref()?.annotations.as_ref()?.get(annotations::KONG).cloned()
}
