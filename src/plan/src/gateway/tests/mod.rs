//! Tables of what is expected of statuses, and snapshots of objects.

#![expect(clippy::needless_pass_by_value, reason = "literals of JSON are handed over")]

mod children;
mod listeners;
mod programmed;
mod pushed;
mod routes;
mod sets;

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::GatewayConfigurationSpec;
use crds::gatewayapi::ReferenceGrant;
use crds::k8s::{Condition, Timestamp};
use gateway_api::gateways::{Gateway, GatewayStatus};
use gateway_api::listenersets::ListenerSet;
use serde_json::{Value, json};

use super::*;

/// A small world.
#[derive(Default)]
struct Around {
    labels: BTreeMap<String, BTreeMap<String, String>>,
    grants: Vec<Arc<ReferenceGrant>>,
    certificates: BTreeMap<String, Result<(), Unusable>>,
}

impl World for Around {
    fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        self.labels.get(namespace).cloned()
    }

    fn grants(&self, namespace: &str) -> Vec<Arc<ReferenceGrant>> {
        let here = |grant: &&Arc<ReferenceGrant>| grant.metadata.namespace.as_deref() == Some(namespace);
        self.grants.iter().filter(here).cloned().collect()
    }

    fn certificate(&self, namespace: &str, name: &str) -> Result<(), Unusable> {
        self.certificates.get(&format!("{namespace}/{name}")).cloned().unwrap_or(Err(Unusable::Absent))
    }
}

impl Around {
    fn with_certificate(name: &str) -> Self {
        Self { certificates: [(name.to_owned(), Ok(()))].into(), ..Self::default() }
    }
}

const CONTROLLER: &str = "konghq.com/gateway-operator";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn gateway(spec: Value) -> Gateway {
    let mut spec = spec;
    spec["gatewayClassName"] = json!("kong");
    let metadata = json!({ "name": "edge", "namespace": "team", "uid": "u-1", "generation": 3 });
    serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec,
    }))
    .unwrap()
}

fn listening(listeners: Value) -> Gateway {
    gateway(json!({ "listeners": listeners }))
}

fn known(around: &Around) -> Known<'_> {
    Known {
        controller: CONTROLLER,
        parameters: Ok(GatewayConfigurationSpec::default()),
        sets: None,
        routes: &[],
        world: around,
    }
}

fn set(name: &str, namespace: &str, listeners: Value) -> Arc<ListenerSet> {
    let metadata = json!({ "name": name, "namespace": namespace, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z" });
    let parent = json!({ "name": "edge", "namespace": "team" });
    let object = json!({ "metadata": metadata, "spec": { "parentRef": parent, "listeners": listeners } });
    let mut object = object;
    object["apiVersion"] = json!("gateway.networking.k8s.io/v1");
    object["kind"] = json!("ListenerSet");
    Arc::new(serde_json::from_value(object).unwrap())
}

fn dataplane(conditions: &[(&str, &str)], addresses: Value) -> crds::DataPlane {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(type_, status)| {
            json!({
                "type": type_, "status": status, "reason": "R", "message": "words", "observedGeneration": 7,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
        "metadata": { "name": "edge", "namespace": "team", "generation": 7 },
        "spec": {},
        "status": { "conditions": conditions, "service": "s", "addresses": addresses, "observedGeneration": 7 },
    }))
    .unwrap()
}

fn serving() -> crds::DataPlane {
    let address = json!([{ "type": "IPAddress", "value": "192.0.2.1", "sourceType": "PublicLoadBalancer" }]);
    dataplane(&[("Ready", "True"), ("RolledOut", "True")], address)
}

fn seen(dataplane: &crds::DataPlane) -> Seen<'_> {
    Seen { dataplane: Some(dataplane), controlplane: None, before: &[], now: now() }
}

fn told<'a>(conditions: &'a [Condition], type_: &str) -> (&'a str, &'a str) {
    let found = crds::conditions::get(conditions, type_);
    found.map_or(("absent", ""), |found| (found.status.as_str(), found.reason.as_str()))
}

fn of_gateway_status<'a>(status: &'a GatewayStatus, type_: &str) -> (&'a str, &'a str) {
    told(status.conditions.as_deref().unwrap_or_default(), type_)
}

fn of_listener<'a>(status: &'a GatewayStatus, name: &str, type_: &str) -> (&'a str, &'a str) {
    let listeners = status.listeners.as_deref().unwrap_or_default();
    told(&listeners.iter().find(|listener| listener.name == name).unwrap().conditions, type_)
}
