//! The network of a box: a bridge per node, and a cable between two nodes.
//!
//! In: a [`Layout`], in a network namespace with nothing in it. Out: addresses and routes. It has no
//! way out: no packet to a pod or a Service leaves the box.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::address;
use crate::config::Layout;
use crate::packages::ELSEWHERE;

/// Without it, an answer from one pod to another on the same bridge passes the Service's address
/// translation by, and the asking pod drops it.
const BRIDGE_FILTER: &str = "net/bridge/bridge-nf-call-iptables";

/// Arranges everything.
pub(crate) fn arrange(layout: &Layout) -> Result<()> {
    ensure_bridge_filter()?;
    ip(&[], &(bridge(1) + "route add default dev cni0\n"))?;
    sysctls(layout, 1)?;
    if layout.options.nodes > 1 {
        ip(&[], "netns add node-2\nlink add node-2 type veth peer name node-1 netns node-2\n")?;
        ip(&[], &cable(1, 2))?;
        let default =
            format!("route add default via {} dev node-1 src {}\n", address::node(1), address::node(2));
        ip(&["-netns", "node-2"], &(bridge(2) + &cable(2, 1) + &default))?;
        sysctls(layout, 2)?;
    }
    Ok(())
}

/// The commands that make a node's bridge.
fn bridge(node: u8) -> String {
    let address = address::node(node);
    // A bridge without a hardware address of its own takes that of its first port, and changes it with them.
    format!(
        "link set lo up\nlink add cni0 address 0a:58:0a:58:00:{node:02x} type bridge\n\
         address add {address}/24 dev cni0\nlink set cni0 up\n"
    )
}

/// The commands that join a node to its neighbour.
///
/// The cable has the nodes' own addresses, so that what kube-proxy masquerades comes from a node too.
fn cable(node: u8, neighbour: u8) -> String {
    let (device, pods) = (address::node_name(neighbour), address::pods_of(neighbour));
    let (own, far) = (address::node(node), address::node(neighbour));
    format!(
        "address add {own}/32 dev {device}\nlink set {device} up\n\
         route add {far}/32 dev {device} src {own}\nroute add {pods} via {far} dev {device} src {own}\n"
    )
}

fn ip(options: &[&str], commands: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(options)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run ip")?;
    child.stdin.take().context("ip reads commands")?.write_all(commands.as_bytes())?;
    let said = child.wait_with_output()?;
    if !said.status.success() {
        bail!("ip failed: {}; commands:\n{commands}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(())
}

fn ensure_bridge_filter() -> Result<()> {
    let file = Path::new("/proc/sys").join(BRIDGE_FILTER);
    if !file.exists() {
        let _absent_is_told_below = Command::new("modprobe").arg("br_netfilter").output();
    }
    ensure!(
        file.exists(),
        "the kernel has no br_netfilter (CONFIG_BRIDGE_NETFILTER), which Services between pods need, and \
         modprobe could not load it (package kmod); {ELSEWHERE}"
    );
    Ok(())
}

/// Sysctls of a node's network namespace; whose they are depends on who writes.
fn sysctls(layout: &Layout, node: u8) -> Result<()> {
    let settings = ["net/ipv4/ip_forward", BRIDGE_FILTER];
    let Some(netns) = Layout::netns(node) else {
        return settings.iter().try_for_each(|name| {
            fs::write(Path::new("/proc/sys").join(name), "1").with_context(|| format!("cannot set {name}"))
        });
    };
    let script = settings.map(|name| format!("echo 1 > /proc/sys/{name}")).join("\n");
    let mut command = Command::new(&layout.launcher);
    command.args(["exec", "--net"]).arg(netns).args(["--", "sh", "-ec", &script]);
    ensure!(command.status()?.success(), "cannot set the sysctls of {}", address::node_name(node));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_the_cable_leads_to_the_other() {
        assert_eq!(
            cable(2, 1),
            "address add 10.88.1.1/32 dev node-1\nlink set node-1 up\n\
             route add 10.88.0.1/32 dev node-1 src 10.88.1.1\n\
             route add 10.88.0.0/24 via 10.88.0.1 dev node-1 src 10.88.1.1\n"
        );
    }
}
