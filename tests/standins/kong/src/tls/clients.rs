//! Client certificates, judged as nginx judges them: after the handshake, by an HTTP answer.
//! In: certificates of a caller. Out: a verdict. Never ends a handshake over a certificate's issuer.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::certs;

/// What became of the request for a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Accepted,
    /// 400 `No required SSL certificate was sent`.
    Missing,
    /// 400 `The SSL certificate error`.
    Foreign,
}

/// The authorities whose clients may call, and whether a certificate is required.
#[derive(Clone)]
pub struct ClientCa {
    anchors: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
    required: bool,
}

impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCa").field("required", &self.required).finish_non_exhaustive()
    }
}

impl ClientCa {
    /// Trusts these authorities.
    ///
    /// # Errors
    /// Where a certificate cannot be a trust anchor.
    pub fn new(chain: &[CertificateDer<'static>], required: bool) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in chain {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), certs::provider())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { anchors: chain.to_vec(), verifier, required })
    }

    /// Judges what a caller presented; a proof of possession was already seen in the handshake.
    pub fn judge(&self, presented: Option<&[CertificateDer<'_>]>) -> Verdict {
        let Some((leaf, rest)) = presented.and_then(<[_]>::split_first) else {
            return if self.required { Verdict::Missing } else { Verdict::Accepted };
        };
        // OpenSSL takes a trusted certificate that is presented itself, an authority's included.
        if self.anchors.iter().any(|anchor| anchor == leaf) {
            return Verdict::Accepted;
        }
        match self.verifier.verify_client_cert(leaf, rest, UnixTime::now()) {
            Ok(_) => Verdict::Accepted,
            Err(_) => Verdict::Foreign,
        }
    }
}

/// Asks for a certificate and takes any, as nginx does: the verdict comes with the first request.
#[derive(Debug)]
pub struct AskOnly {
    provider: Arc<CryptoProvider>,
}

impl AskOnly {
    /// A verifier on the provider of every connection.
    pub fn new() -> Self {
        Self { provider: certs::provider() }
    }
}

impl ClientCertVerifier for AskOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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
