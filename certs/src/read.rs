//! Reading certificates and keys back.
//!
//! In: PEM. Out: the few facts that issuing and judging need. Never: an opinion about them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
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

/// The private key of a PEM text: PKCS#8, SEC 1 or PKCS#1.
pub fn key(pem: &str) -> Result<KeyPair, Error> {
    KeyPair::from_pem(pem).map_err(|error| Error::Key(error.to_string()))
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
