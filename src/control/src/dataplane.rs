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
use plan::dataplane::{Certificate, Objects, Seen};
use runtime::hub::{Hub, Touch, Watched};
use runtime::writer::{self, Owner, Written};
use runtime::{Failure, Impact, Next, Outcome, Reconciler, clock, failure};

use crate::Context;
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
        let issued = self.certificate(&object).await?;
        let wanted = plan::dataplane::objects(&self.0.settings, &object, &issued.certificate)?;
        let done = self.write(&object, wanted).await?;
        Ok(outcome(&object, &done, &issued))
    }

    fn failed(&self, object: &DataPlane, error: &Error) -> DataPlaneStatus {
        plan::dataplane::failed(object, error.reason(), error.public(), clock::now())
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

    /// Identity and configuration first, the workload last: a pod never starts without what it mounts.
    async fn write(&self, object: &DataPlane, wanted: Objects) -> Result<Done, Error> {
        let Context { hubs, kit, .. } = &self.0;
        let owner = owner(object);
        let Objects { certificate, admin, ingress, disruption_budget, deployment, autoscaler } = wanted;
        kit.writer.under(managers::CERTIFICATES).apply(&hubs.secrets, &owner, &certificate).await?;
        kit.writer.apply(&hubs.services, &owner, &admin).await?;
        let served = kit.writer.apply(&hubs.services, &owner, &ingress).await?;
        self.optional(
            &hubs.budgets,
            &owner,
            (&names::disruption_budget(&owner.name), disruption_budget.as_ref()),
        )
        .await?;
        if autoscaler.is_some() {
            self.hand_over_replicas(&owner, &deployment).await?;
        }
        let deployed = kit.writer.apply(&hubs.deployments, &owner, &deployment).await?;
        self.optional(&hubs.autoscalers, &owner, (&names::autoscaler(&owner.name), autoscaler.as_ref()))
            .await?;
        // A renamed Service goes only when the one of the new name exists.
        let before = object.status.as_ref().and_then(|status| status.service.as_deref());
        if let Some(before) = before.filter(|before| *before != ingress.name()) {
            kit.writer.remove(&hubs.services, &owner, before).await?;
        }
        // Pods are many, and asked only why something is not as it should be.
        let pods = if plan::dataplane::is_rolled_out(&deployed) {
            Vec::new()
        } else {
            hubs.pods.select(|pod| is_of(pod, &owner))
        };
        Ok(Done { deployment: deployed, ingress: served, pods })
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

fn is_of(pod: &Pod, owner: &Owner) -> bool {
    pod.metadata.namespace.as_ref() == Some(&owner.namespace)
        && pod.annotations().get(annotations::DATAPLANE) == Some(&owner.name)
}

fn outcome(object: &DataPlane, done: &Done, issued: &Issued<Certificate>) -> Outcome<DataPlaneStatus> {
    let now = clock::now();
    let seen = Seen { deployment: &done.deployment, ingress: &done.ingress, pods: &done.pods, now };
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
    stream::select_all([own, deployments, services, autoscalers, budgets, secrets, pods])
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
