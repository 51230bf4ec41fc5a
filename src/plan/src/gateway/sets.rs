//! Sets of listeners that are attached to a Gateway.
//!
//! In: the sets that name it. Out: those that it lets in, in the order of their precedence, and their status. Their routes
//! are not served: Kong Ingress Controller 3 does not know the kind.

use std::sync::Arc;

use crds::conditions::Status;
use crds::gatewayapi::GROUP;
use crds::k8s::Timestamp;
use gateway_api::gateways::{Gateway, GatewayListeners, GatewayStatusListeners};
use gateway_api::listenersets::{ListenerSet, ListenerSetStatus};
use serde_json::{Value, json};

use super::listeners::Unit;
use super::selector::From;
use super::status::{Served, conditions, of_listeners};
use super::words::{
    ACCEPTED, LISTENERS_NOT_VALID, NOT_ALLOWED, PARENT_NOT_ACCEPTED, PARENT_NOT_PROGRAMMED, PENDING,
    PROGRAMMED,
};
use super::{Counted, Verdict, World};

/// A set, and what was found out about its listeners.
pub struct Set {
    pub object: Arc<ListenerSet>,
    pub listeners: Vec<Counted>,
    is_allowed: bool,
}

/// A condition: whether it holds, a reason, words.
type Said = (Status, &'static str, String);

impl Set {
    pub const fn attached(object: Arc<ListenerSet>, listeners: Vec<Counted>) -> Self {
        Self { object, listeners, is_allowed: true }
    }

    pub const fn refused(object: Arc<ListenerSet>) -> Self {
        Self { object, listeners: Vec::new(), is_allowed: false }
    }

    /// Whether the Gateway serves any of it.
    pub fn is_accepted(&self, gateway: &Verdict) -> bool {
        self.accepted(gateway).0 == Status::True
    }

    /// Its status, where `parent` says whether the Gateway is programmed.
    pub fn status(
        &self,
        gateway: &Verdict,
        parent: bool,
        (served, now): (&Served<'_>, Timestamp),
    ) -> ListenerSetStatus {
        let generation = self.object.metadata.generation;
        let before = self.object.status.clone().unwrap_or_default();
        let known: Vec<GatewayStatusListeners> = alike(&before.listeners.clone().unwrap_or_default());
        let listeners = of_listeners(&self.listeners, &known, generation, (served, now));
        let accepted = self.accepted(gateway);
        let programmed = match (&accepted, parent) {
            ((Status::True, _, _), true) if any_programmed(&listeners) => (
                Status::True,
                PROGRAMMED,
                "its listeners are open; routes that name a ListenerSet are not served".to_owned(),
            ),
            ((Status::True, _, _), true) => {
                (Status::False, PENDING, "its listeners are not open yet".to_owned())
            }
            ((Status::True, _, _), false) => {
                (Status::False, PARENT_NOT_PROGRAMMED, "the Gateway is not programmed".to_owned())
            }
            ((_, PARENT_NOT_ACCEPTED, words), _) => (Status::False, PARENT_NOT_PROGRAMMED, words.clone()),
            ((status, reason, words), _) => (*status, *reason, words.clone()),
        };
        let said = [(ACCEPTED, accepted), (PROGRAMMED, programmed)];
        ListenerSetStatus {
            conditions: Some(conditions(before.conditions.as_deref(), said, generation, now)),
            listeners: Some(alike(&listeners)),
        }
    }

    fn accepted(&self, gateway: &Verdict) -> Said {
        if !self.is_allowed {
            let words = "spec.allowedListeners of the Gateway does not let it in".to_owned();
            return (Status::False, NOT_ALLOWED, words);
        }
        if !gateway.holds() {
            let words = "the Gateway is not accepted".to_owned();
            return (Status::False, PARENT_NOT_ACCEPTED, words);
        }
        let wrong: Vec<_> = self
            .listeners
            .iter()
            .filter(|counted| !counted.entry.is_valid())
            .map(|counted| counted.entry.listener.name.as_str())
            .collect();
        let words = format!("listeners that are not valid: {}", wrong.join(", "));
        match wrong.len() {
            0 => (Status::True, ACCEPTED, "every listener is valid".to_owned()),
            all if all == self.listeners.len() => (Status::False, LISTENERS_NOT_VALID, words),
            _ => (Status::True, LISTENERS_NOT_VALID, words),
        }
    }
}

fn any_programmed(listeners: &[GatewayStatusListeners]) -> bool {
    listeners.iter().any(|listener| crds::conditions::holds(&listener.conditions, PROGRAMMED))
}

/// The same fields in another type: a set spells listeners as a Gateway does.
fn alike<A: serde::Serialize, B: serde::de::DeserializeOwned>(all: &[A]) -> Vec<B> {
    let one = |one: &A| serde_json::from_value(json!(one)).ok();
    all.iter().filter_map(one).collect()
}

/// The listeners of a set.
pub fn unit(set: &ListenerSet) -> Unit<'_> {
    let listeners: Vec<GatewayListeners> = alike(&set.spec.listeners);
    Unit {
        kind: "ListenerSet",
        namespace: set.metadata.namespace.as_deref().unwrap_or_default(),
        name: set.metadata.name.as_deref().unwrap_or_default(),
        listeners,
    }
}

/// Namespace and name of the Gateway that a set names, where it names one.
pub fn parent(set: &ListenerSet) -> Option<(&str, &str)> {
    let parent = &set.spec.parent_ref;
    let is_gateway = parent.group.as_deref().unwrap_or(GROUP) == GROUP
        && parent.kind.as_deref().unwrap_or("Gateway") == "Gateway";
    let own = set.metadata.namespace.as_deref().unwrap_or_default();
    is_gateway.then(|| (parent.namespace.as_deref().unwrap_or(own), parent.name.as_str()))
}

/// Whether a set names this Gateway.
pub fn names_gateway(set: &ListenerSet, gateway: &Gateway) -> bool {
    let (namespace, name) = (gateway.metadata.namespace.as_deref(), gateway.metadata.name.as_deref());
    parent(set).is_some_and(|(found, called)| Some(found) == namespace && Some(called) == name)
}

/// The sets that a Gateway lets in, the oldest first, then by their names; and the others.
pub fn allowed(
    gateway: &Gateway,
    all: Vec<Arc<ListenerSet>>,
    world: &dyn World,
) -> (Vec<Arc<ListenerSet>>, Vec<Arc<ListenerSet>>) {
    let namespaces: Option<Value> = gateway
        .spec
        .allowed_listeners
        .as_ref()
        .and_then(|allowed| allowed.namespaces.as_ref())
        .map(|namespaces| json!(namespaces));
    let from = From::read(namespaces.as_ref(), From::None);
    let own = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let lets =
        |set: &Arc<ListenerSet>| from.lets(own, set.metadata.namespace.as_deref().unwrap_or_default(), world);
    let (mut allowed, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(lets);
    allowed.sort_by_key(|set| {
        let meta = &set.metadata;
        (meta.creation_timestamp.clone(), meta.namespace.clone(), meta.name.clone())
    });
    (allowed, refused)
}
