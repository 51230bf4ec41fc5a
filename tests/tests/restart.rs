//! A settled `DataPlane` costs nothing: not while nothing happens, and not when the operator is killed and started.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::names::NAMESPACE;
use serde_json::{Value, json};
use tests::world::{self, Scenario};
use tests::{Operator, scenarios};

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
    let first = requests(&s)?;
    println!("to settle {SETTLED} DataPlanes: {first:?}");

    let mut running = s.world.operator.lock().await;
    running.take().context("no operator")?.kill().await?;
    let before = requests(&s)?;
    let operator = running.insert(Operator::start(&s.world.cluster, s.world.folder.path()).await?);
    let metrics = reconciled(&s, operator).await?;
    let after = requests(&s)?;
    ensure!(!metrics.contains("silverback_writes_total{"), "the operator counted writes:\n{metrics}");
    let news: BTreeMap<_, _> = after.iter().map(|(verb, count)| (verb.clone(), count - before.get(verb).unwrap_or(&0))).collect();
    println!("after a restart: {news:?}");
    for verb in ["create", "update", "patch", "delete", "deletecollection"] {
        ensure!(news.get(verb).copied().unwrap_or(0) == 0, "the restarted operator sent: {news:?}");
    }
    // One read of the authority's Secret; everything else comes from watches.
    ensure!(news.get("get").copied().unwrap_or(0) <= 1, "the restarted operator read: {news:?}");
    Ok(())
}

/// Waits until the restarted operator has looked at every `DataPlane`, and returns its metrics.
async fn reconciled(s: &Scenario, operator: &Operator) -> Result<String> {
    let looked = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            let metrics = operator.metrics(&s.world.cluster).await?;
            let settled = metrics.lines().find_map(|line| line.strip_prefix("silverback_reconciles_total{kind=\"DataPlane\",result=\"settled\"} "));
            if settled.and_then(|count| count.parse::<usize>().ok()).is_some_and(|count| count >= SETTLED) {
                return anyhow::Ok(metrics);
            }
        }
    };
    tokio::time::timeout(world::SOON, looked).await.context("the restarted operator did not look at every DataPlane")?
}

/// The operator's requests so far by verb, as the API server's audit log has them.
fn requests(s: &Scenario) -> Result<BTreeMap<String, u32>> {
    let user = format!("system:serviceaccount:{NAMESPACE}:silverback");
    let log = std::fs::File::open(s.world.cluster.audit_log()).context("no audit log")?;
    let mut verbs = BTreeMap::new();
    for line in BufReader::new(log).lines() {
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        if entry["user"]["username"] == user.as_str() && entry["stage"] == "ResponseComplete" {
            let verb = entry["verb"].as_str().unwrap_or_default().to_owned();
            *verbs.entry(verb).or_default() += 1;
        }
    }
    Ok(verbs)
}
