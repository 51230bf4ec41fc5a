//! Rolling updates: every pod is replaced.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::k8s::{Deployment, Secret};
use crds::names;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use tests::traffic::{Kind, WEBSOCKETS, report};
use tests::world::{SOON, Scenario};
use tests::{Operator, artifacts, wait};

use crate::stage::{Edge, Stage, first_track, proxy};

/// Time for a pod to end in: its 15 seconds before Kong begins to stop, and ten more.
const GRACE: Duration = Duration::from_secs(25);

async fn pair(stage: &Stage) -> Result<(Edge, Edge)> {
    let none = json!({});
    let (one, three) = (stage.edge("one", 1, &none), stage.edge("three", 3, &none));
    tokio::try_join!(Box::pin(one), Box::pin(three))
}

async fn concluded(stage: Stage, event: &str, one: Edge, three: Edge) -> Result<()> {
    let (one, three) = (stage.conclude(event, one, 1), stage.conclude(event, three, 3));
    let (one, three) = tokio::join!(Box::pin(one), Box::pin(three));
    for pods in [one?, three?] {
        ensure!(pods.before.is_disjoint(&pods.after), "{:?} became {:?}", pods.before, pods.after);
    }
    stage.end().await
}

async fn changed(stage: &Stage, container: &Value, one: &Edge, three: &Edge) -> Result<()> {
    let (alone, among) = (containers(1, container), containers(3, container));
    let (one, three) = (stage.change(&one.name, &alone), stage.change(&three.name, &among));
    tokio::try_join!(Box::pin(one), Box::pin(three)).map(drop)
}

fn containers(replicas: i32, more: &Value) -> Value {
    let proxy = proxy(replicas, more);
    json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } } })
}

/// Makes a change to both, and looks whether all their pods were replaced and no request was lost.
async fn replaced(stage: Stage, event: &str, container: &Value) -> Result<()> {
    let (one, three) = pair(&stage).await?;
    changed(&stage, container, &one, &three).await?;
    concluded(stage, event, one, three).await
}

pub async fn an_image(s: Scenario) -> Result<()> {
    // Another name of the same image: what is new is the pod.
    let image = json!({ "image": "docker.io/library/kong:3.9.3" });
    replaced(Stage::begin(s, 2, Kind::ALL).await?, "image", &image).await
}

pub async fn an_environment_variable(s: Scenario) -> Result<()> {
    replaced(Stage::begin(s, 2, Kind::ALL).await?, "environment", &environment()).await
}

fn environment() -> Value {
    let config = json!({ "name": "KONG_DECLARATIVE_CONFIG", "value": "/kong-configuration/kong.yaml" });
    let new = json!({ "name": "KONG_LOG_LEVEL", "value": "info" });
    json!({ "env": [config, new] })
}

pub async fn a_certificate(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 2, Kind::ALL).await?;
    let (one, three) = pair(&stage).await?;
    tokio::try_join!(reissued(&stage, &one.name), reissued(&stage, &three.name))?;
    concluded(stage, "admin certificate", one, three).await
}

async fn reissued(stage: &Stage, name: &str) -> Result<()> {
    let before = stage.deployment(name).await?;
    let secrets: Api<Secret> = stage.scenario.api();
    secrets.delete(&names::admin_certificate(name), &DeleteParams::background()).await?;
    stage.changed(name, &before).await
}

/// Nobody reconciles from the first new pod on, until another operator has the lease.
pub async fn an_operator_that_is_killed(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 2, Kind::ALL).await?;
    let (one, three) = pair(&stage).await?;
    let half_way = |d: &Deployment| {
        let updated = d.status.as_ref().and_then(|status| status.updated_replicas).unwrap_or(0);
        (1..3).contains(&updated)
    };
    // Watched from before the change, so that it is seen however short it is.
    let (deployments, name) = (stage.scenario.api::<Deployment>(), first_track(&three.name));
    let begun = Box::pin(wait::until(&deployments, &name, SOON, half_way));
    let environment = environment();
    tokio::try_join!(begun, Box::pin(changed(&stage, &environment, &one, &three)))?;
    let world = &stage.scenario.world;
    let mut running = world.operator.lock().await;
    running.take().context("no operator")?.kill().await?;
    let new = Operator::start(&world.cluster, &artifacts::operator()?, world.folder.path()).await;
    *running = Some(new?);
    drop(running);
    concluded(stage, "operator killed in a rollout", one, three).await
}

/// WebSocket connections that nobody closes are carried on until the grace period ends, and no longer.
pub async fn endless_websockets(s: Scenario) -> Result<()> {
    let stage = Stage::begin(s, 1, &[Kind::Kept, Kind::EndlessWebSocket]).await?;
    let grace = json!({ "terminationGracePeriodSeconds": GRACE.as_secs() });
    let grace = json!({ "deployment": { "podTemplateSpec": { "spec": grace } } });
    let edge = stage.edge("one", 1, &grace).await?;
    let begun = edge.elapsed();
    stage.change(&edge.name, &containers(1, &environment())).await?;
    let rows = stage.rows("grace period over", edge, 1).await?;
    let table = report::table(&rows);
    for row in rows {
        let failures = &row.tally.failures;
        ensure!(row.kind == Kind::EndlessWebSocket || failures.is_empty(), "{table}");
        ensure!(failures.iter().all(|failure| failure.due > begun + GRACE), "cut too early:\n{table}");
        let cut = failures.iter().filter(|failure| !failure.cause.starts_with("message lost")).count();
        ensure!(row.kind == Kind::Kept || cut == WEBSOCKETS, "{cut} of {WEBSOCKETS} were cut:\n{table}");
    }
    stage.end().await
}
