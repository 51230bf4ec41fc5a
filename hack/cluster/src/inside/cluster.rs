//! Starts the components in their order, and waits until they serve.
//!
//! In: a [`Layout`]. Out: a cluster whose nodes are Ready. Never waits without looking: each wait is a
//! watch, or a question asked again and again; the deadline is the caller's.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{GetParams, Patch, PatchParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Client};
use serde_json::json;

use super::boot::Steps;
use super::supervise::Supervisor;
use super::{dns, metrics, simulation, tools};
use crate::address;
use crate::config::{self, Layout};

/// How often something is asked that cannot be watched.
pub(crate) const INTERVAL: Duration = Duration::from_millis(25);

/// Starts what depends on nothing.
pub(crate) fn start_stores(layout: &Layout, supervisor: &Supervisor) -> Result<()> {
    supervisor.start(&config::etcd(layout))?;
    supervisor.start(&config::apiserver(layout))?;
    layout.nodes().try_for_each(|node| supervisor.start(&config::containerd(layout, node)))
}

/// Starts the rest, as soon as the API answers.
pub(crate) async fn start(
    layout: &Layout,
    supervisor: &Supervisor,
    client: &Client,
    steps: &Steps,
) -> Result<()> {
    wait_for_api(client).await;
    steps.tell("cluster", "kube-apiserver answers")?;
    supervisor.start(&config::controllers(layout))?;
    supervisor.start(&config::scheduler(layout))?;
    for node in layout.nodes() {
        supervisor.start(&config::kubelet(layout, node))?;
        supervisor.start(&config::proxy(layout, node))?;
    }
    let mut objects = config::capacity();
    if layout.options.dns {
        objects.extend(dns::objects(layout.families()));
    }
    if layout.options.metrics {
        objects.extend(metrics::objects(layout));
    }
    if let Some(kwok) = config::kwok(layout) {
        supervisor.start(&kwok)?;
        objects.extend(simulation::objects(layout));
    }
    tools::apply(layout, &objects).await
}

async fn wait_for_api(client: &Client) {
    loop {
        // A connection may hang in the moment in which the server begins to listen.
        if let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(2), ask_readiness(client)).await {
            return;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Succeeds when the API server calls itself ready.
async fn ask_readiness(client: &Client) -> Result<()> {
    let ready = kube::core::Request::new("").get("readyz", &GetParams::default())?;
    client.request_text(ready).await?;
    Ok(())
}

/// Waits for nodes that take pods, and for the account that every pod needs.
pub(crate) async fn wait_for_nodes(layout: &Layout, client: &Client, steps: &Steps) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    for node in layout.nodes() {
        let name = address::node_name(node);
        await_condition(nodes.clone(), &name, is_ready())
            .await
            .with_context(|| format!("waiting for {name}"))?;
        raise_capacity(&nodes, &name).await?;
        steps.tell("cluster", &format!("{name} is Ready"))?;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some()).await?;
    Ok(())
}

/// Writes a node's status as it is until the policy of [`config::capacity`] has changed it; that
/// policy works from about a second after it was made.
async fn raise_capacity(nodes: &Api<Node>, name: &str) -> Result<()> {
    loop {
        let node = nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({}))).await?;
        let capacity = node.status.and_then(|status| status.capacity).unwrap_or_default();
        if capacity.get("cpu").is_some_and(|cpu| cpu.0 == config::CORES) {
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

pub(crate) fn is_ready() -> impl Condition<Node> {
    |node: Option<&Node>| {
        let status = node.and_then(|node| node.status.as_ref());
        let conditions = status.and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    }
}
