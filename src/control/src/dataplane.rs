//! The reconciler of `DataPlane`.

mod services;
mod tracks;
mod triggers;

use std::sync::Arc;
use std::time::Duration;

use certs::Request;
use crds::conditions::{self, reasons, types};
use crds::dataplane::DataPlaneStatus;
use crds::k8s::{Condition, Deployment, Pod, Secret, Service};
use crds::names::{self, annotations, managers};
use crds::wanted::Wanted;
use crds::{DataPlane, GatewayRollout};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::Invalid;
use plan::dataplane::{Certificate, Families, Reference, Seen, Workload};
use runtime::hub::Hub;
use runtime::writer::{self, Owner, Written};
use runtime::{Failure, Impact, Next, Outcome, Reconciler, clock, failure};

use crate::Context;
use crate::certificate::{self, Issued};
use services::Services;

pub use triggers::triggers;

/// How soon to look again while pods start; watches usually tell first.
const SOON: Duration = Duration::from_secs(15);

/// Why a `DataPlane` was not reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The specification cannot be provisioned.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A child could not be written.
    #[error(transparent)]
    Write(#[from] writer::Error),
    /// No certificate could be made.
    #[error("the certificate of the admin API could not be made")]
    Certificate(#[source] certs::Error),
}

impl Failure for Error {
    fn impact(&self) -> Impact {
        match self {
            Self::Invalid(_) => Impact::User,
            Self::Write(error) => error.impact(),
            Self::Certificate(_) => Impact::Bug,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => reasons::VALIDATION_FAILED,
            Self::Write(error) => error.reason(),
            Self::Certificate(_) => reasons::UNABLE_TO_PROVISION,
        }
    }

    fn public(&self) -> String {
        failure::chain(self)
    }
}

/// Children and pods as they are after the writes.
struct Done {
    /// The track that serves.
    track: String,
    /// The last attempt to bring another revision to the traffic.
    rollout: Option<Arc<GatewayRollout>>,
    deployment: Arc<Deployment>,
    ingress: Arc<Service>,
    /// Whether no former ingress Service is left.
    retired: bool,
    pods: Vec<Arc<Pod>>,
    missing: Vec<Reference>,
    /// What the `ControlPlane` that configures the pods says.
    controlplane: Vec<Condition>,
}

/// The name of a child, and the child where it is wanted.
type Optional<'a, K> = (&'a str, Option<&'a Wanted<K>>);

/// Makes of each `DataPlane` what it asks for.
pub struct DataPlanes(pub Context);

impl Reconciler for DataPlanes {
    type Kind = DataPlane;
    type Status = DataPlaneStatus;
    type Error = Error;

    async fn reconcile(&self, object: Arc<DataPlane>) -> Result<Outcome<DataPlaneStatus>, Error> {
        let course = self.course(&object);
        if let Some(attempt) = &course.begin {
            self.begin(&owner(&object), attempt).await?;
        }
        let (main, beside) = (course.primary.of(&object), course.beside.as_ref());
        let valid = plan::dataplane::valid(&self.0.settings, &main)?
            .configured(self.is_configured(&object, &course.primary.name))
            .placed(course.placing(&course.primary));
        let issued = self.certificate(&object).await?;
        let owner = owner(&object);
        let preview = course.preview.as_ref().map(|track| valid.preview(track));
        let network = self.network(&owner, valid.network(&issued.certificate), preview.as_ref()).await;
        let (families, network) = match network {
            Ok(services) => (services.families(), Ok(services)),
            // What runs still gets its changes; nothing is made.
            Err(error) => match self.families(&owner, &course.primary.name) {
                Some(families) => (families, Err(error)),
                None => return Err(error),
            },
        };
        let workload = valid.workload(&issued.certificate, families);
        let missing = self.missing(&owner, &workload.references);
        let deployment = self.workload(&owner, workload).await?;
        if let Some(track) = beside {
            self.beside(&object, (&course, track), (&issued.certificate, families)).await?;
        }
        self.prune(&owner, &course).await?;
        let Services { ingress, .. } = network?;
        let retired = self.retire(&owner, &ingress).await?;
        let pods = self.pods(&owner, &deployment);
        let controlplane = self.said(&owner);
        let (track, rollout) = (course.primary.name, self.latest(&owner));
        let done = Done { track, rollout, deployment, ingress, retired, pods, missing, controlplane };
        Ok(outcome(&object, &done, &issued))
    }

    fn failed(&self, object: &DataPlane, reason: &'static str, words: String) -> DataPlaneStatus {
        let track = self.0.serving(object);
        let name = names::deployment(&object.name_any(), &track);
        let key = ObjectRef::new(&name).within(&object.namespace().unwrap_or_default());
        let deployment = self.0.hubs.deployments.get(&key);
        plan::dataplane::failed(object, deployment.as_deref(), (reason, words), clock::now())
    }

    fn conditions(status: &DataPlaneStatus) -> &[Condition] {
        status.conditions.as_deref().unwrap_or_default()
    }
}

impl DataPlanes {
    /// The certificate there is, while it is good; else a new one. A new one rolls the pods, so that there
    /// is none is believed only when the API server says so, and not because a Secret lost its label.
    async fn certificate(&self, object: &DataPlane) -> Result<Issued<Certificate>, Error> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let authority = self.0.authority.as_ref();
        let found = self.secret(&namespace, &names::admin_certificate(&name)).await?;
        let wanted = Request::server(plan::dataplane::certificate_names(&namespace, &name));
        let trusted = (authority, authority.certificate());
        let served = certificate::keep_or_issue(trusted, found.as_deref(), &wanted, clock::now())
            .map_err(Error::Certificate)?;
        let found = self.secret(&namespace, &names::client_authority(&name)).await?;
        let subject = format!("{name}.{namespace}");
        let clients = certificate::keep_or_make(&subject, found.as_deref(), clock::now())
            .map_err(Error::Certificate)?;
        let certificate = Certificate {
            chain: served.certificate.certificate,
            key: served.certificate.key,
            authority: authority.certificate().to_owned(),
            clients: clients.certificate,
        };
        let renew_in = served.renew_in.into_iter().chain(clients.renew_in).min();
        Ok(Issued { certificate, renew_in })
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, Error> {
        Ok(match self.0.hubs.secrets.get(&ObjectRef::new(name).within(namespace)) {
            Some(found) => Some(found),
            None => self.0.kit.writer.read::<Secret>(namespace, name).await?.map(Arc::new),
        })
    }

    /// Whether a control plane configures the pods, or has: when it goes Kong serves what it was given last, and pods that
    /// were rolled for that would have nothing to serve.
    fn is_configured(&self, object: &DataPlane, track: &str) -> bool {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let deployment = names::deployment(&name, track);
        let live = self.0.hubs.deployments.get(&ObjectRef::new(&deployment).within(&namespace));
        live.is_some_and(|live| live.annotations().contains_key(annotations::CONFIGURED))
            || self.0.planes.configures(&namespace, &name)
    }

    /// The families on which the pods that are there listen, where there are any.
    fn families(&self, owner: &Owner, track: &str) -> Option<Families> {
        let hubs = &self.0.hubs;
        let deployment = names::deployment(&owner.name, track);
        hubs.deployments.get(&ObjectRef::new(&deployment).within(&owner.namespace))?;
        let is_theirs = |service: &Service| service.owner_references().iter().any(|by| by.uid == owner.uid);
        let services = hubs.services.select(is_theirs);
        Some(Families::of(services.iter().map(Arc::as_ref)))
    }

    async fn workload(&self, owner: &Owner, wanted: Workload) -> Result<Arc<Deployment>, Error> {
        let Context { hubs, kit, .. } = &self.0;
        let Workload { deployment, autoscaler, .. } = wanted;
        if autoscaler.is_some() {
            self.hand_over_replicas(owner, &deployment).await?;
        }
        let deployed = kit.writer.apply(&hubs.deployments, owner, &deployment).await?;
        let name = names::autoscaler(&owner.name);
        self.optional(&hubs.autoscalers, owner, (&name, autoscaler.as_ref())).await?;
        Ok(deployed)
    }

    /// Pods are many, and asked only why something is not as it should be.
    fn pods(&self, owner: &Owner, deployed: &Deployment) -> Vec<Arc<Pod>> {
        if plan::dataplane::is_rolled_out(deployed) {
            return Vec::new();
        }
        self.0.hubs.pods.select(|pod| is_of(pod, owner))
    }

    /// What the pods refer to and nobody has made.
    fn missing(&self, owner: &Owner, references: &[Reference]) -> Vec<Reference> {
        let exists =
            |reference: &Reference| self.0.hubs.exists(reference.kind, &owner.namespace, &reference.name);
        references.iter().filter(|reference| !exists(reference)).cloned().collect()
    }

    fn said(&self, owner: &Owner) -> Vec<Condition> {
        let found = self.0.planes.of(&owner.namespace, &owner.name);
        let status = found.first().and_then(|controlplane| controlplane.status.as_ref());
        status.and_then(|status| status.conditions.clone()).unwrap_or_default()
    }

    /// Applies a child that may be wanted or not, and deletes it when it no longer is.
    async fn optional<K: Written>(
        &self,
        hub: &Hub<K>,
        owner: &Owner,
        want: Optional<'_, K>,
    ) -> Result<(), Error> {
        let writer = &self.0.kit.writer;
        match want {
            (_, Some(want)) => writer.apply(hub, owner, want).await.map(drop)?,
            (name, None) => writer.remove(hub, owner, name).await?,
        }
        Ok(())
    }

    /// From a fixed number of replicas to an autoscaler: a field that nobody owns any more falls back to its
    /// default, one replica, so somebody has to own the number that runs before we let go of it. An autoscaler
    /// then changes it as it likes. (Kubernetes, server-side apply, "Transferring ownership".)
    async fn hand_over_replicas(&self, owner: &Owner, want: &Wanted<Deployment>) -> Result<(), Error> {
        let Context { hubs, kit, .. } = &self.0;
        let Some(live) = hubs.deployments.get(&ObjectRef::new(want.name()).within(&owner.namespace)) else {
            return Ok(());
        };
        let fixed = live.annotations().contains_key(annotations::REPLICAS);
        let Some(replicas) = live.spec.as_ref().and_then(|spec| spec.replicas).filter(|_| fixed) else {
            return Ok(());
        };
        // Kubernetes leaves alone what was scaled to 0.
        let spec = serde_json::json!({ "replicas": replicas.max(1) });
        Ok(kit.writer.under(managers::AUTOSCALING).field(live.as_ref(), owner, &spec).await?)
    }
}

fn owner(object: &DataPlane) -> Owner {
    Owner {
        kind: crds::k8s::kind::<DataPlane>(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}

fn is_of(pod: &Pod, owner: &Owner) -> bool {
    pod.metadata.namespace.as_ref() == Some(&owner.namespace)
        && pod.annotations().get(annotations::DATAPLANE) == Some(&owner.name)
}

fn outcome(object: &DataPlane, done: &Done, issued: &Issued<Certificate>) -> Outcome<DataPlaneStatus> {
    let now = clock::now();
    let Done { track, rollout, deployment, ingress, retired, pods, missing, controlplane } = done;
    let rollout = rollout.as_deref();
    let seen = Seen { track, rollout, deployment, ingress, pods, controlplane, missing, now };
    let status = plan::dataplane::status(object, &seen);
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let idle = conditions::get(conditions, types::READY)
        .is_some_and(|ready| ready.reason == reasons::SCALED_TO_ZERO);
    let settled = (idle || conditions::holds(conditions, types::READY))
        && conditions::holds(conditions, types::ROLLED_OUT)
        && *retired;
    let next = if settled { Next::Settled { again: issued.renew_in } } else { Next::Waiting(SOON) };
    Outcome { status, next }
}
