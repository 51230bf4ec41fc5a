//! The bundle, installed and renewed as Operator Lifecycle Manager does it.
#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod lifecycle;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster::Options;
use crds::names::WEBHOOK_CONFIGURATION;
use serde_json::{Value, json};
use tests::world::{self, Scenario};
use tests::{artifacts, endpoints, install, scenarios};

use crate::lifecycle::{Bundle, NAMESPACE};

/// Fails for a reason that only the webhook knows: the definition takes it.
const BAD: &str = "deployment.podTemplateSpec.spec.containers[0].imagee: unknown field";
const SOON: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    world::run(Options::default(), scenarios![a_bundle_is_installed_and_renewed])
}

async fn a_bundle_is_installed_and_renewed(s: Scenario) -> Result<()> {
    leave(&s).await?;
    s.world.cluster.import(&artifacts::image("silverback")?).await?;
    let bundle = Bundle::read()?;
    kubectl(&s, &["create", "namespace", NAMESPACE]).await?;
    installed(&s, &bundle).await?;
    examples(&s, &bundle).await?;
    works(&s, "first").await?;
    untouched(&s, &bundle).await?;

    // OLM renews by a new authority, and has the pods read it by a rollout.
    installed(&s, &bundle).await?;
    works(&s, "second").await?;
    untouched(&s, &bundle).await
}

/// The operator that the box came with goes, and with it everything that is the bundle's to bring.
async fn leave(s: &Scenario) -> Result<()> {
    if let Some(operator) = s.world.operator.lock().await.take() {
        endpoints::withdraw(&s.world.client, 0).await?;
        operator.terminate()?;
        operator.ended().await?;
    }
    for kind in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        kubectl(s, &["delete", kind, WEBHOOK_CONFIGURATION]).await?;
    }
    for folder in ["rbac", "webhook"] {
        let folder = artifacts::root().join("manifests").join(folder);
        let mut delete = s.world.cluster.kubectl()?;
        delete.args(["delete", "--ignore-not-found", "--filename"]).arg(folder);
        install::run(&mut delete).await?;
    }
    Ok(())
}

async fn installed(s: &Scenario, bundle: &Bundle) -> Result<()> {
    for object in bundle.objects()? {
        apply(s, &object, &[]).await?;
    }
    let rollout = ["rollout", "status", "deployment/silverback", "--timeout=120s", "--namespace", NAMESPACE];
    let outcome = kubectl(s, &rollout).await;
    let logs = ["logs", "--selector", install::SELECTOR, "--namespace", NAMESPACE, "--tail=20"];
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(error.context(kubectl(s, &logs).await.unwrap_or_default())),
    }
}

/// Each example is one that the webhooks and definitions take.
async fn examples(s: &Scenario, bundle: &Bundle) -> Result<()> {
    for example in bundle.examples()? {
        answered(s, &example).await.with_context(|| format!("the example of {}", example["kind"]))?;
    }
    Ok(())
}

/// An object is taken, once the API server reaches the replicas again.
async fn answered(s: &Scenario, object: &Value) -> Result<String> {
    let asked = async {
        loop {
            match apply(s, object, &["--dry-run=server"]).await {
                Err(error) if error.to_string().contains("failed calling webhook") => {}
                outcome => return outcome,
            }
        }
    };
    tokio::time::timeout(SOON, asked).await.context("the webhooks are not reached")?
}

/// A good object becomes ready, a bad one is refused in the webhook's words.
async fn works(s: &Scenario, name: &str) -> Result<()> {
    let plane = |spec: Value| {
        json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
            "metadata": { "name": name, "namespace": s.namespace }, "spec": spec,
        })
    };
    let container = json!({ "name": "proxy", "imagee": "kong:3.9" });
    let bad =
        plane(json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [container] } } } }));
    answered(s, &plane(json!({}))).await?;
    match answered(s, &bad).await {
        Ok(said) => bail!("a bad DataPlane was taken: {said}"),
        Err(error) => ensure!(format!("{error:#}").contains(BAD), "{error:#}"),
    }
    apply(s, &plane(json!({})), &[]).await?;
    s.ready(name).await.map(drop)
}

/// The operator wrote no configuration of its own, and nothing into OLM's.
async fn untouched(s: &Scenario, bundle: &Bundle) -> Result<()> {
    for (kind, name) in bundle.webhooks() {
        let kind = if kind.starts_with("Mutating") { "mutating" } else { "validating" };
        let kind = format!("{kind}webhookconfigurations");
        let query = "jsonpath={.metadata.managedFields[*].manager}";
        let managers = kubectl(s, &["get", &kind, name, "--show-managed-fields", "--output", query]).await?;
        ensure!(managers == "kubectl", "{name} was written by {managers}");
        let own =
            kubectl(s, &["get", &kind, WEBHOOK_CONFIGURATION, "--ignore-not-found", "--output=name"]).await?;
        ensure!(own.is_empty(), "the operator registered its own {own}");
    }
    Ok(())
}

async fn apply(s: &Scenario, object: &Value, more: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("object.json");
    fs::write(&file, object.to_string())?;
    let mut apply = s.world.cluster.kubectl()?;
    apply.args(["apply", "--server-side"]).args(more).arg("--namespace").arg(&s.namespace);
    if object["metadata"].get("namespace").is_some_and(|found| *found == NAMESPACE) {
        apply = s.world.cluster.kubectl()?;
        apply.args(["apply", "--server-side", "--force-conflicts"]);
    }
    install::run(apply.arg("--filename").arg::<&Path>(&file)).await
}

async fn kubectl(s: &Scenario, arguments: &[&str]) -> Result<String> {
    install::run(s.world.cluster.kubectl()?.args(arguments)).await
}
