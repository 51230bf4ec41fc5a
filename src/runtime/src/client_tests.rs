//! The client against an API server of the test's own, over real connections.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use crds::k8s::{Lease, Pod};
use kube::api::Api;
use tokio::net::TcpListener;

use super::*;

/// What a request was answered with, and when.
type Seen = Arc<Mutex<Vec<(Instant, String)>>>;

/// A server that gives these answers in turn, and then says that nothing exists.
async fn server(answers: Vec<(u16, &'static str)>) -> (http::Uri, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let seen = Seen::default();
    let (answers, log) = (Arc::new(Mutex::new(VecDeque::from(answers))), Arc::clone(&seen));
    let answer = move |request: Request| {
        let (status, after) = answers.lock().unwrap().pop_front().unwrap_or((404, ""));
        log.lock().unwrap().push((Instant::now(), request.uri().path().to_owned()));
        async move { refusal(status, after) }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (address, seen)
}

fn refusal(status: u16, after: &str) -> Response {
    let reason = if status == 404 { "NotFound" } else { "No" };
    let words =
        format!(r#"{{"kind":"Status","status":"Failure","message":"","reason":"{reason}","code":{status}}}"#);
    let status = StatusCode::from_u16(status).unwrap();
    if after.is_empty() {
        return (status, words).into_response();
    }
    (status, [(header::RETRY_AFTER, after.to_owned())], words).into_response()
}

fn client(address: http::Uri) -> (Client, Metrics) {
    let metrics = Metrics::new("x");
    (make(Config::new(address), &metrics).unwrap(), metrics)
}

fn has(metrics: &Metrics, line: &str) {
    let text = metrics.text();
    assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
}

#[tokio::test]
async fn requests_are_counted_by_what_they_were_answered() {
    let (address, _) = server(vec![(403, ""), (500, "")]).await;
    let (client, metrics) = client(address);
    let pods: Api<Pod> = Api::namespaced(client, "a");
    assert!(pods.get("b").await.is_err() && pods.get("b").await.is_err());
    assert!(pods.get_opt("b").await.unwrap().is_none());
    for code in ["403", "500", "404"] {
        has(
            &metrics,
            &format!(
                r#"silverback_api_requests_total{{verb="get",group="",resource="pods",code="{code}"}} 1"#
            ),
        );
    }
    has(&metrics, r#"silverback_api_request_duration_seconds_count{verb="get",group="",resource="pods"} 3"#);
}

#[tokio::test]
async fn a_request_without_an_answer_is_counted_as_that() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (client, metrics) = client(format!("http://{closed}").parse().unwrap());
    assert!(Api::<Pod>::all(client).get("b").await.is_err());
    has(&metrics, r#"silverback_api_requests_total{verb="get",group="",resource="pods",code="error"} 1"#);
}

#[tokio::test]
async fn the_process_waits_when_the_api_server_asks_for_it_and_the_lease_does_not() {
    for status in [429, 503] {
        let (address, seen) = server(vec![(status, "1")]).await;
        let (client, metrics) = client(address);
        let (pods, leases) =
            (Api::<Pod>::namespaced(client.clone(), "a"), Api::<Lease>::namespaced(client, "a"));
        assert!(pods.get("b").await.is_err());
        let asked = Instant::now();
        let (pod, lease) = tokio::join!(pods.get_opt("b"), leases.get_opt("c"));
        assert!(pod.unwrap().is_none() && lease.unwrap().is_none());
        let seen = seen.lock().unwrap().clone();
        let after = |name: &str| {
            let (at, _) = seen.iter().skip(1).find(|(_, path)| path.ends_with(name)).unwrap();
            at.saturating_duration_since(asked)
        };
        assert!(after("/leases/c") < Duration::from_millis(500), "{:?}", after("/leases/c"));
        assert!(after("/pods/b") > Duration::from_millis(900), "{:?}", after("/pods/b"));
        has(&metrics, "silverback_api_holds_total 1");
    }
}

#[tokio::test]
async fn without_a_word_of_waiting_nothing_waits() {
    let (address, seen) = server(vec![(429, ""), (500, "5"), (429, "0")]).await;
    let (client, _) = client(address);
    let pods: Api<Pod> = Api::namespaced(client, "a");
    for _ in 0..50 {
        // The errors are what was asked for.
        drop(pods.get_opt("b").await);
    }
    let seen = seen.lock().unwrap().clone();
    let (first, last) = (seen.first().unwrap().0, seen.last().unwrap().0);
    assert!(
        seen.len() == 50 && last - first < Duration::from_secs(2),
        "there is no rate limit: {:?}",
        last - first
    );
}
