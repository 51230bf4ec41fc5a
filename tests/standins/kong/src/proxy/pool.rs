//! Connections to upstreams: opened, kept while idle, used again.
//! In: an address and how to speak to it. Out: something to send a request on. Never chooses an address.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::answer::Body;

/// `upstream_keepalive_idle_timeout`.
const IDLE: Duration = Duration::from_mins(1);
/// `upstream_keepalive_pool_size`.
const MOST: usize = 512;

/// Where to, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Address.
    pub address: SocketAddr,
    /// Name for TLS; empty for plain connections.
    pub name: String,
    /// TLS of the service.
    pub tls: Option<Arc<ClientConfig>>,
    /// HTTP/2, for gRPC.
    pub http2: bool,
    /// Id of the service, since TLS is its own.
    pub service: String,
}

impl Target {
    fn key(&self) -> Key {
        (self.address, self.name.clone(), self.service.clone())
    }
}

type Key = (SocketAddr, String, String);
type Idle = (http1::SendRequest<Body>, Instant);

/// Idle connections by target.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
}

/// An open connection.
#[derive(Debug)]
pub enum Sender {
    /// HTTP/1.1.
    One(http1::SendRequest<Body>),
    /// HTTP/2.
    Two(http2::SendRequest<Body>),
}

impl Sender {
    /// Sends a request and waits for the head of its answer. An error says whether the request was not sent at all.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, bool> {
        match self {
            Self::One(sender) => {
                sender.try_send_request(request).await.map_err(|mut error| error.take_message().is_some())
            }
            Self::Two(sender) => {
                sender.try_send_request(request).await.map_err(|mut error| error.take_message().is_some())
            }
        }
    }
}

impl Pool {
    /// An idle connection that is still open.
    pub fn take(&self, target: &Target) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(&target.key())?;
        while let Some((sender, since)) = kept.pop() {
            if since.elapsed() < IDLE && !sender.is_closed() && sender.is_ready() {
                return Some(Sender::One(sender));
            }
        }
        None
    }

    /// Keeps a connection once its answer has been read.
    pub async fn keep(&self, target: Target, sender: Sender) {
        let Sender::One(mut sender) = sender else { return };
        if sender.ready().await.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = idle.entry(target.key()).or_default();
            kept.retain(|(sender, since)| since.elapsed() < IDLE && !sender.is_closed());
            if kept.len() < MOST {
                kept.push((sender, Instant::now()));
            }
        }
    }
}

/// Opens a connection.
///
/// # Errors
/// Where it cannot be made, TLS included.
pub async fn connect(target: &Target) -> io::Result<Sender> {
    let stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = &target.tls else {
        return handshake(stream, target.http2).await;
    };
    let name =
        ServerName::try_from(target.name.clone()).unwrap_or_else(|_| ServerName::from(target.address.ip()));
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await?;
    handshake(stream, target.http2).await
}

async fn handshake<S>(stream: S, http2: bool) -> io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    if http2 {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        return Ok(Sender::Two(sender));
    }
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true).preserve_header_case(true);
    let (sender, connection) = builder.handshake(io).await.map_err(io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    Ok(Sender::One(sender))
}
