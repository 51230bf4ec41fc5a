//! Whether a certificate that is there may stay.
//!
//! In: what is stored, what is wanted, the time. Out: keep it until then, or renew it because of
//! this. Never: an error; whatever is wrong with a stored certificate, the answer is to renew it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::read::{self, Parsed};
use crate::request::{Pair, Request};

/// What to do with a stored certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may stay.
    Good {
        /// When to renew it: at two thirds of its life, or up to a twentieth of its life earlier, at a
        /// moment that its serial number picks, so that many made at once are not renewed at once.
        renew_at: SystemTime,
    },
    /// It must be replaced.
    Renew(Reason),
}

/// Why a certificate must be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The certificate or the key is not PEM, or damaged.
    Unreadable,
    /// The key belongs to another certificate.
    KeyMismatch,
    /// It was not signed by the authority in use.
    OtherAuthority,
    /// Its names are not exactly the wanted ones.
    OtherNames,
    /// It must not be used as wanted.
    OtherPurpose,
    /// It is not valid yet: its maker's clock was ahead.
    NotYetValid,
    /// Two thirds of its life are over, or all of it.
    Expiring,
    /// All of its life is over.
    Expired,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreadable => "it cannot be read",
            Self::KeyMismatch => "its private key belongs to another certificate",
            Self::OtherAuthority => "another authority signed it",
            Self::OtherNames => "its names differ from the wanted ones",
            Self::OtherPurpose => "its purpose differs from the wanted one",
            Self::NotYetValid => "it is not valid yet",
            Self::Expiring => "it nears its end",
            Self::Expired => "its life is over",
        })
    }
}

/// Judges a leaf. `authorities` is PEM with at least one certificate; any of them may have signed it.
pub fn judge(pair: &Pair, authorities: &str, request: &Request, now: SystemTime) -> Verdict {
    verdict(checked(pair, authorities, request).and_then(|der| match life(&der, now) {
        Err(Reason::Expiring) => last_end(&der, authorities).filter(|end| *end > now).ok_or(Reason::Expiring),
        judged => judged,
    }))
}

/// Judges an authority: readable, its key its own, and not near its end.
pub fn judge_authority(pair: &Pair, now: SystemTime) -> Verdict {
    let own = || {
        let der = read::first(&pair.certificate)?;
        let parsed = Parsed::new(&der)?;
        let holds = parsed.has_key(&read::key(&pair.key)?);
        Ok::<_, Error>((parsed.is_authority(), holds, der.clone()))
    };
    verdict(match own() {
        Err(_) => Err(Reason::Unreadable),
        Ok((_, false, _)) => Err(Reason::KeyMismatch),
        Ok((false, true, _)) => Err(Reason::OtherPurpose),
        Ok((true, true, der)) => life(&der, now),
    })
}

/// Whether a pair that somebody else made can be served under `name`, whoever signed it; until when.
pub fn serviceable(pair: &Pair, name: Option<&str>, now: SystemTime) -> Result<SystemTime, Reason> {
    let der = read::first(&pair.certificate).map_err(|_| Reason::Unreadable)?;
    let leaf = Parsed::new(&der).map_err(|_| Reason::Unreadable)?;
    let key = read::key(&pair.key).map_err(|_| Reason::Unreadable)?;
    let (begins, ends) =
        leaf.begins().and_then(|begins| Ok((begins, leaf.ends()?))).map_err(|_| Reason::Unreadable)?;
    let found = [
        (!leaf.has_key(&key), Reason::KeyMismatch),
        (name.is_some_and(|name| !leaf.covers(name)), Reason::OtherNames),
        (!leaf.may_serve(), Reason::OtherPurpose),
        (now < begins, Reason::NotYetValid),
        (now >= ends, Reason::Expired),
    ];
    found.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(ends), |(_, reason)| Err(reason))
}

/// When the first certificate of a PEM text begins to be valid.
pub fn begins(pem: &str) -> Option<SystemTime> {
    read::first(pem).and_then(|der| Parsed::new(&der)?.begins()).ok()
}

/// When the first certificate of a PEM text ends.
pub fn ends(pem: &str) -> Option<SystemTime> {
    read::first(pem).and_then(|der| Parsed::new(&der)?.ends()).ok()
}

/// Whether every certificate of `wanted` is in `bundle`, both PEM; what cannot be read is not.
pub fn holds(bundle: &str, wanted: &str) -> bool {
    match (read::all(bundle), read::all(wanted)) {
        (Ok(bundle), Ok(wanted)) => !wanted.is_empty() && wanted.iter().all(|one| bundle.contains(one)),
        _ => false,
    }
}

fn verdict(found: Result<SystemTime, Reason>) -> Verdict {
    match found {
        Ok(renew_at) => Verdict::Good { renew_at },
        Err(reason) => Verdict::Renew(reason),
    }
}

type Der = rustls_pki_types::CertificateDer<'static>;

/// Everything but the dates.
fn checked(pair: &Pair, authorities: &str, request: &Request) -> Result<Der, Reason> {
    let der = read::first(&pair.certificate).map_err(|_| Reason::Unreadable)?;
    let leaf = Parsed::new(&der).map_err(|_| Reason::Unreadable)?;
    let key = read::key(&pair.key).map_err(|_| Reason::Unreadable)?;
    if !leaf.has_key(&key) {
        return Err(Reason::KeyMismatch);
    }
    if !signed_by_any(&leaf, authorities) {
        return Err(Reason::OtherAuthority);
    }
    let names = leaf.names();
    if names.iter().map(String::as_str).collect::<BTreeSet<_>>() != request.name_set() {
        return Err(Reason::OtherNames);
    }
    if !leaf.serves(request.purpose) {
        return Err(Reason::OtherPurpose);
    }
    drop(leaf);
    Ok(der)
}

fn signed_by_any(leaf: &Parsed<'_>, authorities: &str) -> bool {
    let authorities = read::all(authorities).unwrap_or_default();
    authorities.iter().filter_map(|der| Parsed::new(der).ok()).any(|authority| leaf.is_signed_by(&authority))
}

/// The end of a leaf that lives as long as the authorities do: another one could not live longer, and would be
/// as near its end as this one.
fn last_end(der: &Der, authorities: &str) -> Option<SystemTime> {
    let end = |der: &Der| Parsed::new(der).and_then(|parsed| parsed.ends()).ok();
    let last = read::all(authorities).ok()?.iter().filter_map(end).max()?;
    end(der).filter(|end| *end >= last)
}

fn life(der: &Der, now: SystemTime) -> Result<SystemTime, Reason> {
    let dates = || {
        let parsed = Parsed::new(der)?;
        Ok::<_, Error>((parsed.begins()?, parsed.ends()?, spread(parsed.serial())))
    };
    let (begins, ends, spread) = dates().map_err(|_| Reason::Unreadable)?;
    let life = ends.duration_since(begins).map_err(|_| Reason::Unreadable)?;
    let renew_at = begins + life * 2 / 3 - life / 20 * u32::from(spread) / u32::from(u8::MAX);
    if now < begins {
        Err(Reason::NotYetValid)
    } else if now >= renew_at {
        Err(Reason::Expiring)
    } else {
        Ok(renew_at.max(begins + Duration::from_secs(1)))
    }
}

/// The last byte of the serial number: as good as random, and the same on every look.
fn spread(serial: &[u8]) -> u8 {
    serial.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{AUTHORITY_LIFE, Authority, LEAF_LIFE};

    const HOUR: Duration = Duration::from_hours(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    fn request() -> Request {
        Request::server(["*.admin.ns.svc", "admin.ns.svc", "10.0.0.1", "fd00::1"])
    }

    fn authority() -> Authority {
        Authority::make("Silverback test", now()).unwrap()
    }

    fn renew_at(verdict: Verdict) -> SystemTime {
        match verdict {
            Verdict::Good { renew_at } => renew_at,
            Verdict::Renew(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn a_fresh_leaf_is_good() {
        let authority = authority();
        let leaf = authority.issue(&request(), now()).unwrap();
        let at = renew_at(judge(&leaf, authority.certificate(), &request(), now()));
        let life = LEAF_LIFE + HOUR;
        let latest = now() - HOUR + life * 2 / 3;
        assert!(at <= latest && at >= latest - life / 20);
        let mut other_order = request();
        other_order.names.reverse();
        assert_eq!(
            judge(&leaf, authority.certificate(), &other_order, now()),
            Verdict::Good { renew_at: at }
        );
    }

    #[test]
    fn edges_of_life() {
        let authority = authority();
        let leaf = authority.issue(&request(), now()).unwrap();
        let at = renew_at(judge(&leaf, authority.certificate(), &request(), now()));
        let expiring = Verdict::Renew(Reason::Expiring);
        for (moment, wanted) in [
            (now() - HOUR - SECOND, Verdict::Renew(Reason::NotYetValid)),
            (now() - HOUR, Verdict::Good { renew_at: at }),
            (at - SECOND, Verdict::Good { renew_at: at }),
            (at, expiring),
            (now() + LEAF_LIFE, expiring),
            (now() + LEAF_LIFE * 10, expiring),
        ] {
            assert_eq!(judge(&leaf, authority.certificate(), &request(), moment), wanted, "{moment:?}");
        }
    }

    #[test]
    fn each_fault_has_its_reason() {
        let (authority, other) = (authority(), authority());
        let leaf = authority.issue(&request(), now()).unwrap();
        let stranger = other.issue(&request(), now()).unwrap();
        let ca = authority.certificate();
        let with = |certificate: &str, key: &str| Pair { certificate: certificate.into(), key: key.into() };
        let mut client = request();
        client.purpose = crate::Purpose::Client;
        let cases = [
            (with("", &leaf.key), ca, request(), Reason::Unreadable),
            (
                with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &leaf.key),
                ca,
                request(),
                Reason::Unreadable,
            ),
            (with(&leaf.certificate, ""), ca, request(), Reason::Unreadable),
            (with(&leaf.certificate, &stranger.key), ca, request(), Reason::KeyMismatch),
            (stranger.clone(), ca, request(), Reason::OtherAuthority),
            (leaf.clone(), "", request(), Reason::OtherAuthority),
            (leaf.clone(), ca, Request::server(["admin.ns.svc"]), Reason::OtherNames),
            (leaf.clone(), ca, client, Reason::OtherPurpose),
        ];
        for (pair, ca, request, reason) in cases {
            assert_eq!(judge(&pair, ca, &request, now()), Verdict::Renew(reason));
        }
        let bundle = format!("{}{ca}", other.certificate());
        renew_at(judge(&leaf, &bundle, &request(), now()));
        renew_at(judge(&stranger, &bundle, &request(), now()));
    }

    #[test]
    fn a_forged_signature_is_seen() {
        let real = authority();
        // The same name, another key: only the signature tells them apart.
        let forged = authority().issue(&request(), now()).unwrap();
        assert_eq!(
            judge(&forged, real.certificate(), &request(), now()),
            Verdict::Renew(Reason::OtherAuthority)
        );
    }

    #[test]
    fn the_same_key_under_another_name_is_another_authority() {
        let authority = authority();
        let leaf = authority.issue(&request(), now()).unwrap();
        let key = read::key(&authority.pair().key).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let renamed = params.self_signed(&key).unwrap().pem();
        let verdict = judge(&leaf, &renamed, &request(), now());
        assert_eq!(verdict, Verdict::Renew(Reason::OtherAuthority));
    }

    #[test]
    fn authorities_are_judged_too() {
        let authority = authority();
        let at = renew_at(judge_authority(authority.pair(), now()));
        assert!(at > now() + AUTHORITY_LIFE * 3 / 5 && at < now() + AUTHORITY_LIFE * 2 / 3);
        assert_eq!(judge_authority(authority.pair(), at), Verdict::Renew(Reason::Expiring));
        let leaf = authority.issue(&request(), now()).unwrap();
        assert_eq!(judge_authority(&leaf, now()), Verdict::Renew(Reason::OtherPurpose));
        let mixed = Pair { certificate: authority.certificate().into(), key: leaf.key };
        assert_eq!(judge_authority(&mixed, now()), Verdict::Renew(Reason::KeyMismatch));
        let broken = Pair { certificate: "x".into(), key: "y".into() };
        assert_eq!(judge_authority(&broken, now()), Verdict::Renew(Reason::Unreadable));
    }

    #[test]
    fn leaves_made_at_once_are_not_renewed_at_once() {
        let authority = authority();
        let leaves = (0..16).map(|_| authority.issue(&request(), now()).unwrap());
        let moments: BTreeSet<_> =
            leaves.map(|leaf| renew_at(judge(&leaf, authority.certificate(), &request(), now()))).collect();
        assert!(moments.len() > 8, "{}", moments.len());
    }
}
