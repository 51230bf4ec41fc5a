//! `GET /upstreams/X/health`, and health set by hand.
//! In: a node. Out: health by target. Never probes.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Body, bare, json as json_answer, message};
use crate::balancer::health::Health;
use crate::balancer::{Seen, split};
use crate::node::Node;

/// The health of an upstream's targets.
pub fn upstream(node: &Node, name: &str) -> Response<Body> {
    let snapshot = node.config.borrow().clone();
    let found = snapshot.upstreams.values().find(|upstream| upstream.name == name || upstream.id == name);
    let Some(upstream) = found else {
        return message(StatusCode::NOT_FOUND, "Not found");
    };
    let data: Vec<Value> = upstream.seen().iter().map(|seen| entry(seen, &upstream.id)).collect();
    json_answer(StatusCode::OK, &json!({"data": data, "next": null, "node_id": node.id}))
}

fn entry(seen: &Seen, upstream: &str) -> Value {
    let (ip, port) = split(&seen.name, 8000);
    let addresses = json!([{"health": seen.health.word(), "ip": ip, "port": port, "weight": seen.weight}]);
    let known = seen.health != Health::DnsError;
    json!({
        "id": seen.id,
        "target": seen.name,
        "weight": seen.weight,
        "health": seen.health.word(),
        "upstream": {"id": upstream},
        "data": {"host": ip, "port": port, "dns": if known { "A" } else { "dns server error" }, "addresses": if known { addresses } else { json!([]) },
            "weight": {"available": seen.weight, "total": seen.weight, "unavailable": 0}, "nodeWeight": seen.weight},
    })
}

/// Sets the health of a target by hand: 204, or 404.
pub fn set(node: &Node, name: &str, target: &str, healthy: bool) -> Response<Body> {
    let snapshot = node.routing.borrow().clone();
    let found = snapshot.upstreams.values().find(|upstream| upstream.name == name || upstream.id == name);
    match found {
        Some(upstream) if upstream.set(target, healthy) => bare(StatusCode::NO_CONTENT),
        _ => message(StatusCode::NOT_FOUND, "Not found"),
    }
}
