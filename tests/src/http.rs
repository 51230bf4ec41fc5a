//! Requests to addresses in the box, from outside it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Cluster;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

const DEADLINE: Duration = Duration::from_secs(10);
/// Between two requests of [`until`].
const PAUSE: Duration = Duration::from_millis(100);

/// An answer with its whole body.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: hyper::HeaderMap,
    /// The body.
    pub body: String,
}

/// Sends `GET path` with a `Host` to an address in the box, over a connection of its own.
///
/// # Errors
/// When there is no answer in time.
pub async fn get(cluster: &Cluster, address: SocketAddr, host: &str, path: &str) -> Result<Answer> {
    get_with(cluster, address, path, &[("host", host)]).await
}

/// The same with headers of the caller's, a `Host` among them.
///
/// # Errors
/// When there is no answer in time.
pub async fn get_with(
    cluster: &Cluster,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let answer = tokio::time::timeout(DEADLINE, exchange(cluster, address, path, headers)).await;
    answer
        .with_context(|| format!("no answer from {address} within {DEADLINE:?}"))?
        .with_context(|| format!("GET {path} at {address}"))
}

/// Asks an address in the box until it answers as `good` says; the rules of a node may lag behind a ready endpoint by a
/// second.
///
/// # Errors
/// When the deadline passes; with the last answer.
pub async fn until(
    cluster: &Cluster,
    to: SocketAddr,
    path: &str,
    deadline: Duration,
    good: impl Fn(&Answer) -> bool,
) -> Result<Answer> {
    let mut last = String::new();
    let asked = async {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            match get(cluster, to, "any", path).await {
                Ok(answer) if good(&answer) => return answer,
                answer => last = format!("{answer:?}"),
            }
        }
    };
    let asked = tokio::time::timeout(deadline, asked).await;
    asked.with_context(|| format!("http://{to}{path} was not answered as it should in {deadline:?}: {last}"))
}

async fn exchange(
    cluster: &Cluster,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let stream = cluster.connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header("connection", "close");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    drop(sender);
    connection.await??;
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
