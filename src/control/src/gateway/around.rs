//! What the stores tell about the surroundings of a Gateway.
//!
//! In: the stores and the time. Out: answers from memory, and when time alone will change one of them. Never: a request.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crds::gatewayapi::{Read, ReferenceGrant, Route};
use crds::k8s::{Namespace, Timestamp};
use crds::{GatewayConfiguration, GatewayConfigurationSpec};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::listenersets::ListenerSet;
use kube::runtime::reflector::ObjectRef;
use plan::gateway::{self, Place, Unusable, World};
use runtime::hub::Hub;

use super::asked::unusable;
use super::stores::Entrances;
use crate::Context;

/// Answers about other objects.
pub struct Around<'a> {
    cx: &'a Context,
    now: Timestamp,
    /// When the first of the certificates that were asked for becomes valid, or is no longer.
    turns: Cell<Option<i64>>,
}

impl<'a> Around<'a> {
    pub const fn new(cx: &'a Context, now: Timestamp) -> Self {
        Self { cx, now, turns: Cell::new(None) }
    }

    fn stores(&self) -> &Entrances {
        &self.cx.entrances
    }

    /// When to look again by the clock.
    pub fn again(&self) -> Option<Duration> {
        let seconds = self.turns.get()?.saturating_sub(self.now.as_second());
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    }

    /// The configuration of a Gateway: that of its class, and its own over it.
    pub fn parameters(
        &self,
        class: &GatewayClass,
        gateway: &Gateway,
    ) -> Result<GatewayConfigurationSpec, String> {
        gateway::parameters(class, gateway, |place| self.found(place))
    }

    /// What is at a place, where a Gateway can be made of it.
    pub fn configuration(&self, place: Option<Place>) -> Result<Option<Arc<GatewayConfiguration>>, String> {
        let Some(place) = place else { return Ok(None) };
        gateway::at(&place, self.found(&place)).map(Some)
    }

    fn found(&self, place: &Place) -> Option<Arc<GatewayConfiguration>> {
        self.stores().configurations.get(&ObjectRef::new(&place.name).within(&place.namespace))
    }

    /// Sets of listeners that name a Gateway; none where the kind is not installed.
    pub fn sets(&self, object: &Gateway) -> Option<Vec<Arc<ListenerSet>>> {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let stays = |set: &ListenerSet| set.metadata.deletion_timestamp.is_none();
        let named = |set: &ListenerSet| gateway::names_gateway(set, object) && stays(set);
        self.stores().has_sets(namespace).then(|| self.stores().sets.select(named))
    }
}

impl World for Around<'_> {
    fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        let found = self.stores().namespaces.get(&ObjectRef::<Namespace>::new(namespace))?;
        Some(found.metadata.labels.clone().unwrap_or_default())
    }

    fn grants(&self, namespace: &str) -> Vec<Arc<ReferenceGrant>> {
        self.stores().grants.select(|grant| grant.metadata.namespace.as_deref() == Some(namespace))
    }

    fn certificate(&self, namespace: &str, name: &str) -> Result<(), Unusable> {
        let life = self.stores().life(&self.cx.hubs, namespace, name)?;
        let now = self.now.as_second();
        let turns = [life.from, life.until].into_iter().find(|turn| *turn > now);
        self.turns.set(self.turns.get().into_iter().chain(turns).min());
        life.at(now).map_err(|reason| unusable(&reason))
    }
}

/// Whether a Gateway is made by a configuration.
pub fn uses(stores: &Entrances, gateway: &Gateway, configuration: &GatewayConfiguration) -> bool {
    let is_it = |place: Result<Option<Place>, String>| {
        let place = place.ok().flatten();
        place.is_some_and(|place| {
            Some(&place.namespace) == configuration.metadata.namespace.as_ref()
                && Some(&place.name) == configuration.metadata.name.as_ref()
        })
    };
    let class = || stores.classes.get(&ObjectRef::new(&gateway.spec.gateway_class_name));
    is_it(plan::gateway::of_gateway(gateway))
        || class().is_some_and(|class| is_it(plan::gateway::of_class(&class)))
}

/// Routes that name one of the parents: kind, and the route.
pub fn routes<K: Read>(hub: &Hub<Route<K>>, parents: &[(&str, &str)]) -> Vec<Arc<Route<K>>> {
    hub.select(|route| {
        let own = route.metadata.namespace.as_deref().unwrap_or_default();
        route.spec.parent_refs.iter().any(|parent| {
            parents.contains(&(parent.namespace.as_deref().unwrap_or(own), parent.name.as_str()))
        })
    })
}

/// The same for the planner.
pub fn seen<K: Read>(routes: &[Arc<Route<K>>]) -> impl Iterator<Item = gateway::Route<'_>> {
    routes.iter().map(|route| gateway::Route {
        kind: K::KIND,
        namespace: route.metadata.namespace.as_deref().unwrap_or_default(),
        name: route.metadata.name.as_deref().unwrap_or_default(),
        generation: route.metadata.generation,
        spec: &route.spec,
        status: route.status.as_ref(),
    })
}
