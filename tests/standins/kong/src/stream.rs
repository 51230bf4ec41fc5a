//! Proxies TCP, TLS and UDP by `stream_listen`.
//! In: connections, and routes by destination, source and SNI. Out: bytes in both directions. Knows no HTTP.

pub mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::balancer::resolve;
use crate::config::load::Entities;
use crate::config::service::Service;
use crate::config::{Snapshot, items, reference};
use crate::node::Node;
use crate::router::matcher::Net;

/// A route of a stream.
#[derive(Debug)]
struct Rule {
    protocols: Vec<String>,
    snis: Vec<String>,
    sources: Vec<Net>,
    destinations: Vec<Net>,
    service: String,
}

/// A connection, as the routes see it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `tcp`, `tls`, `udp`, `tls_passthrough`.
    pub protocol: &'a str,
    /// Name asked for in TLS.
    pub sni: Option<&'a str>,
    /// Who calls.
    pub source: SocketAddr,
    /// What was called, with the port that the caller used.
    pub destination: SocketAddr,
}

/// The routes of streams; those with an SNI first.
#[derive(Debug, Default)]
pub struct Streams {
    rules: Vec<Rule>,
}

impl Streams {
    /// Compiles the routes.
    pub fn new(entities: &Entities) -> Self {
        let mut rules: Vec<Rule> = items(entities, "routes").filter_map(rule).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse((!rule.snis.is_empty(), !rule.sources.is_empty())));
        Self { rules }
    }

    /// The id of the service for a connection.
    pub fn find(&self, asked: &Asked<'_>) -> Option<&str> {
        let sni = |rule: &Rule| {
            rule.snis.is_empty()
                || asked.sni.is_some_and(|asked| rule.snis.iter().any(|own| own.eq_ignore_ascii_case(asked)))
        };
        let any = |nets: &[Net], address| nets.is_empty() || nets.iter().any(|net| net.fits(address));
        let fits = |rule: &&Rule| {
            rule.protocols.iter().any(|own| own == asked.protocol)
                && sni(rule)
                && any(&rule.sources, asked.source)
                && any(&rule.destinations, asked.destination)
        };
        self.rules.iter().find(fits).map(|rule| rule.service.as_str())
    }
}

fn rule(item: &Value) -> Option<Rule> {
    let texts = |field: &str| -> Vec<String> {
        item[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let nets = |field: &str| item[field].as_array().into_iter().flatten().map(Net::new).collect();
    let protocols = texts("protocols");
    let stream = ["tcp", "tls", "udp", "tls_passthrough"];
    if !protocols.iter().any(|name| stream.contains(&name.as_str())) {
        return None;
    }
    Some(Rule {
        snis: texts("snis"),
        sources: nets("sources"),
        destinations: nets("destinations"),
        service: reference(item, "service")?.to_owned(),
        protocols,
    })
}

/// Accepts until the node stops.
pub async fn accept(node: Arc<Node>, socket: TcpListener, tls: Option<Arc<ServerConfig>>) {
    loop {
        let accepted = tokio::select! {
            () = node.stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, source)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let (node, tls) = (node.clone(), tls.clone());
        node.tasks.clone().spawn(async move {
            tokio::select! {
                () = node.cut.cancelled() => {}
                _ = connection(&node, stream, source, tls) => {}
            }
        });
    }
}

async fn connection(
    node: &Node,
    stream: TcpStream,
    source: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
) -> Option<()> {
    let destination = outer(node, stream.local_addr().ok()?);
    let snapshot = node.routing.borrow().clone();
    let asked = |protocol, sni| Asked { protocol, sni, source, destination };
    let Some(config) = tls else {
        let service = snapshot.streams.find(&asked("tcp", None))?;
        return carry(&snapshot, service, stream).await;
    };
    let sni = peek_sni(&stream).await;
    if let Some(service) = snapshot.streams.find(&asked("tls_passthrough", sni.as_deref())) {
        return carry(&snapshot, service, stream).await;
    }
    let service = snapshot.streams.find(&asked("tls", sni.as_deref()))?;
    let stream = TlsAcceptor::from(config).accept(stream).await.ok()?;
    carry(&snapshot, service, stream).await
}

/// As the caller knows it: routes are found by the port of the Service (Kong, `runloop/handler.lua`, `host_port`).
fn outer(node: &Node, mut local: SocketAddr) -> SocketAddr {
    local.set_port(node.conf.outer_port(local.port()));
    local
}

/// Reads the name from the first TLS record without consuming it.
async fn peek_sni(stream: &TcpStream) -> Option<String> {
    let mut buffer = vec![0_u8; 16_384];
    let mut seen = 0;
    loop {
        stream.readable().await.ok()?;
        let length = stream.peek(&mut buffer).await.ok()?;
        if length == seen {
            // Nothing more came than was seen before, or the caller closed.
            return None;
        }
        seen = length;
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut buffer.get(..length)?).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            return accepted.client_hello().server_name().map(str::to_owned);
        }
    }
}

/// The address of a service, by its upstream or by its host.
pub async fn address(snapshot: &Snapshot, service: &Service) -> Option<SocketAddr> {
    match snapshot.upstreams.get(&service.host) {
        Some(upstream) => upstream.pick().await.map(|pick| pick.address),
        None => resolve(&service.host, service.port).await,
    }
}

async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    snapshot: &Snapshot,
    service: &str,
    mut client: S,
) -> Option<()> {
    let service = snapshot.services.get(service)?;
    let mut upstream = open(snapshot, service, service.connect_timeout).await?;
    match &service.tls {
        None => copy_bidirectional(&mut client, &mut upstream).await.ok()?,
        Some(tls) => {
            let name = service.host.clone().try_into().ok()?;
            let mut upstream = TlsConnector::from(tls.clone()).connect(name, upstream).await.ok()?;
            copy_bidirectional(&mut client, &mut upstream).await.ok()?
        }
    };
    Some(())
}

async fn open(snapshot: &Snapshot, service: &Service, limit: Duration) -> Option<TcpStream> {
    for _ in 0..=service.retries {
        let address = address(snapshot, service).await?;
        if let Ok(Ok(stream)) = timeout(limit, TcpStream::connect(address)).await {
            return Some(stream);
        }
    }
    None
}
