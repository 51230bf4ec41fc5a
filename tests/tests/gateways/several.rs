//! One control plane for several Gateways: those of a class that is left to Kong Ingress Controller.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use crds::k8s::Service;
use crds::{ControlPlane, DataPlane, names};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::httproutes::HttpRoute;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;
use tests::world::{SOON, Scenario};
use tests::{audit, http, wait};

use super::routed::{CONFIGURED, answered, backend, class_of_kic, configured, route, small};
use super::{class_of, gateway, http as plain, listener, said};

const GATEWAYS: [&str; 3] = ["one", "two", "three"];

pub async fn one_control_plane_serves_three_gateways(s: Scenario) -> Result<()> {
    unmanaged(&s).await?;
    backend(&s, "echo").await?;
    let mut options = small(&json!({ "type": "own" }));
    s.dataplane("shared", options["dataPlaneOptions"].take()).await?;
    let mut control = options["controlPlaneOptions"].take();
    control["dataplane"] = json!("shared");
    control["gatewayClass"] = json!(class_of(&s));
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "ControlPlane",
        "metadata": { "name": "shared" }, "spec": control,
    });
    s.api::<ControlPlane>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    for name in GATEWAYS {
        gateway(&s, name, json!({ "listeners": [plain("http", 80)] })).await?;
        route(&s, name, name, &format!("/{name}")).await?;
    }
    let served = |object: &Gateway| {
        said(object, "Programmed") == Some(("True", "Programmed"))
            && listener(object, "http").is_some_and(|found| found.attached_routes == 1)
    };
    for name in GATEWAYS {
        wait::until(&s.api::<Gateway>(), name, CONFIGURED, served).await?;
        answers(&s, name, 200).await?;
    }
    // A Gateway that goes takes its route with it, and leaves the others'.
    s.api::<Gateway>().delete("one", &DeleteParams::default()).await?;
    answers(&s, "one", 404).await?;
    for name in ["two", "three"] {
        answers(&s, name, 200).await?;
    }
    nothing_else_is_made(&s).await
}

/// A Gateway and its route are there before a control plane that has nothing to do with them configures its Kong for the
/// first time.
pub async fn a_control_plane_without_a_class_serves_no_gateway(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    backend(&s, "echo").await?;
    gateway(&s, "edge", json!({ "listeners": [plain("http", 80)] })).await?;
    route(&s, "all", "edge", "/edge").await?;
    let edge = configured(&s, "edge").await?;
    answered(&s, &edge, "/edge").await?;
    let mut options = small(&json!({ "type": "own" }));
    s.dataplane("apart", options["dataPlaneOptions"].take()).await?;
    let mut control = options["controlPlaneOptions"].take();
    control["dataplane"] = json!("apart");
    control["ingressClass"] = json!("apart");
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "ControlPlane",
        "metadata": { "name": "apart" }, "spec": control,
    });
    s.api::<ControlPlane>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    // Kong is ready once it was configured.
    let ready = |found: &DataPlane| crds::conditions::holds(found.conditions(), "Ready");
    let apart = wait::until(&s.api::<DataPlane>(), "apart", CONFIGURED, ready).await?;
    let found = apart.status.and_then(|status| status.addresses).unwrap_or_default();
    let to = SocketAddr::new(found.first().context("no address")?.value.parse()?, 80);
    // What is pushed after all of that was seen has the Gateway's route too, if anything ever has.
    ingress(&s, "/apart").await?;
    http::until(&s.world.cluster, to, "/apart", CONFIGURED, |answer| answer.status.is_success()).await?;
    let answer = http::get(&s.world.cluster, to, "any", "/edge").await?;
    ensure!(answer.status == 404, "a Gateway's route is served by a stranger: {answer:?}");
    // What the Gateway's own says of the route stays.
    let route = s.api::<HttpRoute>().get("all").await?;
    let parents = route.status.map(|status| status.parents).unwrap_or_default();
    ensure!(parents.len() == 1, "{parents:?}");
    Ok(())
}

/// Makes an Ingress of the class `apart`.
async fn ingress(s: &Scenario, path: &str) -> Result<()> {
    let backend = json!({ "service": { "name": "echo", "port": { "number": 80 } } });
    let paths = json!([{ "path": path, "pathType": "Prefix", "backend": backend }]);
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": "apart", "annotations": { "kubernetes.io/ingress.class": "apart" } },
        "spec": { "rules": [{ "http": { "paths": paths } }] },
    });
    s.api::<Ingress>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Makes a class whose Gateways are left to Kong Ingress Controller. Its controller is a name of its own: Kong Ingress
/// Controller accepts every class of its name, and would take turns with the operator on those with broken parameters.
async fn unmanaged(s: &Scenario) -> Result<()> {
    let notes = json!({ "konghq.com/gatewayclass-unmanaged": "true" });
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": class_of(s), "annotations": notes },
        "spec": { "controllerName": format!("example.com/{}", s.namespace) },
    });
    let all: Api<GatewayClass> = Api::all(s.world.client.clone());
    all.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

async fn answers(s: &Scenario, path: &str, status: u16) -> Result<()> {
    let service: Service = s.api().get(&names::ingress_service("shared")).await?;
    let own: IpAddr = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?.parse()?;
    let good = |answer: &http::Answer| answer.status == status;
    let path = format!("/{path}");
    http::until(&s.world.cluster, SocketAddr::new(own, 80), &path, CONFIGURED, good).await.map(drop)
}

/// The operator makes nothing for these Gateways and says nothing of them.
async fn nothing_else_is_made(s: &Scenario) -> Result<()> {
    wait::until(&s.api::<ControlPlane>(), "shared", SOON, |_| true).await?;
    let planes = s.api::<DataPlane>().list(&ListParams::default()).await?;
    ensure!(planes.items.len() == 1, "{} data planes", planes.items.len());
    let requests = audit::within(&s.world.cluster, &s.namespace)?;
    let about: Vec<_> = requests.iter().filter(|request| request.contains(" gateways/")).collect();
    ensure!(about.is_empty(), "the operator asked about Gateways that are not its: {about:?}");
    let routes = s.api::<HttpRoute>().list(&ListParams::default()).await?;
    ensure!(routes.items.len() == GATEWAYS.len());
    Ok(())
}
