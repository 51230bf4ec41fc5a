//! The operator before, with and after the definition of its own kind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::k8s::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{alone, begin, kubectl, log_since, logged, manifest, small};

const NAME: &str = "dataplanes.gateway-operator.konghq.com";
const FILE: &str = "crds/yaml/dataplanes.yaml";

pub async fn a_definition_that_comes_later_starts_the_work_within_a_second(s: Scenario) -> Result<()> {
    let mut running = alone(&s.world).await?;
    kubectl(&s.world, &["delete", "crd", NAME]).await?;
    let log = logged(&s.world);
    let operator = running.insert(begin(&s.world, &[]).await?);
    operator.says(&s.world.cluster, |said| said.contains(NAME) && said.contains("not installed")).await?;
    let said = log_since(operator, log)?;
    ensure!(said.contains("apply crds/yaml"), "the log does not say what to do:\n{said}");

    for round in 1..=2 {
        kubectl(&s.world, &["apply", "--server-side", "--filename", &manifest(FILE)?]).await?;
        let established = established(&s).await?;
        operator.says(&s.world.cluster, |said| said == "ok").await?;
        let took = established.elapsed();
        println!("round {round}: ready {took:?} after its kind was established");
        ensure!(took < Duration::from_secs(1), "ready only after {took:?}:\n{}", log_since(operator, log)?);
        let name = format!("edge-{round}");
        appear(&s, &name).await?;
        wait::until(&s.api(), &name, SOON, |dataplane: &DataPlane| dataplane.status.is_some()).await?;
        if round == 1 {
            kubectl(&s.world, &["delete", "crd", NAME]).await?;
            operator.says(&s.world.cluster, |said| said.contains("not installed")).await?;
        }
    }
    s.ready("edge-2").await.map(drop)
}

pub async fn without_the_right_to_watch_definitions_it_works_all_the_same(s: Scenario) -> Result<()> {
    let mut running = alone(&s.world).await?;
    kubectl(&s.world, &["delete", "clusterrolebinding", "silverback-cluster-scoped"]).await?;
    let operator = running.insert(begin(&s.world, &[]).await?);
    operator.ready(&s.world.cluster).await?;
    s.dataplane("edge", small()).await?;
    s.ready("edge").await?;
    let rights = manifest("manifests/rbac/cluster-scoped.yaml")?;
    kubectl(&s.world, &["apply", "--server-side", "--filename", &rights]).await.map(drop)
}

/// Waits until the API server calls the kind established, and says when that was.
async fn established(s: &Scenario) -> Result<Instant> {
    let definitions: Api<CustomResourceDefinition> = Api::all(s.world.client.clone());
    let done = |definition: &CustomResourceDefinition| {
        let status = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
        status.is_some_and(|all| all.iter().any(|c| c.type_ == "Established" && c.status == "True"))
    };
    wait::until(&definitions, NAME, SOON, done).await?;
    Ok(Instant::now())
}

/// Makes a `DataPlane` as soon as the API server takes it: that may be seconds after it calls the kind established.
async fn appear(s: &Scenario, name: &str) -> Result<()> {
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": { "name": name },
        "spec": small(),
    });
    let object: DataPlane = serde_json::from_value(object)?;
    let made = async {
        while s.api().create(&PostParams::default(), &object).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, made).await.context("the API server takes no DataPlane")
}
