//! From a Gateway to an answer, and what is said of it meanwhile.

use std::net::SocketAddr;

use crds::k8s::{Deployment, NetworkPolicy, Service};
use crds::{ControlPlane, DataPlane, names};
use futures::TryStreamExt;
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::runtime::{WatchStreamExt, watcher};
use tests::{audit, http};

use super::{
    BACK, address, change, class, configure, gateway, http, listener, of_listener, programmed, said, until,
};
use anyhow::{Context, Result, ensure};
use crds::conditions;
use gateway_api::gateways::Gateway;
use kube::api::Api;
use serde_json::json;
use std::time::Duration;
use tests::wait;
use tests::world::{SOON, Scenario};

pub async fn a_gateway_is_served_and_leaves_nothing(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    let object = programmed(&s, "edge").await?;
    let all = object.status.iter().flat_map(|status| status.conditions.iter().flatten());
    for condition in all {
        ensure!(condition.observed_generation == object.metadata.generation, "{condition:?}");
    }
    let to = SocketAddr::new(address(&object)?, 80);
    http::until(&s.world.cluster, to, "/", BACK, |answer| answer.body.contains("no Route matched")).await?;
    let policy: NetworkPolicy = s.api().get(&names::network_policy("edge")).await?;
    let owner = object.uid().context("no uid")?;
    let dataplane: DataPlane = s.api().get("edge").await?;
    let controlplane: ControlPlane = s.api().get("edge").await?;
    for owners in [policy.owner_references(), dataplane.owner_references(), controlplane.owner_references()] {
        ensure!(
            owners.iter().any(|found| found.uid == owner && found.controller == Some(true)),
            "{owners:?}"
        );
    }
    let api: Api<Gateway> = s.api();
    api.delete("edge", &DeleteParams::default()).await?;
    wait::gone(&s.api::<DataPlane>(), "edge", SOON).await?;
    wait::gone(&s.api::<ControlPlane>(), "edge", SOON).await?;
    wait::gone(&s.api::<NetworkPolicy>(), &names::network_policy("edge"), SOON).await?;
    wait::gone(&s.api::<Service>(), &names::ingress_service("edge"), SOON).await?;
    wait::gone(&s.api::<Deployment>(), &names::deployment("edge", names::values::FIRST_TRACK), SOON).await
}

pub async fn a_new_listener_opens_its_port_and_the_others_stay_programmed(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    let before = programmed(&s, "edge").await?;
    let to = address(&before)?;
    change(&s, "edge", json!({ "listeners": [http("http", 80), http("alt", 8080)] })).await?;
    // Every state from here on: the old listener is never taken for unserved.
    let follow = async {
        let selector = watcher::Config::default().fields("metadata.name=edge");
        let mut states = std::pin::pin!(watcher(s.api::<Gateway>(), selector).applied_objects());
        while let Some(object) = states.try_next().await? {
            let at = |name: &str| {
                let found =
                    listener(&object, name).map(|found| found.conditions.as_slice()).unwrap_or_default();
                conditions::holds(found, "Programmed")
            };
            ensure!(at("http"), "the first listener is not programmed: {:?}", object.status);
            let all = object
                .status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten())
                .cloned()
                .collect::<Vec<_>>();
            ensure!(conditions::holds(&all, "Programmed"), "the Gateway is not programmed: {all:?}");
            if at("alt") && object.metadata.generation == Some(2) {
                return Ok(());
            }
        }
        anyhow::bail!("the watch ended")
    };
    tokio::time::timeout(SOON, follow).await.context("the new listener is not programmed")??;
    // What is programmed answers, once the rules of the node have moved.
    let to = SocketAddr::new(to, 8080);
    http::until(&s.world.cluster, to, "/", BACK, |answer| answer.body.contains("no Route matched")).await?;
    change(&s, "edge", json!({ "listeners": [http("alt", 8080)] })).await?;
    until(&s, "edge", |object| {
        listener(object, "http").is_none() && said(object, "Programmed") == Some(("True", "Programmed"))
    })
    .await
    .map(drop)
}

pub async fn a_gateway_without_a_load_balancer_says_so_and_heals(s: Scenario) -> Result<()> {
    class(&s).await?;
    // Nobody in the box gives addresses of this class.
    configure(&s, "own", json!({ "dataPlaneOptions": { "network": { "services": { "ingress": { "type": "LoadBalancer" } } } } })).await?;
    let reference =
        json!({ "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": "own" });
    let spec = json!({
        "listeners": [http("http", 80)], "infrastructure": { "parametersRef": reference },
        "addresses": [{ "type": "IPAddress", "value": "203.0.113.9" }],
    });
    gateway(&s, "edge", spec).await?;
    until(&s, "edge", |object| {
        said(object, "Accepted") == Some(("True", "Accepted"))
            && said(object, "Programmed") == Some(("False", "AddressNotUsable"))
    })
    .await?;
    change(&s, "edge", json!({ "addresses": [{ "type": "example.com/none", "value": "x" }] })).await?;
    until(&s, "edge", |object| said(object, "Accepted") == Some(("False", "UnsupportedAddress"))).await?;
    change(&s, "edge", json!({ "addresses": [{ "type": "IPAddress" }] })).await?;
    let object = programmed(&s, "edge").await?;
    let found = address(&object)?.to_string();
    change(&s, "edge", json!({ "addresses": [{ "type": "IPAddress", "value": found }] })).await?;
    let object = programmed(&s, "edge").await?;
    let addresses = object.status.and_then(|status| status.addresses).unwrap_or_default();
    ensure!(addresses.len() == 1 && addresses[0].value == found, "{addresses:?}");
    Ok(())
}

/// How long nothing may be written.
const QUIET: Duration = Duration::from_secs(10);

pub async fn at_rest_nothing_is_written(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80), http("alt", 8080)] })).await?;
    programmed(&s, "edge").await?;
    until(&s, "edge", |object| of_listener(object, "alt", "Programmed") == Some(("True", "Programmed")))
        .await?;
    // The last of what is under way: of its own the ControlPlane has no pods here.
    until(&s, "edge", |object| {
        let all = object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::get(all, "ControlPlaneReady").is_some_and(|found| found.message.contains("ScaledToZero"))
    })
    .await?;
    let rolled = |dataplane: &DataPlane| conditions::holds(dataplane.conditions(), "RolledOut");
    wait::until(&s.api(), "edge", SOON, rolled).await?;
    // Of the ControlPlane others tell: only these three are looked at.
    let of_ours = |all: Vec<String>| -> Vec<String> {
        let ours = |request: &String| {
            ["gateways/", "dataplanes/", "networkpolicies/"].iter().any(|kind| request.contains(kind))
        };
        all.into_iter().filter(ours).collect()
    };
    let before = of_ours(audit::within(&s.world.cluster, &s.namespace)?);
    println!("requests for a Gateway, its DataPlane and its NetworkPolicy: {before:?}");
    let quiet = wait::any(&s.api::<Gateway>(), QUIET, |object| object.metadata.generation == Some(99)).await;
    ensure!(quiet.is_err(), "the Gateway changed by itself");
    let after = of_ours(audit::within(&s.world.cluster, &s.namespace)?);
    ensure!(after.len() == before.len(), "at rest the operator sent: {:?}", &after[before.len()..]);
    Ok(())
}
