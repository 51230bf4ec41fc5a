//! Traces, where somebody asked for them: a span for each reconcile, and within it one for each request to the API
//! server, exported by OTLP as protobuf over HTTP.
//!
//! In: the address of a collector, or the standard variables of OpenTelemetry. Out: batches of spans, sent from a
//! thread of their own. Never: anything at all where nothing was asked for, or a reconcile that waits for a
//! collector; what it does not take in time is dropped.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tokio::runtime::Handle;

use crate::run::Failed;

/// How the process calls itself where nobody gave it another name.
const SERVICE: &str = "silverback";
/// The standard variables that ask for traces.
const STANDARD: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Where a collector takes traces, after its own address.
const PATH: &str = "/v1/traces";
/// How long a batch may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last batch.
const FAREWELL: Duration = Duration::from_secs(3);
/// Longest answer that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// The export, until it is told to end.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to export to `endpoint`, or to where the standard variables say; `None` where neither is set.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn start(
        endpoint: Option<&str>,
        version: &'static str,
        runtime: &Handle,
    ) -> Result<Option<Self>, Failed> {
        let standard =
            STANDARD.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        if endpoint.is_none() && !standard {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().with_http_client(Sender::new(runtime.clone())?);
        let exporter = match endpoint {
            Some(endpoint) => exporter.with_endpoint(address(endpoint)?),
            None => exporter,
        };
        let exporter = exporter.with_timeout(DEADLINE).build()?;
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(version));
        Ok(Some(Self(provider.build())))
    }

    /// What makes the spans.
    pub fn tracer(&self) -> Tracer {
        self.0.tracer(SERVICE)
    }

    /// Sends what is left, and ends.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FAREWELL) {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}

/// The address of a collector's traces.
fn address(endpoint: &str) -> Result<String, Failed> {
    let web = endpoint.starts_with("http://") || endpoint.starts_with("https://");
    if !web {
        return Err(format!("--otlp-endpoint {endpoint:?} is no address as in http://collector:4318").into());
    }
    Ok(format!("{}{PATH}", endpoint.trim_end_matches('/')))
}

/// Who the spans are of; the standard variables have the last word.
fn resource(version: &'static str) -> Resource {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    if !set("OTEL_SERVICE_NAME") {
        resource = resource.with_service_name(SERVICE);
    }
    if let Ok(pod) = std::env::var("POD_NAME") {
        resource = resource.with_attribute(KeyValue::new("k8s.pod.name", pod));
    }
    resource.build()
}

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends on the process's own runtime, whatever thread a batch comes from.
#[derive(Clone)]
struct Sender {
    client: Http,
    runtime: Handle,
}

impl Sender {
    fn new(runtime: Handle) -> Result<Self, Failed> {
        let connector =
            HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), runtime })
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

async fn exchange(client: Http, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl HttpClient for Sender {
    /// Written as the trait's macro would.
    fn send_bytes<'a, 'async_trait>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        let Self { client, runtime } = self.clone();
        let sent =
            runtime.spawn(async move { tokio::time::timeout(DEADLINE, exchange(client, request)).await });
        Box::pin(async move { sent.await?? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use opentelemetry::trace::{Span as _, Tracer as _};

    use super::*;

    #[test]
    fn a_collector_that_never_answers_holds_nothing_up() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Connections are taken by the kernel, and nobody reads from them.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let traces = Traces::start(Some(&endpoint), "x", runtime.handle()).unwrap().unwrap();
        let (maker, began) = (traces.tracer(), Instant::now());
        for _ in 0..10_000 {
            maker.start("reconcile").end();
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        traces.end();
        assert!(began.elapsed() < FAREWELL * 2, "{:?}", began.elapsed());
    }

    #[test]
    fn without_an_address_there_are_no_traces() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(Traces::start(None, "x", runtime.handle()).unwrap().is_none());
    }

    #[test]
    fn an_address_is_completed_as_that_of_the_standard_variable() {
        for given in ["http://collector:4318", "http://collector:4318/"] {
            assert_eq!(address(given).unwrap(), "http://collector:4318/v1/traces");
        }
        assert_eq!(address("https://a/b").unwrap(), "https://a/b/v1/traces");
        assert!(address("collector:4318").unwrap_err().to_string().contains("http://collector:4318"));
    }
}
