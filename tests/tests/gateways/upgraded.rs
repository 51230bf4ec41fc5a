//! A Gateway whose Kong is changed by a canary that Kong Ingress Controller feeds.

use std::time::Duration;

use anyhow::{Result, ensure};
use crds::conditions::{self, reasons, types};
use crds::names::values;
use crds::{DataPlane, GatewayRollout};
use gateway_api::gateways::Gateway;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

use super::routed::{
    CONFIGURED, answered, backend, class_of_kic, configured, kill_controllers, route, small, traffic,
    unharmed,
};
use super::{configure, gateway, http, said};

/// Routes that come while a canary serves.
const CHANGES: u32 = 20;

/// The options of the class, with a canary and an environment variable of Kong.
fn options(level: &str, more: &Value) -> Value {
    let mut options = small(&json!({ "type": "own" }));
    let deployment = &mut options["dataPlaneOptions"]["deployment"];
    let mut variables = vec![json!({ "name": "KONG_LOG_LEVEL", "value": level })];
    variables.extend(more.as_array().cloned().unwrap_or_default());
    deployment["podTemplateSpec"]["spec"]["containers"][0]["env"] = json!(variables);
    deployment["rollout"]["strategy"]["canary"] = json!({
        "steps": [{ "name": "preview", "weight": 0 }, { "name": "half", "weight": 50, "hold": "5s" }],
        "preflight": { "configAcceptance": "Enforce", "routeParity": { "mode": "Enforce" } },
        "scaleDownDelay": "5s", "keepFailedCanary": "0s", "watchAfterPromotion": "0s",
        "analysis": { "profile": "Off" },
    });
    options
}

/// The same with those steps.
fn stepping(level: &str, steps: &Value) -> Value {
    let mut options = options(level, &json!([]));
    options["dataPlaneOptions"]["deployment"]["rollout"]["strategy"]["canary"]["steps"] = steps.clone();
    options
}

async fn over(s: &Scenario, name: &str, reason: &str) -> Result<GatewayRollout> {
    let over = |rollout: &GatewayRollout| {
        let conditions =
            rollout.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::holds(conditions, types::COMPLETED)
    };
    let done = wait::until(&s.api::<GatewayRollout>(), name, CONFIGURED, over).await?;
    let status = done.status.clone().unwrap_or_default();
    let found = conditions::get(status.conditions.as_deref().unwrap_or_default(), types::COMPLETED)
        .map(|found| found.reason.clone());
    ensure!(found.as_deref() == Some(reason), "{status:?}");
    Ok(done)
}

pub async fn a_canary_takes_its_configuration_before_it_serves(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    configure(&s, "small", options("notice", &json!([]))).await?;
    backend(&s, "echo").await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    route(&s, "all", "edge", "/").await?;
    let object = configured(&s, "edge").await?;
    answered(&s, &object, "/first").await?;
    let traffic = traffic(&s, &object)?;

    configure(&s, "small", options("info", &json!([]))).await?;
    let done = over(&s, "edge-1", reasons::PROMOTED).await?;
    let preflight = done.status.and_then(|status| status.preflight).unwrap_or_default();
    ensure!(preflight.config == "Accepted", "{preflight:?}");
    let parity = preflight.parity.unwrap_or_default();
    ensure!(parity.checked > 0 && parity.mismatched == 0, "{parity:?}");

    // One that refuses what stable has is never fed, and never serves.
    configure(&s, "small", options("debug", &json!([{ "name": "STANDIN_REFUSE_CONFIG", "value": "on" }])))
        .await?;
    let refused = over(&s, "edge-2", reasons::ROLLED_BACK).await?;
    let completion = refused.status.and_then(|status| status.completion);
    ensure!(completion.as_ref().is_some_and(|why| why.reason == reasons::CONFIG_REJECTED), "{completion:?}");
    ensure!(refused.spec.from.track == values::SECOND_TRACK, "{:?}", refused.spec.from);
    let object: Gateway = s.api().get("edge").await?;
    ensure!(said(&object, "Programmed") == Some(("True", "Programmed")), "{:?}", object.status);
    let told = |object: &DataPlane| {
        let conditions =
            object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::holds(conditions, types::READY)
            && conditions::get(conditions, types::ROLLED_OUT)
                .is_some_and(|told| told.reason == reasons::ROLLED_BACK)
    };
    wait::until(&s.api::<DataPlane>(), "edge", SOON, told).await?;
    unharmed(traffic).await
}

/// While both serve, Kong Ingress Controller is killed, and routes come each second.
pub async fn a_canary_while_routes_change_and_the_controller_dies(s: Scenario) -> Result<()> {
    let steps = json!([{ "name": "half", "weight": 50, "approval": "Required" }]);
    class_of_kic(&s).await?;
    configure(&s, "small", stepping("notice", &steps)).await?;
    backend(&s, "echo").await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    route(&s, "all", "edge", "/").await?;
    let object = configured(&s, "edge").await?;
    answered(&s, &object, "/first").await?;
    let traffic = traffic(&s, &object)?;

    configure(&s, "small", stepping("info", &steps)).await?;
    let rollouts = s.api::<GatewayRollout>();
    let waits = |rollout: &GatewayRollout| {
        let status = rollout.status.as_ref().and_then(|status| status.conditions.as_deref());
        conditions::get(status.unwrap_or_default(), types::PROGRESSING)
            .is_some_and(|found| found.reason == reasons::AWAITING_APPROVAL)
    };
    let rollout = wait::until(&rollouts, "edge-1", CONFIGURED, waits).await?;
    let churn = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        for nth in 0..CHANGES {
            ticks.tick().await;
            route(&s, &format!("churn-{nth}"), "edge", &format!("/churn/{nth}")).await?;
        }
        Ok(())
    };
    tokio::try_join!(churn, kill_controllers(&s))?;
    let last = format!("/churn/{}", CHANGES - 1);
    answered(&s, &object, &last).await?;
    let action = json!({ "verb": "Promote", "revision": rollout.spec.to.revision });
    let promote = Patch::Merge(json!({ "spec": { "action": action } }));
    rollouts.patch("edge-1", &PatchParams::default(), &promote).await?;
    over(&s, "edge-1", reasons::PROMOTED).await?;
    answered(&s, &object, &last).await?;
    let object: Gateway = s.api().get("edge").await?;
    ensure!(said(&object, "Programmed") == Some(("True", "Programmed")), "{:?}", object.status);
    ensure!(said(&object, types::GATEWAY_ROLLED_OUT).is_some(), "{:?}", object.status);
    unharmed(traffic).await
}
