//! Samples of Gateway API's kinds.
//!
//! In: the API types. Out: samples that answer requests as they are, on a cluster that has Gateway API's definitions.

use anyhow::Result;
use crds::k8s::{Deployment, Service};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::httproutes::HttpRoute;
use serde_json::{Value, json};

use super::{Sample, echo_deployment, echo_service, metadata, typed};

const VERSION: &str = "gateway.networking.k8s.io/v1";

/// All of them.
pub fn samples() -> Result<Vec<Sample>> {
    Ok(vec![http()?])
}

fn http() -> Result<Sample> {
    let class = json!({
        "apiVersion": VERSION, "kind": "GatewayClass", "metadata": { "name": "kong" },
        "spec": { "controllerName": crds::names::CONTROLLER },
    });
    let gateway = gateway(&json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]));
    let rule = json!({
        "backendRefs": [{ "name": "backend", "port": 80 }],
        "matches": [{ "path": { "type": "PathPrefix", "value": "/echo" } }],
    });
    let route = json!({
        "apiVersion": VERSION, "kind": "HTTPRoute", "metadata": metadata("echo"),
        "spec": { "parentRefs": [{ "name": "edge" }], "rules": [rule] },
    });
    Ok(Sample {
        name: "gateway-http",
        shows: "A Gateway with a route to a backend: the operator runs Kong and Kong Ingress Controller for it.\n\
                Try it with: curl http://ADDRESS/echo, where ADDRESS is in `kubectl get gateway edge`.",
        objects: vec![
            typed::<Deployment>(&echo_deployment("backend"))?,
            typed::<Service>(&echo_service("backend"))?,
            typed::<GatewayClass>(&class)?,
            typed::<Gateway>(&gateway)?,
            typed::<HttpRoute>(&route)?,
        ],
    })
}

fn gateway(listeners: &Value) -> Value {
    json!({
        "apiVersion": VERSION, "kind": "Gateway", "metadata": metadata("edge"),
        "spec": { "gatewayClassName": "kong", "listeners": listeners },
    })
}
