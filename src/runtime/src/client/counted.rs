//! The layer around kube's client: what every request has in common.
//!
//! In: requests. Out: the same, counted, timed and in a span, after the wait that the API server may have asked
//! for, and without an answer for a minute given up. Never: a changed request or answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};
use tracing::{Instrument, Span, field};

use super::call::Call;
use super::hold::Hold;
use crate::metrics::Metrics;

/// How long an answer may take to begin, that of a watch too. The API server gives up a request after a minute
/// (its `--request-timeout`), so nothing comes after that.
const ANSWER: Duration = Duration::from_secs(65);

/// Makes [`Counted`] of a service.
pub struct Count {
    /// Counts.
    pub metrics: Metrics,
    /// Shared by all requests of the process.
    pub hold: Hold,
}

impl<S> Layer<S> for Count {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.metrics.clone(), hold: self.hold.clone() }
    }
}

/// A service whose requests are counted.
pub struct Counted<S> {
    inner: S,
    metrics: Metrics,
    hold: Hold,
}

type Answered<B> = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Answered<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answered<B> {
        let call = Call::of(request.method(), request.uri());
        let span = span(&call);
        let told = span.clone();
        let (metrics, hold) = (self.metrics.clone(), self.hold.clone());
        // kube's services send nothing before their future is polled, so it may wait here.
        let sent = span.in_scope(|| self.inner.call(request));
        let exchange = async move {
            if !call.is_of_lease() {
                hold.passed().await;
            }
            let began = Instant::now();
            let late = |_| Err(format!("the API server did not answer within {} s", ANSWER.as_secs()).into());
            let answer = tokio::time::timeout(ANSWER, sent).await.unwrap_or_else(late);
            let status = answer.as_ref().ok().map(Response::status);
            record(&told, status);
            let code = status.map_or("error".to_owned(), |status| status.as_u16().to_string());
            metrics.requested(&call, code, began.elapsed());
            if let Ok(answer) = &answer {
                note(&hold, &metrics, &call, answer);
            }
            answer
        };
        Box::pin(exchange.instrument(span))
    }
}

/// Only within another span, such as that of a reconcile: watches and the lease belong to none.
fn span(call: &Call) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::debug_span!(
        "api",
        otel.name = format!("{} {}", call.verb, call.resource),
        otel.kind = "client",
        k8s.verb = call.verb,
        k8s.group = call.group,
        k8s.resource = call.resource,
        http.response.status_code = field::Empty,
        otel.status_code = field::Empty,
    )
}

fn record(span: &Span, status: Option<StatusCode>) {
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    }
    if status.is_none_or(|status| status.is_client_error() || status.is_server_error()) {
        span.record("otel.status_code", "ERROR");
    }
}

fn note<B>(hold: &Hold, metrics: &Metrics, call: &Call, answer: &Response<B>) {
    // A watch is asked to wait while the API server sets up the store of its one resource, as it does for a
    // definition that has just been made: that says nothing about other requests, and watches have pauses of
    // their own.
    if call.is_eviction() || call.verb == "watch" {
        return;
    }
    if let Some(pause) = hold.note(answer.status(), answer.headers()) {
        metrics.held();
        let Call { verb, resource, .. } = call;
        tracing::warn!(
            verb,
            resource,
            status = answer.status().as_u16(),
            ?pause,
            "the API server asks to wait"
        );
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_request_waits_for_ever() {
        let never =
            tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
        let metrics = Metrics::new("x");
        let counted = Count { metrics: metrics.clone(), hold: Hold::default() }.layer(never);
        let began = Instant::now();
        let request = Request::get("/api/v1/pods?watch=true").body(Body::empty()).unwrap();
        let error = counted.oneshot(request).await.map(drop).unwrap_err();
        assert_eq!(error.to_string(), "the API server did not answer within 65 s");
        assert_eq!(began.elapsed().as_secs(), ANSWER.as_secs());
        let line = r#"silverback_api_requests_total{verb="watch",group="",resource="pods",code="error"} 1"#;
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
}
