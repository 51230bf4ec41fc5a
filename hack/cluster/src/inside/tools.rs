//! kubectl, as the box itself uses it.
//!
//! In: objects. Out: the same in the cluster. Never reads anything back.

use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::config::Layout;

/// Applies objects, as `kubectl apply --server-side` does.
pub(crate) async fn apply(layout: &Layout, objects: &[Value]) -> Result<()> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let mut child =
        command(layout, Path::new("-")).stdin(Stdio::piped()).spawn().context("cannot run kubectl")?;
    let mut input = child.stdin.take().context("kubectl reads objects")?;
    input.write_all(&serde_json::to_vec(&list)?).await?;
    drop(input);
    judge(&child.wait_with_output().await?)
}

/// Applies the YAML files of a folder.
pub(crate) async fn apply_folder(layout: &Layout, folder: &Path) -> Result<()> {
    let said = command(layout, folder).stdin(Stdio::null()).output().await.context("cannot run kubectl")?;
    judge(&said)
}

fn command(layout: &Layout, from: &Path) -> Command {
    let mut command = Command::new(&layout.kubernetes);
    command.args(["kubectl", "apply", "--server-side", "--kubeconfig"]).arg(layout.inner_kubeconfig());
    command.arg("--filename").arg(from).env("KUBECACHEDIR", layout.data().join("kubectl-cache"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn judge(said: &Output) -> Result<()> {
    if !said.status.success() {
        bail!("kubectl apply failed: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(())
}
