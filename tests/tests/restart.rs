//! A settled `DataPlane` costs nothing: not while nothing happens, and not when the operator is killed and started.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use cluster::Options;
use serde_json::json;
use tests::world::{self, Scenario};
use tests::{Operator, artifacts, audit, scenarios};

/// How many settled objects the operator finds when it starts.
const SETTLED: usize = 3;

fn main() -> ExitCode {
    world::run(Options::default(), scenarios![a_killed_and_restarted_operator_writes_nothing])
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
    let first = audit::requests(&s.world.cluster)?;
    println!("to settle {SETTLED} DataPlanes: {first:?}");

    let mut running = s.world.operator.lock().await;
    running.take().context("no operator")?.kill().await?;
    let before = audit::requests(&s.world.cluster)?;
    let here = audit::within(&s.world.cluster, &s.namespace)?.len();
    let operator = running
        .insert(Operator::start(&s.world.cluster, &artifacts::operator()?, s.world.folder.path()).await?);
    let metrics = operator.settled(&s.world.cluster, SETTLED).await?;
    let after = audit::requests(&s.world.cluster)?;
    ensure!(!metrics.contains("silverback_writes_total{"), "the operator counted writes:\n{metrics}");
    let news = audit::since(&before, &after);
    println!("after a restart: {news:?}");
    ensure!(audit::writes(&news) == 0, "the restarted operator sent: {news:?}");
    let here = audit::within(&s.world.cluster, &s.namespace)?.split_off(here);
    ensure!(here.is_empty(), "the restarted operator asked for objects of the DataPlanes: {here:?}");
    // Of its own: the Secret of the authority, the version of the API server, whether each of its four definitions is
    // there. Everything else comes from watches.
    ensure!(news.get("get").copied().unwrap_or(0) <= 6, "the restarted operator read: {news:?}");
    Ok(())
}
