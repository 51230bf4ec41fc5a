//! From when until when the certificate of a listener can be served.
//!
//! In: a Secret. Out: its life, or what is wrong with it, which takes the place of what is in the Secret. Never: a verdict
//! that hangs on the clock, which goes on while nothing happens.

use std::time::SystemTime;

use certs::{Pair, Reason};
use crds::k8s::{ByteString, Secret};

use super::stores::bare;

/// Keys under which a trimmed Secret says from when and until when its certificate is good, and what is wrong with it.
const FROM: &str = "from";
const UNTIL: &str = "until";
const WRONG: &str = "wrong";

/// From when until when a certificate is good, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it becomes good.
    pub from: i64,
    /// When it is no longer.
    pub until: i64,
}

impl Life {
    /// Whether it is good at that time.
    ///
    /// # Errors
    /// Why it is not.
    pub const fn at(self, now: i64) -> Result<(), Reason> {
        match self {
            Self { from, .. } if now < from => Err(Reason::NotYetValid),
            Self { until, .. } if now >= until => Err(Reason::Expired),
            _ => Ok(()),
        }
    }
}

/// A verdict takes the place of what is in a Secret: no key stays in memory.
pub fn judged(secret: &mut Secret) {
    bare(secret);
    let data = secret.data.take().unwrap_or_default();
    let text = |key: &str| data.get(key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    let verdict = match (text("tls.crt"), text("tls.key")) {
        (Some(certificate), Some(key)) => {
            lived(&Pair { certificate, key }).map_err(|reason| reason.to_string())
        }
        _ => Err("tls.crt or tls.key is missing".to_owned()),
    };
    let entry = |key: &str, words: String| (key.to_owned(), ByteString(words.into_bytes()));
    secret.data = Some(match verdict {
        Ok(Life { from, until }) => [entry(FROM, from.to_string()), entry(UNTIL, until.to_string())].into(),
        Err(words) => [entry(WRONG, words)].into(),
    });
}

/// The life of a pair that can be served while it lasts.
fn lived(pair: &Pair) -> Result<Life, Reason> {
    let from = certs::begins(&pair.certificate).ok_or(Reason::Unreadable)?;
    let until = certs::serviceable(pair, None, from)?;
    let seconds = |at: SystemTime| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    Ok(Life { from: seconds(from), until: seconds(until) })
}

/// The life of the certificate in a judged Secret.
///
/// # Errors
/// What is wrong with it, whatever the time.
pub fn verdict(secret: &Secret) -> Result<Life, String> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref()?.get(key)?;
        Some(String::from_utf8_lossy(&bytes.0).into_owned())
    };
    let seconds = |key: &str| text(key).and_then(|seconds| seconds.parse().ok());
    match (seconds(FROM), seconds(UNTIL)) {
        (Some(from), Some(until)) => Ok(Life { from, until }),
        _ => Err(text(WRONG).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certs::{Authority, Request};
    use runtime::clock;

    fn secret(pair: &Pair) -> Secret {
        let data = [("tls.crt", &pair.certificate), ("tls.key", &pair.key)];
        let data = data.map(|(key, pem)| (key.to_owned(), ByteString(pem.as_bytes().to_vec())));
        Secret { data: Some(data.into()), ..Secret::default() }
    }

    fn said(mut secret: Secret) -> Result<Life, String> {
        judged(&mut secret);
        let kept = secret.data.iter().flatten().all(|(key, _)| [FROM, UNTIL, WRONG].contains(&key.as_str()));
        assert!(kept, "nothing else is kept");
        verdict(&secret)
    }

    #[test]
    fn of_a_certificate_only_the_verdict_is_kept() {
        let now = SystemTime::from(clock::now());
        let authority = Authority::make("test", now).unwrap();
        let issue = |at| authority.issue(&Request::server(&["a.example".to_owned()]), at).unwrap();
        let (pair, other) = (issue(now), issue(now));
        let life = said(secret(&pair)).unwrap();
        assert_eq!(life.at(clock::now().as_second()), Ok(()));
        assert_eq!(life.at(life.from - 1), Err(Reason::NotYetValid), "it becomes valid by itself");
        assert_eq!(life.at(life.until), Err(Reason::Expired), "and ends by itself");
        let mixed = Pair { certificate: pair.certificate.clone(), key: other.key };
        assert!(said(secret(&mixed)).unwrap_err().contains("private key"));
        let rubbish = Pair { certificate: "Hello world".into(), key: "Hello world".into() };
        assert!(said(secret(&rubbish)).unwrap_err().contains("cannot be read"));
        assert!(said(Secret::default()).unwrap_err().contains("missing"));
        let over = said(secret(&issue(now - 2 * certs::LEAF_LIFE))).unwrap();
        assert_eq!(over.at(clock::now().as_second()), Err(Reason::Expired));
    }
}
