//! The reconciler of `DataPlane`.

use std::sync::Arc;
use std::time::Duration;

use crds::DataPlane;
use crds::conditions::{self, reasons, types};
use crds::dataplane::DataPlaneStatus;
use crds::k8s::{Condition, Deployment, Pod, Secret, Service};
use crds::names::{self, annotations, managers};
use crds::wanted::Wanted;
use futures::{Stream, StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::Invalid;
use plan::dataplane::{Certificate, Families, Network, Reference, Seen, Workload};
use runtime::hub::{Hub, Touch, Watched};
use runtime::writer::{self, Cause, Owner, Written};
use runtime::{Failure, Impact, Next, Outcome, Reconciler, clock, failure};

use crate::{Context, Moved};
use crate::certificate::{self, Issued};

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
    deployment: Arc<Deployment>,
    ingress: Arc<Service>,
    pods: Vec<Arc<Pod>>,
    missing: Vec<Reference>,
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
        let valid = plan::dataplane::valid(&self.0.settings, &object)?;
        let issued = self.certificate(&object).await?;
        let owner = owner(&object);
        let network = valid.network(&issued.certificate);
        let (admin, ingress) = self.network(&owner, network).await?;
        let families = Families::of([admin.as_ref(), ingress.as_ref()]);
        let workload = valid.workload(&issued.certificate, families);
        let missing = self.missing(&owner, &workload.references);
        let deployment = self.workload(&owner, workload).await?;
        self.retire(&owner, &ingress.name_any()).await?;
        let pods = self.pods(&owner, &deployment);
        Ok(outcome(&object, &Done { deployment, ingress, pods, missing }, &issued))
    }

    fn failed(&self, object: &DataPlane, reason: &'static str, words: String) -> DataPlaneStatus {
        plan::dataplane::failed(object, reason, words, clock::now())
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
        let secret = names::admin_certificate(&name);
        let found = match self.0.hubs.secrets.get(&ObjectRef::new(&secret).within(&namespace)) {
            Some(found) => Some(found),
            None => self.0.kit.writer.read::<Secret>(&namespace, &secret).await?.map(Arc::new),
        };
        let wanted = plan::dataplane::certificate_names(&namespace, &name);
        certificate::keep_or_issue(&self.0.authority, found.as_deref(), &wanted, clock::now())
            .map_err(Error::Certificate)
    }

    /// Identity and configuration come before the workload: a pod never starts without what it mounts. Returns the
    /// Services, whose addresses say on what families to listen.
    async fn network(&self, owner: &Owner, wanted: Network) -> Result<(Arc<Service>, Arc<Service>), Error> {
        let Context { hubs, kit, .. } = &self.0;
        let Network { certificate, admin, ingress, disruption_budget } = wanted;
        kit.writer.under(managers::CERTIFICATES).apply(&hubs.secrets, owner, &certificate).await?;
        let admin = kit.writer.apply(&hubs.services, owner, &admin).await?;
        let served = match kit.writer.apply(&hubs.services, owner, &ingress).await {
            // Under its old name the Service may hold the very node ports that it is to have under the new one.
            Err(writer::Error::Refused { cause: Cause::Port, .. })
                if !self.former(owner, ingress.name()).is_empty() =>
            {
                self.retire(owner, ingress.name()).await?;
                kit.writer.apply(&hubs.services, owner, &ingress).await?
            }
            answer => answer?,
        };
        let budget = (names::disruption_budget(&owner.name), disruption_budget);
        self.optional(&hubs.budgets, owner, (&budget.0, budget.1.as_ref())).await?;
        Ok((admin, served))
    }

    /// A renamed Service goes only when the one of the new name exists.
    async fn retire(&self, owner: &Owner, ingress: &str) -> Result<(), Error> {
        for service in self.former(owner, ingress) {
            self.0.kit.writer.remove(&self.0.hubs.services, owner, &service.name_any()).await?;
        }
        Ok(())
    }

    /// Services under other names that were made to take the traffic. The status may name none of them, where a
    /// renaming was interrupted and taken back.
    fn former(&self, owner: &Owner, ingress: &str) -> Vec<Arc<Service>> {
        self.0.hubs.services.select(|service| {
            service.metadata.name.as_deref() != Some(ingress) && takes_traffic_of(service, owner)
        })
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
        let spec = serde_json::json!({ "replicas": replicas });
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

/// The name that the ingress Service had, where it has another one now.
fn takes_traffic_of(service: &Service, owner: &Owner) -> bool {
    let kind = service.labels().get(names::labels::SERVICE_TYPE).map(String::as_str);
    kind == Some(names::values::INGRESS)
        && service.owner_references().iter().any(|found| found.uid == owner.uid)
}

fn is_of(pod: &Pod, owner: &Owner) -> bool {
    pod.metadata.namespace.as_ref() == Some(&owner.namespace)
        && pod.annotations().get(annotations::DATAPLANE) == Some(&owner.name)
}

fn outcome(object: &DataPlane, done: &Done, issued: &Issued<Certificate>) -> Outcome<DataPlaneStatus> {
    let now = clock::now();
    let Done { deployment, ingress, pods, missing } = done;
    let seen = Seen { deployment, ingress, pods, missing, now };
    let status = plan::dataplane::status(object, &seen);
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let idle = conditions::get(conditions, types::READY)
        .is_some_and(|ready| ready.reason == reasons::SCALED_TO_ZERO);
    let settled = (idle || conditions::holds(conditions, types::READY))
        && conditions::holds(conditions, types::ROLLED_OUT);
    let next = if settled { Next::Settled { again: issued.renew_in } } else { Next::Waiting(SOON) };
    Outcome { status, next }
}

/// Everything that calls for a look at a `DataPlane`: itself, and what belongs to it.
pub fn triggers(cx: &Context) -> impl Stream<Item = ObjectRef<DataPlane>> + Send + use<> {
    let all = cx.hubs.dataplanes.clone();
    let own = touches(&cx.hubs.dataplanes, &all, |object: &DataPlane| Some(ObjectRef::from_obj(object)));
    let deployments = touches(&cx.hubs.deployments, &all, by_owner);
    let services = touches(&cx.hubs.services, &all, by_owner);
    let autoscalers = touches(&cx.hubs.autoscalers, &all, by_owner);
    let budgets = touches(&cx.hubs.budgets, &all, by_owner);
    let secrets = touches(&cx.hubs.secrets, &all, by_owner);
    let pods = touches(&cx.hubs.pods, &all, |pod: &Pod| {
        let name = pod.annotations().get(annotations::DATAPLANE)?;
        Some(ObjectRef::new(name).within(pod.metadata.namespace.as_deref()?))
    });
    stream::select_all([own, deployments, services, autoscalers, budgets, secrets, pods, referred(cx)])
}

/// Who refers to a Secret or ConfigMap that comes or goes. Most objects of these kinds concern nobody here.
fn referred(cx: &Context) -> stream::BoxStream<'static, ObjectRef<DataPlane>> {
    let all = cx.hubs.dataplanes.clone();
    let concerned = move |touch: Touch<Moved>| match touch {
        Touch::Object(moved) => {
            let found = all.select(|dataplane| refers(dataplane, &moved));
            found.iter().map(|dataplane| ObjectRef::from_obj(dataplane.as_ref())).collect()
        }
        Touch::Resync => all.all(),
    };
    cx.hubs.references.touched().flat_map(move |touch| stream::iter::<Vec<_>>(concerned(touch))).boxed()
}

fn refers(dataplane: &DataPlane, moved: &Moved) -> bool {
    if dataplane.metadata.namespace.as_ref() != Some(&moved.namespace) {
        return false;
    }
    let deployment = dataplane.spec.deployment.as_ref();
    let Some(template) = deployment.and_then(|deployment| deployment.pod_template_spec.as_ref()) else {
        return false;
    };
    let references = plan::dataplane::references(&template.to_value());
    references.iter().any(|reference| (reference.kind, &reference.name) == (moved.kind, &moved.name))
}

fn touches<K: Watched>(
    hub: &Hub<K>,
    all: &Hub<DataPlane>,
    owner: impl Fn(&K) -> Option<ObjectRef<DataPlane>> + Send + 'static,
) -> stream::BoxStream<'static, ObjectRef<DataPlane>> {
    let all = all.clone();
    let named = move |touch: Touch<K>| match touch {
        Touch::Object(object) => owner(object.as_ref()).into_iter().collect(),
        Touch::Resync => all.all(),
    };
    hub.touched().flat_map(move |touch| stream::iter::<Vec<_>>(named(touch))).boxed()
}

fn by_owner<K: Watched>(child: &K) -> Option<ObjectRef<DataPlane>> {
    let kind = crds::k8s::kind::<DataPlane>();
    let owners = child.owner_references();
    let owner = owners.iter().find(|owner| owner.controller == Some(true) && owner.kind == kind)?;
    Some(ObjectRef::new(&owner.name).within(child.namespace().as_deref()?))
}
