//! Autoscalers that act on real processor time, as metrics-server reports it.

#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod load;
mod watched;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::DataPlane;
use crds::conditions::{self, types};
use crds::k8s::{HorizontalPodAutoscaler, Service};
use crds::names;
use kube::api::PostParams;
use serde_json::{Value, json};
use tests::wait;
use tests::world::{self, Scenario};
use tests::{install, scenarios};

use load::Load;
use watched::Watched;

/// Figures are 10 s to 20 s old, and an autoscaler looks at them twice before it acts.
const FOLLOWED: Duration = Duration::from_mins(3);

fn main() -> ExitCode {
    let scenarios: &[world::Named] = scenarios![
        an_autoscaler_of_a_dataplane_follows_the_load,
        an_autoscaler_of_ones_own_scales_the_dataplane,
        the_figures_are_those_of_kubectl_top,
    ];
    let options = Options { metrics: true, simulated_nodes: 1, ..Options::default() };
    world::run(options, scenarios)
}

async fn an_autoscaler_of_a_dataplane_follows_the_load(s: Scenario) -> Result<()> {
    let mut spec = small();
    spec["deployment"]["scaling"] = json!({ "horizontal": autoscaling() });
    s.dataplane("loaded", spec).await?;
    follows_the_load(&s, "loaded").await
}

async fn an_autoscaler_of_ones_own_scales_the_dataplane(s: Scenario) -> Result<()> {
    let mut spec = small();
    // An autoscaler leaves alone what has no number of replicas.
    spec["deployment"]["replicas"] = json!(1);
    s.dataplane("aimed", spec).await?;
    let mut autoscaler = autoscaling();
    autoscaler["scaleTargetRef"] =
        json!({ "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane", "name": "aimed" });
    let object = json!({ "metadata": { "name": "mine" }, "spec": autoscaler });
    s.api::<HorizontalPodAutoscaler>()
        .create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    follows_the_load(&s, "aimed").await
}

async fn the_figures_are_those_of_kubectl_top(s: Scenario) -> Result<()> {
    let mut top = s.world.cluster.kubectl()?;
    top.args(["top", "nodes", "--no-headers"]);
    let nodes = install::run(&mut top).await?;
    ensure!(nodes.lines().any(|line| line.starts_with("node-1") && line.contains("Mi")), "{nodes}");
    Ok(())
}

/// Under load there are more pods, and after it one; the `DataPlane` says so, and is Ready all the time.
async fn follows_the_load(s: &Scenario, name: &str) -> Result<()> {
    s.ready(name).await?;
    let watched = Watched::begin(s.api(), name);
    let load = Load::begin(s, address(s, name).await?);
    let grown =
        |d: &DataPlane| is_ready(d) && sizes(d).is_some_and(|(replicas, ready)| replicas >= 2 && ready >= 2);
    let grew = wait::until(&s.api::<DataPlane>(), name, FOLLOWED, grown).await;
    let answered = load.end().await;
    grew.with_context(|| format!("{answered} requests were answered"))?;
    ensure!(answered > 100, "only {answered} requests were answered");
    let alone = |d: &DataPlane| is_ready(d) && sizes(d) == Some((1, 1));
    wait::until(&s.api::<DataPlane>(), name, FOLLOWED, alone).await?;
    watched.was_always_ready()
}

/// The address of its ingress Service.
async fn address(s: &Scenario, name: &str) -> Result<SocketAddr> {
    let service: Service = s.api().get(&names::ingress_service(name)).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("a Service has an address")?;
    Ok(SocketAddr::new(address.parse::<IpAddr>()?, 80))
}

fn is_ready(dataplane: &DataPlane) -> bool {
    conditions::holds(dataplane.conditions(), types::READY)
}

fn sizes(dataplane: &DataPlane) -> Option<(i32, i32)> {
    let status = dataplane.status.as_ref()?;
    Some((status.replicas?, status.ready_replicas?))
}

/// Little is asked for, so that little is enough to be over the target.
fn small() -> Value {
    let resources = json!({ "requests": { "cpu": "20m", "memory": "32Mi" }, "limits": { "cpu": "300m" } });
    let pod = json!({ "spec": { "containers": [{ "name": "proxy", "resources": resources }] } });
    json!({ "deployment": { "podTemplateSpec": pod }, "network": { "services": { "ingress": { "type": "ClusterIP" } } } })
}

/// One pod to three, at half of what a pod asks for, without waiting for steadier figures.
fn autoscaling() -> Value {
    let at_once = json!({ "stabilizationWindowSeconds": 0, "policies": [{ "type": "Pods", "value": 3, "periodSeconds": 1 }] });
    json!({
        "minReplicas": 1,
        "maxReplicas": 3,
        "metrics": [{ "type": "Resource", "resource": {
            "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }],
        "behavior": { "scaleUp": at_once, "scaleDown": at_once },
    })
}
