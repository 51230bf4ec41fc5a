//! The status of a Gateway that nobody else serves.
//! In: the Gateway, the publish Services, Kong's listeners. Out: conditions, addresses, listeners. Never writes.

use std::collections::BTreeSet;

use gateway_api::apis::standard::gateways::{Gateway, GatewayListeners, GatewayListenersTlsMode as Mode};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::addresses::Address;
use super::conditions::{condition, set};
use super::routes::Verdict;
use super::{listeners, routes};
use crate::admin::root::Root;
use crate::cluster::caches::Snapshot;
use crate::cluster::kinds::GATEWAY;
use crate::settings::values::Named;
use crate::translate::backends::granted;
use crate::translate::view::Options;

/// A port that Kong serves through a publish Service.
type Served = (String, i32);

/// What Kong serves: each port of a publish Service whose number in the pod is one that Kong listens on.
pub fn served(services: &[&Service], root: &Root) -> BTreeSet<Served> {
    let mut found = BTreeSet::new();
    for port in
        services.iter().flat_map(|service| service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()))
    {
        // A target port by name is 0 to KIC.
        let target = match &port.target_port {
            Some(IntOrString::Int(number)) => *number,
            None => port.port,
            Some(IntOrString::String(_)) => 0,
        };
        let udp = port.protocol.as_deref() == Some("UDP");
        let proxy = root.proxy.iter().filter(|one| one.port == target && !udp);
        found.extend(proxy.map(|one| (if one.ssl { "HTTPS" } else { "HTTP" }.to_owned(), port.port)));
        for one in root.stream.iter().filter(|one| one.port == target) {
            let protocol = if udp {
                "UDP"
            } else if one.ssl {
                "TLS"
            } else {
                "TCP"
            };
            found.insert((protocol.to_owned(), port.port));
        }
    }
    found
}

/// What decides a Gateway's status besides itself.
pub struct Surroundings<'a> {
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// The settings.
    pub options: &'a Options,
    /// What Kong serves.
    pub served: &'a BTreeSet<Served>,
    /// Where Kong is reached.
    pub addresses: &'a [Address],
}

/// The status of a Gateway, if it is to change.
pub fn status(around: &Surroundings<'_>, gateway: &Gateway, now: Timestamp) -> Option<Value> {
    let before = json!(gateway.status.clone().unwrap_or_default());
    let generation = gateway.metadata.generation.unwrap_or(0);
    let mut conditions: Vec<Condition> =
        gateway.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    set(&mut conditions, condition("Accepted", "True", "Accepted", generation), now);
    set(&mut conditions, condition("Programmed", "True", "Programmed", generation), now);
    let all: Vec<Value> =
        gateway.spec.listeners.iter().map(|listener| of(around, gateway, listener, now)).collect();
    let mut after = json!({ "conditions": conditions, "listeners": all });
    let addresses: Vec<Value> = around.addresses.iter().map(Address::of_gateway).collect();
    if let (Some(object), false) = (after.as_object_mut(), addresses.is_empty()) {
        object.insert("addresses".to_owned(), json!(addresses));
    }
    (after != before).then_some(after)
}

fn of(around: &Surroundings<'_>, gateway: &Gateway, listener: &GatewayListeners, now: Timestamp) -> Value {
    let known = gateway.status.iter().flat_map(|status| status.listeners.iter().flatten());
    let known = known.into_iter().find(|status| status.name == listener.name);
    let mut conditions = known.map(|known| known.conditions.clone()).unwrap_or_default();
    let generation = gateway.metadata.generation.unwrap_or(0);
    let conflict = conflict(gateway, listener);
    let refused = conflict.or_else(|| refused(around, listener));
    let broken = broken(around, gateway, listener);
    let made = |type_: &str, bad: Option<&str>, good: &str| match bad {
        None => condition(type_, "True", good, generation),
        Some(reason) => condition(type_, "False", reason, generation),
    };
    let conflicted = match conflict {
        None => condition("Conflicted", "False", "NoConflicts", generation),
        Some(reason) => condition("Conflicted", "True", reason, generation),
    };
    let programmed = refused.or(broken).map(|_| "Invalid");
    for wanted in [
        made("Accepted", refused, "Accepted"),
        made("Programmed", programmed, "Programmed"),
        made("ResolvedRefs", broken, "ResolvedRefs"),
        conflicted,
    ] {
        set(&mut conditions, wanted, now);
    }
    let kinds: Vec<Value> =
        kinds(listener).iter().map(|kind| json!({ "group": GATEWAY, "kind": kind })).collect();
    json!({
        "name": listener.name, "attachedRoutes": attached(around, gateway, listener), "conditions": conditions,
        "supportedKinds": kinds,
    })
}

/// The kinds of routes of a protocol.
fn kinds(listener: &GatewayListeners) -> &'static [&'static str] {
    match listener.protocol.as_str() {
        "HTTP" | "HTTPS" => &["HTTPRoute", "GRPCRoute"],
        "TCP" => &["TCPRoute"],
        "UDP" => &["UDPRoute"],
        "TLS" => &["TLSRoute"],
        _ => &[],
    }
}

/// Listeners of one port must share a protocol and differ in their hostnames.
fn conflict(gateway: &Gateway, listener: &GatewayListeners) -> Option<&'static str> {
    let others = || {
        gateway
            .spec
            .listeners
            .iter()
            .filter(|other| other.name != listener.name && other.port == listener.port)
    };
    if others().any(|other| other.protocol != listener.protocol) {
        return Some("ProtocolConflict");
    }
    others().any(|other| other.hostname == listener.hostname).then_some("HostnameConflict")
}

/// Whether Kong serves neither the protocol nor the port.
fn refused(around: &Surroundings<'_>, listener: &GatewayListeners) -> Option<&'static str> {
    if !around.served.iter().any(|(protocol, _)| *protocol == listener.protocol) {
        return Some("UnsupportedProtocol");
    }
    let exact = (listener.protocol.clone(), listener.port);
    (!around.served.contains(&exact)).then_some("PortUnavailable")
}

/// What is wrong with the certificate of a listener.
fn broken(around: &Surroundings<'_>, gateway: &Gateway, listener: &GatewayListeners) -> Option<&'static str> {
    let tls = listener.tls.as_ref()?;
    if tls.mode == Some(Mode::Passthrough) || !matches!(listener.protocol.as_str(), "HTTPS" | "TLS") {
        return None;
    }
    let [reference] = tls.certificate_refs.as_deref().unwrap_or_default() else {
        return Some("InvalidCertificateRef");
    };
    if reference.kind.as_deref().is_some_and(|kind| kind != "Secret") {
        return Some("InvalidCertificateRef");
    }
    let own = gateway.metadata.namespace.as_deref().unwrap_or_default();
    let target = Named::new(reference.namespace.as_deref().unwrap_or(own), &reference.name);
    if !granted(around.snapshot, (GATEWAY, "Gateway", own), ("", "Secret"), &target) {
        return Some("RefNotPermitted");
    }
    let data = around.snapshot.secrets.get(&target).and_then(|secret| secret.read.data.clone());
    let good = data.is_some_and(|data| data.contains_key("tls.crt") && data.contains_key("tls.key"));
    (!good).then_some("InvalidCertificateRef")
}

/// Routes that name the Gateway and fit the listener.
fn attached(around: &Surroundings<'_>, gateway: &Gateway, listener: &GatewayListeners) -> usize {
    let fits = |entry: &&std::sync::Arc<crate::cluster::cache::Entry<crate::cluster::route::Route>>| {
        let Verdict::Judged { parents, .. } = routes::judge(around.snapshot, around.options, entry) else {
            return false;
        };
        let ours = parents.iter().filter(|(parent, _)| {
            Some(parent.name.as_str()) == gateway.metadata.name.as_deref()
                && parent.namespace == gateway.metadata.namespace
        });
        ours.into_iter().any(|(parent, _)| {
            listeners::attached(around.snapshot, &entry.read, parent, gateway)
                .is_ok_and(|found| found.iter().any(|one| one.name == listener.name))
        })
    };
    around.snapshot.routes.iter().filter(fits).count()
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Stage, class, entry, gateway, route, service};
    use super::*;
    use crate::admin::root::Listener;
    use crate::version::Release;

    fn root() -> Root {
        Root {
            release: Release(3, 9, 3),
            flavor: "traditional_compatible".into(),
            proxy: vec![Listener { port: 8000, ssl: false }, Listener { port: 8443, ssl: true }],
            stream: vec![],
        }
    }

    fn publish() -> Service {
        serde_json::from_value(json!({"metadata": {"name": "proxy"}, "spec": {"ports": [
            {"name": "http", "port": 80, "targetPort": 8000}, {"name": "https", "port": 443, "targetPort": "tls"}]}}))
        .unwrap()
    }

    fn reasons(stage: &Stage, object: &Value) -> Vec<String> {
        let served = served(&[&publish()], &root());
        let around = Surroundings {
            snapshot: &stage.snapshot,
            options: &stage.options,
            served: &served,
            addresses: &[Address("10.0.0.9".into())],
        };
        let status = status(&around, &entry::<Gateway>(object).1.read, Timestamp::UNIX_EPOCH).unwrap();
        let all = status["listeners"].as_array().unwrap().clone();
        let accepted = |one: &Value| {
            one["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Accepted").cloned()
        };
        all.iter().map(|one| accepted(one).unwrap()["reason"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_port_by_name_is_not_served() {
        assert_eq!(served(&[&publish()], &root()), BTreeSet::from([("HTTP".to_owned(), 80)]));
    }

    #[test]
    fn listeners_are_refused_one_by_one() {
        let mut stage = Stage::default();
        stage.class(&class());
        let mut object = gateway();
        object["spec"]["listeners"] = json!([
            {"name": "good", "port": 80, "protocol": "HTTP"}, {"name": "port", "port": 81, "protocol": "HTTP"},
            {"name": "tcp", "port": 9000, "protocol": "TCP"}, {"name": "a", "port": 90, "protocol": "HTTP"},
            {"name": "b", "port": 90, "protocol": "HTTP"}, {"name": "c", "port": 90, "protocol": "TCP"},
        ]);
        let wanted = [
            "Accepted",
            "PortUnavailable",
            "UnsupportedProtocol",
            "ProtocolConflict",
            "ProtocolConflict",
            "ProtocolConflict",
        ];
        assert_eq!(reasons(&stage, &object), wanted);
    }

    #[test]
    fn routes_are_counted_and_the_address_is_that_of_the_service() {
        let mut stage = Stage::default();
        stage.class(&class());
        stage.service(&service("echo"));
        stage.gateway(&gateway());
        stage.snapshot.routes.push(entry(&route()).1);
        let served = served(&[&publish()], &root());
        let around = Surroundings {
            snapshot: &stage.snapshot,
            options: &stage.options,
            served: &served,
            addresses: &[Address("10.0.0.9".into())],
        };
        let status = status(&around, &entry::<Gateway>(&gateway()).1.read, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(status["listeners"][0]["attachedRoutes"], 1);
        assert_eq!(status["addresses"], json!([{"type": "IPAddress", "value": "10.0.0.9"}]));
    }
}
