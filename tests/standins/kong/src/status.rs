//! The status API.
//! In: requests of probes and of Prometheus. Out: readiness, counters, metrics. Never changes the configuration.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::admin::{self, health};
use crate::answer::{Body, bare, json as json_answer, message, text};
use crate::metrics::text as exposition;
use crate::node::Node;

/// Answers a request to a status listener.
pub async fn answer(node: &Arc<Node>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = match path.as_str() {
        "/status" if get => json_answer(StatusCode::OK, &body(node)),
        "/status/ready" if get => ready(node),
        "/status/ready" if request.method() == Method::POST => drain(node, request).await,
        "/status/dns" if get => json_answer(
            StatusCode::NOT_IMPLEMENTED,
            &json!({"message": "not implemented with the legacy DNS client"}),
        ),
        "/metrics" if get => text(StatusCode::OK, "text/plain; charset=UTF-8", exposition::render(node)),
        "/status" | "/status/ready" | "/metrics" => {
            message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        }
        _ => match path.strip_prefix("/upstreams/").and_then(|rest| rest.strip_suffix("/health")) {
            Some(name) if get => health::upstream(node, name),
            _ => message(StatusCode::NOT_FOUND, "Not found"),
        },
    };
    admin::with_headers(node, response, false)
}

fn ready(node: &Node) -> Response<Body> {
    match node.not_ready() {
        None => message(StatusCode::OK, "ready"),
        Some(reason) => message(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

/// `status=draining`, as `kong drain` posts it, form or JSON.
async fn drain(node: &Node, request: Request<Incoming>) -> Response<Body> {
    let Ok(bytes) = request.into_body().collect().await else {
        return bare(StatusCode::BAD_REQUEST);
    };
    let sent = String::from_utf8_lossy(&bytes.to_bytes()).into_owned();
    let parsed: Option<Value> = serde_json::from_str(&sent).ok();
    let wanted = parsed.is_some_and(|value| value.get("status").is_some_and(|status| status == "draining"))
        || sent.split('&').any(|pair| pair == "status=draining");
    if wanted {
        node.draining.store(true, Ordering::SeqCst);
        bare(StatusCode::NO_CONTENT)
    } else {
        message(StatusCode::BAD_REQUEST, "status is not draining")
    }
}

/// The body of `GET /status`, on the admin API too.
pub fn body(node: &Node) -> Value {
    let (accepted, active, writing, requests) = exposition::connections(node);
    let dictionaries: Map<String, Value> = exposition::DICTIONARIES
        .iter()
        .map(|(name, capacity)| {
            (
                (*name).to_owned(),
                json!({"allocated_slabs": mebibytes(40_960), "capacity": mebibytes(*capacity)}),
            )
        })
        .collect();
    json!({
        "server": {
            "connections_accepted": accepted,
            "connections_active": active,
            "connections_handled": accepted,
            "connections_reading": 0,
            "connections_waiting": active.saturating_sub(writing),
            "connections_writing": writing,
            "total_requests": requests,
        },
        "memory": {
            "workers_lua_vms": [{"http_allocated_gc": mebibytes(exposition::resident()), "pid": std::process::id()}],
            "lua_shared_dicts": dictionaries,
        },
        "configuration_hash": node.config.borrow().hash,
    })
}

fn mebibytes(bytes: u64) -> String {
    let hundredths = bytes * 100 / 1_048_576;
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}
