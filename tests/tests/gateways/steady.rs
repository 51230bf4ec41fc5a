//! What is settled: nobody writes anything, and routes answer while the data plane grows and shrinks.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::conditions;
use crds::k8s::Deployment;
use crds::names::{self, NAMESPACE, values};
use gateway_api::gateways::Gateway;
use gateway_api::httproutes::HttpRoute;
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tests::{audit, wait};

use super::routed::{
    CONFIGURED, answered, backend, class_of_kic, configured, route, small, traffic, unharmed,
};
use super::{class_of, configure, gateway, http, listener, said};

/// How long nothing may be written; `SILVERBACK_QUIET` says another number of seconds.
const QUIET: Duration = Duration::from_mins(1);
/// After this long without a write nothing is under way any more: the longest pause in which the operator looks again.
const SETTLED: Duration = Duration::from_secs(16);
/// Traffic on both sides of a change.
const CALM: Duration = Duration::from_secs(2);

/// Operator and Kong Ingress Controller write the status of Gateways, classes and routes in turn: once all is said, neither
/// says anything again.
pub async fn settled_nothing_is_written_by_anybody(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    backend(&s, "echo").await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    route(&s, "echo", "edge", "/echo").await?;
    let object = configured(&s, "edge").await?;
    answered(&s, &object, "/echo").await?;
    wait::until(&s.api(), "edge", CONFIGURED, |object: &Gateway| {
        let all = object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        listener(object, "http").is_some_and(|found| found.attached_routes == 1)
            && said(object, "ControlPlaneReady") == Some(("True", "Ready"))
            && conditions::holds(all, "DataPlaneReady")
    })
    .await?;
    let told = |route: &HttpRoute| {
        let mut parents = route.status.iter().flat_map(|status| &status.parents);
        parents.any(|parent| conditions::holds(&parent.conditions, "Programmed"))
    };
    wait::until(&s.api(), "echo", CONFIGURED, told).await?;
    let made = settled(&s).await?;
    let own = made.iter().filter(|write| write.starts_with("operator ")).count();
    println!("writes until all was said: {own} by the operator, {} by KIC", made.len() - own);
    let quiet = std::env::var("SILVERBACK_QUIET").ok().and_then(|text| text.parse().ok());
    let quiet = quiet.map_or(QUIET, Duration::from_secs);
    let more = pass(&s, made.len(), quiet).await?;
    println!("writes in {quiet:?} at rest, leases apart: {}", more.len());
    ensure!(more.is_empty(), "written at rest: {more:?}");
    Ok(())
}

/// Waits until no write has come for a while; gives all of them.
async fn settled(s: &Scenario) -> Result<Vec<String>> {
    let quiet = async {
        loop {
            let before = writes(s)?;
            if pass(s, before.len(), SETTLED).await?.is_empty() {
                return Ok(before);
            }
        }
    };
    tokio::time::timeout(CONFIGURED, quiet).await.context("writes do not come to an end")?
}

/// The writes that come within that time, up to the first look that sees any.
async fn pass(s: &Scenario, before: usize, time: Duration) -> Result<Vec<String>> {
    let seen = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            let all = writes(s)?;
            if all.len() > before {
                return anyhow::Ok(all.get(before..).unwrap_or_default().to_vec());
            }
        }
    };
    tokio::time::timeout(time, seen).await.unwrap_or_else(|_| Ok(Vec::new()))
}

/// What the operator and the Gateway's Kong Ingress Controller wrote in the scenario's namespace, and on its class, but for
/// leases.
fn writes(s: &Scenario) -> Result<Vec<String>> {
    let operator = format!("system:serviceaccount:{NAMESPACE}:silverback");
    let kic = format!("system:serviceaccount:{}:{}", s.namespace, names::controller("edge"));
    let log = File::open(s.world.cluster.audit_log()).context("no audit log")?;
    let mut all = Vec::new();
    for line in BufReader::new(log).lines() {
        // The last line may be half written.
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let who = match text("/user/username") {
            user if user == operator => "operator",
            user if user == kic => "KIC",
            _ => continue,
        };
        let (verb, kind, name) = (text("/verb"), text("/objectRef/resource"), text("/objectRef/name"));
        let about = text("/objectRef/namespace") == s.namespace || name == class_of(s);
        if about && kind != "leases" && text("/stage") == "ResponseComplete" && audit::WRITES.contains(&verb)
        {
            all.push(format!("{who} {verb} {kind}/{name}"));
        }
    }
    Ok(all)
}

pub async fn a_data_plane_is_scaled_while_its_routes_answer(s: Scenario) -> Result<()> {
    class_of_kic(&s).await?;
    backend(&s, "echo").await?;
    gateway(&s, "edge", json!({ "listeners": [http("http", 80)] })).await?;
    route(&s, "all", "edge", "/").await?;
    let object = configured(&s, "edge").await?;
    answered(&s, &object, "/first").await?;
    let traffic = traffic(&s, &object)?;
    traffic.steady(CALM).await?;
    for replicas in [3, 1] {
        let mut options = small(&json!({ "type": "own" }));
        options["dataPlaneOptions"]["deployment"]["replicas"] = json!(replicas);
        configure(&s, "small", options).await?;
        let all = Some(replicas);
        let there = |found: &Deployment| {
            let status = found.status.clone().unwrap_or_default();
            found.spec.as_ref().and_then(|spec| spec.replicas) == all
                && [status.replicas, status.updated_replicas, status.available_replicas] == [all; 3]
        };
        let name = names::deployment("edge", values::FIRST_TRACK);
        wait::until(&s.api::<Deployment>(), &name, SOON, there).await?;
        traffic.steady(CALM).await?;
        let object: Gateway = s.api().get("edge").await?;
        ensure!(said(&object, "Programmed") == Some(("True", "Programmed")), "{:?}", object.status);
    }
    unharmed(traffic).await
}
