//! Children: made, kept as wanted, gone with their owner.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::ControlPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{
    ClusterRole, ClusterRoleBinding, CustomResourceDefinition, Deployment, Lease, Role, RoleBinding, Secret,
    Service, ServiceAccount, ValidatingWebhookConfiguration,
};
use crds::names::{self, annotations, labels};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{BACK, DEFINITIONS, change, delete, make, pair, small, told};

async fn there<K>(api: &Api<K>, name: &str) -> Result<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Serialize + Send + 'static,
{
    wait::until(api, name, SOON, |_| true).await
}

fn all<K>(s: &Scenario) -> Api<K>
where
    K: Resource<DynamicType = ()>,
{
    Api::all(s.world.client.clone())
}

pub async fn everything_is_made_and_nothing_is_left(s: Scenario) -> Result<()> {
    let made = pair(&s, "edge", json!({})).await?;
    let own = names::controller("edge");
    let abroad = names::controller_abroad(&s.namespace, "edge");
    let deployment: Deployment = there(&s.api(), &own).await?;
    ensure!(deployment.owner_references().iter().any(|owner| Some(&owner.uid) == made.uid().as_ref()));
    there::<ServiceAccount>(&s.api(), &own).await?;
    there::<Role>(&s.api(), &own).await?;
    there::<RoleBinding>(&s.api(), &own).await?;
    there::<Secret>(&s.api(), &names::controller_certificate("edge")).await?;
    there::<Secret>(&s.api(), &names::controller_webhook("edge")).await?;
    there::<Service>(&s.api(), &names::controller_webhook("edge")).await?;
    let lease: Lease = there(&s.api(), &names::election("edge")).await?;
    ensure!(
        lease.owner_references().iter().any(|owner| Some(&owner.uid) == made.uid().as_ref()),
        "{lease:?}"
    );
    for labels in [
        there::<ClusterRole>(&all(&s), &abroad).await?.labels().clone(),
        there::<ClusterRoleBinding>(&all(&s), &abroad).await?.labels().clone(),
        there::<ValidatingWebhookConfiguration>(&all(&s), &abroad).await?.labels().clone(),
    ] {
        ensure!(labels.get(labels::OWNER_NAMESPACE) == Some(&s.namespace), "{labels:?}");
    }
    let kept: ControlPlane = s.api().get("edge").await?;
    ensure!(kept.finalizers().len() == 1, "{:?}", kept.finalizers());
    // A DataPlane under a control plane is ready when it is configured, and not before.
    let kong = names::deployment("edge", names::values::FIRST_TRACK);
    wait::until(&s.api::<Deployment>(), &kong, BACK, |found| ready_path(found) == "/status/ready").await?;

    delete(&s, "edge").await?;
    wait::gone(&all::<ClusterRole>(&s), &abroad, BACK).await?;
    wait::gone(&all::<ClusterRoleBinding>(&s), &abroad, BACK).await?;
    wait::gone(&all::<ValidatingWebhookConfiguration>(&s), &abroad, BACK).await?;
    wait::gone(&s.api::<Deployment>(), &own, SOON).await?;
    wait::gone(&s.api::<Lease>(), &names::election("edge"), SOON).await?;
    wait::gone(&s.api::<Role>(), &own, SOON).await?;
    let live: Deployment = s.api().get(&kong).await?;
    ensure!(ready_path(&live) == "/status/ready", "the pods of Kong are not rolled when it goes");
    Ok(())
}

fn ready_path(deployment: &Deployment) -> String {
    let value = serde_json::to_value(deployment).unwrap_or_default();
    let path = value.pointer("/spec/template/spec/containers/0/readinessProbe/httpGet/path");
    path.and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub async fn what_is_changed_by_hand_comes_back(s: Scenario) -> Result<()> {
    pair(&s, "kept", json!({ "watchNamespaces": { "type": "own" } })).await?;
    let (own, abroad) = (names::controller("kept"), names::controller_abroad(&s.namespace, "kept"));
    there::<ValidatingWebhookConfiguration>(&all(&s), &abroad).await?;
    let none = json!({ "rules": [] });
    let mut took = vec![
        restored::<ClusterRole>(&all(&s), &abroad, none.clone(), |r| {
            !r.rules.as_ref().is_none_or(Vec::is_empty)
        })
        .await?,
        restored::<Role>(&s.api(), &own, none, |r| !r.rules.as_ref().is_none_or(Vec::is_empty)).await?,
    ];
    let nobody = json!({ "subjects": null });
    took.push(
        restored::<ClusterRoleBinding>(&all(&s), &abroad, nobody.clone(), |b| b.subjects.is_some()).await?,
    );
    took.push(restored::<RoleBinding>(&s.api(), &own, nobody, |b| b.subjects.is_some()).await?);
    let unlabelled = json!({ "metadata": { "labels": { labels::MANAGED_BY: null } } });
    let labelled =
        |labels: &std::collections::BTreeMap<String, String>| labels.contains_key(labels::MANAGED_BY);
    took.push(
        restored::<ServiceAccount>(&s.api(), &own, unlabelled.clone(), |a| labelled(a.labels())).await?,
    );
    took.push(restored::<ClusterRole>(&all(&s), &abroad, unlabelled, |a| labelled(a.labels())).await?);
    let strict = json!({ "webhooks": null });
    took.push(
        restored::<ValidatingWebhookConfiguration>(&all(&s), &abroad, strict, |c| c.webhooks.is_some())
            .await?,
    );
    let more = json!({ "spec": { "replicas": 3 } });
    let none = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(0);
    took.push(restored::<Deployment>(&s.api(), &own, more, none).await?);
    for name in [&abroad] {
        let api = all::<ClusterRole>(&s);
        let before = api.get(name).await?.uid();
        let began = Instant::now();
        api.delete(name, &DeleteParams::default()).await?;
        wait::until(&api, name, BACK, |role| role.uid() != before).await?;
        took.push(began.elapsed());
    }
    println!("what was changed was back after {took:?}");
    Ok(())
}

async fn restored<K>(api: &Api<K>, name: &str, edit: Value, good: impl Fn(&K) -> bool) -> Result<Duration>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Serialize + Send + 'static,
{
    there(api, name).await?;
    let began = Instant::now();
    api.patch(name, &PatchParams::default(), &Patch::Merge(&edit)).await?;
    wait::until(api, name, BACK, good).await.with_context(|| format!("after {edit}"))?;
    Ok(began.elapsed())
}

pub async fn without_a_data_plane_nothing_is_started(s: Scenario) -> Result<()> {
    make(&s, "early", json!({ "dataplane": "late", "deployment": { "replicas": 0 } })).await?;
    let said = told(&s, "early", types::READY, reasons::NO_DATA_PLANE).await?;
    ensure!(said.message.contains("no DataPlane \"late\""), "{said:?}");
    told(&s, "early", types::PROVISIONED, reasons::NO_DATA_PLANE).await?;
    let deployments: Api<Deployment> = s.api();
    let own = names::controller("early");
    ensure!(deployments.get_opt(&own).await?.is_none(), "it was started");
    s.dataplane("late", small()).await?;
    there(&deployments, &own).await?;
    change(&s, "early", json!({ "dataplane": null })).await?;
    wait::gone(&deployments, &own, BACK).await?;
    let configurations = all::<ValidatingWebhookConfiguration>(&s);
    wait::gone(&configurations, &names::controller_abroad(&s.namespace, "early"), BACK).await?;
    told(&s, "early", types::READY, reasons::NO_DATA_PLANE).await.map(drop)
}

pub async fn a_webhook_that_is_turned_off_goes(s: Scenario) -> Result<()> {
    pair(&s, "quiet", json!({})).await?;
    let (name, abroad) =
        (names::controller_webhook("quiet"), names::controller_abroad(&s.namespace, "quiet"));
    let configuration = there(&all::<ValidatingWebhookConfiguration>(&s), &abroad).await?;
    for webhook in configuration.webhooks.iter().flatten() {
        ensure!(webhook.failure_policy.as_deref() == Some("Ignore"), "{webhook:?}");
        let selector = serde_json::to_value(&webhook.namespace_selector)?;
        ensure!(selector.to_string().contains("kube-system"), "{selector}");
    }
    let off = json!({ "name": "CONTROLLER_ADMISSION_WEBHOOK_LISTEN", "value": "off" });
    let container = json!({ "name": "controller", "env": [off] });
    change(
        &s,
        "quiet",
        json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [container] } } } }),
    )
    .await?;
    wait::gone(&all::<ValidatingWebhookConfiguration>(&s), &abroad, BACK).await?;
    wait::gone(&s.api::<Service>(), &name, BACK).await?;
    wait::gone(&s.api::<Secret>(), &name, BACK).await
}

pub async fn a_renewed_certificate_rolls_the_controller(s: Scenario) -> Result<()> {
    pair(&s, "fresh", json!({})).await?;
    let (deployments, secrets): (Api<Deployment>, Api<Secret>) = (s.api(), s.api());
    let hash = |deployment: &Deployment| {
        let template = deployment.spec.as_ref().map(|spec| &spec.template);
        let notes = template.and_then(|template| template.metadata.as_ref()?.annotations.as_ref());
        notes.and_then(|notes| notes.get(annotations::CERTIFICATE_HASH).cloned())
    };
    let before = hash(&there(&deployments, &names::controller("fresh")).await?);
    ensure!(before.is_some(), "there is no hash");
    secrets.delete(&names::controller_certificate("fresh"), &DeleteParams::default()).await?;
    wait::until(&deployments, &names::controller("fresh"), BACK, |found| hash(found) != before).await?;
    Ok(())
}

pub async fn a_name_that_is_taken_is_left_alone(s: Scenario) -> Result<()> {
    let abroad = names::controller_abroad(&s.namespace, "rival");
    let theirs = json!({
        "metadata": { "name": abroad, "labels": { labels::MANAGED_BY: "controlplane" } },
        "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }],
    });
    let roles = all::<ClusterRole>(&s);
    roles.create(&PostParams::default(), &serde_json::from_value(theirs)?).await?;
    pair(&s, "rival", json!({})).await?;
    let said = told(&s, "rival", types::READY, reasons::NAME_TAKEN).await?;
    ensure!(said.message.contains(&abroad), "{said:?}");
    ensure!(roles.get(&abroad).await?.rules.is_some_and(|rules| rules.len() == 1), "it was changed");
    delete(&s, "rival").await?;
    roles.get(&abroad).await.context("it was deleted")?;
    roles.delete(&abroad, &DeleteParams::default()).await?;
    Ok(())
}

pub async fn definitions_of_kong_turn_their_controllers_on(s: Scenario) -> Result<()> {
    let _alone = DEFINITIONS.write().await;
    pair(&s, "kinds", json!({})).await?;
    let said = told(&s, "kinds", types::KONG_KINDS_AVAILABLE, reasons::DEFINITIONS_MISSING).await?;
    ensure!(said.message.contains("kongvaults.configuration.konghq.com"), "{said:?}");
    let off = |deployment: &Deployment| {
        let text = serde_json::to_string(deployment).unwrap_or_default();
        text.contains("CONTROLLER_ENABLE_CONTROLLER_KONG_VAULT")
    };
    let deployments: Api<Deployment> = s.api();
    wait::until(&deployments, &names::controller("kinds"), SOON, off).await?;
    let definition = json!({
        "metadata": { "name": "kongvaults.configuration.konghq.com" },
        "spec": {
            "group": "configuration.konghq.com",
            "names": { "kind": "KongVault", "plural": "kongvaults" },
            "scope": "Cluster",
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    });
    let definitions = all::<CustomResourceDefinition>(&s);
    definitions.create(&PostParams::default(), &serde_json::from_value(definition)?).await?;
    wait::until(&deployments, &names::controller("kinds"), BACK, |found| !off(found)).await?;
    definitions.delete("kongvaults.configuration.konghq.com", &DeleteParams::default()).await?;
    wait::until(&deployments, &names::controller("kinds"), BACK, off).await.map(drop)
}
