//! Asks the admin API of one Kong pod.
//!
//! In: a client's certificate, the name of the admin Service, and a pod's address. Out: the configuration in force, or what
//! became of one that was submitted, as values. Never: a pod that cannot prove to be of that Service, a session that is
//! taken up again, or an answer that has no end. What a configuration says (private keys are in it) is in no error.
//! (Kong 3.9.3 in DB-less mode; a 201 says that a configuration was taken, and not that it routes yet.)

mod refusal;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rollout::observation::Configuration;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::exchange;
pub use refusal::{Object, Problem, Refusal};
pub use tls::{Identity, Unusable};

/// The longest that a short answer may take, from the connection to its last byte.
const SHORT: Duration = Duration::from_secs(5);

/// The longest that a configuration may take. Kong was seen to take one of 3,000 services in 2.5 s on an idle machine; Kong
/// Ingress Controller gives up after 30 s.
const LONG: Duration = Duration::from_secs(30);

/// The longest answer that is no configuration, in bytes. A refusal names each entity and shows it whole.
const LIMIT: usize = 8 << 20;

/// The longest configuration, in bytes. Kong takes 10 MiB in a request by default; as YAML it may be longer.
const CONFIGURATION: usize = 48 << 20;

/// The hash of a Kong that has no configuration.
const NO_HASH: &str = "00000000000000000000000000000000";

/// Why there is no answer that says anything.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is there.
    #[error("no connection to the admin API at {0}")]
    Unconnected(SocketAddr, #[source] std::io::Error),
    /// One side does not trust the other.
    #[error("no handshake with the admin API at {0}")]
    Untrusted(SocketAddr, #[source] std::io::Error),
    /// The exchange broke off.
    #[error("the admin API at {0} did not answer to the end")]
    Broken(SocketAddr, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("the admin API at {0} did not answer within {1:?}")]
    Late(SocketAddr, Duration),
    /// The answer is longer than anything that would be expected here.
    #[error("the admin API at {0} answered more than {1} bytes")]
    Long(SocketAddr, usize),
    /// It answered something else; with a client's certificate that Kong does not take, that is 400.
    #[error("the admin API at {0} answered {1}")]
    Status(SocketAddr, StatusCode),
    /// It answered what cannot be read.
    #[error("the admin API at {0} answered no {1}")]
    Unreadable(SocketAddr, &'static str),
}

/// What became of a configuration.
#[derive(Debug)]
pub enum Submission {
    /// Kong took it.
    Accepted,
    /// Kong did not, and has what it had before.
    Rejected(Refusal),
    /// It is not known whether Kong took it.
    Unreachable(Error),
}

impl From<&Submission> for Configuration {
    fn from(submission: &Submission) -> Self {
        match submission {
            Submission::Accepted => Self::Accepted,
            Submission::Rejected(refusal) => Self::Rejected(refusal.to_string()),
            Submission::Unreachable(_) => Self::Unknown,
        }
    }
}

/// What Kong says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What tells the configuration in force from others of the same pod. Between pods it tells nothing: it differs with
    /// each push of the same configuration.
    pub hash: String,
}

impl Status {
    /// Whether there is any configuration.
    pub fn is_configured(&self) -> bool {
        self.hash != NO_HASH
    }
}

/// Asks the pods of one admin Service. Cloning shares what it is made of.
#[derive(Clone)]
pub struct Admin {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Admin {
    /// A client of the pods behind `service`. They show a certificate for `*.<service>.<namespace>.svc`, and are asked for
    /// the name that Kong Ingress Controller asks for.
    ///
    /// # Errors
    /// Certificates or names that cannot be used.
    pub fn new(identity: &Identity<'_>, service: &str, namespace: &str) -> Result<Self, Unusable> {
        let name = format!("pod.{service}.{namespace}.svc");
        let name = ServerName::try_from(name.clone()).map_err(|_| Unusable::Name(name))?;
        Ok(Self { config: Arc::new(identity.client()?), name })
    }

    /// What a pod says of itself.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn status(&self, at: SocketAddr) -> Result<Status, Error> {
        let body = within(SHORT, at, self.get(at, "/status", LIMIT)).await?;
        let read: Value = serde_json::from_slice(&body).unwrap_or_default();
        let hash = read.get("configuration_hash").and_then(Value::as_str);
        hash.map(|hash| Status { hash: hash.to_owned() }).ok_or(Error::Unreadable(at, "status"))
    }

    /// The declarative configuration that a pod has in force, with all defaults of its version and all secrets.
    ///
    /// # Errors
    /// No answer, or none that can be read.
    pub async fn configuration(&self, at: SocketAddr) -> Result<Value, Error> {
        let body = within(LONG, at, self.get(at, "/config", CONFIGURATION)).await?;
        let read: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = read.get("config").and_then(Value::as_str);
        text.and_then(declarative).ok_or(Error::Unreadable(at, "configuration"))
    }

    /// Gives a pod a configuration as Kong Ingress Controller does, so that it is judged as it would be then. Only for pods
    /// that Kong Ingress Controller does not feed yet: it does not notice what others write.
    pub async fn submit(&self, at: SocketAddr, configuration: &Value) -> Submission {
        within(LONG, at, self.post(at, configuration)).await.unwrap_or_else(Submission::Unreachable)
    }

    async fn get(&self, at: SocketAddr, path: &'static str, limit: usize) -> Result<Bytes, Error> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = path.parse().unwrap_or_default();
        let answer = self.exchange(at, request).await?;
        match answer.status() {
            StatusCode::OK => body(at, answer, limit).await,
            other => Err(Error::Status(at, other)),
        }
    }

    async fn post(&self, at: SocketAddr, configuration: &Value) -> Result<Submission, Error> {
        let sent = serde_json::to_vec(configuration).map_err(|error| Error::Broken(at, error.into()))?;
        let mut request = Request::new(Full::new(Bytes::from(sent)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = "/config?check_hash=1&flatten_errors=1".parse().unwrap_or_default();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.exchange(at, request).await?;
        let status = answer.status();
        match status {
            // All entities with all defaults follow; nobody needs them.
            StatusCode::CREATED | StatusCode::NOT_MODIFIED => Ok(Submission::Accepted),
            StatusCode::PAYLOAD_TOO_LARGE => Ok(Submission::Rejected(Refusal::too_large())),
            StatusCode::BAD_REQUEST => {
                let read = body(at, answer, LIMIT).await?;
                Refusal::read(&read).map(Submission::Rejected).ok_or(Error::Status(at, status))
            }
            other => Err(Error::Status(at, other)),
        }
    }

    async fn exchange(
        &self,
        at: SocketAddr,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Error> {
        let host = HeaderValue::try_from(at.to_string()).map_err(|error| Error::Broken(at, error.into()))?;
        request.headers_mut().insert(HOST, host);
        let stream = TcpStream::connect(at).await.map_err(|error| Error::Unconnected(at, error))?;
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await;
        let stream = stream.map_err(|error| Error::Untrusted(at, error))?;
        exchange::send(stream, request).await.map_err(|error| Error::Broken(at, error.into()))
    }
}

async fn within<T>(
    limit: Duration,
    at: SocketAddr,
    asking: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, asking).await.unwrap_or(Err(Error::Late(at, limit)))
}

async fn body(at: SocketAddr, answer: Response<Incoming>, limit: usize) -> Result<Bytes, Error> {
    let read = Limited::new(answer.into_body(), limit).collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        match error.downcast::<LengthLimitError>() {
            Ok(_) => Error::Long(at, limit),
            Err(error) => Error::Broken(at, error),
        }
    })
}

/// Reads a declarative configuration, in YAML or JSON.
pub fn declarative(text: &str) -> Option<Value> {
    // The reader's own bounds are for what strangers write; 3,000 services have half a million nodes.
    let budget = serde_saphyr::budget! { max_nodes: 8_000_000, max_events: 24_000_000 };
    let options = serde_saphyr::options! { budget: budget };
    serde_saphyr::from_str_with_options::<Value>(text, options).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_any_usual_size_are_read() {
        let mut text = String::from("_format_version: \"3.0\"\n_transform: false\nservices:\n");
        for number in 0..20_000 {
            text.extend([
                "- name: s",
                &number.to_string(),
                "\n  port: 80\n  enabled: true\n  tags: [a, b]\n  path: null\n",
            ]);
        }
        let read = declarative(&text).unwrap();
        assert_eq!(read["_format_version"], "3.0");
        assert_eq!(read["services"].as_array().unwrap().len(), 20_000);
        assert_eq!(
            read["services"][7],
            serde_json::json!({"name": "s7", "port": 80, "enabled": true, "tags": ["a", "b"], "path": null})
        );
        assert_eq!(declarative("{\"services\": []}"), Some(serde_json::json!({ "services": [] })));
        assert_eq!(declarative("a list"), None);
        assert_eq!(declarative("{"), None);
    }

    #[test]
    fn only_kongs_own_verdict_is_one() {
        let at = SocketAddr::from(([10, 0, 0, 5], 8444));
        let late = Submission::Unreachable(Error::Late(at, SHORT));
        assert_eq!(Configuration::from(&Submission::Accepted), Configuration::Accepted);
        assert_eq!(Configuration::from(&late), Configuration::Unknown);
        let refused = Submission::Rejected(Refusal::too_large());
        assert!(
            matches!(Configuration::from(&refused), Configuration::Rejected(words) if words.contains("larger"))
        );
    }
}
