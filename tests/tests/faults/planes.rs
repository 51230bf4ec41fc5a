//! The operator is killed after every single write for a `ControlPlane`, when it is made and when it goes.

use std::time::Duration;

use anyhow::{Result, ensure};
use crds::ControlPlane;
use crds::conditions::{self, reasons, types};
use crds::k8s::{
    ClusterRole, ClusterRoleBinding, Deployment, Role, RoleBinding, ValidatingWebhookConfiguration,
};
use crds::names;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tests::faults::Lane;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::kills::hold_after;
use crate::{delete, idle};

/// How long a write may stay away.
const LATE: Duration = Duration::from_secs(2);

pub async fn a_kill_after_each_write_for_a_control_plane_leaves_nothing(s: Scenario) -> Result<()> {
    let mut lane = Lane::begin(s).await?;
    let all: Api<ControlPlane> = lane.scenario.api();
    for number in 1.. {
        let name = format!("plane{number:02}");
        lane.apply(&name, idle()).await?;
        lane.settled(&name).await?;
        hold_after(&lane, number, &name);
        make(&lane.scenario, &name).await?;
        let made = interrupted(&mut lane, settled(&all, &name)).await?;
        settled(&all, &name).await?;
        whole(&lane.scenario, &name).await?;

        hold_after(&lane, number, &name);
        all.delete(&name, &DeleteParams::default()).await?;
        let deleted = interrupted(&mut lane, wait::gone(&all, &name, SOON)).await?;
        wait::gone(&all, &name, SOON).await?;
        nothing(&lane.scenario, &name).await?;
        delete(&lane, &name).await?;
        if !made && !deleted {
            println!("killed after each of {} writes for a ControlPlane", number - 1);
            break;
        }
    }
    lane.at_rest().await?;
    lane.end().await
}

async fn make(s: &Scenario, name: &str) -> Result<()> {
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "ControlPlane",
        "metadata": { "name": name },
        "spec": { "dataplane": name, "deployment": { "replicas": 0 }, "watchNamespaces": { "type": "own" } },
    });
    s.api::<ControlPlane>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Kills the operator when its answer is held, and starts it again. Returns whether there was one, before it was `done`.
pub async fn interrupted(lane: &mut Lane, done: impl Future<Output = Result<()>>) -> Result<bool> {
    let held = tokio::select! {
        biased;
        held = lane.proxy.held() => held.map(|()| true)?,
        done = done => {
            done?;
            tokio::time::timeout(LATE, lane.proxy.held()).await.is_ok()
        }
    };
    if held {
        lane.crash().await?;
    } else {
        lane.proxy.calm();
    }
    Ok(held)
}

/// It is looked after, and asks for no pods.
async fn settled(all: &Api<ControlPlane>, name: &str) -> Result<()> {
    let is_settled = |object: &ControlPlane| {
        let conditions = object.status.as_ref().and_then(|status| status.conditions.as_deref());
        let ready = conditions.and_then(|all| conditions::get(all, types::READY));
        ready.is_some_and(|ready| ready.reason == reasons::SCALED_TO_ZERO)
    };
    wait::until(all, name, SOON, is_settled).await.map(drop)
}

pub async fn whole(s: &Scenario, name: &str) -> Result<()> {
    let abroad = names::controller_abroad(&s.namespace, name);
    s.api::<Deployment>().get(&names::controller(name)).await?;
    s.api::<Role>().get(&names::controller(name)).await?;
    s.api::<RoleBinding>().get(&names::controller(name)).await?;
    Api::<ClusterRole>::all(s.world.client.clone()).get(&abroad).await?;
    Api::<ClusterRoleBinding>::all(s.world.client.clone()).get(&abroad).await?;
    Api::<ValidatingWebhookConfiguration>::all(s.world.client.clone()).get(&abroad).await?;
    Ok(())
}

pub async fn nothing(s: &Scenario, name: &str) -> Result<()> {
    let abroad = names::controller_abroad(&s.namespace, name);
    absent(&Api::<ClusterRole>::all(s.world.client.clone()), &abroad).await?;
    absent(&Api::<ClusterRoleBinding>::all(s.world.client.clone()), &abroad).await?;
    absent(&Api::<ValidatingWebhookConfiguration>::all(s.world.client.clone()), &abroad).await?;
    wait::gone(&s.api::<Deployment>(), &names::controller(name), SOON).await?;
    wait::gone(&s.api::<Role>(), &names::controller(name), SOON).await
}

async fn absent<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let left = api.get_opt(name).await?;
    ensure!(left.is_none(), "{} is left", left.map(|left| left.name_any()).unwrap_or_default());
    Ok(())
}
