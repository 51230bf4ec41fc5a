//! What KIC listens for: health, metrics, admission reviews.
//! In: requests. Out: answers. Never changes what the others do.

pub mod health;
pub mod metrics;
pub mod webhook;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::net::TcpListener;

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// An answer with a text.
pub fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Listens where Go would: `:10254` is every address.
///
/// # Errors
/// Where the address cannot be had.
pub async fn bind(address: &str) -> Result<TcpListener, String> {
    let full = match address.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => address.to_owned(),
    };
    let bound = match (TcpListener::bind(&full).await, address.strip_prefix(':')) {
        // A node without IPv6.
        (Err(_), Some(port)) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        (bound, _) => bound,
    };
    bound.map_err(|error| format!("listen tcp {address}: {error}"))
}
