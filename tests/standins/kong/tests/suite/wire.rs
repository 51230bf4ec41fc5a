//! TLS, client certificates, HTTP/2 and WebSocket on the wire.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::backend::Backend;
use crate::harness::{Kong, PATIENCE, get, until};

/// An authority and what it issued.
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(Vec::new()).unwrap();
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = wanted.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(wanted, key) }
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for these names, server and client alike: certificate and key, PEM.
    pub fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new([name.to_owned()]).unwrap();
        wanted.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (wanted.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A client that trusts this authority, with or without a certificate of its own.
    pub fn client(&self, own: Option<&(String, String)>, alpn: &[&str]) -> Arc<ClientConfig> {
        use rustls::pki_types::pem::PemObject;
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

pub async fn dial(port: u16, name: &str, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    TlsConnector::from(config).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

/// Asks over TLS and reads to the end.
pub async fn ask(port: u16, name: &str, config: Arc<ClientConfig>) -> String {
    let mut stream = dial(port, name, config).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A server that closes without a TLS goodbye is no matter here.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn echoing(backend: &Backend) -> serde_json::Value {
    json!([{"name": "a", "host": "127.0.0.1", "port": backend.port, "routes": [{"name": "r", "paths": ["/"], "strip_path": false}]}])
}

#[tokio::test]
async fn the_admin_api_asks_for_a_client_certificate_after_the_handshake() {
    let (own, foreign) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = own.issue("admin.test");
    let kong = Kong::start(&[
        ("KONG_ADMIN_LISTEN", "127.0.0.1:{admin} ssl reuseport backlog=16384"),
        ("KONG_ADMIN_SSL_CERT", &write("tls.crt", &certificate)),
        ("KONG_ADMIN_SSL_CERT_KEY", &write("tls.key", &key)),
        ("KONG_NGINX_ADMIN_SSL_CLIENT_CERTIFICATE", &write("ca.crt", &own.pem())),
        ("KONG_NGINX_ADMIN_SSL_VERIFY_CLIENT", "on"),
        ("KONG_NGINX_ADMIN_SSL_VERIFY_DEPTH", "3"),
    ]);
    let good = ask(kong.admin, "admin.test", own.client(Some(&own.issue("kic")), &[])).await;
    assert!(good.starts_with("HTTP/1.1 200") && good.contains("\"node_id\""), "{good}");
    let none = ask(kong.admin, "admin.test", own.client(None, &[])).await;
    assert!(
        none.starts_with("HTTP/1.1 400") && none.contains("No required SSL certificate was sent"),
        "{none}"
    );
    assert!(none.contains("Connection: close"), "{none}");
    let other = ask(kong.admin, "admin.test", own.client(Some(&foreign.issue("kic")), &[])).await;
    assert!(other.starts_with("HTTP/1.1 400") && other.contains("The SSL certificate error"), "{other}");
    let plain = get(kong.admin, "/");
    assert_eq!(plain.status, 400);
    assert!(plain.body.contains("The plain HTTP request was sent to HTTPS port"));
}

#[tokio::test]
async fn certificates_are_chosen_by_sni() {
    let authority = Authority::new();
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let certificate = |name: &str| {
        let (cert, key) = authority.issue(name);
        json!({"cert": cert, "key": key, "snis": [{"name": name}]})
    };
    kong.configure(&json!({"services": echoing(&backend), "certificates": [certificate("exact.test"), certificate("*.wild.test")]}));
    for name in ["exact.test", "a.wild.test"] {
        let answer = ask(kong.tls, name, authority.client(None, &[])).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
        assert!(answer.contains("X-Forwarded-Proto: https"), "{answer}");
    }
    let error = dial(kong.tls, "other.test", authority.client(None, &[])).await.unwrap_err();
    assert!(
        error.to_string().contains("certificate"),
        "the built-in certificate is of no authority: {error}"
    );
}

#[tokio::test]
async fn http2_by_alpn_and_tls_to_the_upstream() {
    let authority = Authority::new();
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let (cert, key) = authority.issue("h2.test");
    let mut services = echoing(&backend);
    // The node's own TLS port serves as an upstream that speaks TLS.
    services
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "tls", "protocol": "https", "host": "127.0.0.1", "port": kong.tls,
        "routes": [{"name": "t", "paths": ["/loop"], "strip_path": true}]}));
    kong.configure(&json!({"services": services, "certificates": [{"cert": cert, "key": key, "snis": [{"name": "h2.test"}]}]}));
    let stream = dial(kong.tls, "h2.test", authority.client(None, &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (path, through) in [("/direct", "2 kong/3.9.3"), ("/loop/x", "1.1 kong/3.9.3")] {
        let request = Request::get(format!("https://h2.test{path}")).body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.headers().get("connection").is_none());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(text.contains(&format!("Via: {through}")), "{path}: {text}");
    }
    let plain = get(kong.proxy, "/loop/y");
    assert_eq!(plain.status, 200, "{}", plain.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_passes() {
    let upstream = echo_server().await;
    let mut kong = Kong::start(&[]);
    kong.configure(&json!({"services": [{"name": "ws", "host": "127.0.0.1", "port": upstream, "routes": [{"name": "ws", "paths": ["/ws"]}]}]}));
    let url = format!("ws://127.0.0.1:{}/ws", kong.proxy);
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], kong.proxy))).await.unwrap();
    let (mut socket, response) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    assert_eq!(response.status(), 101);
    assert!(response.headers().contains_key("x-kong-upstream-latency"));
    for text in ["one", "two"] {
        socket.send(text.into()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), text.into());
    }
    kong.signal(Signal::SIGQUIT);
    until("the listener to close", || {
        std::net::TcpStream::connect(("127.0.0.1", kong.proxy)).is_err().then_some(())
    });
    socket.send("three".into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), "three".into(), "an open one holds a graceful stop");
    assert!(kong.child.try_wait().unwrap().is_none());
    drop(socket);
    assert!(kong.end().0.success());
}

/// A WebSocket server that echoes.
async fn echo_server() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn http2_without_tls_where_the_listener_says_so() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[("KONG_PROXY_LISTEN", "127.0.0.1:{proxy} http2")]);
    kong.configure(&json!({"services": echoing(&backend)}));
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], kong.proxy))).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://x/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    assert_eq!(get(kong.proxy, "/").status, 200, "and HTTP/1.1 as well");
}

#[test]
fn a_proxy_header_tells_who_asks() {
    let backend = Backend::start("one");
    let port = crate::harness::free_port();
    let kong = Kong::start(&[(
        "KONG_PROXY_LISTEN",
        &format!("127.0.0.1:{{proxy}}, 127.0.0.1:{port} proxy_protocol"),
    )]);
    kong.configure(&json!({"services": echoing(&backend)}));
    let mut stream = crate::harness::connect(port).unwrap();
    crate::harness::send(
        &mut stream,
        "PROXY TCP4 10.1.2.3 10.0.0.1 5555 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .unwrap();
    let reply = crate::harness::receive(&mut stream).unwrap();
    assert!(reply.body.contains("X-Real-Ip: 10.1.2.3"), "{}", reply.body);
}
