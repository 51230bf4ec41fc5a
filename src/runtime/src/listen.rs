//! Listeners: plain, or TLS with a certificate that may change while they serve.
//!
//! In: an address, routes, and for TLS what rustls needs. Out: answered requests, until the token is cancelled and
//! what is under way is answered. Never: a decision about who may ask what.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a client may take for its part of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many handshakes are under way at a time; more wait in the kernel's queue.
const HANDSHAKES: usize = 128;
/// How long requests under way may take once a listener drains.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after the kernel could not give a connection, for example for want of file descriptors.
const AGAIN: Duration = Duration::from_millis(200);

/// Takes an address. All addresses of a node without IPv6 are those of IPv4.
///
/// # Errors
/// When it is in use, or not this machine's.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let all = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let listener = match TcpListener::bind(address).await {
        Err(_) if all => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await,
        bound => bound,
    };
    listener.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// Serves HTTP until `drain`.
///
/// # Errors
/// When the listener fails.
pub async fn plain(listener: TcpListener, routes: Router, drain: CancellationToken) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening");
    serve(listener, routes, drain).await
}

/// Serves HTTPS until `drain`.
///
/// # Errors
/// When the listener fails.
pub async fn secured(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    routes: Router,
    drain: CancellationToken,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening with TLS");
    serve(Secured { listener, acceptor: tls.into(), shaking: JoinSet::new() }, routes, drain).await
}

async fn serve<L>(listener: L, routes: Router, drain: CancellationToken) -> io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let told = drain.clone();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(told.cancelled_owned());
    let late = async {
        drain.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = late => Ok(()),
    }
}

/// A listener whose connections have shaken hands. A client that is slow at it keeps nobody else waiting.
struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shaking: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if self.shaking.len() < HANDSHAKES => match accepted {
                    Ok((stream, from)) => self.shake(stream, from),
                    Err(error) => {
                        tracing::debug!(%error, "no connection");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
                Some(shaken) = self.shaking.join_next() => match shaken {
                    Ok(Ok(connection)) => return connection,
                    Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
                    Err(error) => tracing::error!(%error, "a handshake panicked"),
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Secured {
    fn shake(&mut self, stream: TcpStream, from: SocketAddr) {
        let shaken = self.acceptor.accept(stream);
        self.shaking.spawn(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the client's handshake took too long");
            Ok((tokio::time::timeout(HANDSHAKE, shaken).await.map_err(late)??, from))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_is_under_way_is_answered_before_it_ends() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, drain) = (CancellationToken::new(), CancellationToken::new());
        let (begun, held) = (asked.clone(), drain.clone());
        let slow = move || async move {
            begun.cancel();
            held.cancelled().await;
            "done"
        };
        let serving = tokio::spawn(plain(listener, Router::new().route("/", get(slow)), drain.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        asked.cancelled().await;
        drain.cancel();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        serving.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_end_is_not_waited_for_without_end() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, drain) = (CancellationToken::new(), CancellationToken::new());
        let begun = asked.clone();
        let never = move || async move {
            begun.cancel();
            std::future::pending::<()>().await;
        };
        let serving = tokio::spawn(plain(listener, Router::new().route("/", get(never)), drain.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        asked.cancelled().await;
        drain.cancel();
        tokio::time::timeout(DRAIN * 2, serving).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = bind("127.0.0.1:0".parse().unwrap()).await.unwrap().local_addr();
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = held.local_addr().unwrap();
        let words = bind(address).await.unwrap_err().to_string();
        assert!(words.contains(&address.to_string()), "{words}");
        drop(taken);
    }
}
