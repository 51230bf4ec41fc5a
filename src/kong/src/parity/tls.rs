//! TLS towards a proxy, whatever certificate it shows.
//!
//! In: nothing. Out: a configuration of rustls, and the name to ask for. Never: for anything that must be kept secret.

use std::net::IpAddr;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// A client that takes any certificate.
pub fn client() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions()?.dangerous();
    let mut config =
        builder.with_custom_certificate_verifier(Arc::new(Any { provider })).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The name to ask for; none is sent where it is no name.
pub fn name(name: &str, address: IpAddr) -> ServerName<'static> {
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    // A wildcard stands for any name below.
    let host = host.strip_prefix('*').map_or_else(|| host.to_owned(), |suffix| format!("parity{suffix}"));
    ServerName::try_from(host).unwrap_or_else(|_| ServerName::from(address))
}

/// Takes any certificate; its holder still has to prove that the key is theirs.
#[derive(Debug)]
struct Any {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_and_addresses_are_not() {
        let address = IpAddr::from([10, 0, 0, 5]);
        let dns = |text: &str| ServerName::try_from(text.to_owned()).unwrap();
        for (given, wanted) in [
            ("a.b", dns("a.b")),
            ("a.b:8443", dns("a.b")),
            ("*.c.d", dns("parity.c.d")),
            ("", ServerName::from(address)),
            ("bad name", ServerName::from(address)),
        ] {
            assert_eq!(name(given, address), wanted, "{given}");
        }
    }
}
