//! From an `HTTPRoute` to its backend: Kong and Kong Ingress Controller, or what stands in for them, and nothing made up.

use std::net::SocketAddr;
use std::sync::Arc;

use certs::client::{Trusts, client};
use crds::k8s::{Deployment, Pod, Secret, Service};
use futures::{FutureExt, TryStreamExt};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::httproutes::HttpRoute;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use tests::http;
use tests::traffic::{Kind, Target, Traffic, report};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{pair, put};
use super::{
    BACK, CONTROLLER, address, class_of, configure, current, gateway, http, listener, make_class, said, until,
};
use anyhow::{Context, Result, ensure};
use gateway_api::gateways::Gateway;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tests::wait;
use tests::world::{SOON, Scenario};

/// Long enough for both to start, to find each other and to be configured.
pub const CONFIGURED: Duration = Duration::from_mins(2);

/// A class whose data planes are configured by Kong Ingress Controller, as they are meant to be.
pub async fn class_of_kic(s: &Scenario) -> Result<()> {
    // Routes of other scenarios, whose status those say themselves, are none of its business.
    configure(s, "small", small(&json!({ "type": "own" }))).await?;
    let parameters = json!({
        "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration",
        "name": "small", "namespace": s.namespace,
    });
    make_class(s, CONTROLLER, Some(parameters)).await
}

/// Options of small pods; Kong Ingress Controller watches those namespaces.
pub fn small(namespaces: &Value) -> Value {
    let small =
        |name: &str| json!({ "name": name, "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    let template = |name: &str| json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [small(name)] } } } });
    let mut data = template("proxy");
    data["network"] = json!({ "services": { "ingress": { "type": "ClusterIP" } } });
    let mut control = template("controller");
    control["watchNamespaces"] = namespaces.clone();
    json!({ "dataPlaneOptions": data, "controlPlaneOptions": control })
}

/// Something that answers with what it was asked, behind a Service of that name.
pub async fn backend(s: &Scenario, name: &str) -> Result<()> {
    let container = json!({
        "name": "echo", "image": "registry.k8s.io/gateway-api/echo-basic:v1.5.1",
        "readinessProbe": { "tcpSocket": { "port": 3000 }, "periodSeconds": 1 },
        "resources": { "requests": { "cpu": "10m" } },
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    });
    let security =
        json!({ "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } });
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "containers": [container], "securityContext": security },
    });
    let spec = json!({ "selector": { "matchLabels": { "app": name } }, "template": template });
    let deployment = json!({ "metadata": { "name": name }, "spec": spec });
    s.api::<Deployment>().create(&PostParams::default(), &serde_json::from_value(deployment)?).await?;
    let service = json!({
        "metadata": { "name": name },
        "spec": { "selector": { "app": name }, "ports": [{ "port": 80, "targetPort": 3000 }] },
    });
    s.api::<Service>().create(&PostParams::default(), &serde_json::from_value(service)?).await?;
    Ok(())
}

/// Makes a route of everything below `path` to the backend.
pub async fn route(s: &Scenario, name: &str, gateway: &str, path: &str) -> Result<()> {
    let matches = json!([{ "path": { "type": "PathPrefix", "value": path } }]);
    let rules = json!([{ "matches": matches, "backendRefs": [{ "name": "echo", "port": 80 }] }]);
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": name },
        "spec": { "parentRefs": [{ "name": gateway }], "rules": rules },
    });
    s.api::<HttpRoute>().create(&PostParams::default(), &serde_json::from_value(route)?).await?;
    Ok(())
}

/// Waits until a Gateway that Kong Ingress Controller configures is programmed.
pub async fn configured(s: &Scenario, name: &str) -> Result<Gateway> {
    let served = |object: &Gateway| said(object, "Programmed") == Some(("True", "Programmed"));
    wait::until(&s.api(), name, CONFIGURED, served).await
}

/// Waits until the backend answers at a Gateway's port 80.
pub async fn answered(s: &Scenario, object: &Gateway, path: &str) -> Result<()> {
    let words = format!("\"path\":\"{path}\"");
    let answers = |answer: &http::Answer| answer.status.is_success() && answer.body.contains(&words);
    let to = SocketAddr::new(address(object)?, 80);
    http::until(&s.world.cluster, to, path, CONFIGURED, answers).await.map(drop)
}

/// Requests at a Gateway's port 80 from now on, over new connections and kept ones.
pub fn traffic(s: &Scenario, object: &Gateway) -> Result<Traffic> {
    let world = Arc::clone(&s.world);
    let dial = Arc::new(move |to| {
        let world = Arc::clone(&world);
        async move { world.cluster.connect(to).await }.boxed()
    });
    let target = Target { dial, plain: vec![SocketAddr::new(address(object)?, 80)], secure: Vec::new() };
    Traffic::start(&target, &[Kind::Fresh, Kind::Kept])
}

/// Ends them, and fails if any of them did.
pub async fn unharmed(traffic: Traffic) -> Result<()> {
    for (kind, tally) in traffic.finish().await? {
        println!("{}: {}", kind.name(), report::line(&tally));
        let first: Vec<_> = tally.failures.iter().take(5).collect();
        ensure!(first.is_empty(), "{}: requests failed: {first:?}", kind.name());
    }
    Ok(())
}

async fn missing(s: &Scenario, object: &Gateway, path: &str) -> Result<()> {
    let answer = http::get(&s.world.cluster, SocketAddr::new(address(object)?, 80), "any", path).await?;
    ensure!(answer.status == 404, "{path}: {answer:?}");
    Ok(())
}

pub async fn a_route_reaches_its_backend_through_kic(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    backend(&s, "echo").await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    route(&s, "echo", "edge", "/echo").await?;
    let object = configured(&s, "edge").await?;
    answered(&s, &object, "/echo").await?;
    let attached =
        |object: &Gateway| listener(object, "http").is_some_and(|found| found.attached_routes == 1);
    let object = until(&s, "edge", attached).await?;
    ensure!(said(&object, "Programmed") == Some(("True", "Programmed")), "{:?}", object.status);
    missing(&s, &object, "/nowhere").await?;
    a_killed_controller_interrupts_nothing(&s, &object).await
}

/// Ends every pod of Kong Ingress Controller without a word.
pub async fn kill_controllers(s: &Scenario) -> Result<()> {
    let pods: Api<Pod> = s.api();
    let ours = ListParams::default().labels("app=edge,gateway-operator.konghq.com/managed-by=controlplane");
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let killed = pods.list(&ours).await?;
    ensure!(!killed.items.is_empty(), "no pod of Kong Ingress Controller");
    for pod in &killed.items {
        pods.delete(&pod.name_any(), &at_once).await?;
    }
    Ok(())
}

/// What is served stays programmed and is answered while another Kong Ingress Controller takes over.
async fn a_killed_controller_interrupts_nothing(s: &Scenario, object: &Gateway) -> Result<()> {
    kill_controllers(s).await?;
    // Its lease runs out first; then it takes what changed meanwhile.
    route(s, "later", "edge", "/later").await?;
    let programmed_all_along = async {
        let selector = watcher::Config::default().fields("metadata.name=edge");
        let mut states = std::pin::pin!(watcher(s.api::<Gateway>(), selector).applied_objects());
        while let Some(state) = states.try_next().await? {
            ensure!(said(&state, "Programmed") == Some(("True", "Programmed")), "{:?}", state.status);
        }
        anyhow::bail!("the watch ended")
    };
    tokio::select! {
        broken = programmed_all_along => broken,
        answered = answered(s, object, "/later") => answered,
    }
}

pub async fn two_gateways_of_a_namespace_serve_their_own_routes_only(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    backend(&s, "echo").await?;
    for name in ["one", "two"] {
        gateway(&s, name, json!({ "listeners": [http("http", 80)] })).await?;
        route(&s, name, name, &format!("/{name}")).await?;
    }
    let (one, two) = (configured(&s, "one").await?, configured(&s, "two").await?);
    answered(&s, &one, "/one").await?;
    answered(&s, &two, "/two").await?;
    missing(&s, &one, "/two").await?;
    missing(&s, &two, "/one").await?;
    let api: Api<Gateway> = s.api();
    api.delete("one", &DeleteParams::default()).await?;
    wait::gone(&s.api::<crds::ControlPlane>(), "one", SOON).await?;
    answered(&s, &two, "/two").await
}

pub async fn a_listener_serves_its_certificate_and_the_next_one(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    let https = json!({ "name": "https", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "site" }] } });
    let bad = json!({ "name": "bad", "port": 1111, "protocol": "INVALID" });
    // The bad listener is there so that its neighbour's certificate is seen to be served all the same.
    gateway(&s, "edge", json!({ "listeners": [https, bad] })).await?;
    let secrets: Api<Secret> = s.api();
    let (certificate, key) = pair()?;
    put(&secrets, "kubernetes.io/tls", &certificate, &key).await?;
    let object = configured(&s, "edge").await?;
    let to = SocketAddr::new(address(&object)?, 443);
    shown(&s, to, &certificate).await?;
    let (certificate, key) = pair()?;
    let data = json!({ "stringData": { "tls.crt": certificate, "tls.key": key } });
    secrets.patch("site", &PatchParams::default(), &Patch::Merge(data)).await?;
    shown(&s, to, &certificate).await.map(drop)
}

/// Waits until a client is shown this very certificate; gives the connection.
pub async fn shown(s: &Scenario, to: SocketAddr, certificate: &str) -> Result<TlsStream<TcpStream>> {
    let asked = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticks.tick().await;
            let Ok(stream) = s.world.cluster.connect(to).await else { continue };
            let config = client(Trusts::Only(certificate), SystemTime::now())?;
            let name = "a.example".try_into()?;
            if let Ok(stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await {
                return Ok(stream);
            }
        }
    };
    tokio::time::timeout(CONFIGURED, asked).await.context("another certificate is shown")?
}

pub async fn a_class_that_breaks_is_not_fought_over(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    configured(&s, "edge").await?;
    let all: Api<GatewayClass> = Api::all(s.world.client.clone());
    let name = class_of(&s);
    let broken = json!({ "spec": { "parametersRef": { "kind": "ConfigMap" } } });
    all.patch(&name, &PatchParams::default(), &Patch::Merge(broken)).await?;
    let is = |class: &GatewayClass, wanted: (&str, &str)| {
        let conditions = class.status.as_ref().and_then(|status| status.conditions.as_deref());
        current(conditions.unwrap_or_default(), "Accepted", class.metadata.generation) == Some(wanted)
    };
    let refused = ("False", "InvalidParameters");
    wait::until(&all, &name, BACK, |class| is(class, refused)).await?;
    // Kong Ingress Controller would say yes at once, if it could.
    let other = wait::until(&all, &name, BACK, |class| !is(class, refused)).await;
    ensure!(other.is_err(), "somebody else writes the status of the class: {other:?}");
    let object: Gateway = s.api().get("edge").await?;
    ensure!(said(&object, "Accepted") == Some(refused), "{:?}", object.status);
    Ok(())
}
