//! Asks a hook of a rollout by HTTP.
//!
//! In: a URL and a text. Out: yes, no, or that it is to be asked again. Nothing of the answer but its status is read, so that
//! nobody learns by a hook what only the operator can reach. Redirects are not followed.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The longest that an answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a hook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Yes.
    Yes,
    /// No; with its words.
    No(String),
    /// Nothing yet; with what kept it from an answer.
    Later(String),
}

/// Asks hooks. Cloning shares what it is made of.
#[derive(Clone)]
pub struct Caller {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Caller {
    /// With the certificate authorities of the system. Where it has none, no `https` URL answers.
    ///
    /// # Errors
    /// Where the cryptography of this process has no version of TLS.
    pub fn new() -> Result<Self, tokio_rustls::rustls::Error> {
        let provider = aws_lc_rs::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let builder = match builder.with_provider_and_native_roots(provider.clone()) {
            Ok(builder) => builder,
            Err(error) => {
                tracing::info!(
                    error = &error as &dyn std::error::Error,
                    "no certificate authorities of the system: hooks can be http alone"
                );
                let config = ClientConfig::builder_with_provider(provider.into())
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth();
                HttpsConnectorBuilder::new().with_tls_config(config)
            }
        };
        let connector = builder.https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector) })
    }

    /// Posts `body`, and tells what the answer means.
    pub async fn ask(&self, url: &str, body: String) -> Said {
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("silverback/", env!("CARGO_PKG_VERSION")))
            .body(Full::from(body));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Said::No(format!("{url} is no URL: {error}")),
        };
        match tokio::time::timeout(DEADLINE, self.client.request(request)).await {
            Ok(Ok(answer)) => meaning(url, answer.status()),
            Ok(Err(error)) => Said::Later(format!("{url} does not answer: {error}")),
            Err(_) => Said::Later(format!("{url} did not answer within {DEADLINE:?}")),
        }
    }
}

/// What a status means: a server that is busy, starting or not done yet has not said no.
fn meaning(url: &str, status: StatusCode) -> Said {
    let words = || format!("{url} answered {status}");
    match status {
        StatusCode::ACCEPTED
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => Said::Later(words()),
        status if status.is_success() => Said::Yes,
        status if status.is_server_error() => Said::Later(words()),
        _ => Said::No(words()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_status_is_a_yes_a_no_or_neither() {
        let of = |code: u16| meaning("u", StatusCode::from_u16(code).unwrap());
        assert_eq!(of(200), Said::Yes);
        assert_eq!(of(204), Said::Yes);
        for later in [202, 408, 425, 429, 500, 503] {
            assert!(matches!(of(later), Said::Later(_)), "{later}");
        }
        for no in [301, 400, 403, 404, 422] {
            assert_eq!(of(no), Said::No(format!("u answered {}", StatusCode::from_u16(no).unwrap())));
        }
    }

    #[tokio::test]
    async fn it_posts_what_it_is_given_and_nobody_there_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/run", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 4096];
            let mut seen = String::new();
            while !seen.contains("half") {
                let count = stream.read(&mut read).await.unwrap();
                seen.push_str(std::str::from_utf8(&read[..count]).unwrap());
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            seen
        });
        let caller = Caller::new().unwrap();
        assert_eq!(caller.ask(&url, r#"{"step":"half"}"#.to_owned()).await, Said::Yes);
        let seen = served.await.unwrap();
        assert!(seen.starts_with("POST /run HTTP/1.1") && seen.contains("application/json"), "{seen}");
        assert!(matches!(caller.ask(&url, String::new()).await, Said::Later(_)), "nobody is there any more");
    }
}
