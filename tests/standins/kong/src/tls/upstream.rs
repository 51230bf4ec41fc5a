//! TLS towards upstreams.
//! In: what a service says of it. Out: a rustls client configuration. Never connects.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::certs;

/// How a service wants its upstream met.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Authorities to trust; `None` takes any certificate, Kong's default.
    pub roots: Option<Vec<CertificateDer<'static>>>,
    /// The certificate to present.
    pub client: Option<Arc<CertifiedKey>>,
    /// Speak HTTP/2, for gRPC.
    pub http2: bool,
}

/// The configuration for a service.
///
/// # Errors
/// Where an authority cannot be a trust anchor.
pub fn client(wanted: &Wanted) -> Result<Arc<ClientConfig>, String> {
    let provider = certs::provider();
    let verifier: Arc<dyn ServerCertVerifier> = match &wanted.roots {
        None => Arc::new(TakeAny { provider: provider.clone() }),
        Some(chain) => {
            let mut roots = RootCertStore::empty();
            for certificate in chain {
                roots.add(certificate.clone()).map_err(|error| error.to_string())?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| error.to_string())?
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &wanted.client {
        None => builder.with_no_client_auth(),
        Some(pair) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair.clone()))),
    };
    config.alpn_protocols = vec![if wanted.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(Arc::new(config))
}

/// Takes any certificate: `tls_verify` is off by default in Kong.
#[derive(Debug)]
struct TakeAny {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TakeAny {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
