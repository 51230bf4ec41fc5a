//! TLS towards the admin API.
//! In: settings and the files they name, read when a client is made and not again. Out: a rustls client configuration.
//! Never connects.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::settings::Settings;

/// The cryptography behind every connection.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The configuration that the settings ask for.
///
/// # Errors
/// Where a file cannot be read, or is no certificate or key.
pub fn client(settings: &Settings) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?;
    let verified = if settings.truth("kong-admin-tls-skip-verify") {
        let any = TakeAny { provider: provider() };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(any))
    } else {
        // The image of the real one trusts the system's authorities where none is given; this image has none.
        builder.with_root_certificates(match pem(settings, "kong-admin-ca-cert")? {
            Some(text) => roots(&text)?,
            None => RootCertStore::empty(),
        })
    };
    let config = match pem(settings, "kong-admin-tls-client-cert")? {
        None => verified.with_no_client_auth(),
        Some(certificate) => {
            let key = pem(settings, "kong-admin-tls-client-key")?.unwrap_or_default();
            verified
                .with_client_auth_cert(chain(&certificate)?, key_of(&key)?)
                .map_err(|error| format!("failed to load client certificate: {error}"))?
        }
    };
    Ok(Arc::new(config))
}

/// The text of a flag, or of the file that its twin names.
fn pem(settings: &Settings, flag: &str) -> Result<Option<String>, String> {
    let inline = settings.text(flag);
    let file = settings.text(&format!("{flag}-file"));
    match (inline, file) {
        ("", "") => Ok(None),
        ("", file) => {
            std::fs::read_to_string(file).map(Some).map_err(|error| format!("open {file}: {error}"))
        }
        (text, _) => Ok(Some(text.to_owned())),
    }
}

fn roots(text: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(text)? {
        roots.add(certificate).map_err(|error| format!("failed to load CA certificate: {error}"))?;
    }
    Ok(roots)
}

/// The certificates of a PEM text, in order.
///
/// # Errors
/// Where there is none, or one cannot be read.
pub fn chain(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let all = all.map_err(|error| error.to_string())?;
    if all.is_empty() { Err("failed to find any PEM data in certificate input".into()) } else { Ok(all) }
}

/// The first private key of a PEM text.
///
/// # Errors
/// Where there is none, or it cannot be read.
pub fn key_of(text: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string())
}

/// Takes any certificate, where verification is switched off.
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
