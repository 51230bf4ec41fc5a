//! One request on a connection of its own.
//!
//! In: a stream and a request. Out: the answer's head, and its body while it comes. Never: a connection that is kept, or a
//! deadline; callers have those.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends a request by HTTP/1.1. It must have a path, and a Host header.
pub async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, hyper::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the answer is dropped.
    tokio::spawn(connection);
    sender.send_request(request).await
}
