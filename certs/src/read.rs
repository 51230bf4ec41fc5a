//! Reading certificates and keys back.
//!
//! In: PEM. Out: the few facts that issuing and judging need. Never: an opinion about them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::error::Error;
use crate::request::Purpose;

/// Every certificate of a PEM text, in its order.
pub fn all(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Certificate(error.to_string()))
}

/// The first certificate of a PEM text: the holder's own, where a chain follows.
pub fn first(pem: &str) -> Result<CertificateDer<'static>, Error> {
    all(pem)?.into_iter().next().ok_or_else(|| Error::Certificate("no certificate in it".into()))
}

/// The private key of a PEM text: PKCS#8, SEC 1 or PKCS#1. What precedes it, as OpenSSL's `EC PARAMETERS` do, is
/// passed over.
pub fn key(pem: &str) -> Result<KeyPair, Error> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| Error::Key(error.to_string()))?;
    KeyPair::try_from(&der).map_err(|error| Error::Key(error.to_string()))
}

/// A certificate that could be read.
pub struct Parsed<'a>(X509Certificate<'a>);

impl<'a> Parsed<'a> {
    /// Reads one from DER.
    pub fn new(der: &'a CertificateDer<'static>) -> Result<Self, Error> {
        let (rest, certificate) =
            X509Certificate::from_der(der.as_ref()).map_err(|error| Error::Certificate(error.to_string()))?;
        if rest.is_empty() { Ok(Self(certificate)) } else { Err(Error::Certificate("trailing bytes".into())) }
    }

    /// Whether it may sign others.
    pub fn is_authority(&self) -> bool {
        self.0.is_ca()
    }

    /// Whether this key is the certificate's.
    pub fn has_key(&self, key: &KeyPair) -> bool {
        self.0.public_key().raw == key.subject_public_key_info()
    }

    /// Whether `issuer` really signed it.
    pub fn is_signed_by(&self, issuer: &Parsed<'_>) -> bool {
        self.0.issuer() == issuer.0.subject() && self.0.verify_signature(Some(issuer.0.public_key())).is_ok()
    }

    /// Subject alternative names, DNS and IP, as they would be asked for.
    pub fn names(&self) -> BTreeSet<String> {
        let extension = self.0.subject_alternative_name().ok().flatten();
        extension.iter().flat_map(|found| &found.value.general_names).filter_map(text).collect()
    }

    /// Whether it may be used so.
    pub fn serves(&self, purpose: Purpose) -> bool {
        let usage = self.0.extended_key_usage().ok().flatten();
        usage.is_some_and(|usage| match purpose {
            Purpose::Server => usage.value.server_auth,
            Purpose::Client => usage.value.client_auth,
        })
    }

    /// Whether a client accepts it from a server: it says so, or says nothing of purposes.
    pub fn may_serve(&self) -> bool {
        let unlimited = self.0.extended_key_usage().is_ok_and(|usage| usage.is_none());
        unlimited || self.serves(Purpose::Server)
    }

    /// Whether it is for that DNS name, by itself or by a wildcard for its first label.
    pub fn covers(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let names = self.names();
        names
            .iter()
            .map(|known| known.to_ascii_lowercase())
            .any(|known| known == name || Some(known) == wildcard)
    }

    /// When it begins to be valid.
    pub fn begins(&self) -> Result<SystemTime, Error> {
        instant(self.0.validity().not_before)
    }

    /// When it ceases to be valid.
    pub fn ends(&self) -> Result<SystemTime, Error> {
        instant(self.0.validity().not_after)
    }

    /// The serial number, big-endian.
    pub fn serial(&self) -> &[u8] {
        self.0.raw_serial()
    }
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn instant(time: ASN1Time) -> Result<SystemTime, Error> {
    let seconds = u64::try_from(time.timestamp()).map_err(|_| Error::Time)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(Error::Time)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
    use x509_parser::der_parser::der::parse_der;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    /// The key in its own format, which PKCS#8 has inside (RFC 5958, `privateKey`).
    fn inner(key: &KeyPair) -> Vec<u8> {
        let der = key.serialize_der();
        let (_, parsed) = parse_der(&der).unwrap();
        parsed.as_sequence().unwrap()[2].as_slice().unwrap().to_vec()
    }

    #[test]
    fn keys_are_read_in_every_usual_format() {
        let curve = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let sec1 = pem("EC PRIVATE KEY", &inner(&curve));
        for (name, text, made) in [
            ("PKCS#8", curve.serialize_pem(), &curve),
            ("SEC 1", sec1.clone(), &curve),
            ("SEC 1 as OpenSSL writes it", format!("{parameters}{sec1}"), &curve),
            ("PKCS#8 of RSA", rsa.serialize_pem(), &rsa),
            ("PKCS#1", pem("RSA PRIVATE KEY", &inner(&rsa)), &rsa),
        ] {
            let read = key(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.subject_public_key_info(), made.subject_public_key_info(), "{name}");
        }
    }
}
