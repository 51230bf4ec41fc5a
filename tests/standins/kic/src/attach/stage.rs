//! A cluster for tests of decisions.
//! In: objects as JSON. Out: a snapshot and options.

use std::sync::Arc;

use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::cluster::cache::{Entry, Kept};
use crate::cluster::caches::Snapshot;
use crate::settings::values::Named;
use crate::translate::view::Options;
use crate::version::Release;

/// A cluster.
pub struct Stage {
    pub snapshot: Snapshot,
    pub options: Options,
}

impl Default for Stage {
    fn default() -> Self {
        let options = Options {
            release: Release(3, 5, 13),
            kong: Release(3, 9, 3),
            expressions: false,
            ingress_class: "kong".into(),
            controller: "example.com/kic".into(),
            gateway: None,
            drains: false,
        };
        Self { snapshot: Snapshot::default(), options }
    }
}

/// An object as a cache holds it.
pub fn entry<T: Kept>(object: &Value) -> (Named, Arc<Entry<T>>) {
    let raw: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let read = T::read(&raw).unwrap();
    let key = Named::new(
        raw.metadata.namespace.as_deref().unwrap_or_default(),
        raw.metadata.name.as_deref().unwrap(),
    );
    (key, Arc::new(Entry { raw, read }))
}

macro_rules! puts {
    ($($put:ident: $field:ident),+) => {
        impl Stage {
            $(pub fn $put(&mut self, object: &Value) {
                let (key, entry) = entry(object);
                self.snapshot.$field.insert(key, entry);
            })+
        }
    };
}

puts!(service: services, slice: slices, secret: secrets, namespace: namespaces, ingress: ingresses, gateway: gateways, class: classes);

impl Stage {
    pub fn grant(&mut self, object: &Value) {
        self.snapshot.grants.push(entry(object).1);
    }
}

/// A class of ours that was accepted.
pub fn class() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "c", "generation": 1}, "spec": {"controllerName": "example.com/kic"},
        "status": {"conditions": [held("Accepted", 1)]},
    })
}

/// A Gateway with one listener, all of it ready.
pub fn gateway() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "gw", "namespace": "ns", "generation": 7},
        "spec": {"gatewayClassName": "c", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        "status": {
            "conditions": [held("Accepted", 7), held("Programmed", 7)],
            "listeners": [{"name": "http", "attachedRoutes": 0, "conditions": [held("Programmed", 7)],
                "supportedKinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]}],
        },
    })
}

/// A route to the Gateway and to a Service.
pub fn route() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "r", "namespace": "ns", "generation": 3, "uid": "u"},
        "spec": {"parentRefs": [{"name": "gw"}], "hostnames": ["a.test"],
            "rules": [{"backendRefs": [{"name": "echo", "port": 80}]}]},
    })
}

/// A Service with an endpoint.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "ns", "uid": "s"},
        "spec": {"ports": [{"name": "web", "port": 80, "targetPort": 3000}]},
    })
}

/// The endpoints of such a Service.
pub fn slice(name: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<_> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{name}-1"), "namespace": "ns", "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": "web", "port": 3000}], "endpoints": endpoints,
    })
}

fn held(type_: &str, generation: i64) -> Value {
    json!({"type": type_, "status": "True", "reason": type_, "message": "", "observedGeneration": generation,
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
}
