//! From the ports of the ingress Service to what Kong listens on.
//!
//! In: the ports, absent fields filled in, and what else listens in the pod. Out: the Service's ports, the container's,
//! and the variables `KONG_PROXY_LISTEN`, `KONG_STREAM_LISTEN` and `KONG_PORT_MAPS`, which always move together.

use crds::Port;
use crds::dataplane::{IngressPort, Protocol};
use crds::defaults::{ADMIN_PORT, HTTPS_PORT, PROXY_PORT, PROXY_SSL_PORT, STATUS_PORT};
use crds::k8s::IntOrString;
use serde_json::{Value, json};

use super::claims::Claims;
use super::listen::{self, Families};
use crate::invalid::Problem;

/// Names of the container ports that a Service may refer to.
const PLAIN: &str = "proxy";
const TLS: &str = "proxy-ssl";
/// What is added to a port that no unprivileged program can have.
const RAISED: u16 = 10_000;
/// The first port that every program may have.
const UNPRIVILEGED: u16 = 1024;

/// A port of the ingress Service and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    name: String,
    port: u16,
    node_port: Option<u16>,
    protocol: Protocol,
    target: Target,
}

/// What takes the traffic of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// A listener of Kong that we open.
    Ours(u16),
    /// A listener of Kong that the user's own variable opens.
    Opened(u16),
    /// A port of another container.
    Beside(IntOrString),
}

/// One listener of Kong's proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// What it speaks.
    pub protocol: Protocol,
}

/// Kong's own ports besides those of the proxy.
const RESERVED: [(Port, &str); 2] = [(ADMIN_PORT, "the admin API"), (STATUS_PORT, "the status listener")];

/// Reads the ports of the ingress Service of a pod in which `claims` listen too.
///
/// # Errors
/// Every port that no listener can be made for.
pub fn mapped(ports: &[IngressPort], claims: &Claims) -> Result<Vec<Mapped>, Vec<Problem>> {
    let mut problems: Vec<_> =
        ports.iter().enumerate().flat_map(|(index, port)| check(index, port, ports.len(), claims)).collect();
    let mapped: Vec<_> = ports.iter().map(|port| map(port, claims)).collect();
    problems.extend(mapped.iter().enumerate().filter_map(|(index, port)| clash(&mapped, index, port)));
    if problems.is_empty() { Ok(mapped) } else { Err(problems) }
}

fn at(index: usize, field: &str) -> String {
    format!("spec.network.services.ingress.ports[{index}].{field}")
}

fn check(index: usize, port: &IngressPort, of: usize, claims: &Claims) -> Vec<Problem> {
    let mut problems = Vec::new();
    if port.name.is_none() && of > 1 {
        problems.push(Problem::at(
            at(index, "name"),
            "is missing: Kubernetes needs a name where a Service has several ports",
        ));
    }
    match &port.target_port {
        Some(IntOrString::String(name)) if name != PLAIN && name != TLS && !claims.has_name(name) => {
            let message = format!(
                "{name:?} is no port of the pod: use {PLAIN:?}, {TLS:?}, a number, or the name of a container port"
            );
            problems.push(Problem::at(at(index, "targetPort"), message));
        }
        Some(IntOrString::Int(number)) if port.protocol != Some(Protocol::Udp) => {
            let taken = RESERVED.iter().find(|(port, _)| i32::from(*port) == *number);
            problems.extend(taken.map(|(_, by)| {
                Problem::at(at(index, "targetPort"), format!("{number} is taken by {by}: use another port"))
            }));
        }
        _ => {}
    }
    problems
}

/// A listener speaks one protocol. Where none was named the first port decides, as it always did.
fn clash(all: &[Mapped], index: usize, port: &Mapped) -> Option<Problem> {
    let Target::Ours(target) = port.target else { return None };
    let rival = all.iter().take(index).find(|other| {
        other.target == port.target
            && is_udp(other.protocol) == is_udp(port.protocol)
            && other.protocol != port.protocol
            && (is_stream(other.protocol) || is_stream(port.protocol))
    })?;
    let (word, other) = (word(port.protocol), word(rival.protocol));
    let message = format!(
        "{target} would have to speak {word}, and {other} for port {}: give one of the two another targetPort",
        rival.port
    );
    Some(Problem::at(at(index, "targetPort"), message))
}

fn is_udp(protocol: Protocol) -> bool {
    protocol == Protocol::Udp
}

fn is_stream(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp | Protocol::Tls | Protocol::Udp)
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "HTTP",
        Protocol::Https => "HTTPS",
        Protocol::Tls => "TLS",
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

/// What Kubernetes calls the protocol below.
fn transport(protocol: Protocol) -> &'static str {
    if is_udp(protocol) { "UDP" } else { "TCP" }
}

fn map(port: &IngressPort, claims: &Claims) -> Mapped {
    let name = port.name.clone().unwrap_or_else(|| format!("port-{}", port.port));
    let protocol = port.protocol.unwrap_or_else(|| guessed(port, &name));
    Mapped {
        target: target(port, protocol, claims),
        name,
        port: port.port.number(),
        node_port: port.node_port.map(Port::number),
        protocol,
    }
}

/// What a port speaks that does not say so.
fn guessed(port: &IngressPort, name: &str) -> Protocol {
    let like_tls = port.port == HTTPS_PORT || ["https", "ssl", "tls"].iter().any(|word| name.contains(word));
    let tls = match &port.target_port {
        // Kong's own two ports say by themselves what they speak.
        Some(IntOrString::Int(number)) if *number == i32::from(PROXY_SSL_PORT) => true,
        Some(IntOrString::Int(number)) if *number == i32::from(PROXY_PORT) => false,
        Some(IntOrString::String(target)) if target == TLS || target == PLAIN => target == TLS,
        _ => like_tls,
    };
    if tls { Protocol::Https } else { Protocol::Http }
}

fn target(port: &IngressPort, protocol: Protocol, claims: &Claims) -> Target {
    let number = match &port.target_port {
        Some(IntOrString::Int(number)) => u16::try_from(*number).unwrap_or_else(|_| PROXY_PORT.number()),
        Some(IntOrString::String(name)) if name == TLS => PROXY_SSL_PORT.number(),
        Some(IntOrString::String(name)) if name == PLAIN => PROXY_PORT.number(),
        Some(IntOrString::String(name)) => match claims.of_proxy(name) {
            Some(number) => number,
            None => return Target::Beside(IntOrString::String(name.clone())),
        },
        None => by_default(port.port.number(), protocol),
    };
    if claims.is_beside(number, is_udp(protocol)) {
        return Target::Beside(IntOrString::Int(number.into()));
    }
    if claims.is_opened(number, is_udp(protocol)) { Target::Opened(number) } else { Target::Ours(number) }
}

fn by_default(port: u16, protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Http => PROXY_PORT.number(),
        Protocol::Https => PROXY_SSL_PORT.number(),
        _ if port < UNPRIVILEGED => port + RAISED,
        _ => port,
    }
}

/// The listeners behind the ports, each once.
pub fn listeners(ports: &[Mapped]) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for Mapped { target, protocol, .. } in ports {
        let Target::Ours(port) = *target else { continue };
        let same = |known: &Listener| known.port == port && is_udp(known.protocol) == is_udp(*protocol);
        if !listeners.iter().any(same) {
            listeners.push(Listener { port, protocol: *protocol });
        }
    }
    listeners
}

/// The value of `KONG_PROXY_LISTEN`.
pub fn proxy_listen(ports: &[Mapped], families: Families) -> String {
    listen::value(&listeners(ports), families, |protocol| !is_stream(protocol))
        .unwrap_or_else(|| "off".into())
}

/// The value of `KONG_STREAM_LISTEN`, where there are streams.
pub fn stream_listen(ports: &[Mapped], families: Families) -> Option<String> {
    listen::value(&listeners(ports), families, is_stream)
}

/// The value of `KONG_PORT_MAPS`: the port clients see, then Kong's. Stream routes are found by the former.
pub fn port_maps(ports: &[Mapped]) -> String {
    let mut maps: Vec<String> = Vec::new();
    for Mapped { port, target, .. } in ports {
        let (Target::Ours(target) | Target::Opened(target)) = target else { continue };
        let map = format!("{port}:{target}");
        if !maps.contains(&map) {
            maps.push(map);
        }
    }
    maps.join(", ")
}

/// Container ports of the listeners. The first for plain HTTP and the first for HTTPS carry the names that probes,
/// meshes and Services know.
pub fn container_ports(listeners: &[Listener]) -> Vec<Value> {
    let first = |protocol| listeners.iter().find(|listener| listener.protocol == protocol).map(|l| l.port);
    let name = |Listener { port, protocol }: &Listener| {
        let word = match protocol {
            Protocol::Http => PLAIN,
            Protocol::Https => TLS,
            Protocol::Tls => "tls",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let known = !is_stream(*protocol) && first(*protocol) == Some(*port);
        if known { word.to_owned() } else { format!("{word}-{port}") }
    };
    let one =
        |l: &Listener| json!({ "name": name(l), "containerPort": l.port, "protocol": transport(l.protocol) });
    listeners.iter().map(one).collect()
}

/// Ports of the ingress Service.
pub fn service_ports(ports: &[Mapped]) -> Vec<Value> {
    let one = |p: &Mapped| {
        let target = match &p.target {
            Target::Ours(number) | Target::Opened(number) => json!(number),
            Target::Beside(port) => json!(port),
        };
        let mut port = json!({ "name": p.name, "port": p.port, "targetPort": target, "protocol": transport(p.protocol) });
        if let (Some(node_port), Some(port)) = (p.node_port, port.as_object_mut()) {
            port.insert("nodePort".into(), json!(node_port));
        }
        port
    };
    ports.iter().map(one).collect()
}

#[cfg(test)]
#[path = "tests/ports.rs"]
mod tests;
