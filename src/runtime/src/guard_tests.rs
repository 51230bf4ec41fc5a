//! The guard over an API server of the test's own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::routing::get;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

/// An API server that knows `good` and `poor`, of whom the first may read `/metrics`; it is broken for `broken`.
fn server(asked: Arc<AtomicUsize>) -> Client {
    let answer = move |request: axum::http::Request<kube::client::Body>| {
        asked.fetch_add(1, Ordering::Relaxed);
        async move {
            let bytes = request.into_body().collect_bytes().await.unwrap();
            let question: Value = serde_json::from_slice(&bytes).unwrap();
            let token = question["spec"]["token"].as_str().unwrap_or_default().to_owned();
            if token == "broken" {
                return Err(std::io::Error::other("no route"));
            }
            let status = if question["kind"] == "TokenReview" {
                let user = json!({ "username": token, "groups": ["g"], "uid": "u", "extra": { "k": ["v"] } });
                json!({ "authenticated": token != "unknown", "user": user })
            } else {
                let spec = &question["spec"];
                assert_eq!(spec["groups"], json!(["g"]));
                assert_eq!((&spec["uid"], &spec["extra"]), (&json!("u"), &json!({ "k": ["v"] })));
                let right = json!({ "path": "/metrics", "verb": "get" });
                json!({ "allowed": spec["user"] == "good" && spec["nonResourceAttributes"] == right })
            };
            let mut answer = question;
            answer["status"] = status;
            Ok(axum::http::Response::new(kube::client::Body::from(answer.to_string().into_bytes())))
        }
    };
    Client::new(tower::service_fn(answer), "ns")
}

struct World {
    asked: Arc<AtomicUsize>,
    guard: Guard,
    routes: Router,
}

fn world() -> World {
    let asked = Arc::new(AtomicUsize::new(0));
    let guard = Guard::new(server(Arc::clone(&asked)));
    let routes =
        Router::new().route("/metrics", get(|| async { "numbers" })).route("/other", get(|| async { "" }));
    World { asked, routes: guard.clone().protect(routes), guard }
}

impl World {
    async fn get(&self, path: &str, authorization: Option<&str>) -> (u16, String) {
        let mut request = Request::get(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let answer = self.routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let challenge = answer.headers().get("www-authenticate").is_some();
        let status = answer.status().as_u16();
        assert_eq!(challenge, status == 401);
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn only_who_may_read_them_gets_the_numbers() {
    let w = world();
    assert_eq!(w.get("/metrics", Some("Bearer good")).await, (200, "numbers".into()));
    assert_eq!(w.get("/metrics", Some("bearer good")).await.0, 200, "schemes have no case");
    for none in [None, Some("good"), Some("Basic good"), Some("Bearer "), Some("Bearer")] {
        let (status, words) = w.get("/metrics", none).await;
        assert!(status == 401 && words.contains("a bearer token is needed"), "{none:?}: {words}");
    }
    let (status, words) = w.get("/metrics", Some("Bearer unknown")).await;
    assert!(status == 401 && words.contains("does not know this token"), "{words}");
    let (status, words) = w.get("/metrics", Some("Bearer poor")).await;
    assert!(status == 403 && words.contains("\"poor\" may not get /metrics"), "{words}");
    assert_eq!(w.get("/other", Some("Bearer good")).await.0, 403, "each path is a right of its own");
    let (status, words) = w.get("/metrics", Some("Bearer broken")).await;
    assert!(status == 503 && words.contains("could not be asked"), "{words}");
}

#[tokio::test]
async fn answers_are_remembered_and_failures_are_not() {
    let w = world();
    for _ in 0..5 {
        w.get("/metrics", Some("Bearer good")).await;
    }
    assert_eq!(w.asked(), 2, "who it is, and what they may");
    for _ in 0..5 {
        w.get("/metrics", Some("Bearer unknown")).await;
    }
    assert_eq!(w.asked(), 3);
    w.get("/metrics", Some("Bearer broken")).await;
    w.get("/metrics", Some("Bearer broken")).await;
    assert_eq!(w.asked(), 5);
    w.get("/metrics", None).await;
    assert_eq!(w.asked(), 5, "nothing is asked about nobody");
    for (_, until) in w.guard.known().values_mut() {
        *until = Instant::now();
    }
    w.get("/metrics", Some("Bearer good")).await;
    assert_eq!(w.asked(), 7, "no answer is believed for ever");
}

#[tokio::test]
async fn rubbish_does_not_fill_the_memory() {
    let w = world();
    w.get("/metrics", Some("Bearer good")).await;
    for number in 0..REMEMBERED * 3 {
        w.get("/metrics", Some(&format!("Bearer rubbish-{number}"))).await;
    }
    assert_eq!(w.guard.known().len(), REMEMBERED);
    let before = w.asked();
    w.get("/metrics", Some("Bearer good")).await;
    assert_eq!(w.asked(), before, "what is good for longest stays longest");
    let long = format!("Bearer {}", "x".repeat(LONGEST + 1));
    assert_eq!(w.get("/metrics", Some(&long)).await.0, 401);
    assert_eq!(w.asked(), before);
    let kept: BTreeMap<_, _> = w.guard.known().clone().into_iter().collect();
    assert!(kept.contains_key(&("good".to_owned(), "/metrics".to_owned())));
}
