//! Rollouts by canary under traffic: promoted, aborted at each step, rolled back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::conditions::{self, reasons, types};
use crds::k8s::Service;
use crds::names::annotations::PROMOTE_WHEN_READY;
use crds::names::{self, labels, values};
use crds::{DataPlane, GatewayRollout};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tests::traffic::Kind;
use tests::world::{SOON, Scenario};
use tests::{Operator, artifacts, wait};

use crate::attempt::{act, change, edge, environment, is, is_gone, over, said, selected, until};
use crate::stage::Stage;

pub async fn a_good_release_is_promoted(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, Kind::ALL).await?;
    let steps = json!([{ "name": "preview", "weight": 0 }, { "name": "half", "weight": 50, "hold": "5s" }]);
    let mut edge = edge(&stage, &steps, &json!({})).await?;
    change(&stage, &environment("KONG_LOG_LEVEL", "info")).await?;
    let half = until(&stage, "edge-1", |rollout| {
        rollout.status.as_ref().and_then(|s| s.weights.as_ref()).is_some_and(|w| w.effective == "50%")
    })
    .await?;
    ensure!(half.spec.from.track == values::FIRST_TRACK && half.spec.to.track == values::SECOND_TRACK);
    ensure!(selected(&stage).await?.is_none(), "both serve");
    let (code, text) = said(&stage, &["status"]).await?;
    ensure!(
        code == Some(3) && text.contains("step 2 \"half\"") && text.contains("├─ canary"),
        "{code:?} {text}"
    );
    let done = over(&stage, "edge-1").await?;
    ensure!(is(&done, types::COMPLETED, reasons::PROMOTED), "{:?}", done.status);
    is_gone(&stage, values::FIRST_TRACK).await?;
    ensure!(selected(&stage).await?.as_deref() == Some(values::SECOND_TRACK));
    let (code, text) = said(&stage, &["watch"]).await?;
    ensure!(code == Some(0) && text.contains("Promoted"), "{code:?} {text}");
    print!("{text}");
    let (code, text) = said(&stage, &["history"]).await?;
    ensure!(code == Some(0) && text.contains("edge-1"), "{code:?} {text}");
    edge.track = values::SECOND_TRACK;
    let pods = stage.conclude("canary promoted", edge, 2).await?;
    ensure!(pods.before.is_disjoint(&pods.after), "{:?} became {:?}", pods.before, pods.after);
    stage.end().await
}

pub async fn an_abort_at_each_step(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, Kind::ALL).await?;
    let steps = json!([{ "name": "preview", "weight": 0, "approval": "Required" },
        { "name": "third", "weight": 33, "approval": "Required" }, { "name": "half", "weight": 50, "approval": "Required" }]);
    let edge = edge(&stage, &steps, &json!({})).await?;
    for (nth, step) in ["preview", "third", "half"].into_iter().enumerate() {
        let name = format!("edge-{}", nth + 1);
        change(&stage, &environment("KONG_NGINX_WORKER_CONNECTIONS", &format!("{}", 1000 + nth))).await?;
        let rollout = loop {
            let waits = |rollout: &GatewayRollout| {
                is(rollout, types::PROGRESSING, reasons::AWAITING_APPROVAL) && rollout.spec.action.is_none()
            };
            let rollout = until(&stage, &name, waits).await?;
            let at = rollout
                .status
                .as_ref()
                .and_then(|status| status.step.as_ref())
                .map(|step| step.name.clone())
                .unwrap_or_default();
            if at == step {
                break rollout;
            }
            act(&stage, &rollout, "Promote").await?;
            let on = |rollout: &GatewayRollout| {
                rollout
                    .status
                    .as_ref()
                    .and_then(|status| status.step.as_ref())
                    .is_some_and(|step| step.name != at)
            };
            until(&stage, &name, on).await?;
        };
        let (code, text) = said(&stage, &["abort"]).await?;
        ensure!(code == Some(0) && text.contains(&rollout.name_any()), "{code:?} {text}");
        let done = over(&stage, &name).await?;
        ensure!(is(&done, types::COMPLETED, reasons::ABORTED), "{:?}", done.status);
        ensure!(selected(&stage).await?.as_deref() == Some(values::FIRST_TRACK));
        is_gone(&stage, values::SECOND_TRACK).await?;
        let (code, text) = said(&stage, &["status"]).await?;
        ensure!(code == Some(1) && text.contains("somebody aborted it"), "{code:?} {text}");
    }
    let pods = stage.conclude("canary aborted", edge, 2).await?;
    ensure!(pods.before == pods.after, "stable was replaced: {:?} became {:?}", pods.before, pods.after);
    stage.end().await
}

pub async fn an_image_that_cannot_be_pulled(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Kept]).await?;
    let edge = edge(&stage, &json!([{ "name": "half", "weight": 50 }]), &json!({})).await?;
    let begun = Instant::now();
    change(&stage, &json!({ "image": "registry.invalid/kong:3.9.9" })).await?;
    let failed = until(&stage, "edge-1", |rollout| {
        is(rollout, types::CANARY_HEALTHY, reasons::IMAGE_PULL_FAILED)
            && is(rollout, types::PROGRESSING, reasons::ROLLED_BACK)
    })
    .await?;
    println!("an image that cannot be pulled: rolled back after {:.1} s", begun.elapsed().as_secs_f64());
    ensure!(begun.elapsed() < Duration::from_secs(75), "{:?}", begun.elapsed());
    let completion = failed.status.and_then(|status| status.completion).context("not over")?;
    ensure!(completion.message.contains("image cannot be pulled"), "{}", completion.message);
    is_gone(&stage, values::SECOND_TRACK).await?;
    let told = |object: &DataPlane| {
        let conditions =
            object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let ready = conditions::holds(conditions, types::READY);
        ready
            && conditions::get(conditions, types::ROLLED_OUT)
                .is_some_and(|rolled| rolled.reason == reasons::ROLLED_BACK)
    };
    wait::until(&stage.scenario.api::<DataPlane>(), "edge", SOON, told).await?;
    let pods = stage.rows("canary without an image", edge, 2).await;
    pods?;
    stage.end().await
}

pub async fn a_release_that_fails_requests(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Fresh]).await?;
    let analysis = json!({ "analysis": { "profile": "Standard", "minRequests": 50 } });
    let steps = json!([{ "name": "half", "weight": 50, "hold": "60s" }]);
    let edge = edge(&stage, &steps, &analysis).await?;
    let begun = Instant::now();
    change(&stage, &environment("STANDIN_ERROR_SHARE", "0.5")).await?;
    let failed = over(&stage, "edge-1").await?;
    println!("every second request fails: rolled back after {:.1} s", begun.elapsed().as_secs_f64());
    let status = failed.status.context("no status")?;
    let completion = status.completion.context("not over")?;
    ensure!(completion.reason == reasons::ANALYSIS_FAILED, "{completion:?}");
    ensure!(status.analysis.as_ref().and_then(|analysis| analysis.verdict.as_deref()) == Some("Fail"));
    ensure!(selected(&stage).await?.as_deref() == Some(values::FIRST_TRACK));
    stage.rows("canary that fails requests", edge, 2).await?;
    stage.end().await
}

pub async fn blue_and_green_wait_for_the_annotation(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, Kind::ALL).await?;
    let rollout = json!({ "deployment": { "rollout": { "strategy": { "blueGreen": {} } } } });
    let mut edge = stage.edge("edge", 2, &rollout).await?;
    change(&stage, &environment("KONG_LOG_LEVEL", "info")).await?;
    let waits = |rollout: &GatewayRollout| is(rollout, types::PROGRESSING, reasons::AWAITING_APPROVAL);
    let waiting = until(&stage, "edge-1", waits).await?;
    let canary = waiting.status.and_then(|status| status.replicas).map(|all| all.canary).unwrap_or_default();
    ensure!((canary.ready, canary.serving) == (2, 0), "{canary:?}");
    let preview: Service = stage.scenario.api().get(&names::preview_service("edge")).await?;
    let selector = preview.spec.and_then(|spec| spec.selector).unwrap_or_default();
    ensure!(selector.get(labels::TRACK).is_some_and(|track| track == values::SECOND_TRACK), "{selector:?}");
    ensure!(selected(&stage).await?.as_deref() == Some(values::FIRST_TRACK));
    let api: Api<DataPlane> = stage.scenario.api();
    let note = json!({ "metadata": { "annotations": { PROMOTE_WHEN_READY: "true" } } });
    api.patch("edge", &PatchParams::default(), &Patch::Merge(note)).await?;
    let done = over(&stage, "edge-1").await?;
    ensure!(is(&done, types::COMPLETED, reasons::PROMOTED), "{:?}", done.status);
    is_gone(&stage, values::FIRST_TRACK).await?;
    let without = |object: &DataPlane| {
        !object.metadata.annotations.iter().flatten().any(|(key, _)| key == PROMOTE_WHEN_READY)
    };
    wait::until(&api, "edge", SOON, without).await?;
    edge.track = values::SECOND_TRACK;
    stage.conclude("blue and green", edge, 2).await?;
    stage.end().await
}

/// It is killed without traffic at the canary, with half of it, and while the old pods drain.
pub async fn an_operator_that_is_killed_in_each_phase(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, Kind::ALL).await?;
    let steps = json!([{ "name": "preview", "weight": 0, "approval": "Required" },
        { "name": "half", "weight": 50, "approval": "Required" }]);
    let mut edge = edge(&stage, &steps, &json!({ "scaleDownDelay": "10s" })).await?;
    change(&stage, &environment("KONG_LOG_LEVEL", "info")).await?;
    for step in ["preview", "half"] {
        let waits = |rollout: &GatewayRollout| {
            let at = rollout
                .status
                .as_ref()
                .and_then(|status| status.step.as_ref())
                .map(|step| step.name.as_str());
            at == Some(step)
                && is(rollout, types::PROGRESSING, reasons::AWAITING_APPROVAL)
                && rollout.spec.action.is_none()
        };
        let rollout = until(&stage, "edge-1", waits).await?;
        kill(&stage).await?;
        act(&stage, &rollout, "Promote").await?;
    }
    until(&stage, "edge-1", |rollout| is(rollout, types::PROGRESSING, reasons::DRAINING)).await?;
    kill(&stage).await?;
    let done = over(&stage, "edge-1").await?;
    ensure!(is(&done, types::COMPLETED, reasons::PROMOTED), "{:?}", done.status);
    is_gone(&stage, values::FIRST_TRACK).await?;
    edge.track = values::SECOND_TRACK;
    stage.conclude("operator killed in a canary", edge, 2).await?;
    stage.end().await
}

/// Ends the operator without a word, and starts another.
async fn kill(stage: &Stage) -> Result<()> {
    let world = &stage.scenario.world;
    let mut running = world.operator.lock().await;
    running.take().context("no operator")?.kill().await?;
    let new = Operator::start(&world.cluster, &artifacts::operator()?, world.folder.path()).await;
    *running = Some(new?);
    Ok(())
}
