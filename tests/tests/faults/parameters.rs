//! A configuration that nobody looked at before it was stored, and that no Gateway can be made of.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use crds::conditions;
use crds::{DataPlane, GatewayConfiguration};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::faults::Lane;
use tests::world::{SOON, Scenario};
use tests::{http, wait};

const GROUP: &str = "gateway-operator.konghq.com";

/// What is served is served on as it was made, also by an operator that starts meanwhile, and all of it heals.
pub async fn a_configuration_that_breaks_takes_nothing_away(s: Scenario) -> Result<()> {
    let controller = format!("example.com/{}", s.namespace);
    let mut lane = Lane::answering_to(&controller, s).await?;
    let s = &lane.scenario;
    configure(s, &json!({ "name": "MINE", "value": "first" })).await?;
    class(s, &controller).await?;
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "edge" },
        "spec": {
            "gatewayClassName": s.namespace,
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        },
    });
    s.api::<Gateway>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let served = said("Programmed", ("True", "Programmed"));
    let first = wait::until(&s.api::<Gateway>(), "edge", SOON, &served).await?;
    answers(s, &first).await?;
    let made = s.api::<DataPlane>().get("edge").await?;

    configure(s, &json!({ "name": "MINE", "vlaue": "second" })).await?;
    let refused = ("False", "InvalidParameters");
    let broken = wait::until(&s.api::<Gateway>(), "edge", SOON, said("Accepted", refused)).await?;
    let all = broken.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let words = conditions::get(all, "Accepted").context("no condition")?;
    ensure!(words.message.contains("containers[0].env[0].vlaue"), "{words:?}");
    ensure!(served(&broken), "what is served is not programmed: {all:?}");
    let classes: Api<GatewayClass> = Api::all(s.world.client.clone());
    wait::until(&classes, &s.namespace, SOON, |class| told(class) == Some(refused)).await?;
    lane.crash().await?;
    let s = &lane.scenario;
    let object = s.api::<Gateway>().get("edge").await?;
    ensure!(said("Accepted", refused)(&object) && served(&object), "{:?}", object.status);
    answers(s, &object).await?;
    let left = s.api::<DataPlane>().get("edge").await?;
    ensure!(left.metadata.generation == made.metadata.generation, "it was made anew: {left:?}");

    configure(s, &json!({ "name": "MINE", "value": "third" })).await?;
    wait::until(&s.api::<Gateway>(), "edge", SOON, said("Accepted", ("True", "Accepted"))).await?;
    let accepted = ("True", "Accepted");
    wait::until(&classes, &s.namespace, SOON, |class| told(class) == Some(accepted)).await?;
    let has_third = |found: &DataPlane| serde_json::to_string(found).is_ok_and(|text| text.contains("third"));
    wait::until(&s.api::<DataPlane>(), "edge", SOON, has_third).await?;
    lane.end().await
}

/// Options of pods that serve by themselves, with one variable of the user's.
async fn configure(s: &Scenario, variable: &Value) -> Result<()> {
    let own = json!({
        "name": "KONG_DECLARATIVE_CONFIG_STRING",
        "value": "{\"_format_version\":\"3.0\",\"services\":[{\"name\":\"s\",\"url\":\"http://127.0.0.1:9\"}]}",
    });
    let proxy = json!({
        "name": "proxy", "env": [variable, own],
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
    });
    let object = json!({
        "apiVersion": format!("{GROUP}/v1beta1"), "kind": "GatewayConfiguration",
        "metadata": { "name": "own" },
        "spec": {
            "controlPlaneOptions": { "deployment": { "replicas": 0 } },
            "dataPlaneOptions": {
                "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } },
                "network": { "services": { "ingress": { "type": "ClusterIP" } } },
            },
        },
    });
    let api: Api<GatewayConfiguration> = s.api();
    let params = PatchParams::apply("tests").force();
    api.patch("own", &params, &Patch::Apply(object)).await.map(drop).map_err(Into::into)
}

async fn class(s: &Scenario, controller: &str) -> Result<()> {
    let parameters =
        json!({ "group": GROUP, "kind": "GatewayConfiguration", "name": "own", "namespace": s.namespace });
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": s.namespace },
        "spec": { "controllerName": controller, "parametersRef": parameters },
    });
    let all: Api<GatewayClass> = Api::all(s.world.client.clone());
    all.create(&PostParams::default(), &serde_json::from_value(class)?).await.map(drop).map_err(Into::into)
}

/// Whether a condition of a Gateway is so, for its specification as it is now.
fn said(type_: &'static str, wanted: (&'static str, &'static str)) -> impl Fn(&Gateway) -> bool {
    move |object| {
        let all = object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::get(all, type_).is_some_and(|found| {
            (found.status.as_str(), found.reason.as_str()) == wanted
                && found.observed_generation == object.metadata.generation
        })
    }
}

fn told(class: &GatewayClass) -> Option<(&str, &str)> {
    let found = conditions::get(class.status.as_ref()?.conditions.as_deref()?, "Accepted")?;
    Some((&found.status, &found.reason))
}

async fn answers(s: &Scenario, object: &Gateway) -> Result<()> {
    let status = object.status.as_ref().context("no status")?;
    let first = status.addresses.iter().flatten().next().context("no address")?;
    let to = SocketAddr::new(first.value.parse()?, 80);
    http::until(&s.world.cluster, to, "/", SOON, |a| a.body.contains("no Route matched")).await.map(drop)
}
