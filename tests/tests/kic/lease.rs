//! A leader that goes does not release its Lease.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::manifests::{class, gateway, prefix, route};
use crate::stage::Stage;

/// The Lease's name where nobody sets one.
const NAME: &str = "5b374a9e.konghq.com";
/// How long a Lease holds, less the time of its last renewal.
const HELD: Duration = Duration::from_secs(12);

pub async fn a_leader_that_is_replaced_is_waited_for(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    stage.serve(1, &[]).await?;
    let class = class(&own, true);
    for object in [&class, &gateway(&own), &route("first", &prefix("/first"))] {
        stage.apply(object).await?;
    }
    stage.answers("/first", 200).await?;
    let leases = stage.scenario.api::<Lease>();
    let holder = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    let before = holder(&leases.get(NAME).await?).context("nobody leads")?;
    let pod = stage.kic().await?;
    ensure!(before.starts_with(&pod.name_any()), "{before} leads, not {}", pod.name_any());
    let began = Instant::now();
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": pod.name_any() } });
    stage.delete(&pod).await?;
    stage.apply(&route("second", &prefix("/second"))).await?;
    let other = |lease: &Lease| holder(lease).is_some_and(|now| !now.is_empty() && now != before);
    wait::until(&leases, NAME, SOON, other).await?;
    let taken = began.elapsed();
    ensure!(taken > HELD, "the Lease was taken after {taken:?}, as if it had been released");
    // Kong kept its configuration meanwhile, and what came meanwhile is served now.
    ensure!(stage.asked("/first").await? == 200, "Kong lost its configuration");
    stage.answers("/second", 200).await?;
    println!(
        "lease taken after {:.1} s, pushed after {:.1} s",
        taken.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    stage.delete(&class).await?;
    stage.end().await
}
