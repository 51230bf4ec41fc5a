//! The answers to probes.
//!
//! In: named checks, each a function that says what is wrong. Out: `/healthz` and `/readyz`, in the form of the
//! API server's own: `ok`, or one line a check where one fails or `?verbose` asks for it. Nothing here can change
//! anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::metrics::Metrics;

/// What says that all is well, or what is wrong.
type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Named checks; cloning shares them.
#[derive(Clone, Default)]
pub struct Checks(Arc<Mutex<Vec<(String, Check)>>>);

impl Checks {
    /// Adds a check, which is asked at each probe and must not block. One of the same name gives way.
    pub fn add(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks.retain(|(other, _)| other != name);
        checks.push((name.to_owned(), Arc::new(check)));
    }

    /// A check that fails with these words until it is done.
    pub fn step(&self, name: &str, pending: &'static str) -> Step {
        let step = Step(Arc::new(Mutex::new(Some(pending))));
        let held = step.clone();
        self.add(name, move || held.0.lock().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), fails));
        step
    }

    /// A check that fails when [`Pulse::beat`] was not called for `limit`. It goes with the pulse: a loop that has
    /// ended as it should is not stuck.
    pub fn pulse(&self, name: &str, limit: Duration) -> Pulse {
        let last = Arc::new(Mutex::new(Instant::now()));
        let held = Arc::clone(&last);
        self.add(name, move || {
            let still = held.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if still < limit { Ok(()) } else { Err(format!("stands still for {} s", still.as_secs())) }
        });
        Pulse { checks: self.clone(), name: name.to_owned(), last }
    }

    /// Whether all of them hold.
    pub fn hold(&self) -> bool {
        self.ask().iter().all(|(_, said)| said.is_ok())
    }

    /// Each check with what it says.
    fn ask(&self) -> Vec<(String, Result<(), String>)> {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        checks.into_iter().map(|(name, check)| (name, check())).collect()
    }
}

fn fails(words: &'static str) -> Result<(), String> {
    Err(words.to_owned())
}

/// Something that has to happen before, or must not have happened; cloning shares it.
#[derive(Debug, Clone)]
pub struct Step(Arc<Mutex<Option<&'static str>>>);

impl Step {
    /// From now on the check holds.
    pub fn done(&self) {
        self.set(None);
    }

    /// From now on the check fails with these words.
    pub fn failed(&self, words: &'static str) {
        self.set(Some(words));
    }

    fn set(&self, state: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// A loop's sign of life.
pub struct Pulse {
    checks: Checks,
    name: String,
    last: Arc<Mutex<Instant>>,
}

impl Pulse {
    /// The loop has turned.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.checks.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(other, _)| *other != self.name);
    }
}

/// The routes for probes.
pub fn probes(live: Checks, ready: Checks) -> Router {
    let route = |name: &'static str, checks: Checks| {
        get(move |RawQuery(query): RawQuery| async move { answer(name, &checks.ask(), query.as_deref()) })
    };
    Router::new().route("/healthz", route("healthz", live)).route("/readyz", route("readyz", ready))
}

fn answer(name: &str, found: &[(String, Result<(), String>)], query: Option<&str>) -> (StatusCode, String) {
    let good = found.iter().all(|(_, said)| said.is_ok());
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose =
        query.is_some_and(|query| query.split('&').any(|word| word.split('=').next() == Some("verbose")));
    if good && !verbose {
        return (status, "ok".to_owned());
    }
    let line = |(check, said): &(String, Result<(), String>)| match said {
        Ok(()) => format!("[+]{check} ok\n"),
        Err(words) => format!("[-]{check} failed: {words}\n"),
    };
    let lines: String = found.iter().map(line).collect();
    let verdict = if good { "passed" } else { "failed" };
    (status, format!("{lines}{name} check {verdict}\n"))
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The route for metrics.
pub fn metrics(metrics: Metrics) -> Router {
    let show = move || async move {
        ([(axum::http::header::CONTENT_TYPE, OPENMETRICS)], metrics.text()).into_response()
    };
    Router::new().route("/metrics", get(show))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    async fn get(routes: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (head, body) = routes.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_says_what_is_missing() {
        let (live, ready) = (Checks::default(), Checks::default());
        let routes = probes(live, ready.clone());
        assert_eq!(get(&routes, "/readyz").await, (200, "ok".into()));
        let stores = ready.step("stores", "waiting for the first list");
        let going = ready.step("going", "");
        going.done();
        let said = "[-]stores failed: waiting for the first list\n[+]going ok\nreadyz check failed\n";
        assert_eq!(get(&routes, "/readyz").await, (503, said.into()));
        stores.done();
        assert_eq!(get(&routes, "/readyz").await, (200, "ok".into()));
        let said = "[+]stores ok\n[+]going ok\nreadyz check passed\n";
        assert_eq!(get(&routes, "/readyz?verbose").await, (200, said.into()));
        going.failed("the process is stopping");
        assert_eq!(get(&routes, "/readyz").await.0, 503);
        assert_eq!(get(&routes, "/healthz").await.0, 200, "what is not ready is not sick");
    }

    #[tokio::test]
    async fn a_loop_that_stands_still_makes_the_process_sick() {
        let live = Checks::default();
        let pulse = live.pulse("lease", Duration::from_secs(10));
        let routes = probes(live, Checks::default());
        assert_eq!(get(&routes, "/healthz").await.0, 200);
        *pulse.last.lock().unwrap() -= Duration::from_secs(11);
        let (status, said) = get(&routes, "/healthz").await;
        assert!(status == 503 && said.starts_with("[-]lease failed: stands still for 11 s"), "{said}");
        pulse.beat();
        assert_eq!(get(&routes, "/healthz").await.0, 200);
        *pulse.last.lock().unwrap() -= Duration::from_secs(11);
        drop(pulse);
        assert_eq!(get(&routes, "/healthz").await.0, 200, "it has ended");
    }

    #[tokio::test]
    async fn metrics_are_served() {
        let (status, said) = get(&metrics(Metrics::new("x")), "/metrics").await;
        assert!(status == 200 && said.ends_with("# EOF\n"), "{said}");
    }
}
