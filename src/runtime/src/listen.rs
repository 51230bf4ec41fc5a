//! Listeners: plain, or TLS with a certificate that may change while they serve.
//!
//! In: an address, routes, and for TLS what rustls needs. Out: answered requests, until the token is cancelled and
//! what is under way is answered. Never: a decision about who may ask what, or a client that keeps others out.

mod connections;
mod heads;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a client may take for its part of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How many handshakes are under way at a time. The one that has taken longest gives way to one more: those who mean it
/// need a fraction of a second.
const HANDSHAKES: usize = 256;
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
    let told = Told { leave: drain.clone(), drain };
    connections::serve(listener, routes, told).await
}

/// Serves HTTPS until `told.drain`.
///
/// # Errors
/// When the listener fails.
pub async fn secured(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    routes: Router,
    told: Told,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening with TLS");
    let secured = Secured { listener, acceptor: tls.into(), shaking: JoinSet::new(), order: VecDeque::new() };
    connections::serve(secured, routes, told).await
}

/// What a listener is told about its end.
#[derive(Debug, Clone)]
pub struct Told {
    /// From here on clients are asked, with each answer, not to come back on the same connection: those that keep theirs
    /// open would not notice that this process is no longer one of those that serve.
    pub leave: CancellationToken,
    /// From here on nothing new is taken, and what is under way is answered.
    pub drain: CancellationToken,
}

/// A listener whose connections have shaken hands. A client that is slow at it keeps nobody else waiting.
struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shaking: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
    /// Those under way, in the order in which they began.
    order: VecDeque<AbortHandle>,
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => self.shake(stream, from),
                    Err(error) => {
                        tracing::debug!(%error, "no connection");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
                Some(shaken) = self.shaking.join_next() => match shaken {
                    Ok(Ok(connection)) => return connection,
                    Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
                    Err(error) if error.is_cancelled() => tracing::debug!("a slow handshake gave way"),
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
        self.order.retain(|handshake| !handshake.is_finished());
        while self.order.len() >= HANDSHAKES {
            let Some(slowest) = self.order.pop_front() else { break };
            slowest.abort();
        }
        let shaken = self.acceptor.accept(stream);
        let handshake = self.shaking.spawn(async move {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the client's handshake took too long");
            Ok((tokio::time::timeout(HANDSHAKE, shaken).await.map_err(late)??, from))
        });
        self.order.push_back(handshake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

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
        tokio::time::timeout(connections::DRAIN * 2, serving).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn clients_are_asked_to_leave_before_nothing_is_served_any_more() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Told { leave: CancellationToken::new(), drain: CancellationToken::new() };
        let routes = Router::new().route("/", get(|| async { "done" }));
        let serving = tokio::spawn(connections::serve(listener, routes, told.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        let ask = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write_all(ask).await.unwrap();
        let mut first = [0; 256];
        let read = client.read(&mut first).await.unwrap();
        assert!(!String::from_utf8_lossy(&first[..read]).contains("connection: close"));
        told.leave.cancel();
        client.write_all(ask).await.unwrap();
        let mut second = String::new();
        client.read_to_string(&mut second).await.unwrap();
        assert!(second.contains("connection: close") && second.ends_with("done"), "{second}");
        TcpStream::connect(address).await.expect("it still serves");
        told.drain.cancel();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn idle_connections_keep_nobody_out() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let drain = CancellationToken::new();
        let routes = Router::new().route("/", get(|| async { "done" }));
        let serving = tokio::spawn(plain(listener, routes, drain.clone()));
        let mut idle = Vec::new();
        for _ in 0..connections::MOST + 100 {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        let mut closed = [0; 1];
        let first = idle.first_mut().unwrap().read(&mut closed);
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), first).await.unwrap().unwrap(), 0);
        drain.cancel();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn those_who_never_shake_hands_keep_nobody_out() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let tls = tls.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let tls = tls.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let drain = CancellationToken::new();
        let told = Told { leave: drain.clone(), drain: drain.clone() };
        let routes = Router::new().route("/", get(|| async { "done" }));
        let serving = tokio::spawn(secured(listener, Arc::new(tls), routes, told));
        let mut silent = Vec::new();
        for _ in 0..HANDSHAKES + 50 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        let shake = async {
            let stream = TcpStream::connect(address).await.unwrap();
            TlsConnector::from(Arc::new(client)).connect("localhost".try_into().unwrap(), stream).await
        };
        let mut client = tokio::time::timeout(HANDSHAKE / 2, shake).await.expect("it waits").unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // The server closes without a TLS farewell of the client's.
        let _ = client.read_to_end(&mut answer).await;
        assert!(answer.ends_with(b"done"), "{}", String::from_utf8_lossy(&answer));
        drain.cancel();
        serving.await.unwrap().unwrap();
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
