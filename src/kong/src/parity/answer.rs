//! Whether two gateways answered alike.
//!
//! In: what each answered. Out: the same, or how they differ. Never: a difference that a version makes in every answer, such
//! as its number in `Via`.

use std::fmt;

use hyper::HeaderMap;
use hyper::header::{HeaderName, SERVER, VIA};

/// What Kong says where no route matches (3.x, in all of its formats).
const UNMATCHED: &str = "no Route matched with those values";

/// Who made an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// An upstream: Kong adds `Via`.
    Upstream,
    /// Kong itself: it is the `Server`.
    Kong,
    /// Nobody says; Kong's headers can be switched off.
    Unsaid,
}

/// What somebody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A response.
    Response {
        /// Its status.
        status: u16,
        /// Who made it.
        maker: Maker,
        /// Whether no route matched.
        unmatched: bool,
    },
    /// Nothing, for a reason.
    Silence(String),
}

impl Answer {
    /// Reads a response. Of its body only that of a 404 matters.
    pub fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let names_kong = |name: HeaderName| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split([',', ' '])).any(|word| word.starts_with("kong/"))
        };
        let maker = match (names_kong(VIA), names_kong(SERVER)) {
            (true, _) => Maker::Upstream,
            (false, true) => Maker::Kong,
            (false, false) => Maker::Unsaid,
        };
        let unmatched = status == 404 && maker != Maker::Upstream && holds(body, UNMATCHED.as_bytes());
        Self::Response { status, maker, unmatched }
    }

    /// Whether this is as good as the other.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Response { status, maker, unmatched },
                Self::Response { status: other_status, maker: other_maker, unmatched: other_unmatched },
            ) => status / 100 == other_status / 100 && maker == other_maker && unmatched == other_unmatched,
            (Self::Silence(_), Self::Silence(_)) => true,
            _ => false,
        }
    }

    /// Whether there is one.
    pub const fn is_given(&self) -> bool {
        matches!(self, Self::Response { .. })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response { status, unmatched: true, .. } => {
                write!(formatter, "{status}, as no route matched")
            }
            Self::Response { status, maker: Maker::Kong, .. } => write!(formatter, "{status} by Kong"),
            Self::Response { status, maker: Maker::Upstream, .. } => {
                write!(formatter, "{status} by the upstream")
            }
            Self::Response { status, .. } => write!(formatter, "{status}"),
            Self::Silence(reason) => write!(formatter, "nothing ({reason})"),
        }
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let pairs =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Answer::read(status, &pairs.collect(), body.as_bytes())
    }

    fn kong(status: u16, body: &str) -> Answer {
        of(status, &[("server", "kong/3.9.3")], body)
    }

    fn upstream(status: u16) -> Answer {
        of(status, &[("server", "nginx"), ("via", "1.0 proxy, 1.1 kong/3.8.0")], "")
    }

    #[test]
    fn versions_and_numbers_within_a_class_are_alike() {
        let newer = of(204, &[("via", "1.1 kong/3.10.0.2")], "");
        assert!(upstream(200).is_like(&newer));
        assert!(of(502, &[("server", "kong/3.10.0")], "").is_like(&kong(503, "")));
        let silence = |reason: &str| Answer::Silence(reason.to_owned());
        assert!(silence("a").is_like(&silence("b")));
    }

    #[test]
    fn other_classes_makers_and_lost_routes_are_not() {
        let lost = kong(404, "{\n  \"message\":\"no Route matched with those values\"}");
        for (one, other) in [
            (upstream(200), upstream(404)),
            (upstream(500), kong(500, "")),
            (kong(404, "Not found"), lost.clone()),
            (upstream(404), lost.clone()),
            (of(200, &[], ""), upstream(200)),
            (upstream(200), Answer::Silence("late".to_owned())),
        ] {
            assert!(!one.is_like(&other) && !other.is_like(&one), "{one} and {other}");
        }
        assert_eq!(lost.to_string(), "404, as no route matched");
        assert_eq!(upstream(404).to_string(), "404 by the upstream");
        assert_eq!(kong(502, "").to_string(), "502 by Kong");
    }

    #[test]
    fn an_upstream_that_says_it_is_no_lost_route() {
        let said = of(404, &[("via", "1.1 kong/3.9.3")], UNMATCHED);
        assert_eq!(said, Answer::Response { status: 404, maker: Maker::Upstream, unmatched: false });
        let switched_off = of(404, &[], UNMATCHED);
        assert_eq!(switched_off, Answer::Response { status: 404, maker: Maker::Unsaid, unmatched: true });
    }
}
