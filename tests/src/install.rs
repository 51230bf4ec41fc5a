//! What an administrator applies before the operator runs: definitions, namespace, roles; and the operator itself, as
//! its image in pods.

mod deployment;

pub use deployment::{Deploy, NAME, SELECTOR, deploy, explained, kustomized, pods, rolled, strict};

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::artifacts::root;

/// Applies definitions, roles and webhooks as `manifests/` holds them, with the `kubectl` that is given.
///
/// # Errors
/// kubectl's own words.
pub async fn apply(kubectl: impl Fn() -> Result<Command>) -> Result<()> {
    for folder in ["crds/yaml", "manifests/rbac", "manifests/webhook"] {
        file(kubectl()?, &root().join(folder)).await?;
    }
    let established = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd",
        "controlplanes.gateway-operator.konghq.com",
        "dataplanes.gateway-operator.konghq.com",
        "gatewayconfigurations.gateway-operator.konghq.com",
        "watchnamespacegrants.gateway-operator.konghq.com",
    ];
    run(kubectl()?.args(established)).await.map(drop)
}

/// Applies a file or a folder by server-side apply.
///
/// # Errors
/// kubectl's own words.
pub async fn file(mut kubectl: Command, path: &Path) -> Result<String> {
    run(kubectl.args(["apply", "--server-side", "--filename"]).arg(path)).await
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// What it printed to standard error, when it fails.
pub async fn run(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().await.with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{:?} failed ({}): {}", command.as_std(), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
