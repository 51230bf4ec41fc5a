//! What calls for a look at a Gateway.
//!
//! In: the watch stores. Out: the Gateways that something happened to, to something of theirs, or to something that they
//! refer to. It decides nothing.

use crds::conditions;
use crds::gatewayapi::{ParentRef, Read, ReferenceGrant, Route};
use crds::k8s::{Namespace, Secret};
use crds::{ControlPlane, DataPlane, GatewayConfiguration};
use futures::stream::BoxStream;
use futures::{Stream, stream};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::listenersets::ListenerSet;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::gateway::{ACCEPTED, names_gateway, parent};
use runtime::hub::Hub;
use serde_json::{Value, json};

use super::Entrances;
use super::around::uses;
use crate::Context;
use crate::touches::{by_owner, touches};

type Calls = BoxStream<'static, ObjectRef<Gateway>>;

/// Everything that calls for a look at a Gateway.
pub fn triggers(cx: &Context) -> impl Stream<Item = ObjectRef<Gateway>> + Send + use<> {
    let stores = &cx.entrances;
    let all = &stores.gateways;
    let routes = &stores.routes;
    stream::select_all([
        touches(all, all, |object: &Gateway| Some(ObjectRef::from_obj(object))),
        touches(&cx.hubs.dataplanes, all, by_owner::<DataPlane, Gateway>),
        touches(&cx.planes.controlplanes, all, by_owner::<ControlPlane, Gateway>),
        touches(&stores.policies, all, by_owner),
        touches(&stores.classes, all, of_class(stores)),
        touches(&stores.configurations, all, of_configuration(stores)),
        touches(&stores.sets, all, of_set(stores)),
        touches(&stores.grants, all, of_grant(stores)),
        touches(&stores.namespaces, all, of_namespace(stores)),
        touches(&stores.certificates, all, of_certificate(stores)),
        of_routes(&routes.http, stores),
        of_routes(&routes.grpc, stores),
        of_routes(&routes.tls, stores),
        of_routes(&routes.tcp, stores),
        of_routes(&routes.udp, stores),
    ])
}

fn chosen(all: &Hub<Gateway>, choose: impl Fn(&Gateway) -> bool) -> Vec<ObjectRef<Gateway>> {
    all.select(choose).iter().map(|gateway| ObjectRef::from_obj(gateway.as_ref())).collect()
}

fn by_parent(set: &ListenerSet) -> Option<ObjectRef<Gateway>> {
    let (namespace, name) = parent(set)?;
    Some(ObjectRef::new(name).within(namespace))
}

/// The one that a set names; and those that count more sets than they have: it may have named
/// one of these before.
fn of_set(stores: &Entrances) -> impl Fn(&ListenerSet) -> Vec<ObjectRef<Gateway>> + Send + use<> {
    let stores = stores.clone();
    move |set| {
        let mut found = chosen(&stores.gateways, |gateway| {
            let counted = gateway.status.as_ref().and_then(|status| status.attached_listener_sets);
            let counted = counted.and_then(|counted| usize::try_from(counted).ok()).unwrap_or_default();
            let is_counted = |set: &ListenerSet| names_gateway(set, gateway) && is_accepted(set);
            counted > 0 && stores.sets.select(is_counted).len() < counted
        });
        found.extend(by_parent(set));
        found
    }
}

fn is_accepted(set: &ListenerSet) -> bool {
    let conditions = set.status.as_ref().and_then(|status| status.conditions.as_deref());
    conditions::holds(conditions.unwrap_or_default(), ACCEPTED)
}

fn of_class(stores: &Entrances) -> impl Fn(&GatewayClass) -> Vec<ObjectRef<Gateway>> + Send + use<> {
    let all = stores.gateways.clone();
    move |class| chosen(&all, |gateway| gateway.spec.gateway_class_name == class.name_any())
}

/// Those that name a configuration, or whose class does.
fn of_configuration(
    stores: &Entrances,
) -> impl Fn(&GatewayConfiguration) -> Vec<ObjectRef<Gateway>> + Send + use<> {
    let stores = stores.clone();
    move |configuration| chosen(&stores.gateways, |gateway| uses(&stores, gateway, configuration))
}

/// Those that refer to the namespace of a grant.
fn of_grant(stores: &Entrances) -> impl Fn(&ReferenceGrant) -> Vec<ObjectRef<Gateway>> + Send + use<> {
    let stores = stores.clone();
    move |grant| {
        let namespace = grant.metadata.namespace.clone().unwrap_or_default();
        referring(&stores, move |_, (there, _)| there == namespace)
    }
}

/// Those that refer to a Secret.
fn of_certificate(stores: &Entrances) -> impl Fn(&Secret) -> Vec<ObjectRef<Gateway>> + Send + use<> {
    let stores = stores.clone();
    move |secret| {
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        referring(&stores, move |_, (there, called)| there == namespace && called == name)
    }
}

/// Gateways one of whose listeners, or of whose sets' listeners, refers to such a certificate.
fn referring(stores: &Entrances, is_it: impl Fn(&str, (&str, &str)) -> bool) -> Vec<ObjectRef<Gateway>> {
    let of = |listeners: Value, own: &str| {
        let all = listeners.as_array().cloned().unwrap_or_default();
        all.iter().any(|listener| {
            let references = listener.pointer("/tls/certificateRefs").and_then(Value::as_array);
            references.into_iter().flatten().any(|reference| {
                let field = |name: &str| reference.get(name).and_then(Value::as_str);
                is_it(own, (field("namespace").unwrap_or(own), field("name").unwrap_or_default()))
            })
        })
    };
    let has_tls = |gateway: &Gateway| gateway.spec.listeners.iter().any(|listener| listener.tls.is_some());
    let mut found = chosen(&stores.gateways, |gateway| {
        let own = gateway.metadata.namespace.as_deref().unwrap_or_default();
        has_tls(gateway) && of(json!(gateway.spec.listeners), own)
    });
    let sets = stores
        .sets
        .select(|set| of(json!(set.spec.listeners), set.metadata.namespace.as_deref().unwrap_or_default()));
    found.extend(sets.iter().filter_map(|set| by_parent(set)));
    found
}

/// Those that let namespaces in by their labels.
fn of_namespace(stores: &Entrances) -> impl Fn(&Namespace) -> Vec<ObjectRef<Gateway>> + Send + use<> {
    let stores = stores.clone();
    move |_| {
        let selects = |spec: Value| spec.to_string().contains("\"from\":\"Selector\"");
        let mut found = chosen(&stores.gateways, |gateway| selects(json!(gateway.spec)));
        let sets = stores.sets.select(|set| selects(json!(set.spec.listeners)));
        found.extend(sets.iter().filter_map(|set| by_parent(set)));
        found
    }
}

/// Those that a route names, or is said to be attached to, be it by a set of listeners.
fn of_routes<K: Read>(hub: &Hub<Route<K>>, stores: &Entrances) -> Calls {
    let sets = stores.sets.clone();
    let named = move |route: &Route<K>| -> Vec<ObjectRef<Gateway>> {
        let own = route.metadata.namespace.as_deref().unwrap_or_default();
        let told = route.status.iter().flat_map(|status| &status.parents).map(|told| &told.parent_ref);
        let of = |parent: &ParentRef| {
            let namespace = parent.namespace.as_deref().unwrap_or(own);
            if parent.kind.as_deref() == Some("ListenerSet") {
                let set = sets.get(&ObjectRef::new(&parent.name).within(namespace))?;
                return by_parent(&set);
            }
            Some(ObjectRef::new(&parent.name).within(namespace))
        };
        route.spec.parent_refs.iter().chain(told).filter_map(of).collect()
    };
    touches(hub, &stores.gateways, named)
}
