//! Certificates and keys: reading PEM, pairing, making the one for localhost.
//! In: PEM text. Out: what rustls signs with. Never reads a file.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The cryptography behind every connection.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificates of a PEM text, in order.
///
/// # Errors
/// Where there is none, or one cannot be read.
pub fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|error| error.to_string())?;
    for certificate in &all {
        // Reads the certificate's structure, as OpenSSL does when it loads one.
        rustls::server::ParsedCertificate::try_from(certificate).map_err(|error| error.to_string())?;
    }
    if all.is_empty() { Err("no certificate found".to_owned()) } else { Ok(all) }
}

/// The first private key of a PEM text.
///
/// # Errors
/// Where there is none, or it cannot be read.
pub fn key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())
}

/// Certificate and key together.
///
/// # Errors
/// Where the key is of another certificate, or of a kind that TLS does not use.
pub fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, String> {
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| error.to_string())
}

/// A certificate for localhost and its key, PEM, as Kong makes them in `$prefix/ssl` where none is given.
///
/// # Errors
/// Where no key can be made.
pub fn localhost() -> Result<(String, String), String> {
    let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    let mut wanted =
        rcgen::CertificateParams::new(["localhost".to_owned()]).map_err(|error| error.to_string())?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    wanted.distinguished_name.push(rcgen::DnType::OrganizationName, "Kong");
    let certificate = wanted.self_signed(&key).map_err(|error| error.to_string())?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_belongs_together() {
        let (certificate, own) = localhost().unwrap();
        let (_, other) = localhost().unwrap();
        assert!(pair(chain(&certificate).unwrap(), key(&own).unwrap()).is_ok());
        assert!(pair(chain(&certificate).unwrap(), key(&other).unwrap()).is_err());
    }

    #[test]
    fn text_without_a_certificate_is_refused() {
        assert!(chain("hello").is_err());
        assert!(chain("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        assert!(key("hello").is_err());
    }
}
