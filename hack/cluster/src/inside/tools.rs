//! kubectl, as the box itself uses it.
//!
//! In: objects. Out: the same in the cluster. Never reads anything back.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::config::Layout;

/// Applies objects, as `kubectl apply --server-side` does.
pub(crate) async fn apply(layout: &Layout, objects: &[Value]) -> Result<()> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let mut child = Command::new(&layout.kubernetes)
        .args(["kubectl", "apply", "--server-side", "--filename=-", "--kubeconfig"])
        .arg(layout.inner_kubeconfig())
        .env("KUBECACHEDIR", layout.data().join("kubectl-cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run kubectl")?;
    let mut input = child.stdin.take().context("kubectl reads objects")?;
    input.write_all(&serde_json::to_vec(&list)?).await?;
    drop(input);
    let said = child.wait_with_output().await?;
    if !said.status.success() {
        bail!("kubectl apply failed: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(())
}
