//! What listens in a pod besides the listeners that we open.
//!
//! In: the user's pod template. Out: ports of other containers, stream listeners of a variable of the user's, and the
//! names of ports. All containers of a pod share its addresses: two cannot listen on one port.

use serde_json::Value;

use super::{container, listen};
use crds::names::PROXY_CONTAINER;

/// The variable that opens stream listeners.
const STREAMS: &str = "KONG_STREAM_LISTEN";

/// Ports that are spoken for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    ports: Vec<Claim>,
    /// Whether stream listeners come from somewhere that cannot be read here.
    unknown: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Claim {
    by: Claimant,
    port: u16,
    udp: bool,
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claimant {
    /// A container port of Kong's container: a name for a number, nothing more.
    Proxy,
    /// Kong's stream proxy, by a variable of the user's.
    Stream,
    /// Another container.
    Beside,
}

impl Claims {
    /// Those of a user's template.
    pub fn of(patch: &Value) -> Self {
        let of = |at: &str| patch.pointer(at).and_then(Value::as_array).into_iter().flatten();
        // Others of these have ended before Kong begins.
        let beside = of("/spec/initContainers")
            .filter(|container| container.get("restartPolicy").and_then(Value::as_str) == Some("Always"));
        let containers = of("/spec/containers").chain(beside);
        let containers = containers.filter(|c| c.get("$patch").and_then(Value::as_str) != Some("delete"));
        let unknown = container::variable(patch, STREAMS).is_some_and(|v| v.get("valueFrom").is_some());
        Self { ports: containers.flat_map(of_container).collect(), unknown }
    }

    /// Whether stream listeners come from somewhere that cannot be read here.
    pub fn has_unknown_streams(&self) -> bool {
        self.unknown
    }

    /// Whether a container of the user's template has a port of that name.
    pub fn has_name(&self, name: &str) -> bool {
        self.ports.iter().any(|claim| claim.name.as_deref() == Some(name))
    }

    /// The number of a port that the user named in Kong's container.
    pub fn of_proxy(&self, name: &str) -> Option<u16> {
        let mut named = self.ports.iter().filter(|claim| claim.name.as_deref() == Some(name));
        named.find(|claim| claim.by == Claimant::Proxy).map(|claim| claim.port)
    }

    /// Whether another container listens there.
    pub fn is_beside(&self, port: u16, udp: bool) -> bool {
        self.is_claimed(Claimant::Beside, port, udp)
    }

    /// Whether the user has Kong's stream proxy listen there.
    pub fn is_opened(&self, port: u16, udp: bool) -> bool {
        self.is_claimed(Claimant::Stream, port, udp)
    }

    fn is_claimed(&self, by: Claimant, port: u16, udp: bool) -> bool {
        self.ports.iter().any(|claim| (claim.by, claim.port, claim.udp) == (by, port, udp))
    }
}

fn of_container(container: &Value) -> Vec<Claim> {
    let ours = container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER);
    let by = if ours { Claimant::Proxy } else { Claimant::Beside };
    let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
    let mut claims: Vec<_> = ports.filter_map(|port| of_port(by, port)).collect();
    if ours {
        claims.extend(streams(container));
    }
    claims
}

fn of_port(by: Claimant, port: &Value) -> Option<Claim> {
    let number = port.get("containerPort").and_then(Value::as_u64)?;
    let udp = port.get("protocol").and_then(Value::as_str) == Some("UDP");
    let name = port.get("name").and_then(Value::as_str).map(str::to_owned);
    Some(Claim { by, port: u16::try_from(number).ok()?, udp, name })
}

fn streams(container: &Value) -> impl Iterator<Item = Claim> {
    let variables = container.get("env").and_then(Value::as_array).into_iter().flatten();
    let value = variables
        .filter(|variable| variable.get("name").and_then(Value::as_str) == Some(STREAMS))
        .filter_map(|variable| variable.get("value").and_then(Value::as_str));
    let listens = value.flat_map(listen::read);
    listens.map(|listen| Claim { by: Claimant::Stream, port: listen.port, udp: listen.udp, name: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn other_containers_and_own_streams_are_seen() {
        let claims = Claims::of(&json!({"spec": {
            "containers": [
                {"name": "proxy", "ports": [{"name": "extra", "containerPort": 9005}],
                 "env": [{"name": "KONG_STREAM_LISTEN", "value": "0.0.0.0:9000, 0.0.0.0:9053 udp"}]},
                {"name": "sidecar", "ports": [{"name": "side", "containerPort": 9100}]},
            ],
            "initContainers": [
                {"name": "native", "restartPolicy": "Always", "ports": [{"containerPort": 9200, "protocol": "UDP"}]},
                {"name": "before", "ports": [{"containerPort": 8000}]},
            ],
        }}));
        assert!(
            claims.is_opened(9000, false) && claims.is_opened(9053, true) && !claims.is_opened(9053, false)
        );
        assert!(
            claims.is_beside(9100, false) && claims.is_beside(9200, true) && !claims.is_beside(9005, false)
        );
        assert!(claims.has_name("side") && claims.has_name("extra") && !claims.has_name("other"));
        assert_eq!((claims.of_proxy("extra"), claims.of_proxy("side")), (Some(9005), None));
        assert_eq!(Claims::of(&json!({})), Claims::default());
    }
}
