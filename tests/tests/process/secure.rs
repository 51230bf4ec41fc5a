//! Requests over TLS that is verified against the operator's own authority.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Cluster;
use crds::k8s::Secret;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::api::Api;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;

const DEADLINE: Duration = Duration::from_secs(10);

/// A client that trusts the operator's authority and nothing else.
pub struct Trusting(TlsConnector);

impl Trusting {
    /// Takes the authority from its Secret, as whoever configures a scraper would.
    pub async fn new(client: &Client, namespace: &str) -> Result<Self> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let data = secrets.get("kong-operator-ca").await?.data.context("the authority has no data")?;
        let pem = data.get("tls.crt").context("the authority has no certificate")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem.0)?)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// `GET path` as `name`, with a bearer token where there is one. Returns the status and the body.
    pub async fn get(
        &self,
        cluster: &Cluster,
        (to, name): (SocketAddr, &str),
        path: &str,
        token: Option<&str>,
    ) -> Result<(u16, String)> {
        let mut request = Request::get(path).header("host", name).header("connection", "close");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let exchange = async {
            let stream = self.0.connect(name.to_owned().try_into()?, cluster.connect(to).await?).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let connection = tokio::spawn(connection);
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            connection.abort();
            Ok((head.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
        };
        tokio::time::timeout(DEADLINE, exchange)
            .await
            .with_context(|| format!("no answer from {to} for {name}"))?
    }
}
