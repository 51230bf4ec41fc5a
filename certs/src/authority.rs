//! A certificate authority that makes itself and issues leaf certificates.
//!
//! In: a name, or a stored pair; requests; the time. Out: PEM. Never: a decision to renew; that is
//! `judge`'s.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use time::OffsetDateTime;

use crate::error::Error;
use crate::read::{self, Parsed};
use crate::request::{Pair, Purpose, Request};

const DAY: Duration = Duration::from_hours(24);

/// How long an authority is valid: ten years, as with Kong Gateway Operator. Replacing it means that
/// every peer must trust two authorities for a while, so it should be rare.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * DAY.as_secs());

/// How long a leaf is valid: 90 days. Kong reads its files only when it starts, so a renewal rolls
/// pods: once in two months is seldom enough not to matter, and often enough to be known to work.
pub const LEAF_LIFE: Duration = Duration::from_secs(90 * DAY.as_secs());

/// Certificates begin before they are made, for peers whose clock is late.
const BACKDATE: Duration = Duration::from_hours(1);

/// Longest common name that X.509 allows (RFC 5280, ub-common-name), in characters.
const LONGEST_COMMON_NAME: usize = 64;

/// A certificate authority with an ECDSA P-256 key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pair: Pair,
    ends: SystemTime,
}

impl Authority {
    /// Makes a new one, self-signed, that begins an hour before `now` and lives [`AUTHORITY_LIFE`].
    pub fn make(name: &str, now: SystemTime) -> Result<Self, Error> {
        Self::make_for(name, now, AUTHORITY_LIFE)
    }

    /// Makes one that lives otherwise.
    pub fn make_for(name: &str, now: SystemTime, life: Duration) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = named(name)?;
        lifetime(&mut params, now, now.checked_add(life).ok_or(Error::Time)?)?;
        // It signs leaves only, so a stolen leaf can never act as an authority.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?.pem();
        Self::read(&Pair { certificate, key: key.serialize_pem() })
    }

    /// Takes up one that was stored. Its key may be of another kind than ours.
    pub fn read(pair: &Pair) -> Result<Self, Error> {
        let der = read::first(&pair.certificate)?;
        let parsed = Parsed::new(&der)?;
        let key = read::key(&pair.key)?;
        if !parsed.is_authority() {
            return Err(Error::NotAnAuthority);
        }
        if !parsed.has_key(&key) {
            return Err(Error::KeyMismatch);
        }
        let ends = parsed.ends()?;
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { issuer, pair: pair.clone(), ends })
    }

    /// The certificate, in PEM: what others must trust.
    pub fn certificate(&self) -> &str {
        &self.pair.certificate
    }

    /// The certificate and the private key, in PEM: what must be stored, and kept secret.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Issues a certificate with a new key. It begins an hour before `now` and lives [`LEAF_LIFE`],
    /// but never longer than the authority.
    ///
    /// The serial number is derived from the new key, hence unique.
    pub fn issue(&self, request: &Request, now: SystemTime) -> Result<Pair, Error> {
        self.issue_for(request, now, LEAF_LIFE)
    }

    /// Issues one that lives otherwise, and never longer than the authority.
    pub fn issue_for(&self, request: &Request, now: SystemTime, life: Duration) -> Result<Pair, Error> {
        let ends = now.checked_add(life).ok_or(Error::Time)?.min(self.ends);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = named(request.names.first().map_or("", String::as_str))?;
        params.subject_alt_names =
            request.names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
        lifetime(&mut params, now, ends)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![match request.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authority").field("pair", &self.pair).finish_non_exhaustive()
    }
}

fn named(name: &str) -> Result<CertificateParams, Error> {
    if name.is_empty() {
        return Err(Error::Name(name.to_owned()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let common: String = name.chars().take(LONGEST_COMMON_NAME).collect();
    params.distinguished_name.push(DnType::CommonName, common);
    Ok(params)
}

fn alternative(name: &str) -> Result<SanType, Error> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let host = name.strip_prefix("*.").unwrap_or(name);
    let fits = |part: &str| {
        (1..=63).contains(&part.len())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if !host.split('.').all(fits) {
        return Err(Error::Name(name.to_owned()));
    }
    Ok(SanType::DnsName(name.try_into().map_err(|_| Error::Name(name.to_owned()))?))
}

fn lifetime(params: &mut CertificateParams, now: SystemTime, ends: SystemTime) -> Result<(), Error> {
    let begins = now.checked_sub(BACKDATE).ok_or(Error::Time)?;
    params.not_before = OffsetDateTime::from(begins);
    params.not_after = OffsetDateTime::from(ends);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    fn authority() -> Authority {
        Authority::make("Silverback test", now()).unwrap()
    }

    #[test]
    fn an_authority_survives_storage() {
        let made = authority();
        let read = Authority::read(made.pair()).unwrap();
        let leaf = read.issue(&Request::server(["a.example"]), now()).unwrap();
        let der = read::first(&leaf.certificate).unwrap();
        let by = read::first(made.certificate()).unwrap();
        assert!(Parsed::new(&der).unwrap().is_signed_by(&Parsed::new(&by).unwrap()));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let authority = authority();
        let leaf = authority.issue(&Request::client(["a"]), now()).unwrap();
        assert!(matches!(Authority::read(&leaf), Err(Error::NotAnAuthority)));
        let mixed = Pair { certificate: authority.certificate().into(), key: leaf.key.clone() };
        assert!(matches!(Authority::read(&mixed), Err(Error::KeyMismatch)));
        let broken = Pair { certificate: "x".into(), key: leaf.key };
        assert!(matches!(Authority::read(&broken), Err(Error::Certificate(_))));
        let keyless = Pair { certificate: authority.certificate().into(), key: "x".into() };
        assert!(matches!(Authority::read(&keyless), Err(Error::Key(_))));
    }

    #[test]
    fn leaves_are_alike_but_never_the_same() {
        let authority = authority();
        let request = Request::server(["*.admin.ns.svc", "10.0.0.1", "fd00::1"]);
        let (one, two) =
            (authority.issue(&request, now()).unwrap(), authority.issue(&request, now()).unwrap());
        assert_ne!(one.key, two.key);
        let (one, two) = (read::first(&one.certificate).unwrap(), read::first(&two.certificate).unwrap());
        let (one, two) = (Parsed::new(&one).unwrap(), Parsed::new(&two).unwrap());
        assert_ne!(one.serial(), two.serial());
        assert_eq!(one.names(), two.names());
        assert_eq!(one.names().len(), 3);
    }

    #[test]
    fn a_leaf_lives_no_longer_than_its_authority() {
        let authority = authority();
        let late = now() + AUTHORITY_LIFE - DAY;
        for (at, ends) in [(now(), now() + LEAF_LIFE), (late, now() + AUTHORITY_LIFE)] {
            let leaf = authority.issue(&Request::server(["a"]), at).unwrap();
            let der = read::first(&leaf.certificate).unwrap();
            let parsed = Parsed::new(&der).unwrap();
            assert_eq!(parsed.ends().unwrap(), ends);
            assert_eq!(parsed.begins().unwrap(), at - BACKDATE);
        }
    }

    #[test]
    fn names_that_no_certificate_can_carry_are_refused() {
        let authority = authority();
        for name in ["", "a b", "*", "a..b", ".", "ä", "*.", &"x".repeat(64)] {
            let request = Request::server([name]);
            assert!(matches!(authority.issue(&request, now()), Err(Error::Name(_))), "{name:?}");
        }
        assert!(authority.issue(&Request::server(Vec::<String>::new()), now()).is_err());
    }

    #[test]
    fn long_names_are_cut_in_the_common_name_only() {
        let long = format!("*.{}.{}.svc", "a".repeat(63), "b".repeat(63));
        let leaf = authority().issue(&Request::server([long.clone()]), now()).unwrap();
        let der = read::first(&leaf.certificate).unwrap();
        assert!(Parsed::new(&der).unwrap().names().contains(&long));
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        let common = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap();
        assert_eq!(common, &long[..64]);
    }

    #[test]
    fn a_leaf_may_be_used_for_its_purpose_only() {
        for (request, other) in
            [(Request::server(["a"]), Purpose::Client), (Request::client(["a"]), Purpose::Server)]
        {
            let leaf = authority().issue(&request, now()).unwrap();
            let der = read::first(&leaf.certificate).unwrap();
            let parsed = Parsed::new(&der).unwrap();
            assert!(parsed.serves(request.purpose) && !parsed.serves(other) && !parsed.is_authority());
        }
    }
}
