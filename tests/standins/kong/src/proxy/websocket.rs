//! Upgraded connections, and the end of every proxied answer.
//! In: the upstream's answer. Out: the client's; where both switch protocols, bytes in both directions.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{copy, split};

use super::forward::Answered;
use super::record::{Counted, Record};
use super::{Exchange, headers};
use crate::answer::{Body, empty};
use http_body_util::BodyExt;

/// Whether a client wants to switch protocols.
pub fn wanted(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11 && is_upgrade(request.headers())
}

/// Whether the headers ask for another protocol.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asked =
        named.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    asked && headers.contains_key(UPGRADE)
}

/// The client's answer.
pub fn finish(
    exchange: &Exchange<'_>,
    answered: Answered,
    upgrade: Option<OnUpgrade>,
    record: Option<Record>,
    limit: Duration,
) -> Response<Body> {
    let Answered { mut response, waited } = answered;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upstream = hyper::upgrade::on(&mut response);
        if let Some(client) = upgrade {
            tunnel(exchange, client, upstream);
        }
        drop(record);
        let mut switched = response.map(|_| empty());
        headers::response(exchange, &mut switched, waited);
        return switched;
    }
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    let mut response = Response::from_parts(head, Counted::new(body, record, limit).boxed_unsync());
    headers::response(exchange, &mut response, waited);
    response
}

/// Carries bytes until either side ends; a graceful stop of the node waits for it, as in nginx.
fn tunnel(exchange: &Exchange<'_>, client: OnUpgrade, upstream: OnUpgrade) {
    let cut = exchange.node.cut.clone();
    exchange.node.tasks.spawn(async move {
        let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else {
            return;
        };
        let (mut from_client, mut to_client) = split(TokioIo::new(client));
        let (mut from_upstream, mut to_upstream) = split(TokioIo::new(upstream));
        // nginx ends a tunnel as soon as either side has ended.
        tokio::select! {
            () = cut.cancelled() => {}
            _ = copy(&mut from_client, &mut to_upstream) => {}
            _ = copy(&mut from_upstream, &mut to_client) => {}
        }
    });
}
