//! Whom the admin API of a `DataPlane` lets in.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use crds::k8s::{Pod, Secret};
use crds::names::{self, annotations};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kube::ResourceExt;
use kube::api::Api;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use tests::wait;
use tests::world::{SOON, Scenario};
use tokio_rustls::TlsConnector;

use crate::pair;

pub async fn a_certificate_opens_its_own_data_plane_and_no_other(s: Scenario) -> Result<()> {
    for name in ["one", "two"] {
        pair(&s, name, json!({})).await?;
    }
    let mut secrets = Vec::new();
    for name in ["one", "two"] {
        let secret = names::controller_certificate(name);
        secrets.push(wait::until(&s.api::<Secret>(), &secret, SOON, |_| true).await?);
    }
    for (name, own) in [("one", 0), ("two", 1)] {
        let status = asked(&s, name, Some(&secrets[own])).await?;
        ensure!(status == 200, "its own certificate at {name:?}: {status}");
        let status = asked(&s, name, Some(&secrets[1 - own])).await;
        ensure!(!matches!(status, Ok(200)), "another one's certificate opens {name:?}");
        let status = asked(&s, name, None).await;
        ensure!(!matches!(status, Ok(200)), "no certificate opens {name:?}");
    }
    // What the server shows opens nothing either.
    let served: Secret = s.api().get(&names::admin_certificate("two")).await?;
    ensure!(!matches!(asked(&s, "one", Some(&served)).await, Ok(200)), "a server's certificate opens it");
    Ok(())
}

/// Asks the admin API of the pod of a `DataPlane` as Kong Ingress Controller does, under the name that it asks for.
async fn asked(s: &Scenario, dataplane: &str, secret: Option<&Secret>) -> Result<u16> {
    let pods: Api<Pod> = s.api();
    let runs = |pod: &Pod| {
        let of = pod.annotations().get(annotations::DATAPLANE).map(String::as_str);
        let status = pod.status.as_ref();
        let container = status.and_then(|status| status.container_statuses.as_ref()?.first());
        of == Some(dataplane)
            && pod.metadata.deletion_timestamp.is_none()
            && container.is_some_and(|container| container.started == Some(true))
    };
    let pod = wait::any(&pods, SOON, runs).await?;
    let address: IpAddr = pod.status.context("no status")?.pod_ip.context("no address")?.parse()?;
    let name = format!("pod.{}.{}.svc", names::admin_service(dataplane), s.namespace);
    let connector = TlsConnector::from(Arc::new(config(s, secret).await?));
    let deadline = std::time::Duration::from_secs(10);
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
    let stream = tokio::time::timeout(deadline, async {
        loop {
            ticks.tick().await;
            if let Ok(stream) = s.world.cluster.connect(SocketAddr::new(address, 8444)).await {
                return stream;
            }
        }
    })
    .await?;
    let stream = connector.connect(ServerName::try_from(name)?, stream).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/status").header("host", format!("{address}:8444"));
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status().as_u16();
    let _ = answer.into_body().collect().await;
    drop(sender);
    connection.abort();
    Ok(status)
}

/// Trusts the operator's authority, and shows what is in a Secret.
async fn config(s: &Scenario, secret: Option<&Secret>) -> Result<ClientConfig> {
    let own: Secret = s.api().get(&names::controller_certificate("one")).await?;
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&entry(&own, "ca.crt")?) {
        roots.add(authority?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some(secret) = secret else { return Ok(builder.with_no_client_auth()) };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&entry(secret, "tls.crt")?).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&entry(secret, "tls.key")?)?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

fn entry(secret: &Secret, key: &str) -> Result<Vec<u8>> {
    let data = secret.data.as_ref().context("no data")?;
    Ok(data.get(key).with_context(|| format!("no {key}"))?.0.clone())
}
