//! What an `HTTPRoute` can ask for, from the route to the backend.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::http;
use tests::world::Scenario;

use crate::manifests::{class, echo, gateway, prefix, route};
use crate::stage::Stage;

/// Requests over two backends of weights 3 and 1.
const REQUESTS: usize = 40;

pub async fn weights_and_filters_act(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    let mut second = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "second" },
        "spec": { "ports": [{ "port": 80, "targetPort": 3000 }] } });
    second["spec"]["selector"] = json!({ "app": "second" });
    let (class, gateway) = (class(&own, true), gateway(&own));
    for object in [&second, &echo("second"), &class, &gateway] {
        stage.apply(object).await?;
    }
    stage.serve(1, &[]).await?;
    stage.available("second").await?;
    let mut weighted = route("weighted", &prefix("/weighted"));
    weighted["spec"]["rules"][0]["backendRefs"] =
        json!([{ "name": "echo", "port": 80, "weight": 3 }, { "name": "second", "port": 80, "weight": 1 }]);
    let mut changed = route("changed", &prefix("/old"));
    changed["spec"]["rules"][0]["filters"] = json!([
        { "type": "RequestHeaderModifier", "requestHeaderModifier": { "set": [{ "name": "x-asked", "value": "yes" }] } },
        { "type": "ResponseHeaderModifier", "responseHeaderModifier": { "add": [{ "name": "x-answered", "value": "yes" }] } },
        { "type": "URLRewrite", "urlRewrite": { "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/new" } } },
    ]);
    let mut moved = route("moved", &prefix("/moved"));
    moved["spec"]["rules"][0]["filters"] = json!([
        { "type": "RequestRedirect", "requestRedirect": { "hostname": "other.test", "statusCode": 301 } },
    ]);
    moved["spec"]["rules"][0]["backendRefs"] = json!([]);
    for object in [&weighted, &changed, &moved] {
        stage.apply(object).await?;
    }
    let answer = stage.answers("/old/x", 200).await?;
    ensure!(answer.headers.get("x-answered").is_some_and(|value| value == "yes"), "{:?}", answer.headers);
    ensure!(
        answer.body.contains("/new/x") && answer.body.to_lowercase().contains("x-asked"),
        "{}",
        answer.body
    );
    let answer = stage.answers("/moved/y", 301).await?;
    let location = answer.headers.get("location").context("no location")?;
    ensure!(location == "http://other.test/moved/y", "{location:?}");
    stage.answers("/weighted", 200).await?;
    let mut pods: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..REQUESTS {
        let answer =
            http::get(&stage.scenario.world.cluster, stage.proxy().await?, "any", "/weighted").await?;
        let pod = answer.headers.get("x-echo-pod").and_then(|pod| pod.to_str().ok()).unwrap_or_default();
        *pods.entry(pod.split('-').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    ensure!(pods.get("second") == Some(&(REQUESTS / 4)), "{pods:?}");
    stage.delete(&class).await?;
    stage.end().await
}
