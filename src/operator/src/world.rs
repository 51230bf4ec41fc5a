//! What the watch stores of this process tell webhooks about other objects.
//!
//! In: the stores. Out: answers from memory. Never: a request: a review is answered while the API server waits.

use std::sync::Arc;

use control::{Entrances, Hubs, Others, Planes};
use crds::gatewayapi::ReferenceGrant;
use crds::k8s::{Secret, Service};
use crds::{ControlPlane, DataPlane, GatewayConfiguration, WatchNamespaceGrant};
use gateway_api::gatewayclasses::GatewayClass;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use plan::dataplane::Kind;
use plan::gateway::Unusable;
use runtime::clock;
use runtime::hub::{Hub, Names, Place};
use webhooks::world::{Found, Holder, Named, World};

/// The stores.
pub struct Stores {
    /// What is reconciled.
    pub hubs: Hubs,
    /// What only control planes need.
    pub planes: Planes,
    /// What only Gateways need.
    pub entrances: Entrances,
    /// What is looked up.
    pub others: Others,
    /// Where both look.
    pub places: Vec<Place>,
}

impl Stores {
    /// Whether all objects of a kind of the reconciled ones are known there, by the name of its watch.
    fn covers(&self, namespace: &str, kind: &str) -> bool {
        let mut there = self.places.iter().filter(|place| place.holds(namespace));
        there.any(|place| self.hubs.coverage.is_listed(place, kind))
    }

    fn exists_reference(&self, kind: Kind, namespace: &str, name: &str) -> Found<()> {
        let (watch, own) = match kind {
            Kind::Secret => (Names::known_as::<Secret>(), true),
            Kind::ConfigMap => (Names::known_as::<crds::k8s::ConfigMap>(), false),
        };
        let covered =
            self.covers(namespace, &watch) && (!own || self.covers(namespace, &Hub::<Secret>::known_as()));
        found(self.hubs.exists(kind, namespace, name).then_some(()), covered)
    }

    fn holder(&self, namespace: &str, name: &str) -> Option<Holder> {
        let key = ObjectRef::<Service>::new(name).within(namespace);
        if let Some(ours) = self.hubs.services.get(&key) {
            let kind = crds::k8s::kind::<DataPlane>();
            let owner = ours.owner_references().iter().find(|owner| owner.kind == kind);
            return Some(owner.map_or(Holder::Stranger, |owner| Holder::DataPlane(owner.name.clone())));
        }
        self.others.services.contains(namespace, name).then_some(Holder::Stranger)
    }
}

impl World for Stores {
    fn exists(&self, kind: Named, namespace: &str, name: &str) -> Found<()> {
        match kind {
            Named::Secret => self.exists_reference(Kind::Secret, namespace, name),
            Named::ConfigMap => self.exists_reference(Kind::ConfigMap, namespace, name),
        }
    }

    fn service(&self, namespace: &str, name: &str) -> Found<Holder> {
        let covered =
            self.others.knows_services(namespace) && self.covers(namespace, &Hub::<Service>::known_as());
        found(self.holder(namespace, name), covered)
    }

    fn dataplane(&self, namespace: &str, name: &str) -> Found<Arc<DataPlane>> {
        let key = ObjectRef::new(name).within(namespace);
        found(self.hubs.dataplanes.get(&key), self.covers(namespace, &Hub::<DataPlane>::known_as()))
    }

    fn wanting(&self, namespace: &str, service: &str) -> Vec<Arc<DataPlane>> {
        let wants = |object: &DataPlane| plan::dataplane::ingress_service(object) == service;
        within(&self.hubs.dataplanes, namespace, wants)
    }

    fn configuring(&self, namespace: &str, dataplane: &str) -> Vec<Arc<ControlPlane>> {
        let names = |object: &ControlPlane| object.spec.names().any(|name| name == dataplane);
        within(&self.planes.controlplanes, namespace, names)
    }

    fn grants(&self, namespace: &str) -> Found<Vec<Arc<WatchNamespaceGrant>>> {
        let covered = self.planes.knows::<WatchNamespaceGrant>(namespace);
        found(covered.then(|| within(&self.planes.grants, namespace, |_| true)), covered)
    }

    fn gateway_class(&self, name: &str) -> Found<Arc<GatewayClass>> {
        // Whole classes are shown once everything that is asked about them is known.
        let is_absent = self.planes.classes.controller(name) == Some(None);
        found(self.entrances.classes.get(&ObjectRef::new(name)), is_absent)
    }

    fn configuration(&self, namespace: &str, name: &str) -> Found<Arc<GatewayConfiguration>> {
        let there = self.entrances.configurations.get(&ObjectRef::new(name).within(namespace));
        found(there, self.entrances.knows::<GatewayConfiguration>(namespace))
    }

    fn reference_grants(&self, namespace: &str) -> Found<Vec<Arc<ReferenceGrant>>> {
        let covered = self.entrances.knows::<ReferenceGrant>(namespace);
        let there = || {
            let here = |grant: &ReferenceGrant| grant.metadata.namespace.as_deref() == Some(namespace);
            self.entrances.grants.select(here)
        };
        found(covered.then(there), covered)
    }

    fn certificate(&self, namespace: &str, name: &str) -> Found<Result<(), Unusable>> {
        if !self.entrances.knows::<Secret>(namespace) {
            return Found::Unknown;
        }
        match self.entrances.certificate(&self.hubs, namespace, name, clock::now()) {
            Err(Unusable::Absent) => {
                found(None, self.exists_reference(Kind::Secret, namespace, name) == Found::Absent)
            }
            known => Found::Here(known),
        }
    }
}

fn found<T>(there: Option<T>, covered: bool) -> Found<T> {
    match there {
        Some(there) => Found::Here(there),
        None if covered => Found::Absent,
        None => Found::Unknown,
    }
}

fn within<K>(hub: &Hub<K>, namespace: &str, asked: impl Fn(&K) -> bool) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + runtime::hub::Watched,
{
    hub.select(|object| object.meta().namespace.as_deref() == Some(namespace) && asked(object))
}
