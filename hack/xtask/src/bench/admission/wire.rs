//! The way that the API server takes to a webhook: HTTP/1.1 over TLS, connections kept open.
//!
//! In: a box, the address of the webhooks and the authority that the API server was told. Out: reviews answered, or an
//! error that says how one was answered instead. Never: a request sent twice.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use crds::names::{NAMESPACE, WEBHOOK_SERVICE};
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::review::UID;

/// Opens connections.
#[derive(Clone)]
pub struct Way {
    connector: TlsConnector,
    host: String,
    address: SocketAddr,
}

/// An open connection.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Way {
    /// To this address, trusting these authorities in PEM.
    pub fn new(address: SocketAddr, authorities: &[u8]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities) {
            roots.add(authority?)?;
        }
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let host = format!("{WEBHOOK_SERVICE}.{NAMESPACE}.svc");
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), host, address })
    }

    /// Opens one.
    pub async fn open(&self, cluster: &Cluster) -> Result<Connection> {
        let stream = cluster.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone())?;
        let stream = self.connector.connect(name, stream).await.context("no TLS with the webhooks")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { sender, host: self.host.clone() })
    }
}

impl Connection {
    /// Has an object reviewed; an error unless it is allowed.
    pub async fn review(&mut self, path: &str, body: Bytes) -> Result<()> {
        let request = Request::post(path).header(HOST, &self.host).header(CONTENT_TYPE, "application/json");
        self.sender.ready().await?;
        let (head, answer) = self.sender.send_request(request.body(Full::new(body))?).await?.into_parts();
        let answer = answer.collect().await?.to_bytes();
        let said = String::from_utf8_lossy(&answer);
        let good = head.status.is_success() && said.contains("\"allowed\":true") && said.contains(UID);
        ensure!(good, "{path} answered {}: {said}", head.status);
        Ok(())
    }
}
