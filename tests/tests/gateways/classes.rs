//! Classes and configurations.

use crds::DataPlane;
use crds::k8s::HorizontalPodAutoscaler;
use kube::ResourceExt;

use super::{
    BACK, CONTROLLER, change, class, class_of, configure, current, gateway, http, make_class, programmed,
    quick, said, until,
};
use anyhow::{Context, Result, ensure};
use crds::{GatewayConfiguration, conditions};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};

fn of_class<'a>(class: &'a GatewayClass, type_: &str) -> Option<(&'a str, &'a str)> {
    let all = class.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    current(all, type_, class.metadata.generation)
}

pub async fn a_class_is_accepted_and_broken_parameters_heal(s: Scenario) -> Result<()> {
    let all: Api<GatewayClass> = Api::all(s.world.client.clone());
    let name = class_of(&s);
    let group = "gateway-operator.konghq.com";
    let reference =
        |kind: &str| json!({ "group": group, "kind": kind, "name": "later", "namespace": s.namespace });
    make_class(&s, CONTROLLER, Some(reference("GatewayConfiguration"))).await?;
    let refused = |class: &GatewayClass| of_class(class, "Accepted") == Some(("False", "InvalidParameters"));
    let accepted = |class: &GatewayClass| of_class(class, "Accepted") == Some(("True", "Accepted"));
    wait::until(&all, &name, BACK, refused).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    until(&s, "edge", |object| said(object, "Accepted") == Some(("False", "InvalidParameters"))).await?;
    // What was missing comes: the class heals, and so does what waits for it.
    configure(&s, "later", quick("ClusterIP")).await?;
    let class = wait::until(&all, &name, BACK, accepted).await?;
    ensure!(of_class(&class, "SupportedVersion") == Some(("True", "SupportedVersion")), "{:?}", class.status);
    let features = class.status.and_then(|status| status.supported_features).context("no features")?;
    let features: Vec<_> = features.into_iter().map(|feature| feature.name).collect();
    ensure!(features.is_sorted() && features.contains(&"HTTPRoute".to_owned()), "{features:?}");
    until(&s, "edge", |object| said(object, "Accepted") == Some(("True", "Accepted"))).await?;
    // The generation goes on, and the conditions with it.
    let change = json!({ "spec": { "description": "another word" } });
    all.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await?;
    wait::until(&all, &name, BACK, |class| class.metadata.generation == Some(2) && accepted(class)).await?;
    all.patch(
        &name,
        &PatchParams::default(),
        &Patch::Merge(json!({ "spec": { "parametersRef": reference("ConfigMap") } })),
    )
    .await?;
    wait::until(&all, &name, BACK, refused).await?;
    all.delete(&name, &kube::api::DeleteParams::default()).await?;
    Ok(())
}

pub async fn a_class_of_somebody_elses_and_its_gateways_are_left_alone(s: Scenario) -> Result<()> {
    make_class(&s, "example.com/other", None).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    // One of ours in the same namespace is looked after meanwhile: the other one was seen as well.
    let ours = format!("{}-ours", class_of(&s));
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": ours }, "spec": { "controllerName": CONTROLLER },
    });
    let all: Api<GatewayClass> = Api::all(s.world.client.clone());
    all.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let spec = json!({ "gatewayClassName": ours, "listeners": [http("http", 80)] });
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": "ours" }, "spec": spec,
    });
    let made: Gateway = s.api().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    until(&s, "ours", |object| said(object, "Accepted") == Some(("True", "Accepted"))).await?;
    let theirs: Gateway = s.api().get("edge").await?;
    let conditions = theirs.status.and_then(|status| status.conditions).unwrap_or_default();
    ensure!(conditions.iter().all(|condition| condition.status == "Unknown"), "{conditions:?}");
    ensure!(s.api::<DataPlane>().get_opt("edge").await?.is_none(), "a data plane was made");
    // A Gateway that changes its class is given up.
    wait::until(&s.api::<DataPlane>(), "ours", BACK, |_| true).await?;
    change(&s, &made.name_any(), json!({ "gatewayClassName": class_of(&s) })).await?;
    wait::gone(&s.api::<DataPlane>(), "ours", SOON).await
}

/// An autoscaler of the configuration's becomes one of the Gateway's data plane, and goes again.
pub async fn an_autoscaler_of_a_configuration_scales_its_gateways(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    let mut options = quick("ClusterIP");
    options["dataPlaneOptions"]["deployment"]["scaling"] =
        json!({ "horizontal": { "minReplicas": 2, "maxReplicas": 3 } });
    configure(&s, "quick", options).await?;
    // Without any figures it still keeps to its least number.
    let serves = |wanted: i32| {
        move |dataplane: &DataPlane| {
            let status = dataplane.status.as_ref();
            status.is_some_and(|status| {
                (status.replicas, status.ready_replicas) == (Some(wanted), Some(wanted))
            })
        }
    };
    wait::until(&s.api(), "edge", SOON, serves(2)).await?;
    let scalers: Api<HorizontalPodAutoscaler> = s.api();
    let found = scalers.list(&ListParams::default()).await?.items;
    let [scaler] = found.as_slice() else { anyhow::bail!("{} autoscalers", found.len()) };
    ensure!(scaler.spec.max_replicas == 3, "{scaler:?}");
    configure(&s, "quick", quick("ClusterIP")).await?;
    wait::gone(&scalers, &scaler.name_any(), SOON).await?;
    programmed(&s, "edge").await.map(drop)
}

pub async fn a_configuration_reaches_its_gateways_and_names_them(s: Scenario) -> Result<()> {
    class(&s).await?;
    configure(&s, "own", json!({ "dataPlaneOptions": { "deployment": { "replicas": 2 } } })).await?;
    let reference =
        json!({ "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": "own" });
    let infrastructure = json!({ "parametersRef": reference });
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)], "infrastructure": infrastructure })).await?;
    let replicas = |wanted: i32| {
        move |dataplane: &DataPlane| {
            dataplane.spec.deployment.as_ref().is_some_and(|deployment| deployment.replicas == Some(wanted))
        }
    };
    // The class's template and the Gateway's number.
    let made = wait::until(&s.api(), "edge", BACK, replicas(2)).await?;
    ensure!(made.spec.deployment.is_some_and(|d| d.pod_template_spec.is_some()), "no template");
    configure(&s, "own", json!({ "dataPlaneOptions": { "deployment": { "replicas": 1 } } })).await?;
    wait::until(&s.api(), "edge", BACK, replicas(1)).await?;
    let tells = |words: &'static str| {
        move |configuration: &GatewayConfiguration| {
            let status = configuration.status.as_ref();
            let all = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
            conditions::get(all, "Accepted").is_some_and(|found| found.message.contains(words))
        }
    };
    let api: Api<GatewayConfiguration> = s.api();
    let user = "1 Gateways: a-configuration-reaches-its-gateways-and-names-them/edge";
    wait::until(&api, "own", BACK, tells(user)).await?;
    wait::until(&api, "quick", BACK, tells(user)).await?;
    let none = json!({ "infrastructure": { "parametersRef": null } });
    change(&s, "edge", none).await?;
    wait::until(&api, "own", BACK, tells("no Gateways")).await?;
    wait::until(&s.api(), "edge", BACK, |dataplane: &DataPlane| {
        dataplane.spec.deployment.as_ref().is_some_and(|deployment| deployment.replicas.is_none())
    })
    .await?;
    // What leads nowhere leaves what runs alone.
    let lost = json!({ "infrastructure": { "parametersRef": { "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration", "name": "absent" } } });
    change(&s, "edge", lost).await?;
    until(&s, "edge", |object| said(object, "Accepted") == Some(("False", "InvalidParameters"))).await?;
    ensure!(s.api::<DataPlane>().get_opt("edge").await?.is_some(), "the data plane is gone");
    Ok(())
}
