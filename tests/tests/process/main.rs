//! The process around the reconcilers: what it tells of itself and to whom, and how it ends.
//!
//! Scenarios that replace the operator take turns; a standby of one's own disturbs nobody.

mod collector;
mod requests;
mod scrape;
mod secure;
mod stopping;
mod traces;

use std::process::ExitCode;

use anyhow::{Context, Result};
use cluster::Options;
use crds::k8s::{Lease, ObjectMeta};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use serde_json::{Value, json};
use tests::operator::{Operator, Setup};
use tests::world::{self, Scenario, World};
use tests::{artifacts, scenarios};
use tokio::sync::MutexGuard;

fn main() -> ExitCode {
    world::run(
        Options::default(),
        scenarios![
            scrape::metrics_beyond_this_machine_are_for_those_who_may_read_them,
            stopping::a_stop_is_told_before_it_happens_and_leaves_no_work_undone,
            stopping::a_second_signal_ends_it_at_once,
            traces::each_reconcile_is_a_trace_with_its_requests,
            requests::the_metrics_count_what_the_api_server_recorded,
        ],
    )
}

/// The place of the running operator, which is none now: until it is given back, this scenario is alone.
async fn alone(world: &World) -> Result<MutexGuard<'_, Option<Operator>>> {
    let mut running = world.operator.lock().await;
    if let Some(operator) = running.take() {
        operator.terminate()?;
        operator.ended().await?;
    }
    Ok(running)
}

/// An operator in the place of the one that the box came with.
async fn replaced(world: &World, arguments: &[String]) -> Result<Operator> {
    begin(world, 0, arguments).await
}

/// A replica beside it that serves and never leads: in the scenario's namespace somebody else holds the lease. `number`
/// gives it ports of its own.
async fn start(s: &Scenario, number: u16, argument: &str) -> Result<Operator> {
    let now = MicroTime(k8s_openapi::jiff::Timestamp::now());
    let spec = LeaseSpec {
        holder_identity: Some("somebody-else".into()),
        lease_duration_seconds: Some(3600),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        ..LeaseSpec::default()
    };
    let metadata = ObjectMeta { name: Some(stopping::LEASE.into()), ..ObjectMeta::default() };
    let held = Lease { metadata, spec: Some(spec) };
    s.api::<Lease>().create(&PostParams::default(), &held).await?;
    begin(&s.world, number, &[format!("--namespace={}", s.namespace), argument.to_owned()]).await
}

async fn begin(world: &World, number: u16, arguments: &[String]) -> Result<Operator> {
    let setup = Setup { arguments: arguments.to_vec(), number, ..Setup::default() };
    let folder = world.folder.path().join(format!("operator-{number}"));
    std::fs::create_dir_all(&folder)?;
    Operator::start_as(&setup, &world.cluster, &artifacts::operator()?, &folder).await
}

/// Gives the place back, with an operator as the box came with.
async fn restore(world: &World, running: &mut MutexGuard<'_, Option<Operator>>) -> Result<()> {
    let operator = Operator::start(&world.cluster, &artifacts::operator()?, world.folder.path()).await?;
    running.replace(operator);
    Ok(())
}

/// A `DataPlane` that is soon ready.
fn small() -> Value {
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    let template = json!({ "spec": { "containers": [proxy] } });
    json!({ "deployment": { "podTemplateSpec": template }, "network": { "services": { "ingress": { "type": "ClusterIP" } } } })
}

/// The number of a metric with these labels in a text of metrics; 0 where it is not there.
fn number(text: &str, metric: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.map_or(Ok(0.0), |value| value.parse().with_context(|| format!("{metric} {value}")))
}
