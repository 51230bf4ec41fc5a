//! Keeps the certificate that is in a Secret, or issues another one.

use std::time::{Duration, SystemTime};

use certs::{Authority, Pair, Request, Verdict};
use crds::k8s::{Secret, Timestamp};
use plan::dataplane::Certificate;

/// A certificate and when to look at it again.
pub struct Issued<C> {
    /// The certificate.
    pub certificate: C,
    /// How long until it is time for the next one.
    pub renew_in: Option<Duration>,
}

/// The server certificate in `found` while it is good for `names`; else a new one.
///
/// # Errors
/// When no certificate can be made for these names.
pub fn keep_or_issue(
    authority: &Authority,
    found: Option<&Secret>,
    names: &[String],
    now: Timestamp,
) -> Result<Issued<Certificate>, certs::Error> {
    let now = SystemTime::from(now);
    let request = Request::server(names);
    let kept = found.and_then(pair).and_then(|pair| {
        match certs::judge(&pair, authority.certificate(), &request, now) {
            Verdict::Good { renew_at } => Some((pair, renew_at)),
            Verdict::Renew(reason) => {
                tracing::info!(%reason, "renewing the certificate of the admin API");
                None
            }
        }
    });
    let (pair, renew_at) = match kept {
        Some((pair, renew_at)) => (pair, Some(renew_at)),
        None => (authority.issue(&request, now)?, None),
    };
    Ok(Issued {
        certificate: Certificate {
            chain: pair.certificate,
            key: pair.key,
            authority: authority.certificate().to_owned(),
        },
        renew_in: renew_at.and_then(|at| at.duration_since(now).ok()),
    })
}

fn pair(secret: &Secret) -> Option<Pair> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    Some(Pair { certificate: text("tls.crt")?, key: text("tls.key")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::k8s::ByteString;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn names() -> Vec<String> {
        vec!["*.admin.team.svc".to_owned()]
    }

    fn authority() -> Authority {
        Authority::make("test", SystemTime::from(now())).unwrap()
    }

    fn secret(certificate: &Certificate) -> Secret {
        let data = [("tls.crt", &certificate.chain), ("tls.key", &certificate.key)];
        let data = data.map(|(key, pem)| (key.to_owned(), ByteString(pem.as_bytes().to_vec())));
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    #[test]
    fn a_good_certificate_is_kept_until_it_is_time() {
        let authority = authority();
        let first = keep_or_issue(&authority, None, &names(), now()).unwrap();
        let kept = keep_or_issue(&authority, Some(&secret(&first.certificate)), &names(), now()).unwrap();
        assert_eq!(kept.certificate.chain, first.certificate.chain);
        let renew_in = kept.renew_in.unwrap();
        assert!(renew_in > certs::LEAF_LIFE / 2 && renew_in < certs::LEAF_LIFE, "{renew_in:?}");
        let later = Timestamp::try_from(SystemTime::from(now()) + renew_in + Duration::from_secs(1)).unwrap();
        let renewed = keep_or_issue(&authority, Some(&secret(&first.certificate)), &names(), later).unwrap();
        assert_ne!(renewed.certificate.chain, first.certificate.chain);
    }

    #[test]
    fn a_leaf_that_ends_with_its_authority_is_not_replaced_over_and_over() {
        let authority = authority();
        let late = SystemTime::from(now()) + certs::AUTHORITY_LIFE - Duration::from_mins(10);
        let late = Timestamp::try_from(late).unwrap();
        let first = keep_or_issue(&authority, None, &names(), late).unwrap().certificate;
        let again = keep_or_issue(&authority, Some(&secret(&first)), &names(), late).unwrap().certificate;
        assert_eq!(again.chain, first.chain);
    }

    #[test]
    fn another_authority_other_names_or_rubbish_give_a_new_one() {
        let authority = authority();
        let first = keep_or_issue(&authority, None, &names(), now()).unwrap().certificate;
        let found = secret(&first);
        let again = |authority: &Authority, found: &Secret, names: &[String]| {
            keep_or_issue(authority, Some(found), names, now()).unwrap().certificate.chain
        };
        assert_ne!(again(&self::authority(), &found, &names()), first.chain);
        assert_ne!(again(&authority, &found, &["*.other.team.svc".to_owned()]), first.chain);
        assert_ne!(again(&authority, &Secret::default(), &names()), first.chain);
    }
}
