//! Requests as they are on the wire, and instances that do not answer.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::admin::nodes::Node;
use crate::sync::push::{self, Pushed};

const TAKEN: &str = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
const CLOSED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
const ZEROS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 57\r\n\r\n{\"configuration_hash\":\"00000000000000000000000000000000\"}";

/// Gives these answers to one request each, over as many connections as come, and tells what was asked.
async fn instance(answers: &'static [&'static str]) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (told, asked) = unbounded_channel();
    let answers = Arc::new(Mutex::new(answers.iter()));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (told, answers) = (told.clone(), Arc::clone(&answers));
            tokio::spawn(async move {
                let mut buffer = vec![0; 8192];
                loop {
                    let read = stream.read(&mut buffer).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    told.send(String::from_utf8_lossy(&buffer[..read]).into_owned()).unwrap();
                    let answer = answers.lock().unwrap().next();
                    let Some(answer) = answer else { std::future::pending().await };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains("Connection: close") {
                        return;
                    }
                }
            });
        }
    });
    (base, asked)
}

fn client(base: &str, more: &[(&str, &str)]) -> Client {
    let all = more.iter().chain([&("CONTROLLER_PUBLISH_SERVICE", "a/b")]);
    let all: Vec<_> = all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let settings = Settings::read("3.5.13", &[], &all).unwrap();
    Client::new(&settings, &Endpoint { base: base.to_owned(), name: None }).unwrap()
}

fn node(client: Client) -> Node {
    Node { client, taken: Mutex::default() }
}

#[tokio::test]
async fn requests_look_like_those_of_the_real_one() {
    let (base, mut asked) = instance(&[TAKEN, TAKEN]).await;
    let client = client(&base, &[("CONTROLLER_KONG_ADMIN_TOKEN", "secret")]);
    client.get("/status").await.unwrap();
    let host = base.trim_start_matches("http://");
    let get = asked.recv().await.unwrap();
    let lines = [
        "GET /status HTTP/1.1".to_owned(),
        format!("Host: {host}"),
        "User-Agent: kong-ingress-controller/3.5.13".to_owned(),
        "Accept-Encoding: gzip".to_owned(),
        "Kong-Admin-Token: secret".to_owned(),
    ];
    for line in lines {
        assert!(get.contains(&format!("{line}\r\n")), "{line} in {get}");
    }
    client.post("/config?check_hash=1", "{}".to_owned()).await.unwrap();
    let post = asked.recv().await.unwrap();
    for line in ["User-Agent: Go-http-client/1.1", "Content-Type: application/json", "Content-Length: 2"] {
        assert!(post.contains(&format!("{line}\r\n")), "{line} in {post}");
    }
    assert!(!post.to_lowercase().contains("transfer-encoding"), "{post}");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let (base, mut asked) = instance(&[CLOSED, CLOSED, CLOSED]).await;
    let client = client(&base, &[]);
    for _ in 0..3 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
        asked.recv().await.unwrap();
    }
}

#[tokio::test]
async fn one_that_hangs_is_left_after_the_time_for_it() {
    let (base, _asked) = instance(&[]).await;
    let node = node(client(&base, &[("CONTROLLER_PROXY_TIMEOUT_SECONDS", "0.2")]));
    let began = Instant::now();
    let pushed = push::push(&node, &"{}".into()).await;
    assert!(matches!(&pushed, Pushed::Failed(text) if text.contains("deadline exceeded")), "{pushed:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_an_instance_has_is_sent_again_only_when_it_lost_it() {
    let (base, mut asked) = instance(&[TAKEN, TAKEN, ZEROS, TAKEN]).await;
    let node = node(client(&base, &[]));
    let config: Arc<str> = "{\"a\":1}".into();
    assert!(matches!(push::push(&node, &config).await, Pushed::Taken(_)));
    // It says nothing about its hash: it is taken to have the configuration.
    assert!(matches!(push::push(&node, &config).await, Pushed::Same));
    assert!(matches!(push::push(&node, &config).await, Pushed::Taken(_)));
    let mut lines = Vec::new();
    while let Ok(text) = asked.try_recv() {
        lines.push(text.lines().next().unwrap_or_default().to_owned());
    }
    let push = "POST /config?check_hash=1&flatten_errors=1 HTTP/1.1";
    assert_eq!(lines, [push, "GET /status HTTP/1.1", "GET /status HTTP/1.1", push]);
}
