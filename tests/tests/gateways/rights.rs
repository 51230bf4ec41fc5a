//! What the operator may do: all that it does, and nothing that it never does.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use crds::access::{GRANTS, Grant};
use crds::k8s::{
    HorizontalPodAutoscaler, Namespace, NetworkPolicy, PodDisruptionBudget, RoleBinding, Service,
    ServiceAccount,
};
use crds::{ControlPlane, DataPlane, WatchNamespaceGrant, conditions, names};
use gateway_api::listenersets::ListenerSet;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tests::{audit, wait};

use super::streams::serve_old;
use super::{BACK, change, class, class_of, configure, gateway, http, programmed, quick};

/// Rights whose use other suites see: `rotation` that of renewed certificates, `process` that of guarded metrics.
const ELSEWHERE: [&str; 3] = [
    "update  secrets",
    "create authentication.k8s.io tokenreviews",
    "create authorization.k8s.io subjectaccessreviews",
];
/// What rollouts alone use.
const OF_ROLLOUTS: [&str; 4] = ["endpointslices", "gatewayrollouts", "gatewayrollouts/status", "jobs"];
/// Between two looks into the audit log.
const BETWEEN: Duration = Duration::from_secs(1);

/// Has the operator make, change and take back everything that it makes, and compares what it asked for with what it may.
pub async fn the_operator_holds_what_it_uses_and_no_more(s: Scenario) -> Result<()> {
    for plural in ["tcproutes", "tlsroutes", "udproutes"] {
        serve_old(&s, plural).await?;
    }
    let beside = beside(&s).await?;
    class(&s).await?;
    configure(&s, "quick", everything(&beside)).await?;
    let allowed = json!({ "namespaces": { "from": "Same" } });
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)], "allowedListeners": allowed })).await?;
    set(&s).await?;
    programmed(&s, "edge").await?;
    less(&s, &beside).await?;
    without_a_data_plane(&s).await?;
    another_class(&s).await?;
    let mut unused = Vec::new();
    let all_used = async {
        let mut looks = tokio::time::interval(BETWEEN);
        loop {
            looks.tick().await;
            let (given, refused) = audit::rights(&s.world.cluster)?;
            // A right that was given a moment ago, when the operator was started, may be refused once.
            let refused: Vec<_> = refused.difference(&given).collect();
            ensure!(refused.is_empty(), "the operator was refused: {refused:?}");
            unused = never(&given);
            if unused.is_empty() {
                return Ok(());
            }
        }
    };
    match tokio::time::timeout(BACK, all_used).await {
        Ok(compared) => compared,
        Err(_) => bail!("rights that are never used: {unused:?}"),
    }
}

/// Rights that are not among those that were used.
fn never(given: &BTreeSet<String>) -> Vec<String> {
    // What the API server itself asks, where owner references are enforced.
    let is_asked =
        |grant: &&Grant| !grant.resource.ends_with("/finalizers") && !OF_ROLLOUTS.contains(&grant.resource);
    let all = GRANTS.iter().filter(is_asked).flat_map(spelt);
    all.filter(|right| !given.contains(right) && !ELSEWHERE.contains(&right.as_str())).collect()
}

/// A grant as the audit log tells of its use. To apply what is not there yet is a patch that needs the right to create.
fn spelt(grant: &Grant) -> Vec<String> {
    let applies = grant.verbs.contains(&"patch");
    let verbs = grant.verbs.iter().filter(|verb| !applies || **verb != "create");
    verbs.map(|verb| format!("{verb} {} {}", grant.group, grant.resource)).collect()
}

/// Makes a namespace that lets itself be watched.
async fn beside(s: &Scenario) -> Result<String> {
    let name = format!("{}-beside", &s.namespace[..12]);
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let namespace = json!({ "metadata": { "name": name } });
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    let from = json!([{ "group": names::GROUP, "kind": "ControlPlane", "namespace": s.namespace }]);
    let grant = json!({
        "apiVersion": "gateway-operator.konghq.com/v1alpha1", "kind": "WatchNamespaceGrant",
        "metadata": { "name": "reader" }, "spec": { "from": from },
    });
    let grants: Api<WatchNamespaceGrant> = Api::namespaced(s.world.client.clone(), &name);
    grants.create(&PostParams::default(), &serde_json::from_value(grant)?).await?;
    Ok(name)
}

/// Options by which every kind of child is made.
fn everything(beside: &str) -> Value {
    let mut options = quick("ClusterIP");
    options["controlPlaneOptions"]["watchNamespaces"] = json!({ "type": "list", "list": [beside] });
    let data = &mut options["dataPlaneOptions"];
    data["deployment"]["scaling"] = json!({ "horizontal": { "minReplicas": 1, "maxReplicas": 2 } });
    data["resources"] = json!({ "podDisruptionBudget": { "spec": { "maxUnavailable": 1 } } });
    options
}

async fn set(s: &Scenario) -> Result<()> {
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "ListenerSet",
        "metadata": { "name": "more" },
        "spec": { "parentRef": { "name": "edge" }, "listeners": [http("alt", 8080)] },
    });
    s.api::<ListenerSet>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let told = |set: &ListenerSet| {
        let all = set.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::holds(all, "Accepted")
    };
    wait::until(&s.api::<ListenerSet>(), "more", SOON, told).await.map(drop)
}

/// What can be left out goes.
async fn less(s: &Scenario, beside: &str) -> Result<()> {
    let mut options = quick("ClusterIP");
    let off = json!([{ "name": "CONTROLLER_ADMISSION_WEBHOOK_LISTEN", "value": "off" }]);
    let spec = json!({
        "serviceAccountName": "default", "containers": [{ "name": "controller", "env": off }],
    });
    options["controlPlaneOptions"]["deployment"]["podTemplateSpec"] = json!({ "spec": spec });
    configure(s, "quick", options).await?;
    wait::gone(&s.api::<ServiceAccount>(), &names::controller("edge"), SOON).await?;
    wait::gone(&s.api::<Service>(), &names::controller_webhook("edge"), SOON).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(s.world.client.clone(), beside);
    wait::gone(&bindings, &names::controller_abroad(&s.namespace, "edge"), SOON).await?;
    let is_left = async |count: usize| -> Result<()> {
        ensure!(count == 0, "{count} are left of what is no longer asked for");
        Ok(())
    };
    programmed(s, "edge").await?;
    is_left(s.api::<HorizontalPodAutoscaler>().list(&ListParams::default()).await?.items.len()).await?;
    is_left(s.api::<PodDisruptionBudget>().list(&ListParams::default()).await?.items.len()).await
}

/// A control plane that loses its data plane is stopped.
async fn without_a_data_plane(s: &Scenario) -> Result<()> {
    let ingress = json!({ "services": { "ingress": { "type": "ClusterIP" } } });
    s.dataplane("alone", json!({ "deployment": { "replicas": 0 }, "network": ingress })).await?;
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "ControlPlane",
        "metadata": { "name": "alone" },
        "spec": { "dataplane": "alone", "deployment": { "replicas": 0 } },
    });
    let api: Api<ControlPlane> = s.api();
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let deployments: Api<crds::k8s::Deployment> = s.api();
    wait::until(&deployments, &names::controller("alone"), SOON, |_| true).await?;
    let change = json!({ "spec": { "dataplane": null } });
    api.patch("alone", &PatchParams::default(), &Patch::Merge(change)).await?;
    wait::gone(&deployments, &names::controller("alone"), SOON).await?;
    api.delete("alone", &DeleteParams::default()).await?;
    wait::gone(&api, "alone", SOON).await
}

/// A Gateway of another controller's class is given up.
async fn another_class(s: &Scenario) -> Result<()> {
    let name = format!("{}-theirs", class_of(s));
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": name }, "spec": { "controllerName": "example.com/other" },
    });
    let all: Api<gateway_api::gatewayclasses::GatewayClass> = Api::all(s.world.client.clone());
    all.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    change(s, "edge", json!({ "gatewayClassName": name })).await?;
    wait::gone(&s.api::<ControlPlane>(), "edge", SOON).await?;
    wait::gone(&s.api::<DataPlane>(), "edge", SOON).await?;
    wait::gone(&s.api::<NetworkPolicy>(), &names::network_policy("edge"), SOON).await
}
