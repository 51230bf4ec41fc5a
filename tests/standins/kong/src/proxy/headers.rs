//! Headers between client, Kong and upstream.
//! In: the headers of one side. Out: those of the other. Never sends.

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Response, Version};

use super::Exchange;
use crate::answer::Body;

/// Headers that belong to one connection.
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// What the upstream is told.
#[derive(Debug)]
pub struct Told<'a> {
    /// The Host header.
    pub host: &'a str,
    /// The part of the path that was stripped, if any.
    pub stripped: Option<&'a str>,
    /// Whether the connection is to be upgraded.
    pub upgrade: bool,
    /// Length of the body, where it is known.
    pub length: Option<usize>,
}

/// The headers for the upstream.
pub fn request(exchange: &Exchange<'_>, told: &Told<'_>) -> HeaderMap {
    let given = &exchange.head.headers;
    let mut headers = given.clone();
    let trailers = given.get(TE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    drop_hop_by_hop(&mut headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let (true, Some(protocol)) = (told.upgrade, given.get(UPGRADE)) {
        headers.insert(UPGRADE, protocol.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    let framed = given.contains_key(CONTENT_LENGTH) || given.contains_key(TRANSFER_ENCODING);
    if let Some(length) = told.length
        && (framed || length > 0)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    forwarded(exchange, told, &mut headers);
    headers
}

fn forwarded(exchange: &Exchange<'_>, told: &Told<'_>, headers: &mut HeaderMap) {
    let client = exchange.peer.remote.ip().to_canonical().to_string();
    let before = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let chain = before.map_or_else(|| client.clone(), |before| format!("{before}, {client}"));
    let scheme = if exchange.peer.tls { "https" } else { "http" };
    put(headers, "host", told.host);
    put(headers, "x-forwarded-for", &chain);
    put(headers, "x-forwarded-proto", scheme);
    put(headers, "x-forwarded-host", &exchange.host);
    put(headers, "x-forwarded-port", &exchange.port().to_string());
    put(headers, "x-forwarded-path", exchange.head.uri.path());
    headers.remove("x-forwarded-prefix");
    if let Some(prefix) = told.stripped.filter(|prefix| !prefix.is_empty()) {
        put(headers, "x-forwarded-prefix", prefix);
    }
    put(headers, "x-real-ip", &client);
    put(headers, "x-kong-request-id", exchange.id);
    put(headers, "via", &via(exchange.head.version, &exchange.node.conf.version));
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn via(version: Version, kong: &str) -> String {
    let protocol = match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    format!("{protocol} kong/{kong}")
}

/// Turns the upstream's headers into the client's.
pub fn response(exchange: &Exchange<'_>, response: &mut Response<Body>, waited: u64) {
    let upgraded = response.status().as_u16() == 101;
    let protocol = response.headers().get(UPGRADE).cloned();
    let headers = response.headers_mut();
    drop_hop_by_hop(headers);
    if let (true, Some(protocol)) = (upgraded, protocol) {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    headers.insert("x-kong-upstream-latency", HeaderValue::from(waited));
    headers.insert("x-kong-proxy-latency", HeaderValue::from(exchange.elapsed().saturating_sub(waited)));
    put(headers, "via", &format!("1.1 kong/{}", exchange.node.conf.version));
    put(headers, "x-kong-request-id", exchange.id);
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in named.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}
