//! The operator is killed after writes for a Gateway, when it is made and when it goes.

use anyhow::{Context, Result};
use crds::conditions::{self, reasons};
use crds::k8s::NetworkPolicy;
use crds::{ControlPlane, DataPlane, GatewayConfiguration, names};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tests::faults::Lane;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::kills::hold_after;
use crate::planes::{interrupted, nothing, whole};

/// Sets after each how many writes it is killed; without it, every sixth: a Gateway takes dozens, and each kill seconds.
const STEP: &str = "SILVERBACK_KILLS_STEP";
const SIXTH: usize = 6;
/// Name of the configuration by which the Gateways are made.
const IDLE: &str = "idle";

pub async fn a_kill_after_writes_for_a_gateway_leaves_nothing(s: Scenario) -> Result<()> {
    let controller = format!("example.com/{}", s.namespace);
    let mut lane = Lane::answering_to(&controller, s).await?;
    class(&lane.scenario, &controller).await?;
    let all: Api<Gateway> = lane.scenario.api();
    let children = Children::of(&lane.scenario);
    let (step, mut kills) = (step()?, 0);
    for number in (1..).step_by(step) {
        let name = format!("entry{number:02}");
        hold_after(&lane, number, &name);
        make(&lane.scenario, &name).await?;
        let made = interrupted(&mut lane, settled(&all, &name)).await?;
        settled(&all, &name).await.with_context(|| format!("made, killed after {number}"))?;
        entire(&lane.scenario, &name).await?;

        hold_after(&lane, number, &name);
        all.delete(&name, &DeleteParams::background()).await?;
        let deleted = Box::pin(interrupted(&mut lane, children.gone(&all, &name))).await?;
        children.gone(&all, &name).await.with_context(|| format!("deleted, killed after {number}"))?;
        nothing(&lane.scenario, &name).await?;
        kills += usize::from(made) + usize::from(deleted);
        if !made && !deleted {
            println!("killed {kills} times, after each {step} of fewer than {number} writes for a Gateway");
            break;
        }
    }
    lane.at_rest().await?;
    lane.end().await
}

fn step() -> Result<usize> {
    match std::env::var(STEP) {
        Ok(given) => given.parse().with_context(|| format!("{STEP}={given} is no number")),
        Err(_) => Ok(SIXTH),
    }
}

/// A class, and a configuration that asks for no pods.
async fn class(s: &Scenario, controller: &str) -> Result<()> {
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": s.namespace }, "spec": { "controllerName": controller },
    });
    let all: Api<GatewayClass> = Api::all(s.world.client.clone());
    all.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
    let none = json!({ "deployment": { "replicas": 0 } });
    let network = json!({ "services": { "ingress": { "type": "ClusterIP" } } });
    let configuration = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "GatewayConfiguration",
        "metadata": { "name": IDLE },
        "spec": {
            "controlPlaneOptions": none,
            "dataPlaneOptions": { "deployment": none["deployment"], "network": network },
        },
    });
    let api: Api<GatewayConfiguration> = s.api();
    api.create(&PostParams::default(), &serde_json::from_value(configuration)?).await?;
    Ok(())
}

async fn make(s: &Scenario, name: &str) -> Result<()> {
    let parameters =
        json!({ "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": IDLE });
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": name },
        "spec": {
            "gatewayClassName": s.namespace,
            "infrastructure": { "parametersRef": parameters },
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        },
    });
    s.api::<Gateway>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// What was made of it is looked after, and asks for no pods.
async fn settled(all: &Api<Gateway>, name: &str) -> Result<()> {
    let is_settled = |object: &Gateway| {
        let status = object.status.as_ref().and_then(|status| status.conditions.as_deref());
        let idle = |type_| {
            let found = conditions::get(status.unwrap_or_default(), type_);
            found.is_some_and(|found| found.message.contains(reasons::SCALED_TO_ZERO))
        };
        idle("DataPlaneReady") && idle("ControlPlaneReady")
    };
    wait::until(all, name, SOON, is_settled).await.map(drop)
}

async fn entire(s: &Scenario, name: &str) -> Result<()> {
    s.api::<DataPlane>().get(name).await?;
    s.api::<NetworkPolicy>().get(&names::network_policy(name)).await?;
    whole(s, name).await
}

/// Where what is made of a Gateway is.
struct Children {
    dataplanes: Api<DataPlane>,
    controlplanes: Api<ControlPlane>,
    policies: Api<NetworkPolicy>,
}

impl Children {
    fn of(s: &Scenario) -> Self {
        Self { dataplanes: s.api(), controlplanes: s.api(), policies: s.api() }
    }

    /// The Gateway is gone, and all of them.
    async fn gone(&self, all: &Api<Gateway>, name: &str) -> Result<()> {
        wait::gone(all, name, SOON).await?;
        wait::gone(&self.controlplanes, name, SOON).await?;
        wait::gone(&self.dataplanes, name, SOON).await?;
        wait::gone(&self.policies, &names::network_policy(name), SOON).await
    }
}
