//! From the ports of the ingress Service to what Kong listens on.
//!
//! In: the ports, absent fields filled in. Out: the Service's ports, the container's, and the variables
//! `KONG_PROXY_LISTEN` and `KONG_PORT_MAPS`, which always move together.

use crds::Port;
use crds::dataplane::IngressPort;
use crds::defaults::{ADMIN_PORT, HTTPS_PORT, PROXY_PORT, PROXY_SSL_PORT, STATUS_PORT};
use crds::k8s::IntOrString;
use serde_json::{Value, json};

use crate::invalid::Problem;

/// Options of each listen: one accept queue per worker, as long as the peer's and the chart's.
const OPTIONS: &str = "reuseport backlog=16384";
/// Names of the container ports that a Service may refer to.
const PLAIN: &str = "proxy";
const TLS: &str = "proxy-ssl";

/// A port of the ingress Service and the Kong listener behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    name: String,
    port: u16,
    target: u16,
    tls: bool,
    node_port: Option<u16>,
}

/// One listener of Kong's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    port: u16,
    tls: bool,
}

/// Kong's own ports besides those of the proxy.
const RESERVED: [(Port, &str); 2] = [(ADMIN_PORT, "the admin API"), (STATUS_PORT, "the status listener")];

/// Reads the ports of the ingress Service.
///
/// # Errors
/// Every port that no listener can be made for.
pub fn mapped(ports: &[IngressPort]) -> Result<Vec<Mapped>, Vec<Problem>> {
    let problems: Vec<_> =
        ports.iter().enumerate().flat_map(|(index, port)| check(index, port, ports.len())).collect();
    if problems.is_empty() { Ok(ports.iter().map(map).collect()) } else { Err(problems) }
}

fn check(index: usize, port: &IngressPort, of: usize) -> Vec<Problem> {
    let at = |field: &str| format!("spec.network.services.ingress.ports[{index}].{field}");
    let mut problems = Vec::new();
    if port.name.is_none() && of > 1 {
        problems.push(Problem::at(
            at("name"),
            "is missing: Kubernetes needs a name where a Service has several ports",
        ));
    }
    match &port.target_port {
        Some(IntOrString::String(name)) if name != PLAIN && name != TLS => {
            let message = format!("{name:?} is no port of the proxy: use {PLAIN:?}, {TLS:?} or a number");
            problems.push(Problem::at(at("targetPort"), message));
        }
        Some(IntOrString::Int(number)) => {
            let taken = RESERVED.iter().find(|(port, _)| i32::from(*port) == *number);
            problems.extend(taken.map(|(_, by)| {
                Problem::at(at("targetPort"), format!("{number} is taken by {by}: use another port"))
            }));
        }
        _ => {}
    }
    problems
}

fn map(port: &IngressPort) -> Mapped {
    let name = port.name.clone().unwrap_or_else(|| format!("port-{}", port.port));
    let named_tls = ["https", "ssl", "tls"].iter().any(|word| name.contains(word));
    let (target, tls) = match &port.target_port {
        Some(IntOrString::Int(number)) => {
            let target = u16::try_from(*number).unwrap_or_else(|_| PROXY_PORT.number());
            // Kong's own two ports say by themselves what they speak.
            let tls = match target {
                t if t == PROXY_SSL_PORT.number() => true,
                t if t == PROXY_PORT.number() => false,
                _ => named_tls || port.port == HTTPS_PORT,
            };
            (target, tls)
        }
        Some(IntOrString::String(name)) => own(name == TLS),
        None => own(named_tls || port.port == HTTPS_PORT),
    };
    let node_port = port.node_port.map(Port::number);
    Mapped { name, port: port.port.number(), target, tls, node_port }
}

fn own(tls: bool) -> (u16, bool) {
    (if tls { PROXY_SSL_PORT.number() } else { PROXY_PORT.number() }, tls)
}

/// The listeners behind the ports, each once.
pub fn listeners(ports: &[Mapped]) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for Mapped { target, tls, .. } in ports {
        if !listeners.iter().any(|known| known.port == *target) {
            listeners.push(Listener { port: *target, tls: *tls });
        }
    }
    listeners
}

/// The value of `KONG_PROXY_LISTEN`.
pub fn proxy_listen(listeners: &[Listener]) -> String {
    let one = |Listener { port, tls }: &Listener| {
        let speaks = if *tls { " http2 ssl" } else { "" };
        format!("0.0.0.0:{port}{speaks} {OPTIONS}")
    };
    listeners.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The value of `KONG_PORT_MAPS`: the port clients see, then Kong's.
pub fn port_maps(ports: &[Mapped]) -> String {
    ports.iter().map(|p| format!("{}:{}", p.port, p.target)).collect::<Vec<_>>().join(", ")
}

/// Container ports of the listeners. The first of each sort carries the name that probes, meshes and
/// Services know.
pub fn container_ports(listeners: &[Listener]) -> Vec<Value> {
    let first =
        |tls: bool| listeners.iter().find(|listener| listener.tls == tls).map(|listener| listener.port);
    let name = |Listener { port, tls }: &Listener| {
        let word = if *tls { TLS } else { PLAIN };
        if first(*tls) == Some(*port) { word.to_owned() } else { format!("{word}-{port}") }
    };
    listeners.iter().map(|l| json!({ "name": name(l), "containerPort": l.port, "protocol": "TCP" })).collect()
}

/// Ports of the ingress Service.
pub fn service_ports(ports: &[Mapped]) -> Vec<Value> {
    let one = |p: &Mapped| {
        let mut port = json!({ "name": p.name, "port": p.port, "targetPort": p.target, "protocol": "TCP" });
        if let (Some(node_port), Some(port)) = (p.node_port, port.as_object_mut()) {
            port.insert("nodePort".into(), json!(node_port));
        }
        port
    };
    ports.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ports: Value) -> Vec<Mapped> {
        mapped(&serde_json::from_value::<Vec<IngressPort>>(ports).unwrap()).unwrap()
    }

    #[test]
    fn the_default_ports_give_the_peers_variables() {
        let ports = mapped(&crds::defaults::ports()).unwrap();
        let listen = "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384";
        assert_eq!(proxy_listen(&listeners(&ports)), listen);
        assert_eq!(port_maps(&ports), "80:8000, 443:8443");
    }

    #[test]
    fn custom_ports_move_listeners_maps_and_container_ports_together() {
        let ports = read(json!([
            {"name": "web", "port": 8080, "targetPort": 9000},
            {"name": "web-tls", "port": 9443, "targetPort": 9443, "nodePort": 30443},
            {"name": "alt", "port": 8081, "targetPort": 9001},
        ]));
        let listen = "0.0.0.0:9000 reuseport backlog=16384, 0.0.0.0:9443 http2 ssl reuseport backlog=16384, 0.0.0.0:9001 reuseport backlog=16384";
        assert_eq!(proxy_listen(&listeners(&ports)), listen);
        assert_eq!(port_maps(&ports), "8080:9000, 9443:9443, 8081:9001");
        let names: Vec<_> = container_ports(&listeners(&ports)).iter().map(|p| p["name"].clone()).collect();
        assert_eq!(names, ["proxy", "proxy-ssl", "proxy-9001"]);
        assert_eq!(service_ports(&ports)[1]["nodePort"], 30443);
    }

    #[test]
    fn a_target_is_found_by_name_or_by_what_the_port_speaks() {
        for (port, target, tls) in [
            (json!({"port": 80}), 8000, false),
            (json!({"port": 443}), 8443, true),
            (json!({"name": "https-alt", "port": 9000}), 8443, true),
            (json!({"port": 1, "targetPort": "proxy-ssl"}), 8443, true),
            (json!({"port": 1, "targetPort": "proxy"}), 8000, false),
            (json!({"port": 443, "targetPort": 8000}), 8000, false),
            (json!({"port": 443, "targetPort": 9000}), 9000, true),
        ] {
            let read = read(json!([port]));
            assert_eq!((read[0].target, read[0].tls), (target, tls), "{port}");
        }
    }

    #[test]
    fn ports_that_no_listener_can_have_are_named() {
        for (ports, path, words) in [
            (json!([{"port": 80, "targetPort": 8444}]), "ports[0].targetPort", "the admin API"),
            (json!([{"port": 80, "targetPort": 8100}]), "ports[0].targetPort", "the status listener"),
            (json!([{"port": 80, "targetPort": "https"}]), "ports[0].targetPort", "\"proxy-ssl\""),
            (json!([{"port": 80, "name": "a"}, {"port": 81}]), "ports[1].name", "several ports"),
        ] {
            let problems = mapped(&serde_json::from_value::<Vec<IngressPort>>(ports).unwrap()).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].path.ends_with(path) && problems[0].message.contains(words), "{problems:?}");
        }
    }

    #[test]
    fn two_ports_may_share_a_listener() {
        let ports = read(
            json!([{"name": "a", "port": 80, "targetPort": 8000}, {"name": "b", "port": 8080, "targetPort": 8000}]),
        );
        assert_eq!(listeners(&ports).len(), 1);
        assert_eq!(port_maps(&ports), "80:8000, 8080:8000");
    }
}
