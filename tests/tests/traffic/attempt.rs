//! A `DataPlane` whose pods change by attempts, and what is seen of them.

use std::time::Duration;

use anyhow::{Context, Result};
use crds::conditions::{self, types};
use crds::k8s::{Condition, Deployment, Service};
use crds::names::{self, labels};
use crds::{DataPlane, GatewayRollout};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tests::world::SOON;
use tests::{artifacts, wait};

use crate::stage::{Edge, Stage, proxy};

/// How long a rollout of these may take, on a busy machine.
pub const LONG: Duration = Duration::from_mins(4);

/// A canary with these steps, without analysis.
pub fn strategy(steps: &Value, more: &Value) -> Value {
    let mut canary = json!({ "steps": steps, "scaleDownDelay": "5s", "keepFailedCanary": "0s",
        "watchAfterPromotion": "0s", "analysis": { "profile": "Off" } });
    for (field, value) in more.as_object().into_iter().flatten() {
        canary[field] = value.clone();
    }
    json!({ "strategy": { "canary": canary } })
}

/// An edge whose pods change by a canary with these steps.
pub async fn edge(stage: &Stage, steps: &Value, more: &Value) -> Result<Edge> {
    let rollout = json!({ "deployment": { "rollout": strategy(steps, more) } });
    stage.edge("edge", 2, &rollout).await
}

/// Changes how the pods change, from the next attempt on.
pub async fn replan(stage: &Stage, rollout: &Value) -> Result<()> {
    let plan = Patch::Merge(json!({ "spec": { "deployment": { "rollout": rollout } } }));
    let api: Api<DataPlane> = stage.scenario.api();
    api.patch("edge", &PatchParams::default(), &plan).await.map(drop).context("the plan")
}

/// Changes the pods, so that a rollout begins.
pub async fn change(stage: &Stage, container: &Value) -> Result<()> {
    let proxy = proxy(2, container);
    let change =
        json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } } });
    let api: Api<DataPlane> = stage.scenario.api();
    api.patch("edge", &PatchParams::default(), &Patch::Merge(change)).await.map(drop).context("the change")
}

pub fn environment(name: &str, value: &str) -> Value {
    let config = json!({ "name": "KONG_DECLARATIVE_CONFIG", "value": "/kong-configuration/kong.yaml" });
    json!({ "env": [config, { "name": name, "value": value }] })
}

pub fn condition<'a>(rollout: &'a GatewayRollout, type_: &str) -> Option<&'a Condition> {
    conditions::get(rollout.status.as_ref()?.conditions.as_deref()?, type_)
}

pub fn is(rollout: &GatewayRollout, type_: &str, reason: &str) -> bool {
    condition(rollout, type_).is_some_and(|condition| condition.reason == reason)
}

pub async fn until(
    stage: &Stage,
    name: &str,
    so: impl Fn(&GatewayRollout) -> bool,
) -> Result<GatewayRollout> {
    wait::until(&stage.scenario.api::<GatewayRollout>(), name, LONG, so).await
}

pub async fn over(stage: &Stage, name: &str) -> Result<GatewayRollout> {
    let over = |rollout: &GatewayRollout| {
        condition(rollout, types::COMPLETED).is_some_and(|condition| condition.status == "True")
    };
    until(stage, name, over).await
}

pub async fn act(stage: &Stage, rollout: &GatewayRollout, verb: &str) -> Result<()> {
    let action = json!({ "spec": { "action": { "verb": verb, "revision": rollout.spec.to.revision } } });
    let name = rollout.metadata.name.as_deref().context("no name")?;
    let api: Api<GatewayRollout> = stage.scenario.api();
    api.patch(name, &PatchParams::default(), &Patch::Merge(action)).await.map(drop).context("the action")
}

/// What `silverback rollout` prints and how it ends.
pub async fn said(stage: &Stage, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = stage.scenario.world.cluster.command(artifacts::operator()?)?;
    command.arg("rollout").args(arguments).args(["edge", "--namespace", &stage.scenario.namespace]);
    let output = command.output().await?;
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.code(), text))
}

/// The track that the ingress Service selects.
pub async fn selected(stage: &Stage) -> Result<Option<String>> {
    let service: Service = stage.scenario.api().get(&names::ingress_service("edge")).await?;
    Ok(service.spec.and_then(|spec| spec.selector).and_then(|all| all.get(labels::TRACK).cloned()))
}

pub async fn is_gone(stage: &Stage, track: &str) -> Result<()> {
    wait::gone(&stage.scenario.api::<Deployment>(), &names::deployment("edge", track), SOON).await
}
