//! A certificate of cert-manager's for the Service of the webhooks.
//!
//! In: a cluster in which cert-manager runs. Out: an authority of the namespace's own, a certificate that it signs, and
//! what of it is in the Secret. Never: a private key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use crds::k8s::Secret;
use crds::names::{NAMESPACE, WEBHOOK_SERVICE};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use tests::wait;
use tokio_rustls::TlsConnector;

/// Name of the Certificate, and of the Secret that it fills.
pub const SECRET: &str = "silverback-webhook-pair";

const AUTHORITY: &str = "silverback-webhook-authority";
/// Long enough to make some keys and sign some requests.
const DONE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(100);

/// What was ordered of cert-manager.
pub struct Issued {
    client: Client,
}

/// What is in the Secret.
pub struct Certificate {
    /// `tls.crt`, in PEM.
    pub leaf: Vec<u8>,
    /// `ca.crt`, in PEM.
    pub authority: Vec<u8>,
}

impl Issued {
    /// Orders the authority and the certificate.
    pub async fn order(client: &Client) -> Result<Self> {
        let issued = Self { client: client.clone() };
        let key = json!({ "algorithm": "ECDSA", "size": 256 });
        let names: Vec<_> = ["svc", "svc.cluster.local"]
            .map(|suffix| format!("{WEBHOOK_SERVICE}.{NAMESPACE}.{suffix}"))
            .into();
        let wanted = [
            ("Issuer", "self-signed", json!({ "selfSigned": {} })),
            (
                "Certificate",
                AUTHORITY,
                json!({ "isCA": true, "commonName": AUTHORITY, "secretName": AUTHORITY, "privateKey": key,
                    "issuerRef": { "kind": "Issuer", "name": "self-signed" } }),
            ),
            ("Issuer", AUTHORITY, json!({ "ca": { "secretName": AUTHORITY } })),
            (
                "Certificate",
                SECRET,
                json!({ "secretName": SECRET, "dnsNames": names, "privateKey": key,
                    "issuerRef": { "kind": "Issuer", "name": AUTHORITY } }),
            ),
        ];
        for (kind, name, spec) in wanted {
            issued.apply(kind, name, &spec).await.with_context(|| format!("{kind} {name}"))?;
        }
        Ok(issued)
    }

    async fn apply(&self, kind: &str, name: &str, spec: &Value) -> Result<()> {
        let object = json!({ "apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": { "name": name }, "spec": spec });
        self.api(kind).patch(name, &PatchParams::apply("tests"), &Patch::Apply(object)).await?;
        Ok(())
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", kind));
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
    }

    /// Waits until the Secret has a certificate that is as asked for.
    pub async fn certificate(&self, good: impl Fn(&Certificate) -> bool) -> Result<Certificate> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let is_good = |secret: &Secret| Certificate::of(secret).is_some_and(|found| good(&found));
        let secret = wait::until(&secrets, SECRET, DONE, is_good).await?;
        Certificate::of(&secret).context("it was there")
    }

    /// What `cmctl renew` does.
    pub async fn renew(&self) -> Result<()> {
        let api = self.api("Certificate");
        let mut certificate = api.get_status(SECRET).await?;
        let conditions = certificate.data.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
        conditions.context("the Certificate has no conditions")?.push(json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
            "message": "renewed by a test", "observedGeneration": 1,
        }));
        let body = json!({ "status": { "conditions": certificate.data.pointer("/status/conditions") } });
        api.patch_status(SECRET, &PatchParams::default(), &Patch::Merge(&body)).await?;
        Ok(())
    }
}

impl Certificate {
    fn of(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let entry =
            |name: &str| data.get(name).map(|value| value.0.clone()).filter(|value| !value.is_empty());
        Some(Self { leaf: entry("tls.crt")?, authority: entry("ca.crt")? })
    }

    /// Waits until this certificate is what a replica serves, as one that trusts its authority and knows the Service by
    /// name sees it.
    pub async fn served(&self, cluster: &Cluster, at: SocketAddr, deadline: Duration) -> Result<()> {
        let mut last = String::new();
        let looked = async {
            let mut ticks = tokio::time::interval(STEP);
            loop {
                ticks.tick().await;
                match self.seen(cluster, at).await {
                    Ok(()) => return,
                    Err(error) => last = format!("{error:#}"),
                }
            }
        };
        let late = tokio::time::timeout(deadline, looked).await.is_err();
        ensure!(!late, "{at} does not serve the certificate after {deadline:?}: {last}");
        Ok(())
    }

    async fn seen(&self, cluster: &Cluster, at: SocketAddr) -> Result<()> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.authority)?)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(format!("{WEBHOOK_SERVICE}.{NAMESPACE}.svc"))?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, cluster.connect(at).await?).await?;
        let shown =
            stream.get_ref().1.peer_certificates().and_then(|all| all.first()).context("no certificate")?;
        ensure!(*shown == CertificateDer::from_pem_slice(&self.leaf)?, "it serves another one");
        Ok(())
    }
}
