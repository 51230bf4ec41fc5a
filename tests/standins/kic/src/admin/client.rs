//! Requests to one admin API, over connections that are kept.
//! In: a path, perhaps a body. Out: status and body. Never judges the answer.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoints::Endpoint;
use super::tls;
use crate::settings::Settings;

type Sender = SendRequest<Full<Bytes>>;

/// Connections that may wait for the next request.
const IDLE: usize = 4;
/// How Go names itself where KIC does not.
const GO: &str = "Go-http-client/1.1";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body, unpacked.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON, null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// One admin API.
pub struct Client {
    /// Its URL, without a path.
    pub base: String,
    address: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    agent: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    idle: Mutex<Vec<Sender>>,
}

impl Client {
    /// A client of an endpoint; certificates are read now.
    ///
    /// # Errors
    /// Where certificates, the URL or a header cannot be used.
    pub fn new(settings: &Settings, endpoint: &Endpoint) -> Result<Self, String> {
        let url: Uri = endpoint.base.parse().map_err(|error| format!("{}: {error}", endpoint.base))?;
        let host = url.host().unwrap_or_default().to_owned();
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let own = Some(settings.text("kong-admin-tls-server-name")).filter(|name| !name.is_empty());
        let name = endpoint.name.as_deref().or(own).unwrap_or(&host).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|error| error.to_string());
        let tls = if secure { Some((tls::client(settings)?, name?)) } else { None };
        Ok(Self {
            base: endpoint.base.clone(),
            address: format!("{host}:{port}"),
            tls,
            agent: format!("kong-ingress-controller/{}", settings.release_text),
            headers: headers(settings)?,
            timeout: settings.seconds("proxy-timeout-seconds"),
            idle: Mutex::default(),
        })
    }

    /// `GET`, named as KIC's own client.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.ask(Method::GET, path, None).await
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// Where there is no answer in time.
    pub async fn post(&self, path: &str, body: String) -> Result<Answer, String> {
        self.ask(Method::POST, path, Some(Bytes::from(body))).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer, String> {
        let what = format!("{method} {}{path}", self.base);
        let done = tokio::time::timeout(self.timeout, async {
            // A connection that was kept may be closed by now: a new one decides.
            if let Some(sender) = self.kept().await
                && let Ok(answer) = self.exchange(sender, self.request(&method, path, body.clone())?).await
            {
                return Ok(answer);
            }
            let sender = self.connect().await?;
            self.exchange(sender, self.request(&method, path, body)?).await
        });
        match done.await {
            Err(_) => Err(format!("{what}: context deadline exceeded")),
            Ok(answer) => answer.map_err(|error| format!("{what}: {error}")),
        }
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, String> {
        // Pushes bypass the client that adds KIC's name.
        let agent = if path.starts_with("/config") { GO } else { &self.agent };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(USER_AGENT, agent)
            .header(ACCEPT_ENCODING, "gzip");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body.unwrap_or_default())).map_err(|error| error.to_string())
    }

    async fn kept(&self) -> Option<Sender> {
        let mut sender = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        sender.ready().await.ok().map(|()| sender)
    }

    async fn exchange(&self, mut sender: Sender, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let response = sender.send_request(request).await.map_err(|error| chain(&error))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| chain(&error))?.to_bytes();
        let packed = head.headers.get(CONTENT_ENCODING).is_some_and(|kind| kind == "gzip");
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE && !sender.is_closed() {
            idle.push(sender);
        }
        drop(idle);
        Ok(Answer { status: head.status, body: if packed { unpack(&body)? } else { body } })
    }

    async fn connect(&self) -> Result<Sender, String> {
        let stream = TcpStream::connect(&self.address).await.map_err(|error| format!("dial tcp: {error}"))?;
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => handshake(stream).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let stream =
                    connector.connect(name.clone(), stream).await.map_err(|error| format!("tls: {error}"))?;
                handshake(stream).await
            }
        }
    }
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Sender, String> {
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true);
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    tokio::spawn(connection);
    Ok(sender)
}

/// The headers that the settings add.
fn headers(settings: &Settings) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for header in settings.list("kong-admin-header") {
        let (name, value) =
            header.split_once(':').ok_or_else(|| format!("{header:?} is no header: expected k:v"))?;
        pairs.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let token = match (settings.text("kong-admin-token"), settings.text("kong-admin-token-file")) {
        ("", "") => String::new(),
        ("", file) => std::fs::read_to_string(file).map_err(|error| format!("open {file}: {error}"))?,
        (token, _) => token.to_owned(),
    };
    if !token.is_empty() {
        pairs.push(("Kong-Admin-Token".to_owned(), token.trim().to_owned()));
    }
    let typed = |(name, value): (String, String)| {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        Ok((name, HeaderValue::try_from(value).map_err(|error| error.to_string())?))
    };
    pairs.into_iter().map(typed).collect()
}

fn unpack(packed: &[u8]) -> Result<Bytes, String> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain).map_err(|error| error.to_string())?;
    Ok(Bytes::from(plain))
}

/// An error with its causes, since hyper's own text is short.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
