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
use super::listen::{self, Families, Listen};
use crate::invalid::Problem;

/// Names of the container ports that a Service may refer to.
const PLAIN: &str = "proxy";
const TLS: &str = "proxy-ssl";
const STATUS: &str = "metrics";
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
    /// Whether the protocol was given, and not guessed.
    explicit: bool,
    target: Target,
}

/// What takes the traffic of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// A listener of Kong that we open.
    Ours(u16),
    /// A listener of Kong that the user's own variable opens.
    Opened(u16),
    /// A port of another container, or one of Kong's own besides its proxies.
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
    problems.extend(mapped.iter().enumerate().filter_map(|(index, port)| reserved(index, port)));
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
    if let Some(IntOrString::String(name)) = &port.target_port
        && ![PLAIN, TLS, STATUS].contains(&name.as_str())
        && !claims.has_name(name)
    {
        let message = format!(
            "{name:?} is no port of the pod: use {PLAIN:?}, {TLS:?}, a number, or the name of a container port"
        );
        problems.push(Problem::at(at(index, "targetPort"), message));
    }
    problems
}

/// Kong would start with two listeners of one port, and which of them answers would be luck.
fn reserved(index: usize, port: &Mapped) -> Option<Problem> {
    let (Target::Ours(number) | Target::Opened(number)) = port.target else { return None };
    let (_, by) = RESERVED.iter().find(|(port, _)| port.number() == number)?;
    if is_udp(port.protocol) {
        return None;
    }
    let message = format!("{number} is taken by {by}: use another targetPort");
    Some(Problem::at(at(index, "targetPort"), message))
}

/// A listener speaks one protocol; where none was named the first port decides, as it always did. And streams are
/// told apart by the one port of the Service that their listener stands for.
fn clash(all: &[Mapped], index: usize, port: &Mapped) -> Option<Problem> {
    let Target::Ours(target) = port.target else { return None };
    let others = all.iter().take(index).filter(|other| other.target == port.target);
    let streams = |other: &Mapped| is_stream(other.protocol) || is_stream(port.protocol);
    let message = others.into_iter().find_map(|other| {
        let told = other.protocol != port.protocol && (streams(other) || (other.explicit && port.explicit));
        if told && is_udp(other.protocol) == is_udp(port.protocol) {
            let (word, known) = (word(port.protocol), word(other.protocol));
            return Some(format!("{target} would have to speak {word}, and {known} for port {}", other.port));
        }
        let mixed = streams(other) && other.port != port.port;
        mixed.then(|| {
            format!("{target} already stands for port {}, by which routes of streams are found", other.port)
        })
    })?;
    Some(Problem::at(at(index, "targetPort"), format!("{message}: give one of the two another targetPort")))
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
        explicit: port.protocol.is_some(),
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
    let asked = port.target_port.is_some() && !is_stream(protocol);
    // What a load balancer asks for Kong's health; it is there anyhow.
    if claims.is_beside(number, is_udp(protocol)) || (asked && number == STATUS_PORT.number()) {
        return Target::Beside(IntOrString::Int(number.into()));
    }
    let own = [PROXY_PORT.number(), PROXY_SSL_PORT.number()].contains(&number);
    let unknown = claims.has_unknown_streams() && port.protocol.is_none() && !own;
    if unknown || claims.is_opened(number, is_udp(protocol)) {
        Target::Opened(number)
    } else {
        Target::Ours(number)
    }
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

/// The value of `KONG_PORT_MAPS`: the port clients see, then Kong's. Kong knows one of the former for each of the
/// latter, and of several takes the last: here the first one counts. Stream routes are found by it.
pub fn port_maps(ports: &[Mapped]) -> String {
    let mut maps: Vec<(u16, u16)> = Vec::new();
    for Mapped { port, target, .. } in ports {
        let (Target::Ours(target) | Target::Opened(target)) = *target else { continue };
        if !maps.iter().any(|(_, known)| *known == target) {
            maps.push((*port, target));
        }
    }
    maps.iter().map(|(port, target)| format!("{port}:{target}")).collect::<Vec<_>>().join(", ")
}

/// Ports of the Service that Kong's own proxy for HTTP takes.
pub fn proxied(ports: &[Mapped]) -> impl Iterator<Item = u16> {
    let ours = ports.iter().filter(|p| matches!(p.target, Target::Ours(_)) && !is_stream(p.protocol));
    ours.map(|p| p.port)
}

/// Ports of the Service with Kong's ports that they lead to.
pub fn mapped_to(ports: &[Mapped]) -> impl Iterator<Item = (u16, u16)> {
    ports.iter().filter_map(|p| match p.target {
        Target::Ours(target) | Target::Opened(target) => Some((p.port, target)),
        Target::Beside(_) => None,
    })
}

/// A port whose author says that Kong's listener speaks something else there than the listener of these flags does:
/// the port, its target, and what it has to speak.
pub fn spoken(ports: &[Mapped], listen: &Listen, of_stream: bool) -> Option<(u16, u16, &'static str)> {
    let wrong =
        ports.iter().filter(|p| p.explicit && is_stream(p.protocol) == of_stream && !is_udp(p.protocol));
    let mut wrong =
        wrong.filter(|p| matches!(p.protocol, Protocol::Https | Protocol::Tls) != listen.tls && !listen.udp);
    wrong.find_map(|p| match p.target {
        Target::Ours(target) | Target::Opened(target) if target == listen.port => {
            Some((p.port, target, word(p.protocol)))
        }
        _ => None,
    })
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
