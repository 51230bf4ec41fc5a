//! How many pods: by number, by autoscaler, by `kubectl scale`; and how many evictions leave.

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{Deployment, HorizontalPodAutoscaler, IntOrString, PodDisruptionBudget};
use crds::names;
use kube::ResourceExt;
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{clustered, patch};

pub async fn an_autoscaler_takes_over_what_runs_and_gives_it_back(s: Scenario) -> Result<()> {
    let mut spec = clustered();
    spec["deployment"]["replicas"] = json!(2);
    s.dataplane("scaled", spec).await?;
    s.reason("scaled", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    let behavior = json!({ "scaleDown": { "selectPolicy": "Disabled" } });
    let horizontal = json!({ "minReplicas": 1, "maxReplicas": 4, "behavior": behavior });
    let scaling =
        json!({ "spec": { "deployment": { "replicas": null, "scaling": { "horizontal": horizontal } } } });
    patch(&s, "scaled", scaling).await?;
    let autoscalers = s.api::<HorizontalPodAutoscaler>();
    let made = wait::until(&autoscalers, "scaled", SOON, |_| true).await?.spec;
    let name = names::deployment("scaled", names::values::FIRST_TRACK);
    ensure!(made.scale_target_ref.name == name && made.max_replicas == 4, "{made:?}");
    let handed_over = |d: &Deployment| !d.annotations().contains_key(names::annotations::REPLICAS);
    let deployment = wait::until(&s.api::<Deployment>(), &name, SOON, handed_over).await?;
    let replicas = deployment.spec.and_then(|spec| spec.replicas);
    ensure!(replicas == Some(2), "the hand-over left {replicas:?} of 2 replicas");

    let fixed = json!({ "spec": { "deployment": { "replicas": 1, "scaling": null } } });
    patch(&s, "scaled", fixed).await?;
    wait::gone(&autoscalers, "scaled", SOON).await?;
    let one = |d: &Deployment| d.spec.as_ref().and_then(|spec| spec.replicas) == Some(1);
    wait::until(&s.api::<Deployment>(), &name, SOON, one).await.map(drop)
}

pub async fn kubectl_scale_and_the_scale_subresource_tell_the_truth(s: Scenario) -> Result<()> {
    s.dataplane("sized", clustered()).await?;
    s.ready("sized").await?;
    let mut kubectl = s.world.cluster.kubectl()?;
    kubectl.args(["--namespace", &s.namespace, "scale", "dataplane", "sized", "--replicas=2"]);
    tests::install::run(&mut kubectl).await?;
    let two = |d: &DataPlane| d.status.as_ref().is_some_and(|status| status.ready_replicas == Some(2));
    wait::until(&s.api::<DataPlane>(), "sized", SOON, two).await?;
    let scale = s.api::<DataPlane>().get_scale("sized").await?;
    let status = scale.status.context("no status")?;
    ensure!(status.replicas == 2, "{status:?}");
    ensure!(status.selector.is_some_and(|selector| selector.contains("app=sized")), "/scale has no selector");
    Ok(())
}

pub async fn a_disruption_budget_is_kept_and_removed(s: Scenario) -> Result<()> {
    let mut spec = clustered();
    spec["resources"] = json!({ "podDisruptionBudget": { "spec": { "minAvailable": 1 } } });
    s.dataplane("budget", spec).await?;
    s.ready("budget").await?;
    let budgets = s.api::<PodDisruptionBudget>();
    let counts =
        |b: &PodDisruptionBudget| b.status.as_ref().is_some_and(|status| status.current_healthy == Some(1));
    let budget = wait::until(&budgets, "budget", SOON, counts).await?.spec.context("no spec")?;
    ensure!(budget.min_available == Some(IntOrString::Int(1)), "{budget:?}");
    patch(&s, "budget", json!({ "spec": { "resources": null } })).await?;
    wait::gone(&budgets, "budget", SOON).await
}

/// Everything that autoscaling/v2 knows reaches the autoscaler as it was written.
pub async fn every_kind_of_metric_is_passed_on(s: Scenario) -> Result<()> {
    let value = |value: &str| json!({ "type": "Value", "value": value });
    let metrics = json!([
        { "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } } },
        { "type": "ContainerResource", "containerResource": { "name": "memory", "container": "proxy", "target": { "type": "AverageValue", "averageValue": "500Mi" } } },
        { "type": "Pods", "pods": { "metric": { "name": "requests" }, "target": { "type": "AverageValue", "averageValue": "100" } } },
        { "type": "Object", "object": { "metric": { "name": "depth" }, "describedObject": { "apiVersion": "v1", "kind": "Service", "name": "queue" }, "target": value("30") } },
        { "type": "External", "external": { "metric": { "name": "length", "selector": { "matchLabels": { "queue": "a" } } }, "target": value("30") } },
    ]);
    let behavior = json!({
        "scaleDown": { "stabilizationWindowSeconds": 300, "policies": [{ "type": "Percent", "value": 50, "periodSeconds": 60 }] },
        "scaleUp": { "selectPolicy": "Max", "policies": [{ "type": "Pods", "value": 4, "periodSeconds": 15 }] },
    });
    let mut spec = clustered();
    spec["deployment"]["scaling"] = json!({ "horizontal": { "minReplicas": 1, "maxReplicas": 4, "metrics": metrics, "behavior": behavior } });
    s.dataplane("metered", spec).await?;
    s.ready("metered").await?;
    let made: HorizontalPodAutoscaler = s.api().get("metered").await?;
    let made = serde_json::to_value(made.spec)?;
    ensure!(made["metrics"] == metrics, "{}", made["metrics"]);
    ensure!(
        made["behavior"]["scaleDown"]["policies"] == behavior["scaleDown"]["policies"],
        "{}",
        made["behavior"]
    );
    ensure!(
        made["behavior"]["scaleUp"]["policies"] == behavior["scaleUp"]["policies"],
        "{}",
        made["behavior"]
    );
    ensure!(made["scaleTargetRef"]["kind"] == "Deployment" && made["maxReplicas"] == 4, "{made}");
    Ok(())
}
