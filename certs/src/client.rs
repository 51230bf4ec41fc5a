//! What a TLS client needs that trusts certain certificates and no others.
//!
//! In: authorities, or one certificate, and the time. Out: a configuration of rustls. Never: the authorities of the system.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::Error;
use crate::read;

/// Whom a client trusts; both in PEM.
#[derive(Clone, Copy, Debug)]
pub enum Trusts<'a> {
    /// Whoever has a valid certificate of one of these authorities for the name that is asked for.
    Authorities(&'a str),
    /// Whoever shows just this certificate, whoever signed it.
    Only(&'a str),
}

/// A client that resumes no session, so that it is shown a certificate at each connection. For it, it is always `now`:
/// it is made for connections that begin at once.
pub fn client(trusts: Trusts<'_>, now: SystemTime) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let unusable = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
    let time = Arc::new(At(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()));
    let config = ClientConfig::builder_with_details(Arc::clone(&provider), time);
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|error| unusable(&error))?.dangerous();
    let mut config = match trusts {
        Trusts::Only(pem) => {
            config.with_custom_certificate_verifier(Arc::new(Only { shown: read::first(pem)?, provider }))
        }
        Trusts::Authorities(pem) => {
            let mut roots = RootCertStore::empty();
            for authority in read::all(pem)? {
                roots.add(authority).map_err(|error| unusable(&error))?;
            }
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_custom_certificate_verifier(verifier.map_err(|error| unusable(&error))?)
        }
    }
    .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A clock that stands still.
#[derive(Debug)]
struct At(Duration);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0))
    }
}

/// Takes one certificate and no other; its holder still has to prove that the key is theirs.
#[derive(Debug)]
struct Only {
    shown: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.shown {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
