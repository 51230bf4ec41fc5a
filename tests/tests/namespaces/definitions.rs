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
        let name = format!("edge-{round}");
        let began = appear(&s, &name).await?;
        let answered = |dataplane: &DataPlane| dataplane.status.is_some();
        wait::until(&s.api(), &name, SOON, answered).await?;
        let took = began.elapsed();
        println!("round {round}: a DataPlane was answered {took:?} after its kind was served");
        ensure!(took < Duration::from_secs(1), "answered only after {took:?}");
        operator.says(&s.world.cluster, |said| said == "ok").await?;
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

/// Makes a `DataPlane` as soon as the API server takes it, and says when its kind was known to be served.
async fn appear(s: &Scenario, name: &str) -> Result<Instant> {
    let definitions: Api<CustomResourceDefinition> = Api::all(s.world.client.clone());
    let established = |definition: &CustomResourceDefinition| {
        let status = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
        status.is_some_and(|all| all.iter().any(|c| c.type_ == "Established" && c.status == "True"))
    };
    wait::until(&definitions, NAME, SOON, established).await?;
    let began = Instant::now();
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": { "name": name },
        "spec": small(),
    });
    let object: DataPlane = serde_json::from_value(object)?;
    let made = async {
        // The API server may call a kind established moments before it serves it.
        while s.api().create(&PostParams::default(), &object).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, made).await.context("the API server takes no DataPlane")?;
    Ok(began)
}
