//! Proxies HTTP.
//! In: a request and the routes in force. Out: the upstream's answer with Kong's headers, or Kong's own error.

pub mod errors;
pub mod forward;
pub mod headers;
pub mod pool;
pub mod record;
pub mod transform;
pub mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use crate::answer::{Body, BodyError, full};
use crate::config::Snapshot;
use crate::config::service::Service;
use crate::node::Node;
use crate::router::{Asked, Found, path};
use crate::server::Peer;
use errors::Own;
use forward::{Failure, Sending};
use record::Record;

/// One request on its way.
pub struct Exchange<'a> {
    /// The node.
    pub node: &'a Arc<Node>,
    /// Who asks.
    pub peer: &'a Peer,
    /// Id of the request, 32 hex digits.
    pub id: &'a str,
    /// When it came.
    pub begun: Instant,
    /// What was asked.
    pub head: &'a Parts,
    /// Host in lower case, without its port.
    pub host: String,
    /// Normalised path.
    pub path: String,
}

impl Exchange<'_> {
    /// The port that the caller used, as the Service shows it.
    pub fn port(&self) -> u16 {
        self.node.conf.outer_port(self.peer.local.port())
    }

    /// Milliseconds since the request came.
    pub fn elapsed(&self) -> u64 {
        millis(self.begun)
    }
}

/// Milliseconds since an instant.
pub fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Answers a request to a proxy listener.
pub async fn answer(
    node: &Arc<Node>,
    peer: &Peer,
    mut request: Request<Incoming>,
    id: &str,
) -> Response<Body> {
    let begun = Instant::now();
    let upgrade = websocket::wanted(&request).then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let exchange = Exchange {
        node,
        peer,
        id,
        begun,
        host: host(&head),
        path: path::normalize(head.uri.path()),
        head: &head,
    };
    let snapshot = node.routing.borrow().clone();
    let Some(found) = find(&exchange, &snapshot) else {
        return errors::own(&exchange, &Own::new(404, "no Route matched with those values"));
    };
    let service = found.route.service.as_ref().and_then(|id| snapshot.services.get(id)).cloned();
    let mut record =
        service.as_ref().map(|service| Record::new(&exchange, &snapshot, service, &found.route, &body));
    if !node.conf.switches.latency.is_zero() {
        tokio::time::sleep(node.conf.switches.latency).await;
    }
    let id = service.as_ref().map(|service| service.id.clone()).unwrap_or_default();
    let transformed = |mut response: Response<Body>| {
        if let Some(config) = snapshot.plugins.config("response-transformer", &found.route.id, &id) {
            transform::headers(config, response.headers_mut());
        }
        response
    };
    let service = match before(&exchange, &snapshot, &found, service) {
        Ok(service) => service,
        Err(response) => return counted(transformed(*response), record),
    };
    let Some(body) = sending(body, found.route.buffered).await else {
        return counted(errors::own(&exchange, &Own::new(400, "Bad request")), record);
    };
    if let (Some(record), Sending::Whole(bytes)) = (&mut record, &body) {
        record.received(bytes.len());
    }
    match forward::run(&exchange, &snapshot, &service, &found, body).await {
        Ok(answered) => {
            let record = record.map(|record| record.answered(&answered));
            transformed(websocket::finish(&exchange, answered, upgrade, record, service.read_timeout))
        }
        Err(failure) => counted(transformed(errors::own(&exchange, &failure.into())), record),
    }
}

/// An answer of Kong's own, counted.
fn counted(response: Response<Body>, record: Option<Record>) -> Response<Body> {
    if let Some(record) = record {
        let length = response.body().size_hint().exact().unwrap_or(0);
        record.own(response.status().as_u16(), length);
    }
    response
}

fn host(head: &Parts) -> String {
    let given = head
        .headers
        .get(HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| head.uri.authority().map(hyper::http::uri::Authority::as_str));
    let given = given.unwrap_or_default();
    let bare =
        if given.ends_with(']') { given } else { given.rsplit_once(':').map_or(given, |(host, _)| host) };
    bare.to_ascii_lowercase()
}

fn find(exchange: &Exchange<'_>, snapshot: &Snapshot) -> Option<Found> {
    let head = exchange.head;
    snapshot.router.find(&Asked {
        method: head.method.as_str(),
        host: &exchange.host,
        path: &exchange.path,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        https: exchange.peer.tls,
        sni: exchange.peer.sni.as_deref(),
        source: exchange.peer.remote,
        destination: SocketAddr::new(exchange.peer.local.ip(), exchange.port()),
    })
}

/// What Kong answers before it asks an upstream.
fn before(
    exchange: &Exchange<'_>,
    snapshot: &Snapshot,
    found: &Found,
    service: Option<Arc<Service>>,
) -> Result<Arc<Service>, Box<Response<Body>>> {
    let own = |status, text: &str| Box::new(errors::own(exchange, &Own::new(status, text)));
    if found.route.https_only && !exchange.peer.tls {
        return Err(Box::new(redirect(exchange, found.route.redirect)));
    }
    if exchange.node.fails_this_one() {
        return Err(own(500, "An unexpected error occurred"));
    }
    let id = service.as_ref().map_or("", |service| service.id.as_str());
    if let Some(config) = snapshot.plugins.config("redirect", &found.route.id, id) {
        return Err(Box::new(transform::redirect(exchange, config)));
    }
    if let Some(config) = snapshot.plugins.config("request-termination", &found.route.id, id) {
        return Err(Box::new(terminate(exchange, config)));
    }
    match service {
        Some(service) if service.enabled => Ok(service),
        _ => Err(own(503, "no Service found with those values")),
    }
}

fn redirect(exchange: &Exchange<'_>, status: u16) -> Response<Body> {
    if status == 426 {
        let mut response = errors::own(exchange, &Own::new(426, "Please use HTTPS protocol"));
        response.headers_mut().insert("connection", HeaderValue::from_static("Upgrade"));
        response.headers_mut().insert("upgrade", HeaderValue::from_static("TLS/1.2, HTTP/1.1"));
        return response;
    }
    let target = exchange.head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut response = Response::new(crate::answer::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_str(&format!("https://{}{target}", exchange.host)) {
        response.headers_mut().insert(LOCATION, location);
    }
    errors::decorate(exchange, &mut response);
    response
}

/// The plugin `request-termination`.
fn terminate(exchange: &Exchange<'_>, config: &Value) -> Response<Body> {
    let status = config["status_code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(503);
    let Some(text) = config["body"].as_str() else {
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let default = code.canonical_reason().unwrap_or("Service unavailable");
        return errors::own(exchange, &Own::new(status, config["message"].as_str().unwrap_or(default)));
    };
    let mut response = Response::new(full(text.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let kind = config["content_type"].as_str().unwrap_or("application/json; charset=utf-8");
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    errors::decorate(exchange, &mut response);
    response
}

/// The body to send: read whole first where the route says so, so that a try can be repeated.
async fn sending(body: Incoming, buffered: bool) -> Option<Sending> {
    if body.is_end_stream() {
        return Some(Sending::Whole(Bytes::new()));
    }
    if buffered {
        return Some(Sending::Whole(body.collect().await.ok()?.to_bytes()));
    }
    Some(Sending::Stream(body.map_err(|error| -> BodyError { Box::new(error) }).boxed_unsync()))
}

impl From<Failure> for Own {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoPeer => Self::new(503, "failure to get a peer from the ring-balancer"),
            Failure::Name => Self::new(503, "name resolution failed"),
            Failure::Invalid => Self::new(502, "An invalid response was received from the upstream server"),
            Failure::Timeout => Self::new(504, "The upstream server is timing out"),
        }
    }
}
