//! `/healthz`, `/readyz` and `/metrics`, over plain HTTP.
//! In: requests. Out: answers. Never waits for anything.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Answer, bind, text};

const PLAIN: &str = "text/plain; charset=utf-8";

/// What these listeners ask.
pub trait Asked: Send + Sync + 'static {
    /// Whether the process is ready.
    fn ready(&self) -> bool;
    /// Its figures.
    fn figures(&self) -> String;
}

/// Which listener it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `/healthz` and `/readyz`.
    Health,
    /// `/metrics`.
    Metrics,
}

/// Listens for ever.
///
/// # Errors
/// Where the address cannot be had.
pub async fn listen(address: String, role: Role, asked: Arc<dyn Asked>) -> Result<(), String> {
    serve(bind(&address).await?, role, asked).await
}

async fn serve(listener: TcpListener, role: Role, asked: Arc<dyn Asked>) -> Result<(), String> {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let asked = Arc::clone(&asked);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(role, &*asked, request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            // A caller that goes away is its own affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(role: Role, asked: &dyn Asked, path: &str) -> Answer {
    match (role, path) {
        (Role::Health, "/healthz") => text(StatusCode::OK, PLAIN, "ok"),
        (Role::Health, "/readyz") if asked.ready() => text(StatusCode::OK, PLAIN, "ok"),
        (Role::Health, "/readyz") => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            PLAIN,
            "[-]check failed: reason withheld\nreadyz check failed\n",
        ),
        (Role::Metrics, "/metrics") => {
            text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", asked.figures())
        }
        _ => text(StatusCode::NOT_FOUND, PLAIN, "404 page not found\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ready(bool);

    impl Asked for Ready {
        fn ready(&self) -> bool {
            self.0
        }
        fn figures(&self) -> String {
            "a 1\n".into()
        }
    }

    #[test]
    fn a_failing_check_is_500() {
        let status = |role, ready, path| answer(role, &Ready(ready), path).status().as_u16();
        assert_eq!(status(Role::Health, false, "/readyz"), 500);
        assert_eq!(status(Role::Health, true, "/readyz"), 200);
        assert_eq!(status(Role::Health, false, "/healthz"), 200);
        assert_eq!(status(Role::Metrics, false, "/metrics"), 200);
        assert_eq!(status(Role::Metrics, false, "/healthz"), 404);
    }
}
