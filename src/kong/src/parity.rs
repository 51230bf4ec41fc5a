//! Whether a canary answers as stable does.
//!
//! In: a stable pod, a canary pod, and the configuration that both have. Out: how many routes were asked of both, and which
//! of them were answered differently. Both are asked directly, before anybody is sent to the canary. Never: a request that
//! changes anything, or a difference that stable has with itself; an upstream that fails now and then is not the canary's.
//!
//! It finds what a refused configuration and counts of errors do not: routes that are lost, of which Kong counts nothing.

mod answer;
mod expression;
mod requests;
mod sample;
mod tls;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use rollout::observation::Parity;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use crate::exchange;
pub use answer::{Answer, Maker};
pub use requests::{Ask, Asks, MOST};

/// The longest that one answer may take.
const EACH: Duration = Duration::from_secs(5);

/// The longest that all may take together; what is not asked until then is not asked.
const ALL: Duration = Duration::from_secs(90);

/// How many requests are on their way at the same time, each to both pods in turn.
const AT_ONCE: usize = 8;

/// As much of a body as is looked at, in bytes; Kong's own errors are far shorter.
const BODY: usize = 8 << 10;

/// How many differences are put into words.
const MOST_WORDS: usize = 5;

/// Where a pod is asked: the ports of its proxy, as it listens on them itself.
#[derive(Debug, Clone, Copy)]
pub struct Pod {
    /// Its address.
    pub address: IpAddr,
    /// Where it takes plain HTTP.
    pub plain: Option<u16>,
    /// Where it takes TLS.
    pub tls: Option<u16>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests that both were asked, with an answer that can be compared.
    pub checked: u32,
    /// Those of them that the canary answered differently.
    pub mismatched: u32,
    /// Those of which nothing can be said: stable did not answer, or not twice alike, or time was up.
    pub unsettled: u32,
    /// What could not be asked at all: [`Asks::skipped`], and routes for which a pod has no port.
    pub skipped: u32,
    /// The first differences, in words.
    pub words: Vec<String>,
}

impl From<&Report> for Parity {
    fn from(report: &Report) -> Self {
        match report {
            // A stable gateway that answers nobody is no measure.
            Report { checked: 0, unsettled: 1.., .. } => Self::Unknown,
            Report { checked, mismatched, .. } => {
                Self::Compared { checked: *checked, mismatched: *mismatched }
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {} requests were answered differently", self.mismatched, self.checked)?;
        self.words.iter().enumerate().try_for_each(|(number, words)| {
            write!(formatter, "{} {words}", if number == 0 { ":" } else { ";" })
        })?;
        let left = self.mismatched.saturating_sub(u32::try_from(self.words.len()).unwrap_or(u32::MAX));
        if left > 0 && !self.words.is_empty() { write!(formatter, "; and {left} more") } else { Ok(()) }
    }
}

/// What became of one request.
enum Found {
    Alike,
    Different(String),
    Unsettled,
    Skipped,
}

/// Asks both pods. Cloning shares what it is made of.
#[derive(Clone)]
pub struct Prober {
    config: Arc<ClientConfig>,
}

impl Prober {
    /// One that trusts any certificate: what a proxy shows depends on the name that is asked for, and often no authority
    /// is known for it. Nothing is sent that anybody else might not know.
    ///
    /// # Errors
    /// Where the cryptography of this process has no version of TLS.
    pub fn new() -> Result<Self, tokio_rustls::rustls::Error> {
        Ok(Self { config: Arc::new(tls::client()?) })
    }

    /// Asks both pods all that is to be asked. Pods should have had the configuration for a second or more: Kong routes by
    /// a new one only some time after it has taken it.
    pub async fn compare(&self, stable: &Pod, canary: &Pod, asks: &Asks) -> Report {
        let end = Instant::now() + ALL;
        // By value: what borrows a request cannot be sent to another thread (rust-lang/rust#102211).
        let each = asks.asks.clone().into_iter().map(|ask| async move {
            let found = tokio::time::timeout_at(end, self.settle(stable, canary, &ask)).await;
            found.unwrap_or(Found::Unsettled)
        });
        let mut report = Report { skipped: asks.skipped, ..Report::default() };
        // In the order of the requests, so that the words are the same each time.
        let mut all = stream::iter(each).buffered(AT_ONCE);
        while let Some(found) = all.next().await {
            report.note(found);
        }
        report
    }

    async fn settle(&self, stable: &Pod, canary: &Pod, ask: &Ask) -> Found {
        let (Some(one), Some(other)) = (Way::of(stable, ask), Way::of(canary, ask)) else {
            return Found::Skipped;
        };
        let wanted = self.answer(&one, ask).await;
        let given = self.answer(&other, ask).await;
        match (wanted.is_given(), wanted.is_like(&given)) {
            (false, _) => return Found::Unsettled,
            (true, true) => return Found::Alike,
            (true, false) => {}
        }
        // Once more, in case that it was chance; first of the canary, so that whatever has passed by now has passed for it.
        let again = self.answer(&other, ask).await;
        if wanted.is_like(&again) {
            return Found::Alike;
        }
        if !wanted.is_like(&self.answer(&one, ask).await) {
            return Found::Unsettled;
        }
        let scheme = if one.tls { "https" } else { "http" };
        Found::Different(format!(
            "{scheme}://{}{} (route {}): stable {wanted}, canary {again}",
            ask.host, ask.path, ask.route
        ))
    }

    async fn answer(&self, way: &Way, ask: &Ask) -> Answer {
        match tokio::time::timeout(EACH, self.ask(way, ask)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(reason)) => Answer::Silence(reason),
            Err(_) => Answer::Silence("no answer in time".to_owned()),
        }
    }

    async fn ask(&self, way: &Way, ask: &Ask) -> Result<Answer, String> {
        let request = request(ask).ok_or_else(|| "no request".to_owned())?;
        let stream = TcpStream::connect(way.at).await.map_err(|error| error.to_string())?;
        let answer = if way.tls {
            let name = tls::name(ask.tls.as_deref().unwrap_or_default(), way.at.ip());
            let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await;
            exchange::send(stream.map_err(|error| error.to_string())?, request).await
        } else {
            exchange::send(stream, request).await
        };
        Ok(read(answer.map_err(|error| error.to_string())?).await)
    }
}

impl Report {
    fn note(&mut self, found: Found) {
        match found {
            Found::Alike => self.checked += 1,
            Found::Unsettled => self.unsettled += 1,
            Found::Skipped => self.skipped = self.skipped.saturating_add(1),
            Found::Different(words) => {
                self.checked += 1;
                self.mismatched += 1;
                if self.words.len() < MOST_WORDS {
                    self.words.push(words);
                }
            }
        }
    }
}

/// Where a request goes.
struct Way {
    at: SocketAddr,
    tls: bool,
}

impl Way {
    fn of(pod: &Pod, ask: &Ask) -> Option<Self> {
        let to = |port: Option<u16>, tls| Some(Self { at: SocketAddr::new(pod.address, port?), tls });
        let plain = if ask.plain { to(pod.plain, false) } else { None };
        plain.or_else(|| ask.tls.as_ref().and_then(|_| to(pod.tls, true)))
    }
}

fn request(ask: &Ask) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = ask.path.parse().ok()?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(&ask.host).ok()?);
    headers.insert(USER_AGENT, HeaderValue::from_static("silverback-parity"));
    for (name, value) in &ask.headers {
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    Some(request)
}

async fn read(answer: Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    // An upstream may send for ever; only Kong's own 404 is of interest.
    let body = match head.status.as_u16() {
        404 => Limited::new(body, BODY)
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default(),
        _ => Bytes::new(),
    };
    Answer::read(head.status.as_u16(), &head.headers, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_counted_and_put_into_words() {
        let mut report = Report { skipped: 1, ..Report::default() };
        report.note(Found::Unsettled);
        assert_eq!(Parity::from(&report), Parity::Unknown);
        report.note(Found::Skipped);
        report.note(Found::Alike);
        assert_eq!(Parity::from(&report), Parity::Compared { checked: 1, mismatched: 0 });
        assert_eq!(report.to_string(), "0 of 1 requests were answered differently");
        for number in 0..7 {
            report.note(Found::Different(format!("d{number}")));
        }
        assert_eq!(Parity::from(&report), Parity::Compared { checked: 8, mismatched: 7 });
        assert_eq!(
            report.to_string(),
            "7 of 8 requests were answered differently: d0; d1; d2; d3; d4; and 2 more"
        );
        assert_eq!((report.unsettled, report.skipped), (1, 2));
        assert_eq!(Parity::from(&Report::default()), Parity::Compared { checked: 0, mismatched: 0 });
    }

    #[test]
    fn tls_is_used_only_where_nothing_else_will_do() {
        let address = IpAddr::from([10, 0, 0, 5]);
        let both = Pod { address, plain: Some(8000), tls: Some(8443) };
        let ask = |plain, tls: Option<&str>| Ask {
            route: String::new(),
            host: "a.b".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            plain,
            tls: tls.map(str::to_owned),
        };
        let port = |pod: &Pod, ask: &Ask| Way::of(pod, ask).map(|way| (way.at.port(), way.tls));
        assert_eq!(port(&both, &ask(true, Some("a.b"))), Some((8000, false)));
        assert_eq!(port(&both, &ask(false, Some("a.b"))), Some((8443, true)));
        assert_eq!(port(&Pod { plain: None, ..both }, &ask(true, Some("a.b"))), Some((8443, true)));
        assert_eq!(port(&Pod { plain: None, ..both }, &ask(true, None)), None);
        assert_eq!(port(&Pod { tls: None, ..both }, &ask(false, Some("a.b"))), None);
    }
}
