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
    let kept = found.and_then(pair).and_then(|pair| match certs::judge(&pair, authority.certificate(), &request, now) {
        Verdict::Good { renew_at } => Some((pair, renew_at)),
        Verdict::Renew(reason) => {
            tracing::info!(%reason, "renewing the certificate of the admin API");
            None
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
