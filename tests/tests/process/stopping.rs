//! How the process ends: told first, then done.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::k8s::{Deployment, Lease};
use crds::names::{self, NAMESPACE};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use tests::wait;
use tests::world::{SOON, Scenario};

use crate::{alone, number, replaced, restore, small, start};

pub const LEASE: &str = "silverback-leader";
/// How long it goes on serving.
const DELAY: Duration = Duration::from_secs(4);
/// After the delay: what drains, finishes and is released.
const REST: Duration = Duration::from_secs(5);

pub async fn a_stop_is_told_before_it_happens_and_leaves_no_work_undone(s: Scenario) -> Result<()> {
    let cluster = &s.world.cluster;
    let mut running = alone(&s.world).await?;
    // A collector that is not there changes nothing of all this.
    let arguments =
        [format!("--shutdown-delay={}s", DELAY.as_secs()), "--otlp-endpoint=http://127.0.0.1:9".into()];
    let operator = replaced(&s.world, &arguments).await?;
    s.dataplane("led", small()).await?;
    s.ready("led").await?;
    ensure!(
        number(&operator.metrics(cluster).await?, "silverback_leader")? > 0.0,
        "it does not say that it leads"
    );
    let all = operator.probe(cluster, "/readyz?verbose").await?.body;
    ensure!(
        ["authority", "watch-stores", "shutdown"].iter().all(|check| all.contains(&format!("[+]{check} ok"))),
        "{all}"
    );
    let live = operator.probe(cluster, "/healthz?verbose").await?.body;
    ensure!(live.contains("[+]lease ok") && live.contains("[+]reconciler-dataplane ok"), "{live}");

    let began = Instant::now();
    operator.terminate()?;
    let said = operator.says(cluster, |said| said != "ok").await?;
    ensure!(said.contains("[-]shutdown failed: the process is stopping"), "{said}");
    ensure!(began.elapsed() < DELAY / 2, "it was not ready only after {:?}", began.elapsed());
    let old = deployment(&s).get(&track()).await?.uid();
    deployment(&s).delete(&track(), &DeleteParams::background()).await?;
    wait::until(&deployment(&s), &track(), SOON, |found| found.uid() != old).await?;
    ensure!(operator.probe(cluster, "/healthz").await?.status == 200, "a process that stops is alive");
    ensure!(
        operator.metrics(cluster).await?.contains("silverback_leader 1"),
        "it no longer serves, or leads"
    );
    ensure!(holder(&s).await?.is_some(), "the lease went before its time");
    ensure!(began.elapsed() < DELAY, "this machine is too slow for this test: {:?}", began.elapsed());

    let (status, log) = operator.exited().await?;
    let took = began.elapsed();
    println!("it ended {took:?} after the signal, of which {DELAY:?} are the delay");
    ensure!(status.success(), "{status}: {log}");
    ensure!(took >= DELAY && took < DELAY + REST, "it ended after {took:?}");
    in_order(
        &log,
        &["stopping", "not ready any more", "draining", "lease released", "silverback has stopped"],
    )?;
    ensure!(holder(&s).await?.is_none(), "nobody may hold the lease of a process that has ended");
    restore(&s.world, &mut running).await
}

pub async fn a_second_signal_ends_it_at_once(s: Scenario) -> Result<()> {
    let operator = start(&s, 3, "--shutdown-delay=5m").await?;
    operator.terminate()?;
    operator.says(&s.world.cluster, |said| said.contains("stopping")).await?;
    let began = Instant::now();
    operator.terminate()?;
    let (status, log) = operator.exited().await?;
    ensure!(
        !status.success() && began.elapsed() < Duration::from_secs(2),
        "{status} after {:?}",
        began.elapsed()
    );
    ensure!(log.contains("second signal, aborting"), "{log}");
    Ok(())
}

fn deployment(s: &Scenario) -> Api<Deployment> {
    s.api()
}

fn track() -> String {
    names::deployment("led", names::values::FIRST_TRACK)
}

async fn holder(s: &Scenario) -> Result<Option<String>> {
    let leases: Api<Lease> = Api::namespaced(s.world.client.clone(), NAMESPACE);
    let spec = leases.get(LEASE).await?.spec.context("the lease is empty")?;
    Ok(spec.holder_identity.filter(|holder| !holder.is_empty()))
}

fn in_order(log: &str, words: &[&str]) -> Result<()> {
    let mut rest = log;
    for word in words {
        let at = rest.find(word).with_context(|| format!("{word:?} does not come in its turn in:\n{log}"))?;
        rest = rest.get(at..).unwrap_or_default();
    }
    Ok(())
}
