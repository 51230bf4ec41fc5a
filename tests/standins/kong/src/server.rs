//! Serves connections: TLS, HTTP/1.1 and HTTP/2, graceful ends.
//! In: accepted sockets. Out: requests for the proxy, admin and status APIs, with who asks. Never routes.

pub mod bind;
pub mod preface;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::answer::{Body, nginx_page};
use crate::log::{self, Access};
use crate::node::Node;
use crate::tls::clients::Verdict;
use crate::{admin, proxy, status};

/// Which API a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proxied traffic.
    Proxy,
    /// The admin API.
    Admin,
    /// The status API.
    Status,
}

/// A listener that was bound.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What it serves.
    pub role: Role,
    /// TLS, where it has the flag `ssl`.
    pub tls: Option<Arc<ServerConfig>>,
    /// HTTP/2, where it has the flag `http2`.
    pub http2: bool,
    /// A PROXY header comes first.
    pub proxy_protocol: bool,
}

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address of the caller.
    pub remote: SocketAddr,
    /// Address that was called.
    pub local: SocketAddr,
    /// Whether over TLS.
    pub tls: bool,
    /// Name asked for in TLS.
    pub sni: Option<String>,
    /// What became of the client certificate.
    verdict: Verdict,
    /// Plain HTTP on a TLS listener.
    misdirected: bool,
}

/// Accepts until the node stops; the socket is closed then.
pub async fn accept(node: Arc<Node>, socket: TcpListener, listener: Listener) {
    loop {
        let accepted = tokio::select! {
            () = node.stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, remote)) = accepted else {
            // Out of descriptors, or the caller is gone already: the next turn decides.
            tokio::task::yield_now().await;
            continue;
        };
        let (node, listener) = (node.clone(), listener.clone());
        node.stats.accepted.fetch_add(1, Ordering::Relaxed);
        node.tasks.clone().spawn(async move {
            node.stats.active.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = node.cut.cancelled() => {}
                () = connection(&node, &listener, stream, remote) => {}
            }
            node.stats.active.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn connection(node: &Arc<Node>, listener: &Listener, mut stream: TcpStream, remote: SocketAddr) {
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let mut peer =
        Peer { remote, local, tls: false, sni: None, verdict: Verdict::Accepted, misdirected: false };
    if listener.proxy_protocol {
        match preface::proxied(&mut stream).await {
            Some(Some(told)) => peer.remote = told,
            Some(None) => {}
            None => return,
        }
    }
    let Some(tls) = &listener.tls else {
        // A connection that never sent anything holds a graceful stop, so it waits here and not in hyper.
        preface::first(&stream).await;
        let http2 = listener.http2 && preface::is_http2(&stream).await;
        return http(node, listener.role, peer, stream, http2).await;
    };
    if !preface::is_tls(&stream).await {
        peer.misdirected = true;
        return http(node, listener.role, peer, stream, false).await;
    }
    let Ok(stream) = TlsAcceptor::from(tls.clone()).accept(stream).await else {
        return;
    };
    let session = stream.get_ref().1;
    peer.tls = true;
    peer.sni = session.server_name().map(str::to_owned);
    if let (Role::Admin, Some(authority)) = (listener.role, &node.conf.certificates.admin_clients) {
        peer.verdict = authority.judge(session.peer_certificates());
    }
    let http2 = session.alpn_protocol() == Some(b"h2");
    http(node, listener.role, peer, stream, http2).await;
}

/// Serves one connection to its end; when the node stops, an idle one ends at once, a busy one after its answer.
async fn http<S>(node: &Arc<Node>, role: Role, peer: Peer, stream: S, http2: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Arc::new(peer);
    let serving = node.clone();
    let service = service_fn(move |request| answer(serving.clone(), role, peer.clone(), request));
    let io = TokioIo::new(stream);
    if http2 {
        let connection =
            hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = node.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.title_case_headers(true).preserve_header_case(true).header_read_timeout(None);
        let connection = builder.serve_connection(io, service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = node.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

async fn answer(
    node: Arc<Node>,
    role: Role,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    node.stats.requests.fetch_add(1, Ordering::Relaxed);
    node.stats.writing.fetch_add(1, Ordering::Relaxed);
    let _busy = Busy(&node);
    let version = request.version();
    let line = format!(
        "{} {} {version:?}",
        request.method(),
        request.uri().path_and_query().map_or("/", |path| path.as_str())
    );
    let agent =
        request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
    let asked = request
        .headers()
        .get(CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let id = uuid::Uuid::new_v4().simple().to_string();
    let mut response = match refusal(&peer) {
        Some(response) => response,
        None => match role {
            Role::Proxy => proxy::answer(&node, &peer, request, &id).await,
            Role::Admin => admin::answer(&node, request).await,
            Role::Status => status::answer(&node, request).await,
        },
    };
    let closing = asked || node.stop.is_cancelled();
    finish(version, closing, &mut response);
    let logs = &node.conf.logs;
    let setting = match role {
        Role::Proxy => &logs.proxy,
        Role::Admin => &logs.admin,
        Role::Status => &logs.status,
    };
    let access = Access {
        remote: &peer.remote.ip().to_string(),
        request: &line,
        status: response.status().as_u16(),
        bytes: hyper::body::Body::size_hint(response.body()).exact(),
        agent: &agent,
        id: &id,
    };
    log::access(setting, &access);
    Ok(response)
}

/// Counts a request as being answered, also where it is given up.
struct Busy<'a>(&'a Node);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.stats.writing.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What nginx refuses before any API sees the request.
fn refusal(peer: &Peer) -> Option<Response<Body>> {
    let (title, line) = match (peer.misdirected, peer.verdict) {
        (true, _) => {
            let line = "The plain HTTP request was sent to HTTPS port";
            (line, line)
        }
        (_, Verdict::Missing) => {
            ("No required SSL certificate was sent", "No required SSL certificate was sent")
        }
        (_, Verdict::Foreign) => ("The SSL certificate error", "The SSL certificate error"),
        (false, Verdict::Accepted) => return None,
    };
    Some(nginx_page(StatusCode::BAD_REQUEST, title, Some(line)))
}

/// nginx names the kind of connection in HTTP/1.1; HTTP/2 forbids it.
fn finish(version: Version, closing: bool, response: &mut Response<Body>) {
    if version == Version::HTTP_2 {
        response.headers_mut().remove(CONNECTION);
    } else if version == Version::HTTP_11
        && !response.headers().contains_key(CONNECTION)
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        let kind = if closing { "close" } else { "keep-alive" };
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static(kind));
    }
}
