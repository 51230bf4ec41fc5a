//! The answers: echo, `/status/NNN`, `/delay/MS`, WebSocket.
//! In: one request. Out: one response. Never fails but on purpose.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::TaskTracker;

/// Where this backend runs, from the downward API.
#[derive(Debug, Default)]
pub struct Place {
    pod: String,
    namespace: String,
    node: String,
}

impl Place {
    /// `POD_NAME`, `NAMESPACE`, `NODE_NAME`; the pod falls back to the host's name.
    pub fn from_environment() -> Self {
        let read = |name: &str| std::env::var(name).unwrap_or_default();
        let named = Some(read("POD_NAME")).filter(|name| !name.is_empty());
        Self {
            pod: named.unwrap_or_else(|| read("HOSTNAME")),
            namespace: read("NAMESPACE"),
            node: read("NODE_NAME"),
        }
    }
}

/// Answers one request.
pub async fn answer(
    place: Arc<Place>,
    tasks: TaskTracker,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response =
        match request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes())) {
            Some(accept) => switch(&mut request, &accept, &tasks),
            None => plain(&place, request).await,
        };
    if let Ok(pod) = HeaderValue::from_str(&place.pod) {
        response.headers_mut().insert("x-echo-pod", pod);
    }
    Ok(response)
}

async fn plain(place: &Place, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let mut status = StatusCode::OK;
    let mut parts = head.uri.path().split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some("status"), Some(code)) => status = code.parse().unwrap_or(StatusCode::BAD_REQUEST),
        (Some("delay"), Some(millis)) => {
            tokio::time::sleep(Duration::from_millis(millis.parse().unwrap_or(0))).await;
        }
        _ => {}
    }
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let echo = echo(place, &head, &String::from_utf8_lossy(&body));
    let mut response = Response::new(Full::new(Bytes::from(echo.to_string() + "\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn echo(place: &Place, head: &hyper::http::request::Parts, body: &str) -> Value {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let all = headers.entry(name.as_str()).or_default();
        *all = if all.is_empty() { value.into_owned() } else { format!("{all}, {value}") };
    }
    let host = head.headers.get(HOST).and_then(|value| value.to_str().ok()).or_else(|| authority(&head.uri));
    json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query().unwrap_or_default(),
        "host": host.unwrap_or_default(),
        "headers": headers,
        "body": body,
        "pod": place.pod,
        "namespace": place.namespace,
        "node": place.node,
    })
}

fn authority(uri: &Uri) -> Option<&str> {
    uri.authority().map(hyper::http::uri::Authority::as_str)
}

/// Switches to WebSocket and echoes frames until the caller closes.
fn switch(request: &mut Request<Incoming>, accept: &str, tasks: &TaskTracker) -> Response<Full<Bytes>> {
    let upgrade = hyper::upgrade::on(request);
    tasks.spawn(async move {
        let Ok(stream) = upgrade.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}
