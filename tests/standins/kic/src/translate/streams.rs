//! TCP, TLS and UDP routes as services, routes and upstreams.
//! In: a route that was let in. Out: entities. TLS is passed through, never ended here.

use serde_json::{Value, json};

use super::backends::{self, Backend};
use super::content::Content;
use super::view::{LetIn, View};
use crate::cluster::route::{BackendRef, Rules};

/// Adds what a route asks for.
pub fn add(view: View<'_>, let_in: &LetIn, content: &mut Content) {
    let Rules::Stream(rules) = &let_in.route.read.rules else { return };
    for (number, references) in rules.iter().enumerate() {
        rule(view, let_in, number, references, content);
    }
}

fn rule(view: View<'_>, let_in: &LetIn, number: usize, references: &[BackendRef], content: &mut Content) {
    let object = &let_in.route.read.object;
    let (transport, listened, port) = match object.kind.as_str() {
        "UDPRoute" => ("UDP", "udp", "udp"),
        "TLSRoute" => ("TCP", "tls_passthrough", "tcp"),
        _ => ("TCP", "tcp", "tcp"),
    };
    let name = format!("{}.{}.{}.{number}", object.kind.to_lowercase(), object.namespace, object.name);
    let resolved: Vec<Backend> = references
        .iter()
        .filter_map(|one| backends::resolve(view.snapshot, &object.kind, &object.namespace, one).ok())
        .map(|one| Backend { weight: one.weight.or(Some(1)), ..one })
        .collect();
    let service = json!({
        "name": name, "host": name, "port": 80, "protocol": port, "retries": 5, "connect_timeout": 60_000,
        "read_timeout": 60_000, "write_timeout": 60_000, "tags": object.tags(),
    });
    let mut route = json!({
        "name": format!("{name}.0"), "protocols": [listened], "preserve_host": true, "tags": object.tags(),
    });
    if let Some(route) = route.as_object_mut() {
        let ports: Vec<Value> = let_in.listeners.iter().map(|one| json!({ "port": one.port })).collect();
        if object.kind == "TLSRoute" {
            route.insert("snis".to_owned(), json!(let_in.hostnames));
        } else {
            route.insert("destinations".to_owned(), json!(ports));
        }
    }
    content.service(service, vec![route]);
    content.upstream(&name, &backends::targets(view, transport, &resolved), &object.tags());
}
