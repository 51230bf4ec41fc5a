//! Writes every file that the components read.
//!
//! In: a [`Layout`]. Out: certificates, kubeconfigs, configuration files, links to programs. Never
//! starts anything.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::pki::{self, Authority};
use crate::address;
use crate::config::{self, Layout};

/// Writes all of them.
pub(crate) fn prepare(layout: &Layout) -> Result<()> {
    let authority = pki::make(&layout.data().join("pki"), layout.nodes(), layout.families())?;
    kubeconfigs(layout, &authority)?;
    write(&layout.file("audit.json"), &config::audit_policy())?;
    for node in layout.nodes() {
        node_files(layout, node)?;
    }
    // What people and programs in the box call by name.
    symlink(&layout.kubernetes, layout.bin().join("kubectl"))?;
    symlink(layout.runtime.join("ctr"), layout.bin().join("ctr"))?;
    Ok(())
}

fn kubeconfigs(layout: &Layout, authority: &Authority) -> Result<()> {
    let inside = format!("https://{}", address::api(layout.families()));
    let outside = format!("https://127.0.0.1:{}", layout.api_port);
    let save = |path: &Path, server: &str, user: &str, group: Option<&str>| {
        let identity = authority.client(user, group)?;
        write(
            path,
            &config::kubeconfig(server, &authority.certificate, (&identity.certificate, &identity.key)),
        )
    };
    save(&layout.kubeconfig(), &outside, "admin", Some("system:masters"))?;
    save(&layout.inner_kubeconfig(), &inside, "admin", Some("system:masters"))?;
    save(&layout.file("controllers.kubeconfig"), &inside, "system:kube-controller-manager", None)?;
    save(&layout.file("scheduler.kubeconfig"), &inside, "system:kube-scheduler", None)?;
    save(&layout.file("proxy.kubeconfig"), &inside, "system:kube-proxy", None)?;
    for node in layout.nodes() {
        fs::create_dir_all(layout.node(node))?;
        let user = format!("system:node:{}", address::node_name(node));
        save(&layout.node(node).join("kubelet.kubeconfig"), &inside, &user, Some("system:nodes"))?;
    }
    Ok(())
}

fn node_files(layout: &Layout, node: u8) -> Result<()> {
    let home = layout.node(node);
    for dir in ["cni", "kubelet", "opt", "registries", "volume-plugins"] {
        fs::create_dir_all(home.join(dir))?;
    }
    write(&home.join("kubelet.json"), &config::kubelet_config(layout, node))?;
    write(&home.join("proxy.json"), &config::proxy_config(layout, node))?;
    write(&home.join("cni/box.conflist"), &config::cni(layout, node))?;
    fs::write(home.join("containerd.toml"), config::containerd_config(layout, node))?;
    Ok(())
}

fn write(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
