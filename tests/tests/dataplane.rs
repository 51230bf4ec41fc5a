//! `DataPlane` on a real cluster: from a manifest to an answered request, and what happens when things go wrong.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::DataPlane;
use crds::conditions::{self, reasons, types};
use crds::k8s::{Deployment, Event, Namespace, Secret, Service};
use crds::names;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::{self, SOON, Scenario};
use tests::{artifacts, http, install, scenarios, wait};

/// How long a child may be missing. It takes milliseconds; the rest is for a busy machine.
const BACK: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let scenarios: &[world::Named] = scenarios![
        the_sample_becomes_ready_and_answers,
        an_empty_specification_is_enough,
        an_image_that_cannot_be_pulled_shows_and_heals,
        deleted_and_edited_children_come_back,
        what_others_add_stays,
        deleting_leaves_nothing,
        a_name_that_is_taken_is_left_alone,
        a_renamed_service_replaces_the_old_one,
        a_wrong_specification_is_named_and_what_runs_goes_on,
        the_api_server_refuses_what_one_object_can_tell,
        a_quota_is_named,
    ];
    world::run(Options { dns: true, ..Options::default() }, scenarios)
}

fn quick() -> Value {
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    json!({ "spec": { "containers": [proxy] } })
}

fn clustered() -> Value {
    json!({ "deployment": { "podTemplateSpec": quick() }, "network": { "services": { "ingress": { "type": "ClusterIP" } } } })
}

async fn patch(scenario: &Scenario, name: &str, change: Value) -> Result<()> {
    let api: Api<DataPlane> = scenario.api();
    api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.map(drop).map_err(Into::into)
}

async fn the_sample_becomes_ready_and_answers(s: Scenario) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let restricted = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    namespaces.patch("default", &PatchParams::default(), &Patch::Merge(restricted)).await?;
    let sample = artifacts::root().join("manifests/samples/dataplane-declarative-config.yaml");
    install::file(s.world.cluster.kubectl()?, &sample).await?;
    let default = Scenario { namespace: "default".into(), ..s };
    let addressed = default.reason("declarative-config", types::ADDRESS_ASSIGNED, reasons::ADDRESS_ASSIGNED).await?;
    ensure!(addressed.status == "True", "{addressed:?}");
    let dataplane = default.ready("declarative-config").await?;
    let available = |d: &Deployment| d.status.as_ref().is_some_and(|s| s.available_replicas == Some(1));
    wait::until(&default.api::<Deployment>(), "echo", SOON, available).await?;

    let addresses = dataplane.status.and_then(|status| status.addresses).context("no addresses")?;
    let first: IpAddr = addresses.first().context("no address")?.value.parse()?;
    let answer = answered(&default, SocketAddr::new(first, 80), "/echo").await?;
    let body: Value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
    ensure!(body["namespace"] == "default" && body["path"].is_string(), "{body}");
    let via = answer.headers.get("via").and_then(|via| via.to_str().ok()).unwrap_or_default();
    ensure!(via.contains("kong/3.9"), "it did not come through Kong: {:?}", answer.headers);
    let missing = http::get(&default.world.cluster, SocketAddr::new(first, 80), "any", "/nowhere").await?;
    ensure!(missing.status == 404 && missing.body.contains("no Route matched"), "{missing:?}");
    Ok(())
}

/// The rules of a node may lag behind a ready endpoint by a second.
async fn answered(s: &Scenario, to: SocketAddr, path: &str) -> Result<http::Answer> {
    let asked = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            match http::get(&s.world.cluster, to, "any", path).await {
                Ok(answer) if answer.status.is_success() => return answer,
                _ => {}
            }
        }
    };
    tokio::time::timeout(BACK, asked).await.with_context(|| format!("http://{to}{path} was not answered in {BACK:?}"))
}

async fn an_empty_specification_is_enough(s: Scenario) -> Result<()> {
    // Not even `spec` has to be written.
    let manifest = json!({ "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane", "metadata": { "name": "bare" } });
    let made: DataPlane = {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bare.json");
        std::fs::write(&file, manifest.to_string())?;
        let mut kubectl = s.world.cluster.kubectl()?;
        kubectl.args(["--namespace", &s.namespace]);
        install::file(kubectl, &file).await?;
        s.ready("bare").await?
    };
    let owner = made.uid().context("no uid")?;
    let deployment: Deployment = s.api().get(&names::deployment("bare", "1")).await?;
    let ingress: Service = s.api().get(&names::ingress_service("bare")).await?;
    let admin: Service = s.api().get(&names::admin_service("bare")).await?;
    let certificate: Secret = s.api().get(&names::admin_certificate("bare")).await?;
    for owners in [deployment.owner_references(), ingress.owner_references(), admin.owner_references(), certificate.owner_references()] {
        ensure!(owners.iter().any(|o| o.uid == owner && o.controller == Some(true)), "{owners:?}");
    }
    let admin = admin.spec.context("no spec")?;
    ensure!(admin.cluster_ip.as_deref() == Some("None") && admin.publish_not_ready_addresses == Some(true), "{admin:?}");
    ensure!(admin.ports.iter().flatten().any(|port| port.name.as_deref() == Some("admin")), "{:?}", admin.ports);
    let selector = made.status.and_then(|status| status.selector).context("no selector")?;
    let pods: Api<crds::k8s::Pod> = s.api();
    let selected = pods.list(&ListParams::default().labels(&selector)).await?;
    ensure!(selected.items.len() == 1, "status.selector {selector:?} selects {} pods", selected.items.len());
    Ok(())
}

async fn an_image_that_cannot_be_pulled_shows_and_heals(s: Scenario) -> Result<()> {
    let image = |image: &str| {
        let proxy = json!({ "name": "proxy", "image": image });
        json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } } })
    };
    s.dataplane("nope", image("registry.invalid/kong:nope")["spec"].clone()).await?;
    let told = s.reason("nope", types::READY, reasons::IMAGE_PULL_FAILED).await?;
    ensure!(told.message.contains("\"registry.invalid/kong:nope\"") && told.message.contains("imagePullSecrets"), "{}", told.message);
    let events: Api<Event> = s.api();
    let published = events.list(&ListParams::default()).await?.items;
    let ours = published.iter().find(|event| event.reason.as_deref() == Some(reasons::IMAGE_PULL_FAILED));
    let ours = ours.with_context(|| format!("no event among {:?}", published.iter().map(|e| e.reason.clone()).collect::<Vec<_>>()))?;
    ensure!(ours.type_.as_deref() == Some("Warning"), "{ours:?}");
    patch(&s, "nope", image("docker.io/library/kong:3.9")).await?;
    let healed = s.ready("nope").await?;
    ensure!(conditions::get(healed.conditions(), types::READY).is_some_and(|c| c.reason == reasons::READY));
    Ok(())
}

/// Does something to a child and waits, from then on, until it is as wanted.
async fn restored<K>(api: &Api<K>, name: &str, act: impl AsyncFnOnce() -> Result<()>, good: impl Fn(&K) -> bool) -> Result<Duration>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize + Send + 'static,
{
    let began = Instant::now();
    act().await?;
    wait::until(api, name, BACK, good).await?;
    Ok(began.elapsed())
}

async fn deleted_and_edited_children_come_back(s: Scenario) -> Result<()> {
    s.dataplane("kept", clustered()).await?;
    s.ready("kept").await?;
    let mut took = Vec::new();
    let background = DeleteParams::background();
    let (deployments, services, secrets): (Api<Deployment>, Api<Service>, Api<Secret>) = (s.api(), s.api(), s.api());

    let name = names::deployment("kept", "1");
    let old = deployments.get(&name).await?.uid();
    let act = async || deployments.delete(&name, &background).await.map(drop).map_err(Into::into);
    took.push(restored(&deployments, &name, act, |d| d.uid() != old).await?);
    for name in [names::ingress_service("kept"), names::admin_service("kept")] {
        let old = services.get(&name).await?.uid();
        let act = async || services.delete(&name, &background).await.map(drop).map_err(Into::into);
        took.push(restored(&services, &name, act, |d| d.uid() != old).await?);
    }
    let name = names::admin_certificate("kept");
    let old = secrets.get(&name).await?.uid();
    let act = async || secrets.delete(&name, &background).await.map(drop).map_err(Into::into);
    took.push(restored(&secrets, &name, act, |d| d.uid() != old).await?);

    let name = names::ingress_service("kept");
    let edit = json!({ "spec": { "ports": [{ "port": 80, "name": "http", "targetPort": 1 }] } });
    let act = async || services.patch(&name, &PatchParams::default(), &Patch::Strategic(&edit)).await.map(drop).map_err(Into::into);
    let target = |service: &Service| {
        let ports = service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default();
        ports.iter().any(|p| p.port == 80 && p.target_port == Some(crds::k8s::IntOrString::Int(8000)))
    };
    took.push(restored(&services, &name, act, target).await?);
    let unlabel = json!({ "metadata": { "labels": { names::labels::MANAGED_BY: null } } });
    let act = async || services.patch(&name, &PatchParams::default(), &Patch::Merge(&unlabel)).await.map(drop).map_err(Into::into);
    took.push(restored(&services, &name, act, |s| s.labels().contains_key(names::labels::MANAGED_BY)).await?);
    println!("children were back after {took:?}");
    s.ready("kept").await.map(drop)
}

async fn what_others_add_stays(s: Scenario) -> Result<()> {
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
    let scaled = wait::until(&deployments, &name, SOON, |d| d.spec.as_ref().and_then(|s| s.replicas) == Some(2)).await?;
    ensure!(scaled.labels().get("argocd.argoproj.io/instance").map(String::as_str) == Some("x"), "{:?}", scaled.labels());
    ensure!(scaled.annotations().get("team/note").map(String::as_str) == Some("y"));
    let template = scaled.spec.and_then(|spec| spec.template.metadata).context("no template")?;
    ensure!(template.annotations.unwrap_or_default().contains_key("kubectl.kubernetes.io/restartedAt"));
    let service = wait::until(&services, &ingress, SOON, |s| s.annotations().contains_key("a")).await?;
    ensure!(service.annotations().contains_key("cloud/load-balancer"), "{:?}", service.annotations());
    // And what we no longer want goes.
    patch(&s, "shared", json!({ "spec": { "network": { "services": { "ingress": { "annotations": null } } } } })).await?;
    let service = wait::until(&services, &ingress, SOON, |s| !s.annotations().contains_key("a")).await?;
    ensure!(service.annotations().contains_key("cloud/load-balancer"), "{:?}", service.annotations());
    Ok(())
}

async fn deleting_leaves_nothing(s: Scenario) -> Result<()> {
    s.dataplane("gone", clustered()).await?;
    s.ready("gone").await?;
    let dataplanes: Api<DataPlane> = s.api();
    dataplanes.delete("gone", &DeleteParams::default()).await?;
    wait::gone(&dataplanes, "gone", SOON).await?;
    wait::gone(&s.api::<Deployment>(), &names::deployment("gone", "1"), SOON).await?;
    for service in [names::ingress_service("gone"), names::admin_service("gone")] {
        wait::gone(&s.api::<Service>(), &service, SOON).await?;
    }
    wait::gone(&s.api::<Secret>(), &names::admin_certificate("gone"), SOON).await
}

async fn a_name_that_is_taken_is_left_alone(s: Scenario) -> Result<()> {
    let services: Api<Service> = s.api();
    let foreign = json!({ "metadata": { "name": "mine" }, "spec": { "ports": [{ "port": 1234 }] } });
    let before = services.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    let mut spec = clustered();
    spec["network"]["services"]["ingress"]["name"] = json!("mine");
    s.dataplane("taken", spec).await?;
    let told = s.reason("taken", types::READY, reasons::NAME_TAKEN).await?;
    ensure!(told.message.contains("Service mine"), "{}", told.message);
    let after = services.get("mine").await?;
    ensure!(after.resource_version() == before.resource_version(), "the foreign Service was changed");
    services.delete("mine", &DeleteParams::default()).await?;
    s.ready("taken").await?;
    ensure!(services.get("mine").await?.uid() != before.uid());
    Ok(())
}

async fn a_renamed_service_replaces_the_old_one(s: Scenario) -> Result<()> {
    s.dataplane("named", clustered()).await?;
    s.ready("named").await?;
    patch(&s, "named", json!({ "spec": { "network": { "services": { "ingress": { "name": "front" } } } } })).await?;
    let services: Api<Service> = s.api();
    wait::until(&services, "front", SOON, |_| true).await?;
    wait::gone(&services, &names::ingress_service("named"), SOON).await?;
    let told = |d: &DataPlane| d.status.as_ref().and_then(|status| status.service.as_deref()) == Some("front");
    wait::until(&s.api::<DataPlane>(), "named", SOON, told).await.map(drop)
}

async fn a_wrong_specification_is_named_and_what_runs_goes_on(s: Scenario) -> Result<()> {
    s.dataplane("wrong", clustered()).await?;
    s.ready("wrong").await?;
    let deployments: Api<Deployment> = s.api();
    let name = names::deployment("wrong", "1");
    let before = deployments.get(&name).await?;
    let wrong = json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [{ "name": "proxy", "imge": "x" }] } } } } });
    patch(&s, "wrong", wrong).await?;
    let told = s.reason("wrong", types::READY, reasons::VALIDATION_FAILED).await?;
    ensure!(told.message.contains("spec.deployment.podTemplateSpec.spec.containers[0].imge: unknown field"), "{}", told.message);
    ensure!(deployments.get(&name).await?.metadata.generation == before.metadata.generation, "what ran was changed");
    patch(&s, "wrong", json!({ "spec": clustered() })).await?;
    s.ready("wrong").await.map(drop)
}

async fn the_api_server_refuses_what_one_object_can_tell(s: Scenario) -> Result<()> {
    for (spec, words) in [
        (json!({ "deployment": { "replicas": 1, "scaling": { "horizontal": { "maxReplicas": 2 } } } }), "replicas and scaling exclude each other"),
        (json!({ "deployment": { "scaling": { "horizontal": { "minReplicas": 3, "maxReplicas": 2 } } } }), "minReplicas must not be greater"),
        (json!({ "network": { "services": { "ingress": { "type": "ClusterIP", "externalTrafficPolicy": "Local" } } } }), "externalTrafficPolicy needs"),
        (json!({ "extensions": [{ "group": "g", "kind": "k", "name": "n" }] }), "not supported by Silverback"),
        (json!({ "network": { "services": { "ingress": { "ports": [{ "name": "a", "port": 0 }] } } } }), "spec.network.services.ingress.ports[0].port"),
    ] {
        let Err(error) = s.dataplane("refused", spec.clone()).await else { anyhow::bail!("{spec} was accepted") };
        ensure!(format!("{error:#}").contains(words), "{spec}: {error:#}");
    }
    Ok(())
}

async fn a_quota_is_named(s: Scenario) -> Result<()> {
    let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
    let quotas: Api<k8s_openapi::api::core::v1::ResourceQuota> = s.api();
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    let counted = |q: &k8s_openapi::api::core::v1::ResourceQuota| q.status.as_ref().is_some_and(|s| s.hard.is_some());
    wait::until(&quotas, "none", SOON, counted).await?;
    s.dataplane("poor", clustered()).await?;
    let told = s.reason("poor", types::READY, reasons::QUOTA_EXCEEDED).await?;
    ensure!(told.message.contains("exceeded quota: none"), "{}", told.message);
    Ok(())
}
