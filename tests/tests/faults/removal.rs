//! The operator goes first, and what it made after it.

use std::time::Duration;

use anyhow::{Result, ensure};
use crds::DataPlane;
use crds::k8s::{Deployment, Namespace, Service};
use crds::names;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use tests::faults::{Lane, State};
use tests::world::Scenario;
use tests::{install, wait};

use crate::{first, idle};

/// Pods end gracefully; a namespace waits for them.
const GRACE: Duration = Duration::from_mins(2);
const DEFINITION: &str = "dataplanes.gateway-operator.konghq.com";

pub async fn removing_the_operator_first_leaves_nothing_stuck(s: Scenario) -> Result<()> {
    let mut lane = Lane::alone(s).await?;
    for name in ["one", "two", "three"] {
        lane.apply(name, if name == "three" { idle() } else { first() }).await?;
    }
    for name in ["one", "two", "three"] {
        let dataplane = lane.settled(name).await?;
        ensure!(dataplane.finalizers().is_empty(), "{:?}", dataplane.finalizers());
    }
    lane.kill().await?;
    let client = lane.scenario.world.client.clone();

    let dataplanes: Api<DataPlane> = lane.scenario.api();
    dataplanes.delete("one", &DeleteParams::foreground()).await?;
    wait::gone(&dataplanes, "one", GRACE).await?;
    State::default().reached(&lane.scenario, "one").await?;

    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.delete(DEFINITION, &DeleteParams::default()).await?;
    wait::gone(&definitions, DEFINITION, GRACE).await?;
    for name in ["two", "three"] {
        let (deployment, service) = (names::deployment(name, "1"), names::ingress_service(name));
        wait::gone(&lane.scenario.api::<Deployment>(), &deployment, GRACE).await?;
        wait::gone(&lane.scenario.api::<Service>(), &service, GRACE).await?;
    }

    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(&lane.scenario.namespace, &DeleteParams::default()).await?;
    wait::gone(&namespaces, &lane.scenario.namespace, GRACE).await?;
    install::apply(|| lane.scenario.world.cluster.kubectl()).await?;
    Ok(())
}
