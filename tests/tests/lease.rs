//! Two replicas: one reconciles, the other takes over, and one that was paused past its lease does not write.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::k8s::{Deployment, Lease};
use crds::names::{self, NAMESPACE};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use tests::world::{self, SOON, Scenario};
use tests::{Operator, artifacts, scenarios, wait};

const LEASE: &str = "silverback-leader";

fn main() -> ExitCode {
    world::run(Options::default(), scenarios![a_standby_takes_over_and_a_paused_leader_does_not_write])
}

async fn a_standby_takes_over_and_a_paused_leader_does_not_write(s: Scenario) -> Result<()> {
    let cluster = &s.world.cluster;
    let leases: Api<Lease> = Api::namespaced(s.world.client.clone(), NAMESPACE);
    let spec = json!({ "network": { "services": { "ingress": { "type": "ClusterIP" } } } });
    s.dataplane("led", spec).await?;
    s.ready("led").await?;
    let first = held_by(&leases, |_| true).await?;

    let folder = tempfile::tempdir()?;
    let standby = Operator::start_beside(cluster, &artifacts::operator()?, folder.path()).await?;
    let mut running = s.world.operator.lock().await;
    let leader = running.take().context("no operator")?;
    leader.pause()?;
    let began = Instant::now();
    let second = held_by(&leases, |holder| *holder != first).await?;
    println!("another replica led {:?} after the leader was paused", began.elapsed());

    // Something to repair while the paused one wakes: both see it, one may write.
    let deployments: Api<Deployment> = s.api();
    let name = names::deployment("led", names::values::FIRST_TRACK);
    let old = deployments.get(&name).await?.uid();
    deployments.delete(&name, &DeleteParams::background()).await?;
    let asleep = std::fs::read_to_string(leader.log())?.len();
    leader.resume()?;
    wait::until(&deployments, &name, SOON, |d| d.uid() != old).await?;
    let log = leader.ended().await?;
    ensure!(log.contains("is lost"), "the leader that woke did not end for its lease:\n{log}");
    let woke = log.get(asleep..).unwrap_or_default();
    ensure!(
        !woke.contains("making kind") && !woke.contains("applying kind"),
        "it wrote after it woke:\n{woke}"
    );
    ensure!(held_by(&leases, |_| true).await? == second, "the lease went back");

    let began = Instant::now();
    standby.terminate()?;
    let log = standby.ended().await?;
    ensure!(log.contains("lease released"), "it did not give its lease back:\n{log}");
    println!("a leader that was told to stop ended after {:?}", began.elapsed());
    let third = Operator::start(cluster, &artifacts::operator()?, s.world.folder.path()).await?;
    let began = Instant::now();
    held_by(&leases, |holder| !holder.is_empty() && *holder != second).await?;
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(5), "a lease that was given back was taken only after {took:?}");
    *running = Some(third);
    Ok(())
}

async fn held_by(leases: &Api<Lease>, good: impl Fn(&String) -> bool) -> Result<String> {
    let holder = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    let lease =
        wait::until(leases, LEASE, SOON, |lease| holder(lease).is_some_and(|holder| good(&holder))).await?;
    holder(&lease).context("nobody holds the lease")
}
