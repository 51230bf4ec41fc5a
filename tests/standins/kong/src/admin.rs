//! The admin API in DB-less mode.
//! In: requests. Out: answers with Kong's codes, texts and headers. Writes nothing but whole configurations.

pub mod config;
pub mod entities;
pub mod health;
pub mod root;

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, SERVER,
};
use hyper::{Method, Request, Response, StatusCode};

use crate::answer::{Body, bare, full, json, message, nginx_page};
use crate::config::schema;
use crate::node::Node;
use crate::status;

/// Answers a request to an admin listener.
pub async fn answer(node: &Arc<Node>, request: Request<Incoming>) -> Response<Body> {
    let begun = Instant::now();
    let gzip = request
        .headers()
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|list| list.contains("gzip"));
    let (head, body) = request.into_parts();
    let Some(body) = read(node, body).await else {
        return nginx_page(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large", None);
    };
    let asked = Asked {
        method: head.method,
        path: segments(head.uri.path()),
        query: head.uri.query().unwrap_or_default().to_owned(),
        kind: head
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        body,
    };
    let mut response = route(node, &asked);
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    response.headers_mut().insert("x-kong-admin-latency", HeaderValue::from(millis));
    let response = with_headers(node, response, true);
    if gzip { compress(response).await } else { response }
}

/// A request that was read.
#[derive(Debug)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Segments of the path, decoded.
    pub path: Vec<String>,
    /// Query.
    pub query: String,
    /// Content type.
    pub kind: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Asked {
    /// Whether an argument of the query is set to 1, true or on.
    pub fn flag(&self, name: &str) -> bool {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.is_some_and(|value| ["1", "true", "on"].contains(&value))
    }
}

/// The body, within the limit that nginx sets.
async fn read(node: &Node, mut body: Incoming) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            all.extend_from_slice(&data);
        }
        if all.len() > node.conf.admin_body_limit {
            return None;
        }
    }
    Some(all)
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
}

/// Percent-decodes a segment.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(value.unwrap_or(*byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn route(node: &Arc<Node>, asked: &Asked) -> Response<Body> {
    let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
    let get = matches!(asked.method, Method::GET | Method::HEAD);
    if asked.method == Method::OPTIONS {
        return options(&path);
    }
    match path.as_slice() {
        [] if get => json(StatusCode::OK, &root::body(node)),
        ["status"] if get => json(StatusCode::OK, &status::body(node)),
        ["config"] if get => config::show(node),
        ["config"] if asked.method == Method::POST => config::push(node, asked),
        ["endpoints"] if get => json(StatusCode::OK, &root::endpoints()),
        ["plugins", "enabled"] if get => {
            json(StatusCode::OK, &serde_json::json!({"enabled_plugins": node.conf.plugins}))
        }
        ["timers"] if get => json(
            StatusCode::OK,
            &serde_json::json!({"worker": {"id": 0, "count": node.conf.workers}, "stats": {}}),
        ),
        ["schemas", rest @ ..] => entities::schemas(node, asked, rest),
        ["upstreams", name, "health"] if get => health::upstream(node, name),
        ["upstreams", name, "targets", target, state @ ("healthy" | "unhealthy")]
            if asked.method == Method::PUT =>
        {
            health::set(node, name, target, *state == "healthy")
        }
        [] | ["status" | "config"] => message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        [kind, ..] if schema::by_admin_path(kind).is_some() => entities::answer(node, asked, &path),
        _ => message(StatusCode::NOT_FOUND, "Not found"),
    }
}

fn options(path: &[&str]) -> Response<Body> {
    let allowed = match path {
        ["config"] => "GET, HEAD, OPTIONS, POST",
        [] | ["status"] => "GET, HEAD, OPTIONS",
        [kind] if schema::by_admin_path(kind).is_some() => "GET, HEAD, OPTIONS, POST",
        [kind, ..] if schema::by_admin_path(kind).is_some() => "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
        _ => return message(StatusCode::NOT_FOUND, "Not found"),
    };
    let mut response = bare(StatusCode::NO_CONTENT);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The headers that every answer of these APIs carries.
pub fn with_headers(node: &Node, mut response: Response<Body>, credentials: bool) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Ok(server) = HeaderValue::from_str(&format!("kong/{}", node.conf.version)) {
        headers.insert(SERVER, server);
    }
    response
}

async fn compress(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let Ok(collected) = body.collect().await else {
        return bare(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let plain = collected.to_bytes();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // nginx leaves short answers as they are.
    let packed = if plain.len() < 1000 {
        None
    } else {
        encoder.write_all(&plain).and_then(|()| encoder.finish()).ok()
    };
    match packed {
        None => Response::from_parts(head, full(plain)),
        Some(packed) => {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.remove(CONTENT_LENGTH);
            Response::from_parts(head, full(packed))
        }
    }
}
