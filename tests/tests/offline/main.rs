//! Manifests beside a cluster: what is rendered is what the operator makes, what is told to change is what changes, and
//! what is refused here is refused there.

#![allow(clippy::indexing_slicing, reason = "a test that finds nothing fails")]

mod changes;
mod entrances;
mod pipelines;
mod planes;
mod refused;
mod rendered;
mod spelt;

use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};
use cluster::Options;
use serde_json::{Value, json};
use tests::world::{self, Scenario};
use tests::{artifacts, scenarios};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

fn main() -> ExitCode {
    // Without it the suite still lists its scenarios; whoever runs one is told what is missing.
    let archives = artifacts::image("kic").into_iter().collect();
    world::run(
        Options { gateway_api: true, archives, ..Options::default() },
        scenarios![
            rendered::what_is_rendered_is_what_the_operator_makes,
            entrances::what_is_rendered_of_a_gateway_is_what_the_operator_makes,
            rendered::what_is_stored_is_what_was_printed,
            changes::what_is_told_to_change_is_what_changes,
            changes::nothing_is_there_yet,
            changes::a_child_of_somebody_elses_is_told,
            pipelines::a_pull_request_is_told_what_would_change,
            planes::what_is_told_of_a_gateway_is_what_changes,
            planes::what_is_told_of_a_control_plane_is_what_changes,
            spelt::yaml_is_read_as_kubectl_reads_it,
            refused::what_is_refused_is_refused_there_in_the_same_words,
        ],
    )
}

/// What the program said, and with which code it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs the operator's program over a manifest, with the box's kubeconfig.
async fn silverback(s: &Scenario, arguments: &[&str], manifest: &Value) -> Result<Said> {
    silverback_reads(s, arguments, &manifest.to_string()).await
}

async fn silverback_reads(s: &Scenario, arguments: &[&str], text: &str) -> Result<Said> {
    let mut command = Command::new(artifacts::operator()?);
    command.args(arguments).args(["--namespace", &s.namespace, "-"]).kill_on_drop(true);
    command.env("KUBECONFIG", s.world.cluster.kubeconfig());
    piped(&mut command, text).await
}

/// Runs a command to its end over a text.
async fn piped(command: &mut Command, text: &str) -> Result<Said> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(text.as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    Ok(Said {
        code: output.status.code().context("it was killed")?,
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// A `DataPlane` that is soon ready, as a manifest.
fn manifest(name: &str, replicas: Option<u32>, more: &[(&str, &str)]) -> Value {
    let env: Vec<_> = more.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let resources = json!({ "requests": { "cpu": "10m", "memory": "32Mi" } });
    let proxy = json!({ "name": "proxy", "env": env, "resources": resources });
    let deployment =
        json!({ "replicas": replicas, "podTemplateSpec": { "spec": { "containers": [proxy] } } });
    json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": { "name": name },
        "spec": {
            "deployment": deployment,
            "network": { "services": { "ingress": { "type": "ClusterIP" } } },
        },
    })
}
