//! What may happen to a request on its way.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is forwarded, and answered.
    None,
    /// It is answered with this and not forwarded.
    Refused(Refusal),
    /// The connection is reset before anything is forwarded.
    Reset,
    /// It is forwarded, and the connection reset in place of the answer.
    Lost,
    /// It is forwarded, and half of the answer given.
    Truncated,
    /// It is forwarded after this long.
    Late(Duration),
    /// A list is forwarded, and answered as things were at this version; anything else is just forwarded.
    AsOf(u64),
    /// It is forwarded; the answer is there, and never given. [`super::Proxy::held`] tells.
    Held,
    /// It is neither forwarded nor answered.
    Withheld,
}

/// An answer of the API server that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else was faster.
    Conflict,
    /// Priority and fairness has no seat; come again in a second.
    TooManyRequests,
    /// It failed.
    Internal,
    /// It is about to end, or waits for etcd.
    Unavailable,
    /// The version asked for is too old.
    Gone,
    /// It is not understood, as a feature that is off.
    Invalid,
}

impl Refusal {
    /// Code, reason and message as Kubernetes 1.36 has them.
    fn words(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Conflict => (
                409,
                "Conflict",
                "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again",
            ),
            Self::TooManyRequests => (429, "TooManyRequests", "Too many requests, please try again later."),
            Self::Internal => {
                (500, "InternalError", "Internal error occurred: etcdserver: request timed out")
            }
            Self::Unavailable => {
                (503, "ServiceUnavailable", "the server is currently unable to handle the request")
            }
            Self::Gone => (410, "Expired", "too old resource version: 1 (2)"),
            Self::Invalid => (422, "Invalid", "sendInitialEvents is forbidden: the feature is disabled"),
        }
    }

    /// The `Status` that the API server sends.
    pub(super) fn status(self) -> String {
        let (code, reason, message) = self.words();
        let status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        });
        status.to_string()
    }

    /// The whole answer.
    pub(super) fn answer(self) -> Response<String> {
        let (code, ..) = self.words();
        let mut answer = Response::new(self.status());
        *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self == Self::TooManyRequests {
            headers.insert(RETRY_AFTER, 1.into());
        }
        answer
    }
}

/// Numbers that look random and come again with the same seed.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as the seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// True for this share of a hundred throws.
    pub fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        let count = u64::try_from(choices.len()).ok().filter(|count| *count > 0)?;
        choices.get(usize::try_from(self.next() % count).ok()?).copied()
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_what_the_api_server_would_say() {
        let answer = Refusal::TooManyRequests.answer();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
        let status: kube::core::Status = serde_json::from_str(answer.body()).unwrap();
        assert!(status.code == 429 && status.reason == "TooManyRequests", "{status:?}");
        assert!(Refusal::Conflict.answer().headers().get(RETRY_AFTER).is_none());
    }

    #[test]
    fn the_same_seed_falls_the_same_way() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            (0..100).map(|_| dice.percent(30)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
        let hits = throws(7).into_iter().filter(|hit| *hit).count();
        assert!((15..45).contains(&hits), "{hits} of 100");
    }
}
