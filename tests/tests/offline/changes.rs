//! `silverback render --diff` beside what then happens.

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::k8s::{Deployment, Service};
use crds::names::{self, values};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{Said, manifest, silverback};

async fn diff(s: &Scenario, manifest: &Value) -> Result<Said> {
    silverback(s, &["render", "--diff"], manifest).await
}

fn told(said: &Said, code: i32, words: &str) -> Result<()> {
    ensure!(said.code == code && said.out.contains(words), "{}: {}{}", said.code, said.out, said.err);
    Ok(())
}

pub async fn what_is_told_to_change_is_what_changes(s: Scenario) -> Result<()> {
    let name = names::deployment("edge", values::FIRST_TRACK);
    let deployments: Api<Deployment> = s.api();
    let first = manifest("edge", Some(1), &[]);
    s.dataplane("edge", first["spec"].clone()).await?;
    s.ready("edge").await?;
    let before = deployments.get(&name).await?;

    let said = diff(&s, &first).await?;
    told(&said, 0, "Deployment dataplane-edge-1: no pod would be replaced\n")?;
    ensure!(said.out.lines().all(|line| line.starts_with("# ")), "{}", said.out);
    let said = diff(&s, &manifest("edge", Some(2), &[])).await?;
    told(&said, 1, "no pod would be replaced; 2 pods instead of 1")?;
    let mut scaled = manifest("edge", None, &[]);
    scaled["spec"]["deployment"]["scaling"] = json!({ "horizontal": { "minReplicas": 1, "maxReplicas": 2 } });
    let said = diff(&s, &scaled).await?;
    told(&said, 1, "+++ planned/HorizontalPodAutoscaler edge")?;
    told(&said, 1, "dataplane-edge-1: no pod would be replaced\n")?;
    let mut renamed = manifest("edge", Some(1), &[]);
    renamed["spec"]["network"]["services"]["ingress"]["name"] = json!("other");
    let said = diff(&s, &renamed).await?;
    told(&said, 1, "+++ planned/Service other")?;
    told(&said, 1, "--- live/Service dataplane-ingress-edge")?;

    let second = manifest("edge", Some(1), &[("KONG_LOG_LEVEL", "info")]);
    let said = diff(&s, &second).await?;
    told(&said, 1, "# Deployment dataplane-edge-1: 1 pod would be replaced\n")?;
    told(&said, 1, "+        - name: KONG_LOG_LEVEL\n+          value: info\n")?;
    let after = deployments.get(&name).await?;
    ensure!(before.metadata.generation == after.metadata.generation, "a dry run changed the Deployment");

    let dataplanes: Api<DataPlane> = s.api();
    dataplanes
        .patch("edge", &PatchParams::default(), &Patch::Merge(&json!({ "spec": second["spec"] })))
        .await?;
    let replaced = |deployment: &Deployment| deployment.metadata.generation > before.metadata.generation;
    wait::until(&deployments, &name, SOON, replaced).await?;
    told(&diff(&s, &second).await?, 0, "no pod would be replaced")
}

pub async fn nothing_is_there_yet(s: Scenario) -> Result<()> {
    let mut given = manifest("edge", Some(2), &[]);
    let said = diff(&s, &given).await?;
    told(&said, 1, "# Deployment dataplane-edge-1: 2 pods would be started\n")?;
    ensure!(!said.out.contains("BEGIN") && said.out.contains("+  tls.key: "), "{}", said.out);
    let made = s.api::<Deployment>().list(&ListParams::default()).await?;
    ensure!(made.items.is_empty(), "a dry run made something");
    // Nor is there its namespace.
    given["metadata"]["namespace"] = json!("nowhere-at-all");
    told(&diff(&s, &given).await?, 1, "2 pods would be started")
}

pub async fn a_child_of_somebody_elses_is_told(s: Scenario) -> Result<()> {
    let foreign = json!({ "metadata": { "name": "mine" }, "spec": { "ports": [{ "port": 1234 }] } });
    let services: Api<Service> = s.api();
    let made = services.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    let mut given = manifest("edge", Some(1), &[]);
    given["spec"]["network"]["services"]["ingress"]["name"] = json!(made.name_any());
    let said = diff(&s, &given).await?;
    told(&said, 1, "# Service mine: is there and belongs to somebody else")?;
    let said = silverback(&s, &["validate", "--output=json"], &given).await?;
    let report: Value = serde_json::from_str(&said.out).context("no JSON")?;
    ensure!(report["objects"][0]["valid"] == true, "what is in a cluster is not known without it: {report}");
    Ok(())
}
