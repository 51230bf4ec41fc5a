//! The router, asked as the API server and as others may ask it, without a socket.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "an answer of another shape fails the test")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use plan::dataplane::Settings;
use serde_json::{Value, json};
use tower::ServiceExt;
use webhooks::review::Decision;
use webhooks::routes::{Act, ROUTES, Route};
use webhooks::world::Nothing;
use webhooks::{Kind, Server, router};

fn routes() -> (Router, Arc<Mutex<Vec<Decision>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&told);
    let server = Server {
        settings: Arc::new(Settings::default()),
        controller: "konghq.com/gateway-operator".into(),
        world: Arc::new(Nothing),
        told: Arc::new(move |_, decision, _| kept.lock().unwrap().push(decision)),
    };
    (router(server), told)
}

async fn post(path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let request = Request::post(path).header("content-type", "application/json").body(body.into()).unwrap();
    let (head, body) = routes().0.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status, serde_json::from_slice(&body).unwrap_or_default())
}

fn review(kind: Kind, operation: &str, object: &Value, old: &Value) -> Value {
    let resource = kind.resource();
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "0f1e2d3c",
            "kind": { "group": resource.group, "version": resource.version, "kind": resource.kind },
            "resource": { "group": resource.group, "version": resource.version, "resource": resource.plural },
            "name": "edge",
            "namespace": "team",
            "operation": operation,
            "userInfo": { "username": "somebody" },
            "object": object,
            "oldObject": old,
            "dryRun": false,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" },
        },
    })
}

fn dataplane(spec: &Value) -> Value {
    json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": { "name": "edge", "namespace": "team" },
        "spec": spec,
    })
}

async fn respond(path: &str, body: &Value) -> Value {
    let (status, answer) = post(path, body.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    answer["response"].clone()
}

#[tokio::test]
async fn defaults_come_as_the_smallest_patch_and_only_once() {
    let bare = review(Kind::DataPlane, "CREATE", &dataplane(&json!({})), &Value::Null);
    let response = respond("/default/dataplanes", &bare).await;
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("0f1e2d3c"), &json!(true)));
    assert_eq!(response["patchType"], "JSONPatch");
    let patch: crds::k8s::ByteString = serde_json::from_value(response["patch"].clone()).unwrap();
    let patch: Value = serde_json::from_slice(&patch.0).unwrap();
    let wanted = json!({ "services": { "ingress": { "type": "LoadBalancer" } } });
    assert_eq!(patch, json!([{ "op": "add", "path": "/spec/network", "value": wanted }]));

    let full = dataplane(&json!({ "network": wanted }));
    let response =
        respond("/default/dataplanes", &review(Kind::DataPlane, "CREATE", &full, &Value::Null)).await;
    assert_eq!(response, json!({ "uid": "0f1e2d3c", "allowed": true }));
}

#[tokio::test]
async fn what_is_refused_is_said_as_kubectl_shows_it_best() {
    let ports = json!([{ "port": 80, "targetPort": 8444 }]);
    let bad = dataplane(&json!({
        "network": { "services": { "ingress": { "ports": ports } } },
        "deployment": { "podTemplateSpec": { "spec": { "containers": [{ "name": "proxy", "imagee": "kong" }] } } },
    }));
    let response =
        respond("/validate/dataplanes", &review(Kind::DataPlane, "CREATE", &bad, &Value::Null)).await;
    assert_eq!(response["allowed"], false);
    let status = &response["status"];
    assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")));
    assert_eq!(
        (&status["details"]["kind"], &status["details"]["name"]),
        (&json!("DataPlane"), &json!("edge"))
    );
    let causes = status["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 2, "{causes:?}");
    for cause in causes {
        let said = format!("{}: {}", cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap());
        assert!(status["message"].as_str().unwrap().contains(&said), "{said}");
    }
}

#[tokio::test]
async fn whatever_is_posted_is_answered_with_its_uid() {
    let good = review(Kind::DataPlane, "CREATE", &dataplane(&json!({})), &Value::Null);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let with_object = |object: &str| good.to_string().replace(&good["request"]["object"].to_string(), object);
    let cases: Vec<(String, &str, u64)> = vec![
        (String::new(), "", 400),
        ("null".into(), "", 400),
        ("[]".into(), "", 400),
        ("{}".into(), "", 400),
        ("\u{0}\u{ff}".into(), "", 400),
        (good.to_string().replace("admission.k8s.io/v1\"", "admission.k8s.io/v1beta1\""), "0f1e2d3c", 400),
        (good.to_string().replace("\"DataPlane\",\"version\"", "\"Pod\",\"version\""), "0f1e2d3c", 400),
        (with_object(&deep), "0f1e2d3c", 400),
        // The API server writes the uid first.
        (r#"{"request":{"uid":"0f1e2d3c","object":{"spec":"#.into(), "0f1e2d3c", 400),
        (r#"{"request":{"uid":"0f1e2d3c"}}"#.into(), "0f1e2d3c", 400),
        (format!(r#"{{"request":{{"uid":"0f1e2d3c","x":"{}"}}}}"#, "x".repeat(8 << 20)), "0f1e2d3c", 413),
    ];
    for route in ROUTES.iter().filter(|route| route.kind == Kind::DataPlane) {
        for (body, uid, code) in &cases {
            let (status, answer) = post(route.path, body.clone()).await;
            let response = &answer["response"];
            let beginning: String = body.chars().take(120).collect();
            assert_eq!(status, StatusCode::OK, "{beginning}");
            assert_eq!((&response["uid"], &response["allowed"]), (&json!(uid), &json!(false)), "{beginning}");
            assert_eq!(response["status"]["code"], *code, "{beginning}");
        }
    }
}

/// How a review of that size begins; nothing follows, or the connection breaks.
fn begun(size: usize, ends: bool) -> Body {
    let beginning = r#"{"apiVersion":"admission.k8s.io/v1","request":{"uid":"0f1e2d3c","x":""#;
    let beginning = format!("{beginning}{}", "x".repeat(size.saturating_sub(beginning.len())));
    let frames = futures::stream::iter([Ok::<_, std::io::Error>(beginning)]);
    let broken = futures::stream::iter([Err(std::io::ErrorKind::ConnectionReset.into())]);
    if ends {
        Body::from_stream(futures::StreamExt::chain(frames, broken))
    } else {
        Body::from_stream(futures::StreamExt::chain(frames, futures::stream::pending()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_whole_is_answered_with_the_uid_of_what_did() {
    for (ends, code) in [(true, 400), (false, 408)] {
        let (status, answer) = post("/validate/dataplanes", begun(100, ends)).await;
        let response = &answer["response"];
        assert_eq!((status, &response["uid"]), (StatusCode::OK, &json!("0f1e2d3c")));
        assert_eq!((&response["allowed"], &response["status"]["code"]), (&json!(false), &json!(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_there_is_room_for_is_sent_away_until_there_is_room_again() {
    let (routes, _) = routes();
    let ask = |body: Body| {
        let request = Request::post("/validate/dataplanes").body(body).unwrap();
        routes.clone().oneshot(request)
    };
    let good = review(Kind::DataPlane, "CREATE", &dataplane(&json!({})), &Value::Null).to_string();
    // Together they take all of the 64 MiB.
    let sizes = [vec![7 << 20; 9], vec![1014 << 10]].concat();
    let held: Vec<_> = sizes.into_iter().map(|size| tokio::spawn(ask(begun(size, false)))).collect();
    // They take their room when they are first polled, in the order in which they came.
    tokio::task::yield_now().await;
    let away = ask(Body::from(good.clone())).await.unwrap();
    assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(away.headers()["retry-after"], "1");
    for one in held {
        assert_eq!(one.await.unwrap().unwrap().status(), StatusCode::OK, "told that it is late");
    }
    assert_eq!(ask(Body::from(good)).await.unwrap().status(), StatusCode::OK, "there is room again");
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_none_of_our_business() {
    let object = dataplane(
        &json!({ "network": { "services": { "ingress": { "ports": [{ "port": 80, "targetPort": 8444 }] } } } }),
    );
    let deleted = review(Kind::DataPlane, "DELETE", &Value::Null, &object);
    assert_eq!(respond("/validate/dataplanes", &deleted).await["allowed"], true);
    let mut status = review(Kind::DataPlane, "UPDATE", &object, &object);
    status["request"]["subResource"] = json!("status");
    assert_eq!(respond("/validate/dataplanes", &status).await["allowed"], true);
}

#[tokio::test]
async fn the_self_test_refuses_and_repeats_what_it_was_asked() {
    let mut object = dataplane(&json!({}));
    object["metadata"]["labels"] = json!({ crds::names::labels::SELF_TEST: "abc123" });
    let response = respond("/self-test", &review(Kind::DataPlane, "CREATE", &object, &Value::Null)).await;
    assert_eq!(response["allowed"], false);
    assert!(response["status"]["message"].as_str().unwrap().ends_with(" abc123"), "{response}");
}

#[tokio::test]
async fn every_route_answers_and_nothing_else_does() {
    for route in ROUTES {
        let object = json!({ "metadata": { "name": "edge" }, "spec": {} });
        let response = respond(route.path, &review(route.kind, "CREATE", &object, &Value::Null)).await;
        assert_eq!(response["uid"], "0f1e2d3c", "{}", route.path);
    }
    assert_eq!(post("/validate/pods", "{}").await.0, StatusCode::NOT_FOUND);
    let get = Request::get("/validate/dataplanes").body(Body::empty()).unwrap();
    assert_eq!(routes().0.oneshot(get).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_webhook_of_another_version_refuses_nothing() {
    let body = review(Kind::DataPlane, "CREATE", &dataplane(&json!({})), &Value::Null).to_string();
    for path in ["/validate/tomorrows", "/default/tomorrows"] {
        let (status, answer) = post(path, body.clone()).await;
        assert_eq!(
            (status, &answer["response"]),
            (StatusCode::OK, &json!({ "uid": "0f1e2d3c", "allowed": true }))
        );
    }
    for (path, body) in [("/validate/tomorrows", "no review"), ("/tomorrows", body.as_str())] {
        assert_eq!(post(path, body.to_owned()).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let get = Request::get("/validate/tomorrows").body(Body::from(body)).unwrap();
    assert_eq!(routes().0.oneshot(get).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_answer_is_told() {
    let (routes, told) = routes();
    let body = review(Kind::DataPlane, "CREATE", &dataplane(&json!({})), &Value::Null).to_string();
    let of = |act| ROUTES.iter().find(|r: &&Route| r.kind == Kind::DataPlane && r.act == act).unwrap().path;
    for (path, body) in
        [(of(Act::Default), body.as_str()), (of(Act::Validate), &body), (of(Act::Validate), "x")]
    {
        let request = Request::post(path).body(Body::from(body.to_owned())).unwrap();
        routes.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(*told.lock().unwrap(), [Decision::Patched, Decision::Allowed, Decision::Failed]);
}
