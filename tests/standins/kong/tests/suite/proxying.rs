//! What passes between client, Kong and upstream, and what happens where it does not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::harness::{Kong, ask, connect, free_port, get, receive, send};

fn service(port: u16, extra: &Value, route: &Value) -> Value {
    let mut service = json!({"name": "a", "host": "127.0.0.1", "port": port, "routes": [{"name": "r", "paths": ["/"], "strip_path": false}]});
    for (name, value) in extra.as_object().unwrap() {
        service[name] = value.clone();
    }
    for (name, value) in route.as_object().unwrap() {
        service["routes"][0][name] = value.clone();
    }
    json!({ "services": [service] })
}

/// What the upstream was asked, header by header.
fn seen(body: &str) -> BTreeMap<String, String> {
    let answer: Value = serde_json::from_str(body).unwrap();
    let head = answer["head"].as_str().unwrap().to_owned();
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect()
}

#[test]
fn filters_change_requests_and_answers() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let plugin = |name: &str, config: Value| json!({"name": name, "config": config});
    let request = json!({"add": {"headers": ["x-set:1"]}, "replace": {"headers": ["x-set:1", "host:other.test"],
        "uri": "/new$(uri_captures[1])"}, "remove": {"headers": ["x-gone"]}});
    let response = json!({"add": {"headers": ["x-back:2"]}, "remove": {"headers": ["server"]}});
    let plugins = [plugin("request-transformer", request), plugin("response-transformer", response)];
    kong.configure(&service(
        backend.port,
        &json!({}),
        &json!({"paths": ["~/x$", "~/x(/.*)"], "plugins": plugins}),
    ));
    let reply = ask(kong.proxy, "GET", "/x/a?q=1", &[("X-Set", "0"), ("X-Gone", "1")], "");
    assert!(reply.json()["line"].as_str().unwrap().starts_with("GET /new/a?q=1 HTTP/1.1"), "{}", reply.body);
    let told = seen(&reply.body);
    assert_eq!((told["x-set"].as_str(), told["host"].as_str()), ("1", "other.test"));
    assert!(!told.contains_key("x-gone"));
    assert_eq!((reply.header("x-back"), reply.header("server")), (Some("2"), None));
    let to = json!({"status_code": 301, "location": "https://other.test/", "keep_incoming_path": true});
    kong.configure(&service(backend.port, &json!({}), &json!({"plugins": [plugin("redirect", to)]})));
    // Old routes answer a little longer.
    let redirected = crate::harness::until("the redirect", || {
        Some(get(kong.proxy, "/p?q=1")).filter(|reply| reply.status == 301)
    });
    assert_eq!(redirected.header("location"), Some("https://other.test/p?q=1"));
}

#[test]
fn headers_to_the_upstream_and_back() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[("KONG_PORT_MAPS", "80:{proxy}")]);
    kong.configure(&service(backend.port, &json!({}), &json!({})));
    let given = [
        ("Host", "Client.Test:99"),
        ("X-Forwarded-For", "9.9.9.9"),
        ("X-Real-IP", "9.9.9.9"),
        ("X-Forwarded-Proto", "ftp"),
        ("X-Forwarded-Prefix", "/no"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
    ];
    let reply = ask(kong.proxy, "GET", "/p/a?q=1", &given, "");
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("server"), Some("backend"));
    assert_eq!(reply.header("via"), Some("1.1 kong/3.9.3"));
    assert!(
        reply.header("x-kong-upstream-latency").is_some() && reply.header("x-kong-proxy-latency").is_some()
    );
    assert!(reply.header("x-kong-response-latency").is_none());
    let told = seen(&reply.body);
    assert!(reply.json()["line"].as_str().unwrap().starts_with("GET /p/a?q=1 HTTP/1.1"));
    let port = format!("127.0.0.1:{}", backend.port);
    for (name, value) in [
        ("host", port.as_str()),
        ("via", "1.1 kong/3.9.3"),
        ("x-forwarded-for", "9.9.9.9, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "client.test"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-path", "/p/a"),
        ("x-real-ip", "127.0.0.1"),
        ("x-kong-request-id", reply.header("x-kong-request-id").unwrap()),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!told.contains_key("x-hop") && !told.contains_key("x-forwarded-prefix"));
}

#[test]
fn paths_hosts_and_bodies() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let route = json!({"paths": ["/strip"], "strip_path": true, "preserve_host": true});
    kong.configure(&service(backend.port, &json!({"path": "/base"}), &route));
    let reply = ask(kong.proxy, "POST", "/strip/x?y=z", &[("Host", "keep.test")], "hello");
    let told = seen(&reply.body);
    assert!(reply.json()["line"].as_str().unwrap().starts_with("POST /base/x?y=z "));
    assert_eq!(told["host"], "keep.test");
    assert_eq!(told["x-forwarded-prefix"], "/strip");
    assert_eq!(reply.json()["body"], "hello");
    let mut stream = connect(kong.proxy).unwrap();
    send(
        &mut stream,
        "POST /strip HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    )
    .unwrap();
    assert_eq!(receive(&mut stream).unwrap().json()["body"], "abc");
    send(&mut stream, "GET /strip HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(receive(&mut stream).unwrap().status, 200, "the connection is kept");
}

/// Services that cannot answer, each in a way of its own.
fn broken(backend: &Backend) -> Value {
    let route =
        |path: &str| json!([{"paths": [path], "name": path.trim_start_matches('/'), "strip_path": false}]);
    let fast = json!({"host": "127.0.0.1", "port": backend.port, "read_timeout": 200, "retries": 0});
    let with = |name: &str, more: &Value| {
        let mut service = json!({"name": name, "routes": route(&format!("/{name}"))});
        for (key, value) in more.as_object().unwrap() {
            service[key] = value.clone();
        }
        service
    };
    json!({
        "upstreams": [{"name": "empty"}, {"name": "zero", "targets": [{"target": "127.0.0.1:1", "weight": 0}]}],
        "services": [
            with("empty", &json!({"host": "empty"})),
            with("zero", &json!({"host": "zero"})),
            with("name", &json!({"host": "no-such-host.invalid"})),
            with("refused", &json!({"host": "127.0.0.1", "port": free_port(), "retries": 1})),
            with("garbage", &fast),
            with("close", &fast),
            with("hang", &fast),
        ],
    })
}

#[test]
fn kongs_own_errors() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    kong.configure(&broken(&backend));
    let table = [
        ("/none", 404, "no Route matched with those values"),
        ("/empty", 503, "failure to get a peer from the ring-balancer"),
        ("/zero", 503, "failure to get a peer from the ring-balancer"),
        ("/name", 503, "name resolution failed"),
        ("/refused", 502, "An invalid response was received from the upstream server"),
        ("/garbage", 502, "An invalid response was received from the upstream server"),
        ("/close", 502, "An invalid response was received from the upstream server"),
        ("/hang", 504, "The upstream server is timing out"),
    ];
    for (path, code, message) in table {
        let reply = get(kong.proxy, path);
        assert_eq!(reply.status, code, "{path}");
        let id = reply.header("x-kong-request-id").unwrap().to_owned();
        assert_eq!(id.len(), 32);
        assert_eq!(
            reply.body,
            format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{id}\"\n}}"),
            "{path}"
        );
        assert_eq!(reply.header("server"), Some("kong/3.9.3"));
        assert!(reply.header("x-kong-response-latency").is_some() && reply.header("via").is_none());
    }
    let html = ask(kong.proxy, "GET", "/none", &[("Accept", "text/html")], "");
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(html.body.starts_with("<!doctype html>"));
}

#[test]
fn weights_share_requests_exactly() {
    let (one, two) = (Backend::start("one"), Backend::start("two"));
    let kong = Kong::start(&[]);
    let mut config = service(1, &json!({"host": "up"}), &json!({}));
    config["upstreams"] = json!([{"name": "up", "targets": [
        {"target": one.address(), "weight": 30}, {"target": two.address(), "weight": 10}]}]);
    kong.configure(&config);
    for _ in 0..40 {
        assert_eq!(get(kong.proxy, "/").status, 200);
    }
    assert_eq!((one.seen(), two.seen()), (30, 10));
    let health = get(kong.admin, "/upstreams/up/health").json();
    assert_eq!(health["data"][0]["health"], "HEALTHCHECKS_OFF");
    assert_eq!(get(kong.status, "/upstreams/up/health").status, 200);
    assert_eq!(get(kong.admin, "/upstreams/up/targets").json()["data"].as_array().unwrap().len(), 2);
}

#[test]
fn only_idempotent_requests_are_repeated_once_sent() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    kong.configure(&service(backend.port, &json!({"read_timeout": 150, "retries": 2}), &json!({})));
    assert_eq!(get(kong.proxy, "/hang").status, 504);
    assert_eq!(backend.seen(), 3, "a GET is repeated `retries` times");
    assert_eq!(ask(kong.proxy, "POST", "/hang", &[], "x").status, 504);
    assert_eq!(backend.seen(), 4, "a POST never");
}

#[test]
fn a_refused_connection_is_tried_on_the_next_target() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let mut config = service(1, &json!({"host": "up"}), &json!({}));
    config["upstreams"] = json!([{"name": "up", "targets": [
        {"target": format!("127.0.0.1:{}", free_port())}, {"target": backend.address()}]}]);
    kong.configure(&config);
    for _ in 0..4 {
        assert_eq!(ask(kong.proxy, "POST", "/", &[], "x").status, 200);
    }
    assert_eq!(backend.seen(), 4);
}

#[test]
fn unhealthy_targets_are_left_out_until_told_otherwise() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let mut config = service(1, &json!({"host": "up"}), &json!({}));
    config["upstreams"] = json!([{"name": "up", "targets": [{"target": backend.address()}],
        "healthchecks": {"passive": {"unhealthy": {"http_failures": 1, "http_statuses": [500]}}}}]);
    kong.configure(&config);
    assert_eq!(get(kong.proxy, "/code/500").status, 500);
    let reply = get(kong.proxy, "/");
    assert_eq!(reply.status, 503, "{}", reply.body);
    let path = format!("/upstreams/up/targets/{}/healthy", backend.address());
    assert_eq!(ask(kong.admin, "PUT", &path, &[], "").status, 204);
    assert_eq!(get(kong.proxy, "/").status, 200);
}

#[test]
fn old_routes_answer_a_little_longer_where_there_are_many() {
    let kong = Kong::start(&[]);
    let many = |count: usize| {
        let services: Vec<Value> = (0..count)
            .map(|at| json!({"name": format!("s{at}"), "host": "127.0.0.1", "port": 1, "routes": [{"name": format!("r{at}"), "paths": [format!("/s{at}/")]}]}))
            .collect();
        json!({"_format_version": "3.0", "services": services})
    };
    assert_eq!(kong.push(&many(1000)).status, 201);
    assert_eq!(get(kong.proxy, "/s999/").status, 404, "accepted, not yet routed");
    crate::harness::until("the routes", || (get(kong.proxy, "/s999/").status == 502).then_some(()));
}
