//! People who act on a rollout by annotations of its `DataPlane`.

use anyhow::{Context, Result, ensure};
use crds::conditions::{reasons, types};
use crds::names::annotations::ROLLOUT_VERBS;
use crds::names::values;
use crds::{DataPlane, GatewayRollout};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::traffic::Kind;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::attempt::{change, edge, environment, is, is_gone, over, until};
use crate::stage::Stage;

/// As `GitOps` does it: by annotations of the `DataPlane`, whose value is the revision that they are meant for.
pub async fn annotations_act_on_a_rollout(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Kept]).await?;
    let steps = json!([{ "name": "preview", "weight": 0, "approval": "Required" },
        { "name": "half", "weight": 50, "approval": "Required" }]);
    let edge = edge(&stage, &steps, &json!({})).await?;
    change(&stage, &environment("KONG_LOG_LEVEL", "info")).await?;
    let waits = |rollout: &GatewayRollout| is(rollout, types::PROGRESSING, reasons::AWAITING_APPROVAL);
    let (from, to) = {
        let spec = until(&stage, "edge-1", waits).await?.spec;
        (spec.from.revision, spec.to.revision)
    };
    note(&stage, "promote", &from).await?;
    let result = |rollout: &GatewayRollout, result: &str| {
        let last = rollout.status.as_ref().and_then(|status| status.last_action.clone());
        rollout.spec.action.is_none() && last.is_some_and(|last| last.result == result)
    };
    until(&stage, "edge-1", |rollout| result(rollout, "Stale")).await?;
    let object: DataPlane = stage.scenario.api().get("edge").await?;
    let status = object.status.context("no status")?;
    ensure!(status.revision.as_ref() == Some(&from), "{status:?}");
    let told = status.rollout.context("no rollout")?;
    ensure!((told.name.as_deref(), told.revision.as_ref()) == (Some("edge-1"), Some(&to)), "{told:?}");
    note(&stage, "promote", &to).await?;
    until(&stage, "edge-1", |rollout| {
        let at = rollout.status.as_ref().and_then(|status| status.step.as_ref());
        waits(rollout) && result(rollout, "Applied") && at.is_some_and(|step| step.name == "half")
    })
    .await?;
    note(&stage, "rollback-to", &from).await?;
    let done = over(&stage, "edge-1").await?;
    ensure!(is(&done, types::COMPLETED, reasons::ABORTED), "{:?}", done.status);
    is_gone(&stage, values::SECOND_TRACK).await?;
    note(&stage, "retry", &to).await?;
    until(&stage, "edge-1", waits).await?;
    note(&stage, "abort", &to).await?;
    over(&stage, "edge-1").await?;
    is_gone(&stage, values::SECOND_TRACK).await?;
    stage.rows("canary by annotations", edge, 2).await?;
    stage.end().await
}

/// Annotates the `DataPlane` with a verb, and waits until the operator has taken it.
async fn note(stage: &Stage, verb: &str, revision: &str) -> Result<()> {
    let (api, key) = (stage.scenario.api::<DataPlane>(), format!("{ROLLOUT_VERBS}{verb}"));
    let fields = json!({ "metadata": { "annotations": { key.as_str(): revision } } });
    api.patch("edge", &PatchParams::default(), &Patch::Merge(fields)).await?;
    let taken = |object: &DataPlane| !object.annotations().contains_key(&key);
    wait::until(&api, "edge", SOON, taken).await.map(drop)
}
