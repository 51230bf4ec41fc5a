//! Runs the cluster of a box, from nothing to its end.
//!
//! In: the state directory; the API listener as standard input. Out: events on standard output. It
//! returns only when the cluster could not start, or a component ended.

use std::convert::Infallible;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kube::Client;

use super::supervise::{Failures, Supervisor};
use super::{
    balancer, certificates, cluster, definitions, dns, forward, images, init, metrics, network, prepare,
    simulation,
};
use crate::address;
use crate::config::Layout;
use crate::progress::{Event, Progress, tell};
use crate::state::{Facts, Node};

/// A box that is not ready by then tells why, and ends.
const DEADLINE: Duration = Duration::from_mins(2);

/// The group of the Gateway API.
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Tells of the steps of a start.
pub(crate) struct Steps(Instant);

impl Steps {
    pub(crate) fn tell(&self, phase: &str, message: &str) -> Result<()> {
        tell(&Event::Progress(Progress::new(phase, message, self.0.elapsed())))
            .context("nobody reads any more")
    }
}

/// Runs a box until a component ends.
pub(crate) fn boot(dir: &Path) -> Result<Infallible> {
    let layout = init::read_layout(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(&layout))
}

async fn run(layout: &Layout) -> Result<Infallible> {
    let steps = Steps(Instant::now());
    let (supervisor, mut failures) = Supervisor::new(layout.launcher.clone(), layout.logs());
    start_or_fail(layout, &supervisor, &mut failures, &steps).await?;
    steps.tell("ready", "the cluster is ready")?;
    tell(&Event::Ready(facts(layout)))?;
    Err(failures.first().await)
}

async fn start_or_fail(
    layout: &Layout,
    supervisor: &Supervisor,
    failures: &mut Failures,
    steps: &Steps,
) -> Result<()> {
    tokio::select! {
        started = tokio::time::timeout(DEADLINE, start(layout, supervisor, steps)) => {
            started.with_context(|| format!("the box was not ready within {} s", DEADLINE.as_secs()))?
        }
        failure = failures.first() => Err(failure),
    }
}

async fn start(layout: &Layout, supervisor: &Supervisor, steps: &Steps) -> Result<()> {
    network::arrange(layout)?;
    prepare::prepare(layout)?;
    steps.tell("cluster", "network, certificates and configuration are made")?;
    cluster::start_stores(layout, supervisor)?;
    let client = client(layout).await?;
    // Both take seconds, and neither needs the other.
    tokio::try_join!(
        cluster::start(layout, supervisor, &client, steps),
        images::import_first(layout, steps)
    )?;
    tokio::spawn(balancer::run(client.clone()));
    forward::start(listener()?, address::api(layout.families()))?;
    cluster::wait_for_nodes(layout, &client, steps).await?;
    if layout.options.dns {
        dns::wait(&client).await?;
        steps.tell("dns", "CoreDNS answers")?;
    }
    if layout.options.simulated_nodes > 0 {
        simulation::wait(layout, &client).await?;
        steps.tell("cluster", "the simulated nodes are Ready")?;
    }
    if layout.options.cert_manager {
        certificates::start(layout, supervisor, &client).await?;
        steps.tell("certificates", "cert-manager runs")?;
    }
    if let Some(folder) = &layout.gateway_api {
        definitions::apply(layout, &client, folder, GATEWAY_API).await?;
        steps.tell("definitions", "the Gateway API's kinds are served")?;
    }
    if layout.options.metrics {
        metrics::wait(layout, &client).await;
        steps.tell("metrics", "metrics-server serves figures")?;
    }
    Ok(())
}

async fn client(layout: &Layout) -> Result<Client> {
    let text = std::fs::read_to_string(layout.inner_kubeconfig())?;
    let file = kube::config::Kubeconfig::from_yaml(&text)?;
    let config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// The listener on 127.0.0.1 outside, opened before the namespaces were made.
fn listener() -> Result<TcpListener> {
    let handed = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(TcpListener::from(handed))
}

fn facts(layout: &Layout) -> Facts {
    let node = |number| Node {
        name: address::node_name(number),
        addresses: layout.families().list().iter().map(|family| family.node(number)).collect(),
        containerd: layout.containerd_socket(number),
        netns: Layout::netns(number),
    };
    Facts {
        name: layout.name.clone(),
        // Only the outside knows the numbers that processes have there.
        pid: 1,
        keeper: 0,
        dir: layout.dir.clone(),
        kubeconfig: layout.kubeconfig(),
        inner_kubeconfig: layout.inner_kubeconfig(),
        bin: layout.bin(),
        nodes: layout.nodes().map(node).collect(),
    }
}
