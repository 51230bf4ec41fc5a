//! One control plane for several Gateways: those of a class that is left to Kong Ingress Controller.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use crds::k8s::Service;
use crds::{ControlPlane, DataPlane, names};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use gateway_api::httproutes::HttpRoute;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;
use tests::world::{SOON, Scenario};
use tests::{audit, http, wait};

use super::routed::{CONFIGURED, backend, route, small};
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
