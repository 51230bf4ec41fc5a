//! Configurations that Kong refuses.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::http;
use tests::world::Scenario;

use crate::manifests::{class, gateway, kic, kong, prefix, refused, route};
use crate::stage::{Stage, holds};

/// More than two rounds.
const ROUNDS: Duration = Duration::from_secs(3);

pub async fn one_bad_route_blocks_the_others_until_the_fallback_is_on(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    stage.serve(1, &[]).await?;
    let class = class(&own, true);
    for object in [&class, &gateway(&own), &route("first", &prefix("/first"))] {
        stage.apply(object).await?;
    }
    stage.answers("/first", 200).await?;
    let bad = route("bad", &refused());
    stage.apply(&bad).await?;
    let event = stage.event("HTTPRoute", "bad", "KongConfigurationApplyFailed").await?;
    ensure!(event.message.as_deref().is_some_and(|text| text.starts_with("invalid paths")), "{event:?}");
    let good = route("second", &prefix("/second"));
    stage.apply(&good).await?;
    let waits = |r: &serde_json::Value| {
        holds(&r["status"]["parents"][0]["conditions"], "Programmed", "Unknown", "Unknown")
    };
    stage.until(&good, waits).await?;
    tokio::time::sleep(ROUNDS).await;
    ensure!(stage.asked("/second").await? == 404, "a bad route did not block a good one");
    ensure!(stage.asked("/first").await? == 200, "the last valid configuration went");
    // The fallback needs no restart of Kong, and leaves the bad route out.
    let gate = ("CONTROLLER_FEATURE_GATES", "FallbackConfiguration=true");
    stage.apply(&kic(&own, &[gate])).await?;
    stage.answers("/second", 200).await?;
    ensure!(stage.asked("/first").await? == 200, "the fallback lost a route");
    stage.delete(&bad).await?;
    let done = |r: &serde_json::Value| {
        holds(&r["status"]["parents"][0]["conditions"], "Programmed", "True", "ConfiguredInGateway")
    };
    stage.until(&good, done).await?;
    stage.delete(&class).await?;
    stage.end().await
}

pub async fn the_last_valid_configuration_outlives_its_controller(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    stage.serve(1, &[]).await?;
    let class = class(&own, true);
    for object in [&class, &gateway(&own), &route("first", &prefix("/first"))] {
        stage.apply(object).await?;
    }
    stage.answers("/first", 200).await?;
    stage.apply(&route("bad", &refused())).await?;
    stage.event("HTTPRoute", "bad", "KongConfigurationApplyFailed").await?;
    // Only Kong has it now: the next controller reads it from there, and gives it to the next Kong.
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": stage.kic().await?.metadata.name } });
    stage.delete(&pod).await?;
    stage.apply(&kong(2)).await?;
    stage.available("kong").await?;
    for address in stage.pods("kong").await? {
        let answer = http::get(&stage.scenario.world.cluster, address, "any", "/first").await?;
        ensure!(answer.status == 200, "{address} has not got it: {answer:?}");
    }
    stage.delete(&class).await?;
    stage.end().await
}
