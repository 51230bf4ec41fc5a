//! Pods that somebody else takes away: evictions, and a node that is drained.

use anyhow::{Context, Result, ensure};
use crds::k8s::{Pod, PodDisruptionBudget};
use crds::names;
use kube::api::{Api, EvictParams};
use serde_json::{Value, json};
use tests::traffic::Kind;
use tests::world::{SOON, Scenario};
use tests::{install, wait};
use tokio::sync::Semaphore;

use crate::stage::{Pods, Stage};

/// One scenario at a time takes the second node.
static SECOND_NODE: Semaphore = Semaphore::const_new(1);

/// Takes every pod from the second node, as for its maintenance, while `so` is looked at.
pub async fn drained<T>(stage: &Stage, so: impl Future<Output = Result<T>>) -> Result<T> {
    let _taken = SECOND_NODE.acquire().await?;
    let kubectl = || stage.scenario.world.cluster.kubectl();
    let drain = ["drain", "node-2", "--delete-emptydir-data", "--timeout=150s"];
    install::run(kubectl()?.args(drain)).await?;
    let seen = so.await;
    install::run(kubectl()?.args(["uncordon", "node-2"])).await?;
    seen
}

/// A single pod can only be evicted if the budget allows none to be left for a while: its successor is made
/// after the eviction.
pub fn budget(allowed: &Value) -> Value {
    json!({ "resources": { "podDisruptionBudget": { "spec": allowed } } })
}

/// Waits until the budget has counted the pods and lets one go.
pub async fn allowed(stage: &Stage, name: &str) -> Result<()> {
    let budgets: Api<PodDisruptionBudget> = stage.scenario.api();
    let one = |b: &PodDisruptionBudget| b.status.as_ref().is_some_and(|s| s.disruptions_allowed >= Some(1));
    wait::until(&budgets, &names::disruption_budget(name), SOON, one).await.map(drop)
}

pub async fn an_eviction(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 2, Kind::ALL).await?;
    let alone = budget(&json!({ "maxUnavailable": 1 }));
    let among = budget(&json!({ "minAvailable": 2 }));
    let (one, three) = tokio::try_join!(stage.edge("one", 1, &alone), stage.edge("three", 3, &among))?;
    let pods: Api<Pod> = stage.scenario.api();
    let mut victims = Vec::new();
    for edge in [&one, &three] {
        allowed(&stage, &edge.name).await?;
        let victim = stage.pods(&edge.name).await?.pop_first().context("no pod")?;
        pods.evict(&victim, &EvictParams::default()).await?;
        victims.push(victim);
    }
    let (one, three) = tokio::join!(stage.conclude("eviction", one, 1), stage.conclude("eviction", three, 3));
    for (Pods { after, .. }, victim) in [one?, three?].iter().zip(victims) {
        ensure!(!after.contains(&victim), "{victim} is still there");
    }
    stage.end().await
}

pub async fn a_node_that_is_drained(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 2, Kind::ALL).await?;
    let alone = placed(budget(&json!({ "maxUnavailable": 1 })));
    let among = placed(budget(&json!({ "minAvailable": 2 })));
    let (one, three) = tokio::try_join!(stage.edge("one", 1, &alone), stage.edge("three", 3, &among))?;
    for edge in [&one, &three] {
        allowed(&stage, &edge.name).await?;
        let there = on_second_node(&stage, &edge.name).await?;
        ensure!(there > 0, "no pod of {} is on the node to be drained", edge.name);
    }
    let moved = drained(&stage, async {
        for edge in [&one, &three] {
            ensure!(on_second_node(&stage, &edge.name).await? == 0, "{} has a pod on it", edge.name);
        }
        Ok(())
    });
    moved.await?;
    let (one, three) =
        tokio::join!(stage.conclude("node drain", one, 1), stage.conclude("node drain", three, 3));
    for Pods { before, after } in [one?, three?] {
        ensure!(before != after, "{before:?} did not move");
    }
    stage.end().await
}

/// On both nodes, and rather on the second.
pub fn placed(mut spec: Value) -> Value {
    let second = json!({ "matchExpressions": [{ "key": "kubernetes.io/hostname", "operator": "In", "values": ["node-2"] }] });
    let rather = json!({ "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 100, "preference": second }] });
    spec["deployment"]["podTemplateSpec"]["spec"] =
        json!({ "nodeSelector": null, "affinity": { "nodeAffinity": rather } });
    spec
}

pub async fn on_second_node(stage: &Stage, name: &str) -> Result<usize> {
    let pods: Api<Pod> = stage.scenario.api();
    let mut count = 0;
    for pod in stage.pods(name).await? {
        let node = pods.get(&pod).await?.spec.and_then(|spec| spec.node_name);
        count += usize::from(node.as_deref() == Some("node-2"));
    }
    Ok(count)
}
