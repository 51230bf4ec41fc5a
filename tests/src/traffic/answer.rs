//! Requests, and whether an answer is the right one.
//!
//! In: a number. Out: a request that carries it, and a judgement whether an answer gives it back.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};

/// A request without a body.
pub type Asked = Request<Empty<Bytes>>;

/// A request that the backend answers after `wait`, with its number in the answer.
pub fn request(number: usize, wait: Duration) -> Asked {
    let uri = format!("http://traffic.test/delay/{}?n={number}", wait.as_millis());
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri.parse().unwrap_or_default();
    request
}

/// Reads the answer to its end and says what is wrong with it.
pub async fn judge(response: Response<Incoming>, number: usize) -> Result<(), String> {
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| told(&error))?.to_bytes();
    let body = String::from_utf8_lossy(&body);
    if status != StatusCode::OK {
        return Err(format!("status {status}: {}", body.trim()));
    }
    if !body.contains(&format!("\"n={number}\"")) {
        return Err(format!("the answer to another request: {}", body.trim()));
    }
    Ok(())
}

/// An error with everything below it.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
