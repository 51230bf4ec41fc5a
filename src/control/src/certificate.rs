//! Keeps the certificate, or the authority, that is in a Secret, or makes another one.

use std::time::{Duration, SystemTime};

use certs::{Authority, Pair, Reason, Request, Verdict};
use crds::k8s::{Secret, Timestamp};
use plan::dataplane::Clients;

/// A certificate and when to look at it again.
pub struct Issued<C> {
    /// The certificate.
    pub certificate: C,
    /// How long until it is time for the next one.
    pub renew_in: Option<Duration>,
}

/// The certificate in `found` while it is good for what is asked; else a new one. `trusted` is PEM with every authority
/// whose signature is good, that which issues among them.
///
/// # Errors
/// When no certificate can be made for these names.
pub fn keep_or_issue(
    (authority, trusted): (&Authority, &str),
    found: Option<&Secret>,
    request: &Request,
    now: Timestamp,
) -> Result<Issued<Pair>, certs::Error> {
    let now = SystemTime::from(now);
    let kept = found.and_then(pair).and_then(|pair| match certs::judge(&pair, trusted, request, now) {
        Verdict::Good { renew_at } => Some((pair, renew_at)),
        Verdict::Renew(reason) => {
            tracing::info!(%reason, name = request.names.first(), "renewing a certificate");
            None
        }
    });
    let (certificate, renew_at) = match kept {
        Some((pair, renew_at)) => (pair, Some(renew_at)),
        None => (authority.issue(request, now)?, None),
    };
    Ok(Issued { certificate, renew_in: renew_at.and_then(|at| at.duration_since(now).ok()) })
}

/// The authority in `found` while it is good; else a new one. The one before it stays trusted, so that what it issued
/// opens the pods that are there until both have changed.
///
/// # Errors
/// When none can be made.
pub fn keep_or_make(
    subject: &str,
    found: Option<&Secret>,
    now: Timestamp,
) -> Result<Issued<Clients>, certs::Error> {
    let now = SystemTime::from(now);
    let former = found.and_then(pair);
    let made = |trusted: &str| -> Result<Issued<Clients>, certs::Error> {
        let pair = Authority::make(subject, now)?.pair().clone();
        let trusted = format!("{}{trusted}", pair.certificate);
        Ok(Issued {
            certificate: Clients { certificate: pair.certificate, key: pair.key, trusted },
            renew_in: None,
        })
    };
    let Some(former) = former else { return made("") };
    match certs::judge_authority(&former, now) {
        Verdict::Good { renew_at } => {
            let trusted = found.and_then(|secret| text(secret, "ca.crt"));
            let trusted = trusted.filter(|trusted| certs::holds(trusted, &former.certificate));
            let trusted = trusted.unwrap_or_else(|| former.certificate.clone());
            Ok(Issued {
                certificate: Clients { certificate: former.certificate, key: former.key, trusted },
                renew_in: renew_at.duration_since(now).ok(),
            })
        }
        Verdict::Renew(reason) => {
            tracing::info!(%reason, subject, "renewing the authority of clients");
            made(if reason == Reason::Expiring { &former.certificate } else { "" })
        }
    }
}

/// An entry of a Secret.
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

/// The certificate in a Secret, and its key.
pub fn pair(secret: &Secret) -> Option<Pair> {
    Some(Pair { certificate: text(secret, "tls.crt")?, key: text(secret, "tls.key")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::k8s::ByteString;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn later(than: Timestamp, by: Duration) -> Timestamp {
        Timestamp::try_from(SystemTime::from(than) + by).unwrap()
    }

    fn request() -> Request {
        Request::server(["*.admin.team.svc"])
    }

    fn authority() -> Authority {
        Authority::make("test", SystemTime::from(now())).unwrap()
    }

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let data = entries.iter().map(|(key, pem)| ((*key).to_owned(), ByteString(pem.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Secret::default() }
    }

    fn stored(pair: &Pair) -> Secret {
        secret(&[("tls.crt", &pair.certificate), ("tls.key", &pair.key)])
    }

    fn issued(
        authority: &Authority,
        found: Option<&Secret>,
        request: &Request,
        now: Timestamp,
    ) -> Issued<Pair> {
        keep_or_issue((authority, authority.certificate()), found, request, now).unwrap()
    }

    #[test]
    fn a_good_certificate_is_kept_until_it_is_time() {
        let authority = authority();
        let first = issued(&authority, None, &request(), now()).certificate;
        let kept = issued(&authority, Some(&stored(&first)), &request(), now());
        assert_eq!(kept.certificate.certificate, first.certificate);
        let renew_in = kept.renew_in.unwrap();
        assert!(renew_in > certs::LEAF_LIFE / 2 && renew_in < certs::LEAF_LIFE, "{renew_in:?}");
        let later = later(now(), renew_in + Duration::from_secs(1));
        let renewed = issued(&authority, Some(&stored(&first)), &request(), later).certificate;
        assert_ne!(renewed.certificate, first.certificate);
    }

    #[test]
    fn a_leaf_that_ends_with_its_authority_is_not_replaced_over_and_over() {
        let authority = authority();
        let late = later(now(), certs::AUTHORITY_LIFE.checked_sub(Duration::from_mins(10)).unwrap());
        let first = issued(&authority, None, &request(), late).certificate;
        let again = issued(&authority, Some(&stored(&first)), &request(), late).certificate;
        assert_eq!(again.certificate, first.certificate);
    }

    #[test]
    fn another_authority_other_names_or_rubbish_give_a_new_one() {
        let authority = authority();
        let first = issued(&authority, None, &request(), now()).certificate;
        let found = stored(&first);
        let again = |authority: &Authority, found: &Secret, request: &Request| {
            issued(authority, Some(found), request, now()).certificate.certificate
        };
        assert_ne!(again(&self::authority(), &found, &request()), first.certificate);
        assert_ne!(again(&authority, &found, &Request::server(["*.other.team.svc"])), first.certificate);
        assert_ne!(again(&authority, &found, &Request::client(["*.admin.team.svc"])), first.certificate);
        assert_ne!(again(&authority, &Secret::default(), &request()), first.certificate);
    }

    #[test]
    fn an_authority_is_kept_and_the_one_before_it_stays_trusted() {
        let first = keep_or_make("edge.team", None, now()).unwrap().certificate;
        assert_eq!(first.trusted, first.certificate);
        let found =
            secret(&[("tls.crt", &first.certificate), ("tls.key", &first.key), ("ca.crt", &first.trusted)]);
        let kept = keep_or_make("edge.team", Some(&found), now()).unwrap();
        assert_eq!(kept.certificate.certificate, first.certificate);
        let late = later(now(), kept.renew_in.unwrap() + Duration::from_secs(1));
        let second = keep_or_make("edge.team", Some(&found), late).unwrap().certificate;
        assert_ne!(second.certificate, first.certificate);
        assert!(certs::holds(&second.trusted, &first.certificate), "pods that know only the first go on");
        assert!(certs::holds(&second.trusted, &second.certificate));
        let authority = Authority::read(&Pair { certificate: first.certificate, key: first.key }).unwrap();
        let client = Request::client(["edge"]);
        let leaf = issued(&authority, None, &client, late).certificate;
        let issuer = Authority::read(&Pair { certificate: second.certificate, key: second.key }).unwrap();
        let kept = keep_or_issue((&issuer, &second.trusted), Some(&stored(&leaf)), &client, late).unwrap();
        assert_eq!(kept.certificate.certificate, leaf.certificate, "it is not replaced at once");
        let rubbish = keep_or_make("edge.team", Some(&secret(&[("tls.crt", "x"), ("tls.key", "y")])), now());
        assert_eq!(
            rubbish.unwrap().certificate.trusted.matches("BEGIN").count(),
            1,
            "rubbish is not trusted"
        );
    }
}
