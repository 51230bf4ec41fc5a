//! A Gateway that somebody else provisions: the contract of its conditions.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::world::Scenario;

use crate::manifests::{class, gateway, prefix, route};
use crate::stage::{Stage, holds};

/// Longer than KIC would need to write a status.
const QUIET: Duration = Duration::from_secs(3);

/// The status that the operator writes once everything is ready.
fn programmed(generation: &Value) -> Value {
    let held = |type_: &str| {
        json!({ "type": type_, "status": "True", "reason": type_, "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z" })
    };
    json!({ "conditions": [held("Accepted"), held("Programmed")], "listeners": [{ "name": "http", "attachedRoutes": 0,
        "conditions": [held("Accepted"), held("Programmed"), held("ResolvedRefs")],
        "supportedKinds": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute" }] }] })
}

pub async fn a_route_is_served_once_its_gateway_is_programmed(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    let named = format!("{own}/gw");
    stage.serve(2, &[("CONTROLLER_GATEWAY_TO_RECONCILE", &named)]).await?;
    // KIC accepts every class of its controller.
    let class = class(&own, false);
    stage.apply(&class).await?;
    stage.until(&class, |c| holds(&c["status"]["conditions"], "Accepted", "True", "Accepted")).await?;
    let gateway = gateway(&own);
    let made = stage.apply(&gateway).await?;
    let route = route("r", &prefix("/x"));
    stage.apply(&route).await?;
    tokio::time::sleep(QUIET).await;
    let waiting = stage.until(&route, |_| true).await?;
    ensure!(waiting["status"]["parents"].as_array().is_none_or(Vec::is_empty), "it did not wait: {waiting}");
    ensure!(stage.asked("/x").await? == 404, "served before its Gateway was Programmed");
    stage.status(&gateway, &programmed(&json!(made.metadata.generation))).await?;
    let answer = stage.answers("/x/y", 200).await?;
    ensure!(answer.body.contains("/x/y"), "{}", answer.body);
    let done = stage
        .until(&route, |r| {
            holds(&r["status"]["parents"][0]["conditions"], "Programmed", "True", "ConfiguredInGateway")
        })
        .await?;
    let parent = &done["status"]["parents"][0];
    ensure!(parent["controllerName"] == format!("example.com/{own}"), "{parent}");
    ensure!(parent["parentRef"]["namespace"] == own, "{parent}");
    ensure!(holds(&parent["conditions"], "ResolvedRefs", "True", "ResolvedRefs"), "{parent}");
    // KIC wrote nothing on the Gateway.
    let seen = stage.until(&gateway, |_| true).await?;
    ensure!(seen["metadata"]["annotations"]["konghq.com/publish-service"].is_null(), "{seen}");
    ensure!(seen["status"]["listeners"][0]["attachedRoutes"] == 0, "{seen}");
    let succeeded = stage.kic().await?.metadata.name.unwrap_or_default();
    stage.event("Pod", &succeeded, "KongConfigurationSucceeded").await?;
    // A new generation keeps what is served, and lets nothing new in.
    let mut changed = gateway.clone();
    changed["spec"]["listeners"][0]["allowedRoutes"] = json!({ "namespaces": { "from": "All" } });
    stage.apply(&changed).await?;
    let late = crate::manifests::route("late", &prefix("/late"));
    stage.apply(&late).await?;
    tokio::time::sleep(QUIET).await;
    ensure!(stage.asked("/x").await? == 200 && stage.asked("/late").await? == 404, "a new generation");
    stage.delete(&route).await?;
    stage.answers("/x", 404).await?;
    stage.delete(&class).await?;
    stage.end().await
}
