//! Brings images into the nodes of a box.
//!
//! In: archives. Out: images in each containerd. Never pulls one.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::boot::Steps;
use super::cluster::INTERVAL;
use super::{dns, metrics};
use crate::config::Layout;
use crate::image::{self, Archive};

/// Imports the box's own images, one of which every pod needs, and those that the caller asked for.
pub(crate) async fn import_first(layout: &Layout, steps: &Steps) -> Result<()> {
    let pause = Archive {
        references: vec![image::PAUSE.into()],
        program: layout.pause.clone(),
        ..Archive::default()
    };
    let dns = layout.coredns.clone().map(dns::archive);
    let metrics = layout.metrics_server.clone().map(metrics::archive);
    let own = [("pause.tar", Some(pause)), ("coredns.tar", dns), ("metrics-server.tar", metrics)];
    for (name, archive) in own {
        let Some(archive) = archive else { continue };
        let path = layout.scratch().join(name);
        let file = path.clone();
        let written = tokio::task::spawn_blocking(move || archive.write(&file)).await?;
        written.with_context(|| format!("cannot make the image {name}"))?;
        import(layout, &path).await?;
        std::fs::remove_file(path)?;
    }
    for archive in &layout.options.archives {
        import(layout, archive).await?;
        steps.tell("images", &format!("{} is imported", archive.display()))?;
    }
    Ok(())
}

/// Imports an archive into every node.
async fn import(layout: &Layout, archive: &Path) -> Result<()> {
    for node in layout.nodes() {
        let socket = layout.containerd_socket(node);
        while !socket.exists() {
            tokio::time::sleep(INTERVAL).await;
        }
        let said = Command::new(layout.runtime.join("ctr"))
            .arg("--address")
            .arg(&socket)
            .args(["--namespace", "k8s.io", "images", "import", "--local"])
            .arg(archive)
            .stdin(Stdio::null())
            .output()
            .await
            .context("cannot run ctr")?;
        if !said.status.success() {
            let complaint = String::from_utf8_lossy(&said.stderr);
            bail!("cannot import {}: {}", archive.display(), complaint.trim());
        }
    }
    Ok(())
}
