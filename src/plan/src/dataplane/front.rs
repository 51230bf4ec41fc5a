//! The ingress Service that a user asks for: what Kubernetes would refuse of it, besides its ports' targets.
//!
//! In: the stanza. Out: problems. What CEL can tell is in the schema.

use std::collections::BTreeMap;

use crds::dataplane::{IngressService, IpFamily, Protocol};

use crate::invalid::{Cause, Problem};
use crate::pod;

/// Where the stanza stands.
pub const PATH: &str = "spec.network.services.ingress";

/// Everything that is wrong with it.
pub fn problems(ingress: &IngressService) -> Vec<Problem> {
    let mut problems: Vec<Problem> = ingress
        .annotations
        .iter()
        .flatten()
        .filter(|(key, _)| !pod::is_qualified(key))
        .map(|(key, _)| {
            let message = format!("{key:?} is no key: {}", pod::QUALIFIED);
            Problem::at(format!("{PATH}.annotations[{key}]"), message)
        })
        .collect();
    if let Some([first, second]) = ingress.ip_families.as_deref()
        && first == second
    {
        let word = if *first == IpFamily::V4 { "IPv4" } else { "IPv6" };
        let message = format!("{word:?} is there twice: remove one, or make it the other family");
        problems.push(Problem::at(format!("{PATH}.ipFamilies"), message).because(Cause::Duplicate));
    }
    problems.extend(node_ports(ingress));
    problems
}

/// A port of a node leads to one port of a Service.
fn node_ports(ingress: &IngressService) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, port) in ingress.ports.iter().flatten().enumerate() {
        let Some(node_port) = port.node_port else { continue };
        let udp = port.protocol == Some(Protocol::Udp);
        if let Some(first) = seen.insert((node_port, udp), index) {
            let message =
                format!("{node_port} is the nodePort of ports[{first}] too: give one another, or remove it");
            let path = format!("{PATH}.ports[{index}].nodePort");
            problems.push(Problem::at(path, message).because(Cause::Duplicate));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_port_is_given_once_and_annotations_have_keys() {
        let ingress = json!({
            "annotations": { "a.b/c": "x", "a b": "y" },
            "ipFamilies": ["IPv6", "IPv6"],
            "ports": [{ "port": 80, "nodePort": 30080 }, { "port": 53, "nodePort": 30080, "protocol": "UDP" }, { "port": 81, "nodePort": 30080 }],
        });
        let problems = problems(&serde_json::from_value(ingress).unwrap());
        let told: Vec<_> = problems.iter().map(|p| (p.cause, p.path.as_str())).collect();
        assert_eq!(
            told,
            [
                (Cause::Invalid, "spec.network.services.ingress.annotations[a b]"),
                (Cause::Duplicate, "spec.network.services.ingress.ipFamilies"),
                (Cause::Duplicate, "spec.network.services.ingress.ports[2].nodePort"),
            ]
        );
    }
}
