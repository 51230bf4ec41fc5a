//! What happens to pods and their number while two revisions serve.

use anyhow::{Context, Result, ensure};
use crds::GatewayRollout;
use crds::conditions::{reasons, types};
use crds::k8s::{Deployment, Pod};
use crds::names::{self, labels, values};
use kube::ResourceExt;
use kube::api::{Api, EvictParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::traffic::Kind;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::attempt::{act, change, edge, environment, is, is_gone, over, strategy, until};
use crate::disruptions::{allowed, budget, drained, on_second_node, placed};
use crate::stage::{CALM, Stage};

/// One step, in which both serve until somebody approves.
fn half() -> Value {
    json!([{ "name": "half", "weight": 50, "approval": "Required" }])
}

/// Waits until both have so many pods, all of which serve, and only an approval is waited for.
async fn both(stage: &Stage, count: i32) -> Result<GatewayRollout> {
    let serve = |rollout: &GatewayRollout| {
        let replicas = rollout.status.as_ref().and_then(|status| status.replicas.as_ref());
        let all = replicas.is_some_and(|all| {
            [&all.stable, &all.canary].iter().all(|one| [one.desired, one.ready, one.serving] == [count; 3])
        });
        all && is(rollout, types::PROGRESSING, reasons::AWAITING_APPROVAL)
    };
    until(stage, "edge-1", serve).await
}

/// A pod of a track.
async fn first(stage: &Stage, track: &str) -> Result<String> {
    let of = ListParams::default().labels(&format!("app=edge,{}={track}", labels::TRACK));
    let pods = stage.scenario.api::<Pod>().list(&of).await?;
    let mut there = pods.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    there.next().map(ResourceExt::name_any).context("no pod")
}

pub async fn pods_go_while_both_serve(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 2, Kind::ALL).await?;
    let mut spec = placed(budget(&json!({ "minAvailable": 1 })));
    spec["deployment"]["rollout"] = strategy(&half(), &json!({}));
    let mut edge = stage.edge("edge", 2, &spec).await?;
    change(&stage, &environment("KONG_LOG_LEVEL", "info")).await?;
    allowed(&stage, "edge").await?;
    both(&stage, 2).await?;
    for track in [values::SECOND_TRACK, values::FIRST_TRACK] {
        let victim = first(&stage, track).await?;
        stage.scenario.api::<Pod>().evict(&victim, &EvictParams::default()).await?;
        wait::gone(&stage.scenario.api::<Pod>(), &victim, crate::attempt::LONG).await?;
        both(&stage, 2).await?;
    }
    let moved = Box::pin(drained(&stage, async {
        ensure!(on_second_node(&stage, "edge").await? == 0, "a pod is on it");
        both(&stage, 2).await
    }));
    let rollout = moved.await?;
    act(&stage, &rollout, "Promote").await?;
    let done = over(&stage, "edge-1").await?;
    ensure!(is(&done, types::COMPLETED, reasons::PROMOTED), "{:?}", done.status);
    is_gone(&stage, values::FIRST_TRACK).await?;
    edge.track = values::SECOND_TRACK;
    stage.conclude("evictions and a drain in a canary", edge, 2).await?;
    stage.end().await
}

/// It asks for more pods of what serves, by the scale of its Deployment, and the canary keeps its share.
pub async fn an_autoscaler_grows_what_serves(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 2, Kind::ALL).await?;
    let mut edge = edge(&stage, &half(), &json!({})).await?;
    let deployment = json!({ "replicas": null,
        "scaling": { "horizontal": { "minReplicas": 2, "maxReplicas": 4 } } });
    let api: Api<crds::DataPlane> = stage.scenario.api();
    let scaled = Patch::Merge(json!({ "spec": { "deployment": deployment } }));
    api.patch("edge", &PatchParams::default(), &scaled).await?;
    change(&stage, &environment("KONG_LOG_LEVEL", "info")).await?;
    both(&stage, 2).await?;
    let serving = names::deployment("edge", values::FIRST_TRACK);
    let more = Patch::Merge(json!({ "spec": { "replicas": 3 } }));
    let deployments: Api<Deployment> = stage.scenario.api();
    deployments.patch_scale(&serving, &PatchParams::default(), &more).await?;
    let rollout = both(&stage, 3).await?;
    edge.steady(CALM).await?;
    act(&stage, &rollout, "Promote").await?;
    let done = over(&stage, "edge-1").await?;
    ensure!(is(&done, types::COMPLETED, reasons::PROMOTED), "{:?}", done.status);
    is_gone(&stage, values::FIRST_TRACK).await?;
    let grown =
        |found: &Deployment| found.status.as_ref().is_some_and(|found| found.ready_replicas == Some(3));
    let promoted = names::deployment("edge", values::SECOND_TRACK);
    wait::until(&deployments, &promoted, SOON, grown).await?;
    edge.track = values::SECOND_TRACK;
    "2 to 3".clone_into(&mut edge.replicas);
    stage.conclude("autoscaling in a canary", edge, 3).await?;
    stage.end().await
}
