//! KIC's admission webhook.
//! In: reviews over TLS, with a certificate that is read again for each connection. Out: verdicts. Routes are tried on a
//! ready instance of Kong; without one they are let through. A kind that is not known is answered with 500.

pub mod judge;

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Answer, bind, text};
use crate::admin::tls;
use crate::log;
use crate::settings::Settings;
use crate::shared::Shared;

/// Where the certificate is unless the settings say otherwise.
const FOLDER: &str = "/admission-webhook";

/// The certificate of the webhook.
pub struct Certificate {
    settings: Arc<Settings>,
    /// The last one that could be used.
    last: Mutex<Option<Arc<ServerConfig>>>,
}

impl Certificate {
    /// Reads the certificate for the first time.
    ///
    /// # Errors
    /// Where it cannot be read, which ends KIC.
    pub fn load(settings: &Arc<Settings>) -> Result<Self, String> {
        let config = read(settings).map_err(|error| format!("failed to set up admission server: {error}"))?;
        Ok(Self { settings: Arc::clone(settings), last: Mutex::new(Some(config)) })
    }

    /// The certificate as it is now; while it cannot be read, as it was.
    fn now(&self) -> Option<Arc<ServerConfig>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.settings) {
            Ok(config) => *last = Some(config),
            Err(error) => log::error(&format!("failed to reload the webhook's certificate: {error}")),
        }
        last.clone()
    }
}

fn read(settings: &Settings) -> Result<Arc<ServerConfig>, String> {
    let pem = |flag: &str, file: &str| -> Result<String, String> {
        let inline = settings.text(flag);
        if !inline.is_empty() {
            return Ok(inline.to_owned());
        }
        let named = settings.text(&format!("{flag}-file"));
        let path = if named.is_empty() { Path::new(FOLDER).join(file) } else { named.into() };
        std::fs::read_to_string(&path).map_err(|error| format!("open {}: {error}", path.display()))
    };
    let chain = tls::chain(&pem("admission-webhook-cert", "tls.crt")?)?;
    let key = tls::key_of(&pem("admission-webhook-key", "tls.key")?)?;
    let config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config))
}

/// Listens for ever.
///
/// # Errors
/// Where the address cannot be had.
pub async fn listen(shared: Arc<Shared>, certificate: Arc<Certificate>) -> Result<(), String> {
    let listener = bind(shared.settings.text("admission-webhook-listen")).await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, certificate) = (Arc::clone(&shared), Arc::clone(&certificate));
        tokio::spawn(async move { connection(shared, &certificate, stream).await });
    }
}

async fn connection(shared: Arc<Shared>, certificate: &Certificate, stream: TcpStream) {
    let Some(config) = certificate.now() else { return };
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    // A caller that goes away is its own affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    const PLAIN: &str = "text/plain; charset=utf-8";
    let Ok(body) = request.into_body().collect().await else {
        return text(StatusCode::BAD_REQUEST, PLAIN, "admission review object is missing\n");
    };
    let Ok(review) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return text(StatusCode::BAD_REQUEST, PLAIN, "failed to decode AdmissionReview\n");
    };
    match judge::judge(shared, &review).await {
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n")),
        Ok(verdict) => {
            let uid = review.pointer("/request/uid").cloned().unwrap_or_default();
            let mut response = json!({"uid": uid, "allowed": verdict.is_ok()});
            if let (Err(message), Some(object)) = (verdict, response.as_object_mut()) {
                object.insert("status".to_owned(), json!({"code": 400, "message": message}));
            }
            let review =
                json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
            text(StatusCode::OK, "application/json", review.to_string())
        }
    }
}
