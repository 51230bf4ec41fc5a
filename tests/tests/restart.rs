//! A settled `DataPlane` costs nothing: not while nothing happens, and not when the operator is killed and started.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::conditions;
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use kube::api::{Api, PostParams};
use serde_json::json;
use tests::world::{self, SOON, Scenario};
use tests::{Operator, artifacts, audit, scenarios, wait};

/// How many settled objects the operator finds when it starts.
const SETTLED: usize = 3;

fn main() -> ExitCode {
    let archives = artifacts::image("kic").into_iter().collect();
    let options = Options { gateway_api: true, archives, ..Options::default() };
    world::run(options, scenarios![a_killed_and_restarted_operator_writes_nothing])
}

/// Makes a Gateway with all that belongs to it, and waits until it is programmed.
async fn gateway(s: &Scenario) -> Result<()> {
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": { "name": "kong" },
        "spec": { "controllerName": "konghq.com/gateway-operator" },
    });
    Api::<GatewayClass>::all(s.world.client.clone())
        .create(&PostParams::default(), &serde_json::from_value(class)?)
        .await?;
    let listeners = json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]);
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "edge" },
        "spec": { "gatewayClassName": "kong", "listeners": listeners },
    });
    s.api::<Gateway>().create(&PostParams::default(), &serde_json::from_value(gateway)?).await?;
    for condition in ["Programmed", "ControlPlaneReady"] {
        let told = |object: &Gateway| {
            let status = object.status.as_ref().and_then(|status| status.conditions.as_deref());
            conditions::holds(status.unwrap_or_default(), condition)
        };
        wait::until(&s.api(), "edge", 2 * SOON, told).await?;
    }
    s.reason("edge", "RolledOut", "RolledOut").await.map(drop)
}

async fn a_killed_and_restarted_operator_writes_nothing(s: Scenario) -> Result<()> {
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    let spec = json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } });
    for number in 0..SETTLED {
        s.dataplane(&format!("edge-{number}"), spec.clone()).await?;
    }
    for number in 0..SETTLED {
        s.ready(&format!("edge-{number}")).await?;
        s.reason(&format!("edge-{number}"), "RolledOut", "RolledOut").await?;
        s.reason(&format!("edge-{number}"), "AddressAssigned", "AddressAssigned").await?;
    }
    gateway(&s).await?;
    let first = audit::requests(&s.world.cluster)?;
    println!("to settle {SETTLED} DataPlanes: {first:?}");

    let mut running = s.world.operator.lock().await;
    running.take().context("no operator")?.kill().await?;
    let before = audit::requests(&s.world.cluster)?;
    let here = audit::within(&s.world.cluster, &s.namespace)?.len();
    let operator = running
        .insert(Operator::start(&s.world.cluster, &artifacts::operator()?, s.world.folder.path()).await?);
    let metrics = operator.settled(&s.world.cluster, SETTLED + 1).await?;
    let after = audit::requests(&s.world.cluster)?;
    ensure!(!metrics.contains("silverback_writes_total{"), "the operator counted writes:\n{metrics}");
    let news = audit::since(&before, &after);
    println!("after a restart: {news:?}");
    ensure!(audit::writes(&news) == 0, "the restarted operator sent: {news:?}");
    let here = audit::within(&s.world.cluster, &s.namespace)?.split_off(here);
    ensure!(here.is_empty(), "the restarted operator asked for objects of the DataPlanes: {here:?}");
    // Of its own: the Secret of the authority, the version of the API server, and which of the kinds that it knows are
    // served; of a kind whose definition is there and whose version is not, a few times. Everything else comes from watches.
    ensure!(news.get("get").copied().unwrap_or(0) <= 45, "the restarted operator read: {news:?}");
    Ok(())
}
