//! What cannot be had: told in the status with the remedy, while what runs goes on.

use anyhow::{Result, ensure};
use crds::conditions::{self, reasons, types};
use crds::k8s::{Deployment, Event, Secret, Service};
use crds::names;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{clustered, patch};

pub async fn an_image_that_cannot_be_pulled_shows_and_heals(s: Scenario) -> Result<()> {
    let image = |image: &str| {
        let proxy = json!({ "name": "proxy", "image": image });
        json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } } })
    };
    s.dataplane("nope", image("registry.invalid/kong:nope")["spec"].clone()).await?;
    let told = s.reason("nope", types::READY, reasons::IMAGE_PULL_FAILED).await?;
    ensure!(
        told.message.contains("\"registry.invalid/kong:nope\"") && told.message.contains("imagePullSecrets"),
        "{}",
        told.message
    );
    let events: Api<Event> = s.api();
    let about = |event: &Event| event.reason.as_deref() == Some(reasons::IMAGE_PULL_FAILED);
    let ours = wait::any(&events, SOON, about).await?;
    ensure!(ours.type_.as_deref() == Some("Warning"), "{ours:?}");
    patch(&s, "nope", image("docker.io/library/kong:3.9")).await?;
    let healed = s.ready("nope").await?;
    ensure!(conditions::get(healed.conditions(), types::READY).is_some_and(|c| c.reason == reasons::READY));
    Ok(())
}

pub async fn a_name_that_is_taken_is_left_alone(s: Scenario) -> Result<()> {
    let services: Api<Service> = s.api();
    let foreign = json!({ "metadata": { "name": "mine" }, "spec": { "ports": [{ "port": 1234 }] } });
    let before = services.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    let mut spec = clustered();
    spec["network"]["services"]["ingress"]["name"] = json!("mine");
    s.dataplane("taken", spec).await?;
    let told = s.reason("taken", types::READY, reasons::NAME_TAKEN).await?;
    ensure!(told.message.contains("Service \"mine\""), "{}", told.message);
    let after = services.get("mine").await?;
    ensure!(after.resource_version() == before.resource_version(), "the foreign Service was changed");
    services.delete("mine", &DeleteParams::default()).await?;
    s.ready("taken").await?;
    ensure!(services.get("mine").await?.uid() != before.uid());
    Ok(())
}

/// A certificate that somebody else keeps is neither used nor changed.
pub async fn a_secret_of_somebody_elses_is_left_alone(s: Scenario) -> Result<()> {
    let secrets: Api<Secret> = s.api();
    let name = names::admin_certificate("theirs");
    let foreign = json!({ "metadata": { "name": name }, "stringData": { "tls.crt": "x", "tls.key": "y" } });
    let before = secrets.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    s.dataplane("theirs", clustered()).await?;
    let told = s.reason("theirs", types::READY, reasons::NAME_TAKEN).await?;
    ensure!(told.message.contains(&format!("Secret {name:?}")), "{}", told.message);
    ensure!(secrets.get(&name).await?.resource_version() == before.resource_version(), "it was changed");
    secrets.delete(&name, &DeleteParams::default()).await?;
    s.ready("theirs").await.map(drop)
}

pub async fn a_wrong_specification_is_named_and_what_runs_goes_on(s: Scenario) -> Result<()> {
    s.dataplane("wrong", clustered()).await?;
    s.ready("wrong").await?;
    let deployments: Api<Deployment> = s.api();
    let name = names::deployment("wrong", "1");
    let before = deployments.get(&name).await?;
    let wrong = json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [{ "name": "proxy", "imge": "x" }] } } } } });
    patch(&s, "wrong", wrong).await?;
    let told = s.reason("wrong", types::READY, reasons::VALIDATION_FAILED).await?;
    ensure!(
        told.message.contains("spec.deployment.podTemplateSpec.spec.containers[0].imge: unknown field"),
        "{}",
        told.message
    );
    ensure!(
        deployments.get(&name).await?.metadata.generation == before.metadata.generation,
        "what ran was changed"
    );
    patch(&s, "wrong", json!({ "spec": clustered() })).await?;
    s.ready("wrong").await.map(drop)
}

pub async fn the_api_server_refuses_what_one_object_can_tell(s: Scenario) -> Result<()> {
    for (spec, words) in [
        (
            json!({ "deployment": { "replicas": 1, "scaling": { "horizontal": { "maxReplicas": 2 } } } }),
            "replicas and scaling exclude each other",
        ),
        (
            json!({ "deployment": { "scaling": { "horizontal": { "minReplicas": 3, "maxReplicas": 2 } } } }),
            "minReplicas must not be greater",
        ),
        (
            json!({ "network": { "services": { "ingress": { "type": "ClusterIP", "externalTrafficPolicy": "Local" } } } }),
            "externalTrafficPolicy needs",
        ),
        (
            json!({ "extensions": [{ "group": "g", "kind": "k", "name": "n" }] }),
            "not supported by Silverback",
        ),
        (
            json!({ "network": { "services": { "ingress": { "ports": [{ "port": 80 }, { "port": 80 }] } } } }),
            "spec.network.services.ingress.ports",
        ),
    ] {
        let Err(error) = s.dataplane("refused", spec.clone()).await else {
            anyhow::bail!("{spec} was accepted")
        };
        ensure!(format!("{error:#}").contains(words), "{spec}: {error:#}");
    }
    Ok(())
}

pub async fn a_quota_is_named(s: Scenario) -> Result<()> {
    let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
    let quotas: Api<k8s_openapi::api::core::v1::ResourceQuota> = s.api();
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    let counted =
        |q: &k8s_openapi::api::core::v1::ResourceQuota| q.status.as_ref().is_some_and(|s| s.hard.is_some());
    wait::until(&quotas, "none", SOON, counted).await?;
    s.dataplane("poor", clustered()).await?;
    let told = s.reason("poor", types::READY, reasons::QUOTA_EXCEEDED).await?;
    ensure!(told.message.contains("exceeded quota: none"), "{}", told.message);
    Ok(())
}
