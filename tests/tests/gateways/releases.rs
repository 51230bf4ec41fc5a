//! Older releases of Kong Ingress Controller, which know fewer flags, gates and kinds, and requests that are told apart by
//! a header.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use crds::ControlPlane;
use gateway_api::httproutes::HttpRoute;
use kube::api::PostParams;
use serde_json::json;
use tests::world::Scenario;
use tests::{http, wait};

use super::routed::{CONFIGURED, answered, backend, configured, route, small};
use super::{CONTROLLER, address, configure, gateway, http as plain, make_class};

/// Between two requests.
const BETWEEN: Duration = Duration::from_millis(200);

pub async fn older_releases_configure_a_gateway(s: Scenario) -> Result<()> {
    let parameters = json!({
        "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration",
        "name": "older", "namespace": s.namespace,
    });
    release(&s, "3.1.2").await?;
    make_class(&s, CONTROLLER, Some(parameters)).await?;
    backend(&s, "echo").await?;
    gateway(&s, "edge", json!({ "listeners": [plain("http", 80)] })).await?;
    route(&s, "all", "edge", "/").await?;
    let object = configured(&s, "edge").await?;
    answered(&s, &object, "/first").await?;
    by_header(&s).await?;
    // A newer one takes over, and what it is given arrives.
    release(&s, "3.3.1").await?;
    let is_newer = |object: &ControlPlane| {
        let all = object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let spelt = serde_json::to_string(&object.spec).unwrap_or_default();
        spelt.contains("3.3.1") && crds::conditions::holds(all, "Ready")
    };
    wait::until(&s.api(), "edge", CONFIGURED, is_newer).await?;
    let to = SocketAddr::new(address(&object)?, 80);
    let chosen = async {
        let mut ticks = tokio::time::interval(BETWEEN);
        loop {
            ticks.tick().await;
            let answer =
                http::get_with(&s.world.cluster, to, "/", &[("host", "any"), ("version", "two")]).await?;
            if answer.body.contains("\"chosen\"") {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(CONFIGURED, chosen).await??;
    let other = http::get_with(&s.world.cluster, to, "/", &[("host", "any"), ("version", "one")]).await?;
    ensure!(other.status == 200 && !other.body.contains("\"chosen\""), "{other:?}");
    Ok(())
}

/// Has the configuration ask for that release.
async fn release(s: &Scenario, version: &str) -> Result<()> {
    let mut options = small(&json!({ "type": "own" }));
    let container =
        &mut options["controlPlaneOptions"]["deployment"]["podTemplateSpec"]["spec"]["containers"][0];
    container["image"] = json!(format!("kong/kubernetes-ingress-controller:{version}"));
    // The stand-in goes by this; the real one does not know it.
    container["env"] = json!([{ "name": "STANDIN_VERSION", "value": version }]);
    configure(s, "older", options).await
}

/// A route of the requests with a header; the backend is told of it by another one.
async fn by_header(s: &Scenario) -> Result<()> {
    let matches = json!([{ "headers": [{ "name": "version", "value": "two" }] }]);
    let set = json!({ "set": [{ "name": "x-chosen", "value": "chosen" }] });
    let filters = json!([{ "type": "RequestHeaderModifier", "requestHeaderModifier": set }]);
    let rules =
        json!([{ "matches": matches, "filters": filters, "backendRefs": [{ "name": "echo", "port": 80 }] }]);
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "second" },
        "spec": { "parentRefs": [{ "name": "edge" }], "rules": rules },
    });
    s.api::<HttpRoute>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}
