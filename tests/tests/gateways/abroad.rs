//! A route of another namespace, whose backends are in the Gateway's: who lets whom in, and how requests are divided.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use crds::WatchNamespaceGrant;
use crds::conditions;
use crds::k8s::Namespace;
use gateway_api::httproutes::HttpRoute;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::Scenario;
use tests::{http, wait};

use super::routed::{CONFIGURED, backend, class_of_kic, configured, small};
use super::{address, configure, gateway, listener, until};

/// Requests over backends of weights 3 and 1.
const REQUESTS: usize = 40;
/// What the second backend may get of them: its share is 10, and each worker of a real Kong counts for itself.
const SHARE: std::ops::RangeInclusive<usize> = 8..=12;

pub async fn a_route_from_abroad_is_let_in_and_divides_by_weight(s: Scenario) -> Result<()> {
    let abroad = abroad(&s).await?;
    class_of_kic(&s).await?;
    configure(&s, "small", small(&json!({ "type": "list", "list": [abroad] }))).await?;
    for name in ["echo", "second"] {
        backend(&s, name).await?;
    }
    let selector = json!({ "from": "Selector", "selector": { "matchLabels": { "expose": s.namespace } } });
    let listening = json!({ "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": { "namespaces": selector } });
    gateway(&s, "edge", json!({ "listeners": [listening] })).await?;
    let routes: Api<HttpRoute> = Api::namespaced(s.world.client.clone(), &abroad);
    routes.create(&PostParams::default(), &serde_json::from_value(weighted(&s))?).await?;
    let to = SocketAddr::new(address(&configured(&s, "edge").await?)?, 80);
    // The listener lets the route in; the backends' namespace does not let it refer to them.
    wait::until(&routes, "weighted", CONFIGURED, |route| said(route, "ResolvedRefs", "RefNotPermitted"))
        .await?;
    http::until(&s.world.cluster, to, "/weighted", CONFIGURED, |a| a.status.is_server_error()).await?;
    grant(&s, &abroad).await?;
    wait::until(&routes, "weighted", CONFIGURED, |route| said(route, "ResolvedRefs", "ResolvedRefs")).await?;
    http::until(&s.world.cluster, to, "/weighted", CONFIGURED, |a| a.status == 200).await?;
    until(&s, "edge", |object| listener(object, "http").is_some_and(|found| found.attached_routes == 1))
        .await?;
    divided(&s, to).await?;
    // What the listener goes by is taken away.
    label(&s, &abroad, &json!({ "expose": null })).await?;
    http::until(&s.world.cluster, to, "/weighted", CONFIGURED, |a| a.status == 404).await?;
    until(&s, "edge", |object| listener(object, "http").is_some_and(|found| found.attached_routes == 0))
        .await?;
    Ok(())
}

/// Makes another namespace that lets itself be watched.
async fn abroad(s: &Scenario) -> Result<String> {
    let name = format!("{}-apps", &s.namespace[..20]);
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let object = json!({ "metadata": { "name": name, "labels": { "expose": s.namespace } } });
    namespaces.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let from =
        json!({ "group": "gateway-operator.konghq.com", "kind": "ControlPlane", "namespace": s.namespace });
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1alpha1", "kind": "WatchNamespaceGrant",
        "metadata": { "name": "reader" }, "spec": { "from": [from] },
    });
    let grants: Api<WatchNamespaceGrant> = Api::namespaced(s.world.client.clone(), &name);
    grants.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(name)
}

async fn label(s: &Scenario, namespace: &str, labels: &Value) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let change = json!({ "metadata": { "labels": labels } });
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(())
}

fn weighted(s: &Scenario) -> Value {
    let backend = |name: &str, weight: u8| json!({ "name": name, "namespace": s.namespace, "port": 80, "weight": weight });
    let matches = json!([{ "path": { "type": "PathPrefix", "value": "/weighted" } }]);
    let rules = json!([{ "matches": matches, "backendRefs": [backend("echo", 3), backend("second", 1)] }]);
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "weighted" },
        "spec": { "parentRefs": [{ "name": "edge", "namespace": s.namespace }], "rules": rules },
    })
}

/// Lets routes of another namespace refer to Services of the scenario's.
async fn grant(s: &Scenario, from: &str) -> Result<()> {
    let kind = ApiResource {
        group: "gateway.networking.k8s.io".into(),
        version: "v1beta1".into(),
        api_version: "gateway.networking.k8s.io/v1beta1".into(),
        kind: "ReferenceGrant".into(),
        plural: "referencegrants".into(),
    };
    let grants: Api<DynamicObject> = Api::namespaced_with(s.world.client.clone(), &s.namespace, &kind);
    let from = json!([{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": from }]);
    let grant = json!({
        "apiVersion": kind.api_version, "kind": kind.kind, "metadata": { "name": "leave" },
        "spec": { "from": from, "to": [{ "group": "", "kind": "Service" }] },
    });
    grants.create(&PostParams::default(), &serde_json::from_value(grant)?).await?;
    Ok(())
}

/// Whether a condition of the route's only parent has that reason.
fn said(route: &HttpRoute, type_: &str, reason: &str) -> bool {
    let parents = route.status.as_ref().map(|status| status.parents.as_slice()).unwrap_or_default();
    let found = parents.first().and_then(|parent| conditions::get(&parent.conditions, type_));
    found.is_some_and(|found| found.reason == reason)
}

/// The backends answer as often as their weights say.
async fn divided(s: &Scenario, to: SocketAddr) -> Result<()> {
    let mut pods: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..REQUESTS {
        let answer = http::get(&s.world.cluster, to, "any", "/weighted").await?;
        ensure!(answer.status == 200, "{answer:?}");
        let pod = answer.headers.get("x-echo-pod").and_then(|pod| pod.to_str().ok()).unwrap_or_default();
        *pods.entry(pod.split('-').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    println!("{REQUESTS} requests over weights 3 and 1: {pods:?}");
    ensure!(pods.get("second").is_some_and(|count| SHARE.contains(count)), "{pods:?}");
    Ok(())
}
