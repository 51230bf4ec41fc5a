//! The reconciler of `Gateway`, and of the sets of listeners that are attached to it.

mod around;
mod asked;
mod classes;
mod configurations;
mod life;
mod stores;
mod triggers;

use std::sync::Arc;
use std::time::Duration;

use crds::conditions;
use crds::dataplane::IngressPort;
use crds::k8s::Condition;
use crds::names::{self, managers};
use crds::{ControlPlane, DataPlane};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::{Gateway, GatewayStatus};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use plan::gateway::{self, Children, Judged, Known, PROGRAMMED, Seen};
use runtime::writer::{self, Owner, Written};
use runtime::{Failure, Impact, Next, Outcome, Reconciler, Writer, clock, drive, failure};
use tokio_util::sync::CancellationToken;

use crate::Context;
use around::Around;
use configurations::Configurations;
use triggers::triggers;

pub use stores::Entrances;

/// How soon to look again while pods start; watches usually tell first.
const SOON: Duration = Duration::from_secs(15);

/// Why a `Gateway` was not reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A child, or the status of a set, could not be written.
    #[error(transparent)]
    Write(#[from] writer::Error),
}

impl Failure for Error {
    fn impact(&self) -> Impact {
        let Self::Write(error) = self;
        error.impact()
    }

    fn reason(&self) -> &'static str {
        let Self::Write(error) = self;
        error.reason()
    }

    fn public(&self) -> String {
        failure::chain(self)
    }
}

/// Makes of each `Gateway` of ours what it asks for.
pub struct Gateways(pub Context);

/// The children as they are.
#[derive(Default)]
struct Done {
    dataplane: Option<Arc<DataPlane>>,
    controlplane: Option<Arc<ControlPlane>>,
    before: Vec<IngressPort>,
}

/// Looks after Gateways, their classes and their configurations until `stop`.
pub async fn keep(cx: Context, stop: CancellationToken) {
    let stores = &cx.entrances;
    let (gateways, configurations) = (stores.gateways.clone(), stores.configurations.clone());
    let (calls, of_configurations) = (triggers(&cx), configurations::triggers(&cx));
    let kit = cx.kit.clone();
    tokio::join!(
        drive::drive(Gateways(cx.clone()), gateways, calls, kit.clone(), stop.clone()),
        drive::drive(Configurations(cx.clone()), configurations, of_configurations, kit, stop.clone()),
        classes::keep(cx.clone(), stop),
    );
}

impl Reconciler for Gateways {
    type Kind = Gateway;
    type Status = GatewayStatus;
    type Error = Error;

    async fn reconcile(&self, object: Arc<Gateway>) -> Result<Outcome<GatewayStatus>, Error> {
        let owner = owner(&object);
        let Some(class) = self.class(&object) else {
            return self.leave(&object, &owner).await;
        };
        let (judged, again) = self.judged(&object, &class);
        let done = match judged.children() {
            Some(children) => self.write(&owner, &children).await?,
            None => self.found(&owner),
        };
        let seen = Seen {
            dataplane: done.dataplane.as_deref(),
            controlplane: done.controlplane.as_deref(),
            before: &done.before,
            now: clock::now(),
        };
        let status = judged.status(&seen);
        self.tell_sets(&judged, &seen, &status).await?;
        Ok(outcome(status, again))
    }

    fn failed(&self, object: &Gateway, reason: &'static str, words: String) -> GatewayStatus {
        gateway::failed(object, (reason, words), clock::now())
    }

    fn conditions(status: &GatewayStatus) -> &[Condition] {
        status.conditions.as_deref().unwrap_or_default()
    }
}

impl Gateways {
    /// The class, where it is ours and not left to Kong Ingress Controller.
    fn class(&self, object: &Gateway) -> Option<Arc<GatewayClass>> {
        let class = self.0.entrances.classes.get(&ObjectRef::new(&object.spec.gateway_class_name))?;
        let ours = class.spec.controller_name == self.0.controller.controller;
        (ours && !gateway::is_unmanaged(&class)).then_some(class)
    }

    /// What belongs to somebody else keeps its status. What was made while it was ours goes, unless its class is merely
    /// gone.
    async fn leave(&self, object: &Gateway, owner: &Owner) -> Result<Outcome<GatewayStatus>, Error> {
        let class = ObjectRef::<GatewayClass>::new(&object.spec.gateway_class_name);
        if self.0.entrances.classes.get(&class).is_some() {
            let writer = self.writer();
            let name = &owner.name;
            writer.remove(&self.0.planes.controlplanes, owner, name).await?;
            writer.remove(&self.0.hubs.dataplanes, owner, name).await?;
            writer.remove(&self.0.entrances.policies, owner, &names::network_policy(name)).await?;
        }
        let status = object.status.clone().unwrap_or_default();
        Ok(Outcome { status, next: Next::Settled { again: None } })
    }

    fn judged<'a>(&self, object: &'a Gateway, class: &GatewayClass) -> (Judged<'a>, Option<Duration>) {
        let around = Around::new(&self.0, clock::now());
        let sets = around.sets(object);
        let mut parents = vec![named(object)];
        parents.extend(sets.iter().flatten().map(|set| named(set.as_ref())));
        let routes = &self.0.entrances.routes;
        let (http, grpc) = (around::routes(&routes.http, &parents), around::routes(&routes.grpc, &parents));
        let (tls, tcp) = (around::routes(&routes.tls, &parents), around::routes(&routes.tcp, &parents));
        let udp = around::routes(&routes.udp, &parents);
        let all: Vec<_> = around::seen(&http)
            .chain(around::seen(&grpc))
            .chain(around::seen(&tls))
            .chain(around::seen(&tcp))
            .chain(around::seen(&udp))
            .collect();
        drop(parents);
        let known = Known {
            controller: &class.spec.controller_name,
            parameters: around.parameters(class, object),
            sets,
            routes: &all,
            world: &around,
        };
        (gateway::judged(object, &known), around.again())
    }

    fn writer(&self) -> Writer {
        self.0.kit.writer.under(managers::GATEWAY)
    }

    async fn write(&self, owner: &Owner, children: &Children) -> Result<Done, Error> {
        let Context { hubs, planes, entrances, .. } = &self.0;
        let Children { policy, dataplane, controlplane } = children;
        let Done { before, .. } = self.found(owner);
        let writer = self.writer();
        writer.apply(&entrances.policies, owner, policy).await?;
        let dataplane = writer.apply(&hubs.dataplanes, owner, dataplane).await?;
        let controlplane = writer.apply(&planes.controlplanes, owner, controlplane).await?;
        Ok(Done { dataplane: Some(dataplane), controlplane: Some(controlplane), before })
    }

    /// The children that are there.
    fn found(&self, owner: &Owner) -> Done {
        let Context { hubs, planes, .. } = &self.0;
        let dataplane = hubs.dataplanes.get(&key(owner)).filter(|found| is_of(found.as_ref(), owner));
        let before = dataplane.as_deref().and_then(|found| found.ingress()?.ports.clone());
        Done {
            before: before.unwrap_or_default(),
            controlplane: planes.controlplanes.get(&key(owner)).filter(|found| is_of(found.as_ref(), owner)),
            dataplane,
        }
    }

    async fn tell_sets(
        &self,
        judged: &Judged<'_>,
        seen: &Seen<'_>,
        status: &GatewayStatus,
    ) -> Result<(), Error> {
        for (set, status) in judged.set_statuses(seen, status) {
            if set.status.as_ref() != Some(&status) {
                let written = self.0.kit.writer.status(set.as_ref(), &status).await?;
                self.0.entrances.sets.note(written);
            }
        }
        Ok(())
    }
}

fn owner(object: &Gateway) -> Owner {
    Owner {
        kind: crds::k8s::kind::<Gateway>(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}

fn key<K: Written>(owner: &Owner) -> ObjectRef<K> {
    ObjectRef::new(&owner.name).within(&owner.namespace)
}

fn is_of<K: Resource>(object: &K, owner: &Owner) -> bool {
    object.owner_references().iter().any(|found| found.uid == owner.uid)
}

fn named<K: Resource>(object: &K) -> (&str, &str) {
    let meta = object.meta();
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

fn outcome(status: GatewayStatus, again: Option<Duration>) -> Outcome<GatewayStatus> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let programmed = conditions::holds(conditions, PROGRAMMED);
    let waits = conditions::get(conditions, PROGRAMMED).is_some_and(|c| c.reason == gateway::PENDING);
    let next = if programmed || !waits { Next::Settled { again } } else { Next::Waiting(SOON) };
    Outcome { status, next }
}
