//! Sends a request to an upstream, and again to the next target where that is allowed.
//! In: a routed request. Out: the upstream's answer, or why there is none. Never answers by itself.

use std::time::{Duration, Instant};

use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, Uri, Version};
use serde_json::Value;
use tokio::time::timeout;

use super::pool::{Sender, Target, connect};
use super::{Exchange, headers, millis, transform, websocket};
use crate::answer::{Body, empty, full};
use crate::balancer::health::Event;
use crate::balancer::{Pick, resolve};
use crate::config::Snapshot;
use crate::config::service::Service;
use crate::router::{Found, path};

/// The body of a request.
pub enum Sending {
    /// Read whole, can be sent again.
    Whole(Bytes),
    /// As it comes, once.
    Stream(Body),
}

impl Sending {
    fn next(&mut self) -> Body {
        match self {
            Self::Whole(bytes) => full(bytes.clone()),
            Self::Stream(stream) => std::mem::replace(stream, empty()),
        }
    }

    fn length(&self) -> Option<usize> {
        if let Self::Whole(bytes) = self { Some(bytes.len()) } else { None }
    }
}

/// The upstream's answer.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub response: Response<Incoming>,
    /// How long the upstream took, in milliseconds.
    pub waited: u64,
}

/// Why no upstream answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No target can be chosen.
    NoPeer,
    /// The host does not resolve.
    Name,
    /// Refused, broken off, or nonsense.
    Invalid,
    /// Too slow.
    Timeout,
}

/// How one try ended, where it failed.
struct Miss {
    failure: Failure,
    /// Whether the upstream may have seen the request.
    sent: bool,
}

/// Sends a request, `retries` times more at most.
pub async fn run(
    exchange: &Exchange<'_>,
    snapshot: &Snapshot,
    service: &Service,
    found: &Found,
    mut body: Sending,
) -> Result<Answered, Failure> {
    let mut last = Failure::NoPeer;
    for _ in 0..=service.retries {
        let pick = choose(snapshot, service).await?;
        let change = snapshot.plugins.config("request-transformer", &found.route.id, &service.id);
        let host = host(exchange, snapshot, service, found, &pick);
        let plan = Plan { exchange, service, found, change, host };
        let repeatable = body.length().is_some();
        let result = plan.attempt(&pick, &mut body).await;
        report(snapshot, service, &pick, &result);
        match result {
            Ok(answered) => return Ok(answered),
            // nginx does not repeat what is not idempotent once it was sent.
            Err(miss) if !repeatable || (miss.sent && !idempotent(&exchange.head.method)) => {
                return Err(miss.failure);
            }
            Err(miss) => last = miss.failure,
        }
    }
    Err(last)
}

fn idempotent(method: &Method) -> bool {
    *method != Method::POST && *method != Method::PATCH && method.as_str() != "LOCK"
}

/// A target of the upstream with this name, else the host itself.
async fn choose(snapshot: &Snapshot, service: &Service) -> Result<Pick, Failure> {
    if let Some(upstream) = snapshot.upstreams.get(&service.host) {
        return upstream.pick().await.ok_or(Failure::NoPeer);
    }
    let address = resolve(&service.host, service.port).await.ok_or(Failure::Name)?;
    Ok(Pick { index: 0, host: service.host.clone(), port: service.port, address })
}

fn report(snapshot: &Snapshot, service: &Service, pick: &Pick, result: &Result<Answered, Miss>) {
    let Some(upstream) = snapshot.upstreams.get(&service.host) else {
        return;
    };
    let event = match result {
        Ok(answered) => Event::Status(answered.response.status().as_u16()),
        Err(Miss { failure: Failure::Timeout, .. }) => Event::Timeout,
        Err(_) => Event::TcpFailure,
    };
    upstream.report(pick.index, event);
}

/// The Host header: the client's, the upstream's own, or the target with its port unless that is the usual one.
fn host(
    exchange: &Exchange<'_>,
    snapshot: &Snapshot,
    service: &Service,
    found: &Found,
    pick: &Pick,
) -> String {
    let given = exchange.head.headers.get("host").and_then(|value| value.to_str().ok());
    let given = given.or_else(|| exchange.head.uri.authority().map(hyper::http::uri::Authority::as_str));
    if let (true, Some(given)) = (found.route.preserve_host, given) {
        return given.to_owned();
    }
    if let Some(own) = snapshot.upstreams.get(&service.host).and_then(|upstream| upstream.host_header.clone())
    {
        return own;
    }
    let usual = if service.tls.is_some() { 443 } else { 80 };
    let bare = if pick.host.contains(':') { format!("[{}]", pick.host) } else { pick.host.clone() };
    if pick.port == usual { bare } else { format!("{bare}:{}", pick.port) }
}

/// One request to one service.
struct Plan<'a> {
    exchange: &'a Exchange<'a>,
    service: &'a Service,
    found: &'a Found,
    /// The configuration of `request-transformer`, where there is one.
    change: Option<&'a Value>,
    host: String,
}

impl Plan<'_> {
    async fn attempt(&self, pick: &Pick, body: &mut Sending) -> Result<Answered, Miss> {
        let target = self.target(pick);
        let length = body.length();
        let begun = Instant::now();
        let kept = if length.is_some() { self.exchange.node.pool.take(&target) } else { None };
        if let Some(mut sender) = kept {
            match self.send(&mut sender, self.request(body.next(), length)?).await {
                // The upstream had closed the connection: that does not count as a try.
                Err(Miss { failure: Failure::Invalid, sent: false }) => {}
                Err(miss) => return Err(miss),
                Ok(response) => return Ok(self.answered(target, sender, response, begun)),
            }
        }
        let mut sender = open(&target, self.service.connect_timeout).await?;
        let response = self.send(&mut sender, self.request(body.next(), length)?).await?;
        Ok(self.answered(target, sender, response, begun))
    }

    async fn send(&self, sender: &mut Sender, request: Request<Body>) -> Result<Response<Incoming>, Miss> {
        match timeout(self.service.read_timeout, sender.send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(unsent)) => Err(Miss { failure: Failure::Invalid, sent: !unsent }),
            Err(_) => Err(Miss { failure: Failure::Timeout, sent: true }),
        }
    }

    fn answered(
        &self,
        target: Target,
        sender: Sender,
        response: Response<Incoming>,
        begun: Instant,
    ) -> Answered {
        let node = self.exchange.node.clone();
        tokio::spawn(async move { node.pool.keep(target, sender).await });
        Answered { response, waited: millis(begun) }
    }

    fn target(&self, pick: &Pick) -> Target {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        let name = if self.service.tls.is_some() { name.to_owned() } else { String::new() };
        Target {
            address: pick.address,
            name,
            tls: self.service.tls.clone(),
            http2: self.service.http2(),
            service: self.service.id.clone(),
        }
    }

    fn request(&self, body: Body, length: Option<usize>) -> Result<Request<Body>, Miss> {
        let (head, route) = (self.exchange.head, &self.found.route);
        let strip = route.strip_path && !self.found.prefix.is_empty();
        let sent = path::upstream(&self.service.path, &self.found.prefix, &self.exchange.path, strip);
        let replaced = |config| transform::path(config, &route.patterns, &self.exchange.path);
        let sent = self.change.and_then(replaced).unwrap_or(sent);
        let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let http2 = self.service.http2();
        let uri = if http2 {
            let scheme = if self.service.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}{sent}{query}", self.host)
        } else {
            format!("{sent}{query}")
        };
        let told = headers::Told {
            host: &self.host,
            stripped: strip.then_some(self.found.prefix.as_str()),
            upgrade: websocket::is_upgrade(&head.headers),
            length,
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() =
            uri.parse::<Uri>().map_err(|_| Miss { failure: Failure::Invalid, sent: false })?;
        *request.version_mut() = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        *request.headers_mut() = headers::request(self.exchange, &told);
        if let Some(config) = self.change {
            transform::headers(config, request.headers_mut());
        }
        Ok(request)
    }
}

async fn open(target: &Target, limit: Duration) -> Result<Sender, Miss> {
    match timeout(limit, connect(target)).await {
        Ok(Ok(sender)) => Ok(sender),
        Ok(Err(_)) => Err(Miss { failure: Failure::Invalid, sent: false }),
        Err(_) => Err(Miss { failure: Failure::Timeout, sent: false }),
    }
}
