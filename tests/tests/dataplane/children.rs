//! Children: kept as wanted, shared with others, gone with their owner.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{Deployment, Event, HorizontalPodAutoscaler, PodDisruptionBudget, Secret, Service};
use crds::names;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tests::{audit, wait};

use crate::{BACK, clustered, patch};

/// Does something to a child and waits, from then on, until it is as wanted.
async fn restored<K>(
    api: &Api<K>,
    name: &str,
    act: impl AsyncFnOnce() -> Result<()>,
    good: impl Fn(&K) -> bool,
) -> Result<Duration>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + serde::Serialize
        + Send
        + 'static,
{
    let began = Instant::now();
    act().await?;
    wait::until(api, name, BACK, good).await?;
    Ok(began.elapsed())
}

/// A `DataPlane` with every child there is.
fn whole() -> Value {
    let mut spec = clustered();
    spec["deployment"]["scaling"] = json!({ "horizontal": { "minReplicas": 1, "maxReplicas": 2 } });
    spec["resources"] = json!({ "podDisruptionBudget": { "spec": { "maxUnavailable": 1 } } });
    spec
}

pub async fn deleted_children_come_back(s: Scenario) -> Result<()> {
    s.dataplane("kept", whole()).await?;
    // While pods start, their own events would bring the operator to look at everything.
    s.reason("kept", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    let mut took = Vec::new();
    let background = DeleteParams::background();
    let (deployments, services, secrets): (Api<Deployment>, Api<Service>, Api<Secret>) =
        (s.api(), s.api(), s.api());

    for name in [names::ingress_service("kept"), names::admin_service("kept")] {
        let old = services.get(&name).await?.uid();
        let act = async || services.delete(&name, &background).await.map(drop).map_err(Into::into);
        took.push(restored(&services, &name, act, |d| d.uid() != old).await?);
    }
    let name = names::admin_certificate("kept");
    let old = secrets.get(&name).await?.uid();
    let act = async || secrets.delete(&name, &background).await.map(drop).map_err(Into::into);
    took.push(restored(&secrets, &name, act, |d| d.uid() != old).await?);
    let name = names::deployment("kept", "1");
    let old = deployments.get(&name).await?.uid();
    let act = async || deployments.delete(&name, &background).await.map(drop).map_err(Into::into);
    took.push(restored(&deployments, &name, act, |d| d.uid() != old).await?);
    let budgets: Api<PodDisruptionBudget> = s.api();
    let old = budgets.get("kept").await?.uid();
    let act = async || budgets.delete("kept", &background).await.map(drop).map_err(Into::into);
    took.push(restored(&budgets, "kept", act, |d| d.uid() != old).await?);
    let autoscalers: Api<HorizontalPodAutoscaler> = s.api();
    let old = autoscalers.get("kept").await?.uid();
    let act = async || autoscalers.delete("kept", &background).await.map(drop).map_err(Into::into);
    took.push(restored(&autoscalers, "kept", act, |d| d.uid() != old).await?);

    println!("deleted children were back after {took:?}");
    s.ready("kept").await.map(drop)
}

pub async fn edited_children_come_back(s: Scenario) -> Result<()> {
    s.dataplane("kept", clustered()).await?;
    s.ready("kept").await?;
    let mut took = Vec::new();
    let (deployments, services): (Api<Deployment>, Api<Service>) = (s.api(), s.api());
    let name = names::ingress_service("kept");
    let edit = json!({ "spec": { "ports": [{ "port": 80, "name": "http", "targetPort": 1 }] } });
    let act = async || {
        services
            .patch(&name, &PatchParams::default(), &Patch::Strategic(&edit))
            .await
            .map(drop)
            .map_err(Into::into)
    };
    let target = |service: &Service| {
        let ports = service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default();
        ports.iter().any(|p| p.port == 80 && p.target_port == Some(crds::k8s::IntOrString::Int(8000)))
    };
    took.push(restored(&services, &name, act, target).await?);
    let unlabel = json!({ "metadata": { "labels": { names::labels::MANAGED_BY: null } } });
    let act = async || {
        services
            .patch(&name, &PatchParams::default(), &Patch::Merge(&unlabel))
            .await
            .map(drop)
            .map_err(Into::into)
    };
    took.push(restored(&services, &name, act, |s| s.labels().contains_key(names::labels::MANAGED_BY)).await?);
    let divert = json!({ "spec": { "selector": { "stolen": "yes" } } });
    let act = async || {
        services
            .patch(&name, &PatchParams::default(), &Patch::Merge(&divert))
            .await
            .map(drop)
            .map_err(Into::into)
    };
    let selected = |service: &Service| {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        !selector.contains_key("stolen")
    };
    took.push(restored(&services, &name, act, selected).await?);
    let name = names::deployment("kept", "1");
    let loosen = json!({ "spec": { "template": { "spec": { "automountServiceAccountToken": null } } } });
    let act = async || {
        deployments
            .patch(&name, &PatchParams::default(), &Patch::Merge(&loosen))
            .await
            .map(drop)
            .map_err(Into::into)
    };
    let tight = |d: &Deployment| {
        d.spec.as_ref().and_then(|s| s.template.spec.as_ref()).and_then(|s| s.automount_service_account_token)
            == Some(false)
    };
    took.push(restored(&deployments, &name, act, tight).await?);
    println!("edited children were back after {took:?}");
    s.ready("kept").await.map(drop)
}

/// Those that are there on request, and the Secret.
pub async fn edited_budgets_autoscalers_and_secrets_come_back(s: Scenario) -> Result<()> {
    s.dataplane("kept", whole()).await?;
    s.reason("kept", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    let budgets: Api<PodDisruptionBudget> = s.api();
    let narrow = json!({ "spec": { "selector": { "matchLabels": { "stolen": "yes" } } } });
    let act = async || {
        let edited = budgets.patch("kept", &PatchParams::default(), &Patch::Merge(&narrow)).await;
        edited.map(drop).map_err(Into::into)
    };
    let whole = |budget: &PodDisruptionBudget| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        !selector.and_then(|s| s.match_labels.clone()).unwrap_or_default().contains_key("stolen")
    };
    let mut took = vec![restored(&budgets, "kept", act, whole).await?];
    let autoscalers: Api<HorizontalPodAutoscaler> = s.api();
    let raise = json!({ "spec": { "maxReplicas": 9 } });
    let act = async || {
        let edited = autoscalers.patch("kept", &PatchParams::default(), &Patch::Merge(&raise)).await;
        edited.map(drop).map_err(Into::into)
    };
    let two = |a: &HorizontalPodAutoscaler| a.spec.max_replicas == 2;
    took.push(restored(&autoscalers, "kept", act, two).await?);
    let secrets: Api<Secret> = s.api();
    let name = names::admin_certificate("kept");
    let break_it = json!({ "stringData": { "tls.crt": "nonsense" } });
    let act = async || {
        let edited = secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&break_it)).await;
        edited.map(drop).map_err(Into::into)
    };
    let good = |secret: &Secret| {
        let chain = secret.data.as_ref().and_then(|data| data.get("tls.crt"));
        chain.is_some_and(|pem| pem.0.starts_with(b"-----BEGIN CERTIFICATE"))
    };
    took.push(restored(&secrets, &name, act, good).await?);
    println!("edited children on request were back after {took:?}");
    Ok(())
}

/// A new certificate would roll the pods.
pub async fn an_unlabelled_secret_keeps_its_certificate(s: Scenario) -> Result<()> {
    s.dataplane("sealed", clustered()).await?;
    s.ready("sealed").await?;
    let secrets: Api<Secret> = s.api();
    let name = names::admin_certificate("sealed");
    let before = secrets.get(&name).await?.data;
    let unlabel = json!({ "metadata": { "labels": { names::labels::MANAGED_BY: null } } });
    secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&unlabel)).await?;
    let after =
        wait::until(&secrets, &name, SOON, |s| s.labels().contains_key(names::labels::MANAGED_BY)).await?;
    ensure!(after.data == before, "the certificate was replaced");
    Ok(())
}

pub async fn a_recreated_dataplane_waits_for_its_predecessor_to_go(s: Scenario) -> Result<()> {
    let first = s.dataplane("again", clustered()).await?;
    s.ready("again").await?;
    let dataplanes: Api<DataPlane> = s.api();
    dataplanes.delete("again", &DeleteParams::background()).await?;
    wait::gone(&dataplanes, "again", SOON).await?;
    let second = s.dataplane("again", clustered()).await?;
    ensure!(first.uid() != second.uid());
    s.ready("again").await?;
    let service: Service = s.api().get(&names::ingress_service("again")).await?;
    ensure!(
        service.owner_references().iter().any(|owner| Some(&owner.uid) == second.uid().as_ref()),
        "{:?}",
        service.metadata
    );
    let events: Api<Event> = s.api();
    let warned = events
        .list(&ListParams::default())
        .await?
        .items
        .into_iter()
        .find(|e| e.reason.as_deref() == Some(reasons::NAME_TAKEN));
    ensure!(warned.is_none(), "{warned:?}");
    Ok(())
}

pub async fn what_others_add_stays(s: Scenario) -> Result<()> {
    s.dataplane("shared", clustered()).await?;
    s.ready("shared").await?;
    let (deployments, services): (Api<Deployment>, Api<Service>) = (s.api(), s.api());
    let name = names::deployment("shared", "1");
    let foreign = json!({ "metadata": { "labels": { "argocd.argoproj.io/instance": "x" }, "annotations": { "team/note": "y" } },
        "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z" } } } } });
    deployments.patch(&name, &PatchParams::default(), &Patch::Merge(&foreign)).await?;
    let ingress = names::ingress_service("shared");
    let cloud = json!({ "metadata": { "annotations": { "cloud/load-balancer": "lb-1" } } });
    services.patch(&ingress, &PatchParams::default(), &Patch::Merge(&cloud)).await?;
    // A change of ours makes the operator write both again.
    let change = json!({ "spec": { "deployment": { "replicas": 2 }, "network": { "services": { "ingress": { "annotations": { "a": "b" } } } } } });
    patch(&s, "shared", change).await?;
    let scaled =
        wait::until(&deployments, &name, SOON, |d| d.spec.as_ref().and_then(|s| s.replicas) == Some(2))
            .await?;
    ensure!(
        scaled.labels().get("argocd.argoproj.io/instance").map(String::as_str) == Some("x"),
        "{:?}",
        scaled.labels()
    );
    ensure!(scaled.annotations().get("team/note").map(String::as_str) == Some("y"));
    let template = scaled.spec.and_then(|spec| spec.template.metadata).context("no template")?;
    ensure!(template.annotations.unwrap_or_default().contains_key("kubectl.kubernetes.io/restartedAt"));
    let service = wait::until(&services, &ingress, SOON, |s| s.annotations().contains_key("a")).await?;
    ensure!(service.annotations().contains_key("cloud/load-balancer"), "{:?}", service.annotations());
    // And what we no longer want goes.
    patch(
        &s,
        "shared",
        json!({ "spec": { "network": { "services": { "ingress": { "annotations": null } } } } }),
    )
    .await?;
    let service = wait::until(&services, &ingress, SOON, |s| !s.annotations().contains_key("a")).await?;
    ensure!(service.annotations().contains_key("cloud/load-balancer"), "{:?}", service.annotations());
    Ok(())
}

pub async fn deleting_leaves_nothing(s: Scenario) -> Result<()> {
    s.dataplane("gone", whole()).await?;
    s.ready("gone").await?;
    let dataplanes: Api<DataPlane> = s.api();
    dataplanes.delete("gone", &DeleteParams::default()).await?;
    wait::gone(&dataplanes, "gone", SOON).await?;
    wait::gone(&s.api::<Deployment>(), &names::deployment("gone", "1"), SOON).await?;
    wait::gone(&s.api::<PodDisruptionBudget>(), "gone", SOON).await?;
    wait::gone(&s.api::<HorizontalPodAutoscaler>(), "gone", SOON).await?;
    for service in [names::ingress_service("gone"), names::admin_service("gone")] {
        wait::gone(&s.api::<Service>(), &service, SOON).await?;
    }
    wait::gone(&s.api::<Secret>(), &names::admin_certificate("gone"), SOON).await
}

pub async fn a_renamed_service_replaces_the_old_one(s: Scenario) -> Result<()> {
    s.dataplane("named", clustered()).await?;
    s.ready("named").await?;
    patch(&s, "named", json!({ "spec": { "network": { "services": { "ingress": { "name": "front" } } } } }))
        .await?;
    let services: Api<Service> = s.api();
    wait::until(&services, "front", SOON, |_| true).await?;
    let old = names::ingress_service("named");
    wait::gone(&services, &old, SOON).await?;
    let requests = audit::within(&s.world.cluster, &s.namespace)?;
    let at = |request: String| {
        requests
            .iter()
            .position(|found| *found == request)
            .with_context(|| format!("no {request}: {requests:?}"))
    };
    ensure!(
        at("patch services/front".into())? < at(format!("delete services/{old}"))?,
        "the old one went before the new one was there: {requests:?}"
    );
    let told =
        |d: &DataPlane| d.status.as_ref().and_then(|status| status.service.as_deref()) == Some("front");
    wait::until(&s.api::<DataPlane>(), "named", SOON, told).await.map(drop)
}
