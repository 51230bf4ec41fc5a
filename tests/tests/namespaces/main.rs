//! What the operator reads: named namespaces only, kinds that come later, names of what is not its own.
//!
//! Each scenario starts operators of its own and changes what holds for the whole cluster, so they take turns.

mod definitions;
mod limits;
mod strangers;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cluster::Options;
use serde_json::{Value, json};
use tests::operator::{Operator, Setup, Webhooks};
use tests::world::{self, Scenario, World};
use tests::{artifacts, install, scenarios};
use tokio::sync::MutexGuard;

fn main() -> ExitCode {
    world::run_without_webhooks(
        Options::default(),
        scenarios![
            limits::only_named_namespaces_are_read,
            definitions::a_definition_that_comes_later_starts_the_work_within_a_second,
            definitions::without_the_right_to_watch_definitions_it_works_all_the_same,
            strangers::secrets_and_config_maps_of_others_cost_their_names,
        ],
    )
}

/// The place of the running operator, which is none now: until it is given back, this scenario is alone.
async fn alone(world: &World) -> Result<MutexGuard<'_, Option<Operator>>> {
    let mut running = world.operator.lock().await;
    if let Some(operator) = running.take() {
        operator.kill().await?;
    }
    Ok(running)
}

/// Starts an operator with these arguments, that need not wait for the lease of one that was killed; waits for
/// nothing itself.
async fn begin(world: &World, arguments: &[&str]) -> Result<Operator> {
    let arguments =
        arguments.iter().chain(&["--no-leader-election"]).map(|argument| (*argument).to_owned()).collect();
    let setup = Setup { arguments, webhooks: Webhooks::Off, ..Setup::default() };
    Operator::begin(&setup, &world.cluster, &artifacts::operator()?, world.folder.path()).await
}

/// Runs `kubectl` with all rights.
async fn kubectl(world: &World, arguments: &[&str]) -> Result<String> {
    install::run(world.cluster.kubectl()?.args(arguments)).await
}

/// Path of a file of this project, as `kubectl` takes it.
fn manifest(path: &str) -> Result<String> {
    let path: PathBuf = artifacts::root().join(path);
    path.into_os_string().into_string().ok().context("the path is no text")
}

/// What the log has had on top since it had `from` bytes.
fn log_since(operator: &Operator, from: usize) -> Result<String> {
    let log = std::fs::read_to_string(operator.log())?;
    Ok(log.get(from..).unwrap_or_default().to_owned())
}

/// How long the log is by now; operators of one suite write to the same.
fn logged(world: &World) -> usize {
    std::fs::metadata(world.folder.path().join("operator.log"))
        .map_or(0, |log| log.len().try_into().unwrap_or(0))
}

/// A small `DataPlane`.
fn small() -> Value {
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    json!({
        "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } },
        "network": { "services": { "ingress": { "type": "ClusterIP" } } },
    })
}

/// Another namespace of this scenario.
async fn beside(s: &Scenario, name: &str) -> Result<Scenario> {
    let namespace = format!("{}-{name}", s.namespace.get(..20).unwrap_or(&s.namespace));
    kubectl(&s.world, &["create", "namespace", &namespace]).await?;
    Ok(Scenario { world: s.world.clone(), namespace })
}
