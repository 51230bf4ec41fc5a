//! What ends the real one ends the stand-in: each fault in a pod of its own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::k8s::Pod;
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::manifests::{controller, kong, role};
use crate::stage::Stage;

/// Long enough for a process to have opened its ports.
const OPEN: Duration = Duration::from_secs(2);

/// Starts KIC in a pod that is not restarted.
async fn start(stage: &Stage, name: &str, more: &[(&str, &str)], arguments: &[&str]) -> Result<()> {
    // Each has a Lease of its own: none waits for another.
    let lease = ("CONTROLLER_ELECTION_ID", name);
    let more: Vec<_> = more.iter().copied().chain([lease]).collect();
    let mut spec = controller(stage.namespace(), &more, arguments);
    spec["restartPolicy"] = json!("Never");
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec });
    stage.apply(&pod).await.map(drop)
}

/// Waits until it ended with 1, and gives the last lines of its log.
async fn ended(stage: &Stage, name: &str) -> Result<String> {
    let over = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed");
    let pod = wait::until(&stage.scenario.api::<Pod>(), name, SOON, over).await?;
    let pod: Value = serde_json::to_value(pod)?;
    let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    ensure!(terminated["exitCode"] == 1, "{name} ended otherwise: {terminated}");
    terminated["message"]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("{name} left no words: {terminated}"))
}

async fn says(stage: &Stage, name: &str, words: &str) -> Result<()> {
    let log = ended(stage, name).await?;
    ensure!(log.contains(words), "{name} does not say {words:?}: {log}");
    Ok(())
}

pub async fn what_the_real_one_does_not_survive(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    let retries = |count: &'static str| ("CONTROLLER_KONG_ADMIN_INIT_RETRIES", count);
    // Without Kong: no port is open, and after its tries it ends.
    start(&stage, "no-kong", &[retries("6")], &[]).await?;
    let running =
        |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    let pod = wait::until(&stage.scenario.api::<Pod>(), "no-kong", SOON, running).await?;
    tokio::time::sleep(OPEN).await;
    let address = pod.status.and_then(|status| status.pod_ip).context("no address")?;
    for port in [10254, 10255] {
        let refused = stage.scenario.world.cluster.connect(format!("{address}:{port}").parse()?).await;
        ensure!(refused.is_err(), "port {port} is open before Kong was found");
    }
    says(&stage, "no-kong", "no endpoints for service").await?;
    // Words that are not understood.
    start(&stage, "flag", &[], &["--bogus"]).await?;
    start(&stage, "gate", &[("CONTROLLER_FEATURE_GATES", "ExpressionRoutes=true")], &[]).await?;
    start(&stage, "value", &[("CONTROLLER_PROXY_SYNC_SECONDS", "often")], &[]).await?;
    says(&stage, "flag", "unknown flag: --bogus").await?;
    says(&stage, "gate", "ExpressionRoutes is not a valid feature").await?;
    says(&stage, "value", "environment binding failed for variable CONTROLLER_PROXY_SYNC_SECONDS").await?;
    // With Kong: certificates that do not fit, kinds that are not there.
    stage.apply(&kong(1)).await?;
    let soon = ("CONTROLLER_CACHE_SYNC_TIMEOUT", "4s");
    start(&stage, "kinds", &[soon, ("CONTROLLER_ENABLE_CONTROLLER_KONGPLUGIN", "")], &[]).await?;
    let foreign =
        ("CONTROLLER_KONG_ADMIN_CA_CERT_FILE", "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
    start(&stage, "authority", &[retries("3"), foreign], &[]).await?;
    start(
        &stage,
        "client",
        &[
            retries("3"),
            ("CONTROLLER_KONG_ADMIN_TLS_CLIENT_CERT_FILE", ""),
            ("CONTROLLER_KONG_ADMIN_TLS_CLIENT_KEY_FILE", ""),
        ],
        &[],
    )
    .await?;
    says(&stage, "kinds", "timed out waiting for cache to be synced for Kind *v1.KongPlugin").await?;
    says(&stage, "authority", "could not connect to https://").await?;
    says(&stage, "client", "GET /status: 400").await?;
    forbidden(&stage, &own).await?;
    stage.end().await
}

/// Rights that are missing.
async fn forbidden(stage: &Stage, own: &str) -> Result<()> {
    let without = |resource: &str| {
        let mut role = role(own);
        for rule in role["rules"].as_array_mut().into_iter().flatten() {
            if let Some(all) = rule["resources"].as_array_mut() {
                all.retain(|one| one != resource);
            }
        }
        role["rules"].as_array_mut().into_iter().for_each(|all| {
            all.retain(|rule| rule["resources"].as_array().is_some_and(|all| !all.is_empty()));
        });
        role
    };
    stage.apply(&without("secrets")).await?;
    start(stage, "secrets", &[("CONTROLLER_CACHE_SYNC_TIMEOUT", "4s")], &[]).await?;
    says(stage, "secrets", "timed out waiting for cache to be synced for Kind *v1.Secret").await?;
    stage.apply(&without("endpointslices")).await?;
    start(stage, "slices", &[], &[]).await?;
    says(stage, "slices", "failed to list EndpointSlices").await?;
    Ok(())
}
