//! The listeners for probes and metrics.
//!
//! `/healthz` says that the process serves; `/readyz` that its watch stores are warm; `/metrics` is in the
//! OpenMetrics text format. Nothing here can change anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the process is ready; cloning shares the flag.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether it is ready from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The routes for probes.
pub fn probes(readiness: Readiness) -> Router {
    let ready = move || async move {
        if readiness.get() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") }
    };
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready))
}

/// The route for metrics.
pub fn metrics(metrics: Metrics) -> Router {
    let show = move || async move { ([(header::CONTENT_TYPE, OPENMETRICS)], metrics.text()).into_response() };
    Router::new().route("/metrics", get(show))
}

/// Serves `routes` on `address`; it ends with the process.
///
/// # Errors
/// When the address cannot be bound or the listener fails.
pub async fn serve(address: SocketAddr, routes: Router) -> std::io::Result<()> {
    let listener = bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    axum::serve(listener, routes).await
}

/// All addresses of a node without IPv6 are those of IPv4.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let all = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match TcpListener::bind(address).await {
        Err(_) if all => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await,
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    async fn status(routes: Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        routes.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn ready_follows_the_flag_and_health_does_not() {
        let readiness = Readiness::default();
        assert_eq!(status(probes(readiness.clone()), "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(probes(readiness.clone()), "/healthz").await, StatusCode::OK);
        readiness.set(true);
        assert_eq!(status(probes(readiness), "/readyz").await, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_served() {
        assert_eq!(status(metrics(Metrics::new("x")), "/metrics").await, StatusCode::OK);
    }
}
