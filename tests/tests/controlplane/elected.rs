//! Which pod of a Kong Ingress Controller configures, and how soon another one does once it has ended.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::conditions::{reasons, types};
use crds::k8s::{Lease, Pod, Secret};
use crds::names::{self, labels, values};
use futures::TryStreamExt;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tests::world::{SOON, Scenario};
use tests::{http, wait};

use crate::configured::{echo, front, ingress};
use crate::{DEFINITIONS, small, told};

/// A lease that is left to time holds for 15 s after its last renewal.
const LEFT_TO_TIME: Duration = Duration::from_secs(14);
/// Long enough for a roll: the new pod is ready before the old one ends.
const ROLLED: Duration = Duration::from_mins(2);

/// Of two pods the one that leads ends, and then both are rolled for a new certificate: the other one takes over before the
/// lease runs out, what changes is served, and nothing that is served fails meanwhile.
pub async fn the_next_pod_leads_as_soon_as_the_one_before_has_ended(s: Scenario) -> Result<()> {
    let _held = DEFINITIONS.read().await;
    echo(&s).await?;
    s.dataplane("led", small()).await?;
    let spec = json!({ "dataplane": "led", "ingressClass": "led", "deployment": { "replicas": 2 } });
    crate::make(&s, "led", spec).await?;
    told(&s, "led", types::PROGRAMMED, reasons::PROGRAMMED).await?;
    told(&s, "led", types::READY, reasons::READY).await?;
    ingress(&s, "first", "led", "/first").await?;
    let to = front(&s, "led").await?;
    served(&s, to, "/first").await?;
    tokio::select! {
        failed = asked_again_and_again(&s, to) => failed,
        done = another_takes_over(&s, to) => done,
    }?;
    no_lease_is_left(&s).await
}

async fn another_takes_over(s: &Scenario, to: SocketAddr) -> Result<()> {
    let leads = leader(s).await?;
    let pods: Api<Pod> = s.api();
    let ended = async { pods.delete(&leads, &DeleteParams::default()).await.map(drop).map_err(Into::into) };
    let (after, ()) = tokio::try_join!(taken_after(s, &leads), ended)?;
    let began = Instant::now();
    ingress(s, "second", "led", "/second").await?;
    served(s, to, "/second").await?;
    println!("killed: taken {after:.1?} after the last renewal, pushed {:.1?} after that", began.elapsed());
    ensure!(after < LEFT_TO_TIME, "the lease was left to time: {after:?}");

    let leads = leader(s).await?;
    let secrets: Api<Secret> = s.api();
    let name = names::controller_certificate("led");
    let renewed =
        async { secrets.delete(&name, &DeleteParams::default()).await.map(drop).map_err(Into::into) };
    let (after, ()) = tokio::try_join!(taken_after(s, &leads), renewed)?;
    let began = Instant::now();
    ingress(s, "third", "led", "/third").await?;
    served(s, to, "/third").await?;
    println!("rolled: taken {after:.1?} after the last renewal, pushed {:.1?} after that", began.elapsed());
    ensure!(after < LEFT_TO_TIME, "the lease was left to time: {after:?}");
    Ok(())
}

/// Ends at the first request that is not answered as it should be.
async fn asked_again_and_again(s: &Scenario, to: SocketAddr) -> Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let answer = http::get(&s.world.cluster, to, "any", "/first").await?;
        ensure!(answer.status == 200, "Kong stopped serving: {}", answer.status);
    }
}

async fn served(s: &Scenario, to: SocketAddr, path: &str) -> Result<()> {
    http::until(&s.world.cluster, to, path, SOON, |answer| answer.status == 200).await.map(drop)
}

/// The pod that leads.
async fn leader(s: &Scenario) -> Result<String> {
    let lease = wait::until(&s.api(), &names::election("led"), SOON, |lease| holder(lease).is_some()).await?;
    holder(&lease).context("nobody leads")
}

fn holder(lease: &Lease) -> Option<String> {
    let identity = lease.spec.as_ref()?.holder_identity.as_deref()?;
    identity.rsplit_once('_').map(|(pod, _)| pod.to_owned())
}

/// Waits until another pod leads; gives the time since the last renewal by the one before.
async fn taken_after(s: &Scenario, before: &str) -> Result<Duration> {
    let followed = async {
        let selector =
            watcher::Config::default().fields(&format!("metadata.name={}", names::election("led")));
        let mut states = pin!(watcher(s.api::<Lease>(), selector).applied_objects());
        let mut renewed = None;
        while let Some(state) = states.try_next().await? {
            let spec = state.spec.clone().context("no lease")?;
            match holder(&state) {
                Some(now) if now == before => renewed = spec.renew_time,
                Some(_) => {
                    let (from, to) =
                        (renewed.context("never renewed")?, spec.acquire_time.context("no time")?);
                    let after = to.0.as_microsecond().saturating_sub(from.0.as_microsecond());
                    return Ok(Duration::from_micros(u64::try_from(after)?));
                }
                None => {}
            }
        }
        anyhow::bail!("the watch ended")
    };
    tokio::time::timeout(ROLLED, followed).await.context("nobody took the lease")?
}

/// A lease that Kong Ingress Controller made itself has no owner, and goes all the same.
async fn no_lease_is_left(s: &Scenario) -> Result<()> {
    let (leases, pods): (Api<Lease>, Api<Pod>) = (s.api(), s.api());
    let name = names::election("led");
    let first = leases.get(&name).await?.uid();
    leases.delete(&name, &DeleteParams::default()).await?;
    let made = wait::until(&leases, &name, SOON, |lease| lease.uid() != first).await?;
    ensure!(made.owner_references().is_empty(), "somebody else made it: {made:?}");
    let of = format!("{}=led,{}={}", labels::APP, labels::MANAGED_BY, values::CONTROLPLANE);
    let running = pods.list(&ListParams::default().labels(&of)).await?.items;
    crate::delete(s, "led").await?;
    for pod in running.iter().map(ResourceExt::name_any).collect::<BTreeSet<_>>() {
        wait::gone(&pods, &pod, ROLLED).await?;
    }
    wait::gone(&leases, &name, SOON).await
}
