//! A collector of traces that keeps what it is sent.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use cluster::Cluster;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Attributes by name, as text.
pub type Attributes = BTreeMap<String, String>;

/// What was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Path and content type of each request.
    pub requests: Vec<(String, String)>,
    /// Attributes of the senders.
    pub resources: Vec<Attributes>,
    /// The spans, in the order in which they came.
    pub spans: Vec<Span>,
}

/// A listener in the box; cloning shares what it was sent.
#[derive(Clone)]
pub struct Collector {
    sent: Arc<Mutex<Sent>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Collector {
    /// Listens on a free port of the first node.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let listener = cluster.listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let collector = Self { sent: Arc::default(), address: listener.local_addr()? };
        let shared = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collector = shared.clone();
                let answer = service_fn(move |request| collector.clone().take(request));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(connection);
            }
        });
        Ok(collector)
    }

    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let text = |name| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let decoded = match body.collect().await {
            Ok(body) => ExportTraceServiceRequest::decode(body.to_bytes()).ok(),
            Err(_) => None,
        };
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.requests.push((head.uri.path().to_owned(), text("content-type")));
        for of_resource in decoded.into_iter().flat_map(|decoded| decoded.resource_spans) {
            sent.resources.extend(of_resource.resource.map(|resource| attributes(&resource.attributes)));
            sent.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        Ok(Response::new(Full::default()))
    }
}

/// Attributes as text.
pub fn attributes(pairs: &[KeyValue]) -> Attributes {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(text).unwrap_or_default())).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}
