//! The network of a box: a bridge per node, and a cable between two nodes.
//!
//! In: a [`Layout`], in a network namespace with nothing in it. Out: addresses and routes. It has no
//! way out: no packet to a pod or a Service leaves the box.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::address::{self, Family};
use crate::config::Layout;
use crate::options::Families;
use crate::packages::ELSEWHERE;

/// Without it, an answer from one pod to another on the same bridge passes the Service's address
/// translation by, and the asking pod drops it.
const BRIDGE_FILTER: &str = "net/bridge/bridge-nf-call-iptables";
/// The same for IPv6.
const BRIDGE_FILTER_6: &str = "net/bridge/bridge-nf-call-ip6tables";

/// Arranges everything.
pub(crate) fn arrange(layout: &Layout) -> Result<()> {
    ensure_bridge_filter()?;
    let families = layout.families().list();
    let each =
        |commands: &dyn Fn(Family) -> String| families.iter().map(|&f| commands(f)).collect::<String>();
    // Before the addresses: forwarding decides which routes IPv6 makes for them.
    sysctls(layout, 1)?;
    ip(&[], &(bridge(1) + &each(&|family| on_bridge(family, 1) + &way_out(family, 1))))?;
    if layout.options.nodes > 1 {
        ip(&[], "netns add node-2\nlink add node-2 type veth peer name node-1 netns node-2\n")?;
        sysctls(layout, 2)?;
        ip(&[], &each(&|family| cable(family, 1, 2)))?;
        let second = |family| on_bridge(family, 2) + &cable(family, 2, 1) + &way_out(family, 2);
        ip(&["-netns", "node-2"], &(bridge(2) + &each(&second)))?;
    }
    Ok(())
}

/// The commands that make a node's bridge.
fn bridge(node: u8) -> String {
    // A bridge without a hardware address of its own takes that of its first port, and changes it with them.
    format!("link set lo up\nlink add cni0 address 0a:58:0a:58:00:{node:02x} type bridge\nlink set cni0 up\n")
}

/// The command that gives a node its address.
fn on_bridge(family: Family, node: u8) -> String {
    let (own, prefix, ready) = (family.node(node), family.prefix(), at_once(family));
    format!("address add {own}/{prefix} dev cni0{ready}\n")
}

/// Nobody else can have an IPv6 address of the box, so that it need not be asked for a second; without a
/// carrier, as a bridge is before the first pod, it would be asked for without end.
fn at_once(family: Family) -> &'static str {
    if family == Family::V6 { " nodad" } else { "" }
}

/// The command that makes a node's default route, without which Service addresses have none.
fn way_out(family: Family, node: u8) -> String {
    if node == 1 {
        // `ip -batch` takes no family from the word `default`.
        let every = if family == Family::V6 { "::/0" } else { "0.0.0.0/0" };
        return format!("route add {every} dev cni0\n");
    }
    let (first, own) = (family.node(1), family.node(node));
    format!("route add default via {first} dev node-1 src {own}\n")
}

/// The commands that join a node to its neighbour.
///
/// The cable has the nodes' own addresses, so that what kube-proxy masquerades comes from a node too.
fn cable(family: Family, node: u8, neighbour: u8) -> String {
    let (device, pods) = (address::node_name(neighbour), family.pods_of(neighbour));
    let (own, far, ready) = (family.node(node), family.node(neighbour), at_once(family));
    let alone = if family == Family::V6 { 128 } else { 32 };
    // The device first: IPv6 has no routes of a device that is down.
    format!(
        "link set {device} up\naddress add {own}/{alone} dev {device}{ready}\n\
         route add {far}/{alone} dev {device} src {own}\nroute add {pods} via {far} dev {device} src {own}\n"
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
    let settings = ["net/ipv4/ip_forward", BRIDGE_FILTER, "net/ipv6/conf/all/forwarding", BRIDGE_FILTER_6];
    let known = if layout.families() == Families::Ipv4 { 2 } else { settings.len() };
    let settings = settings.get(..known).unwrap_or_default();
    let Some(netns) = Layout::netns(node) else {
        return settings.iter().try_for_each(|name| {
            fs::write(Path::new("/proc/sys").join(name), "1").with_context(|| format!("cannot set {name}"))
        });
    };
    let lines: Vec<_> = settings.iter().map(|name| format!("echo 1 > /proc/sys/{name}")).collect();
    let script = lines.join("\n");
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
            cable(Family::V4, 2, 1),
            "link set node-1 up\naddress add 10.88.1.1/32 dev node-1\n\
             route add 10.88.0.1/32 dev node-1 src 10.88.1.1\n\
             route add 10.88.0.0/24 via 10.88.0.1 dev node-1 src 10.88.1.1\n"
        );
    }

    #[test]
    fn an_ipv6_address_is_there_at_once() {
        assert_eq!(on_bridge(Family::V6, 1), "address add fd00:10:88::1/64 dev cni0 nodad\n");
        assert_eq!(on_bridge(Family::V4, 1), "address add 10.88.0.1/24 dev cni0\n");
        assert!(
            cable(Family::V6, 2, 1).contains("route add fd00:10:88::1/128 dev node-1 src fd00:10:88:1::1\n")
        );
    }
}
