//! The operator as `manifests/` installs it: two replicas in pods, under their own account and rights, on two nodes.
//! Whatever becomes of one of them, no review goes unanswered.
//!
//! The scenarios take turns, for there is one Deployment.
#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod applied;
mod doctor;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::Options;
use crds::names::NAMESPACE;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use tests::install::{self, Deploy};
use tests::reviews::Reviews;
use tests::world::{self, Scenario, World};
use tests::{Operator, artifacts, endpoints, scenarios, wait};
use tokio::sync::MutexGuard;

/// Reviews a second: half as many creations.
const RATE: u32 = 200;
/// Longer than a pod may take to end.
const GONE: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    world::run(
        Options { nodes: 2, gateway_api: true, cert_manager: true, ..Options::default() },
        scenarios![
            applied::again_it_changes_nothing,
            applied::each_overlay_is_accepted,
            applied::a_gateway_is_programmed,
            doctor::it_names_what_is_wrong_and_the_remedy,
            a_rolling_restart_leaves_no_review_unanswered,
            a_pod_that_goes_leaves_no_review_unanswered,
            a_drained_node_leaves_no_review_unanswered
        ],
    )
}

async fn a_rolling_restart_leaves_no_review_unanswered(s: Scenario) -> Result<()> {
    let _turn = deployed(&s.world).await?;
    let client = &s.world.client;
    let before = (install::strict(client).await?, install::pods(client).await?);
    let reviews = Reviews::begin(&s.world.cluster, &s.namespace, RATE).await?;
    let mut restart = s.world.cluster.kubectl()?;
    let deployment = format!("deployment/{}", install::NAME);
    install::run(restart.args(["rollout", "restart", &deployment, "--namespace", NAMESPACE])).await?;
    install::rolled(client).await?;
    for pod in &before.1 {
        gone(&s, pod).await?;
    }
    let answers = reviews.end().await?;
    eprintln!("rolling restart: {}", answers.text());
    answers.all_good()?;
    // A restart takes nothing back that was proved, and writes nothing that is so already.
    ensure!(install::strict(client).await? == before.0, "the configurations were written again");
    Ok(())
}

async fn a_pod_that_goes_leaves_no_review_unanswered(s: Scenario) -> Result<()> {
    let _turn = deployed(&s.world).await?;
    let client = &s.world.client;
    install::strict(client).await?;
    let reviews = Reviews::begin(&s.world.cluster, &s.namespace, RATE).await?;
    // The API server keeps its connection to one of them: all go, one after the other, and so that one too.
    let all = install::pods(client).await?;
    ensure!(all.len() == 2, "{} pods", all.len());
    for pod in &all {
        pods(&s).delete(&pod.name_any(), &DeleteParams::default()).await?;
        gone(&s, pod).await?;
        install::rolled(client).await?;
    }
    let answers = reviews.end().await?;
    eprintln!("both pods deleted: {}", answers.text());
    answers.all_good()
}

async fn a_drained_node_leaves_no_review_unanswered(s: Scenario) -> Result<()> {
    let _turn = deployed(&s.world).await?;
    let client = &s.world.client;
    install::strict(client).await?;
    let reviews = Reviews::begin(&s.world.cluster, &s.namespace, RATE).await?;
    // Whichever node the API server's connection leads to, it is emptied.
    for node in ["node-1", "node-2"] {
        let there: Vec<_> = install::pods(client).await?.into_iter().filter(|pod| is_on(pod, node)).collect();
        ensure!(!there.is_empty(), "the pods are not spread: none is on {node}");
        let select = format!("--pod-selector={}", install::SELECTOR);
        let drain = ["drain", node, "--timeout=150s", &select];
        install::run(s.world.cluster.kubectl()?.args(drain)).await?;
        for pod in &there {
            gone(&s, pod).await?;
        }
        install::rolled(client).await?;
        install::run(s.world.cluster.kubectl()?.args(["uncordon", node])).await?;
        spread(&s).await?;
    }
    let answers = reviews.end().await?;
    eprintln!("both nodes drained: {}", answers.text());
    answers.all_good()
}

/// Has one pod go where there is room for it again: nothing moves by itself.
async fn spread(s: &Scenario) -> Result<()> {
    let mut restart = s.world.cluster.kubectl()?;
    let deployment = format!("deployment/{}", install::NAME);
    let before = install::pods(&s.world.client).await?;
    install::run(restart.args(["rollout", "restart", &deployment, "--namespace", NAMESPACE])).await?;
    install::rolled(&s.world.client).await?;
    for pod in &before {
        gone(s, pod).await?;
    }
    Ok(())
}

fn is_on(pod: &Pod, node: &str) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(node))
}

/// The operator in pods, in the place of the process that the box came with; for one scenario at a time.
async fn deployed(world: &World) -> Result<MutexGuard<'_, Option<Operator>>> {
    let mut running = world.operator.lock().await;
    if let Some(operator) = running.take() {
        endpoints::withdraw(&world.client, 0).await?;
        operator.terminate()?;
        operator.ended().await?;
        world.cluster.import(&artifacts::image("silverback")?).await?;
        install::deploy(&world.cluster, &world.client, &Deploy::default()).await?;
        install::explained(&world.cluster, install::strict(&world.client).await).await?;
        Reviews::answered(&world.cluster, "default").await?;
    }
    Ok(running)
}

fn pods(s: &Scenario) -> Api<Pod> {
    Api::namespaced(s.world.client.clone(), NAMESPACE)
}

async fn gone(s: &Scenario, pod: &Pod) -> Result<()> {
    wait::gone(&pods(s), &pod.name_any(), GONE).await
}
