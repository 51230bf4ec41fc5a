//! `/metrics`: names, labels and what is counted.

use serde_json::json;

use crate::backend::Backend;
use crate::harness::{Kong, connect, free_port, get, send, until};

fn line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find(|line| line.starts_with(start))
}

fn counting() -> serde_json::Value {
    json!([{"name": "prometheus", "config": {"status_code_metrics": true, "latency_metrics": true,
        "bandwidth_metrics": true, "upstream_health_metrics": true}}])
}

#[test]
fn the_base_set_is_there_without_the_plugin() {
    let kong = Kong::start(&[]);
    let reply = get(kong.status, "/metrics");
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=UTF-8"));
    let id = get(kong.admin, "/").json()["node_id"].as_str().unwrap().to_owned();
    for start in [
        "kong_datastore_reachable 1".to_owned(),
        "kong_nginx_metric_errors_total 0".to_owned(),
        format!("kong_nginx_connections_total{{node_id=\"{id}\",subsystem=\"http\",state=\"accepted\"}}"),
        format!("kong_nginx_requests_total{{node_id=\"{id}\",subsystem=\"http\"}}"),
        "kong_nginx_timers{state=\"pending\"}".to_owned(),
        format!(
            "kong_memory_lua_shared_dict_bytes{{node_id=\"{id}\",shared_dict=\"kong\",kong_subsystem=\"http\"}}"
        ),
        format!(
            "kong_memory_lua_shared_dict_total_bytes{{node_id=\"{id}\",shared_dict=\"kong\",kong_subsystem=\"http\"}}"
        ),
        format!("kong_memory_workers_lua_vms_bytes{{node_id=\"{id}\",pid=\""),
        format!("kong_node_info{{node_id=\"{id}\",version=\"3.9.3\"}} 1"),
        "# TYPE kong_nginx_requests_total gauge".to_owned(),
    ] {
        assert!(line(&reply.body, &start).is_some(), "{start} in\n{}", reply.body);
    }
    assert!(!reply.body.contains("kong_http_requests_total"));
}

#[test]
fn traffic_is_counted_by_service_route_code_and_source() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    kong.configure(&json!({
        "plugins": counting(),
        "upstreams": [{"name": "up", "targets": [{"target": backend.address()}]}],
        "services": [
            {"name": "good", "host": "up", "routes": [{"name": "r", "paths": ["/good"], "strip_path": false}]},
            {"name": "bad", "host": "127.0.0.1", "port": free_port(), "retries": 0, "routes": [{"name": "b", "paths": ["/bad"]}]},
        ]}));
    for _ in 0..3 {
        assert_eq!(get(kong.proxy, "/good").status, 200);
    }
    assert_eq!(get(kong.proxy, "/bad").status, 502);
    assert_eq!(get(kong.proxy, "/none").status, 404);
    let counted = until("the counts", || {
        let text = get(kong.status, "/metrics").body;
        let start = "kong_http_requests_total{service=\"good\",route=\"r\",code=\"200\",source=\"service\",workspace=\"default\",consumer=\"\"} 3";
        line(&text, start).is_some().then_some(text)
    });
    for start in [
        "kong_http_requests_total{service=\"bad\",route=\"b\",code=\"502\",source=\"kong\",workspace=\"default\",consumer=\"\"} 1",
        "kong_request_latency_ms_bucket{service=\"good\",route=\"r\",workspace=\"default\",le=\"60000\"} 3",
        "kong_request_latency_ms_bucket{service=\"good\",route=\"r\",workspace=\"default\",le=\"+Inf\"} 3",
        "kong_upstream_latency_ms_count{service=\"good\",route=\"r\",workspace=\"default\"} 3",
        "kong_kong_latency_ms_bucket{service=\"good\",route=\"r\",workspace=\"default\",le=\"6000\"} 3",
        "kong_bandwidth_bytes{service=\"good\",route=\"r\",direction=\"egress\",workspace=\"default\",consumer=\"\"}",
        "# TYPE kong_kong_latency_ms histogram",
    ] {
        assert!(line(&counted, start).is_some(), "{start} in\n{counted}");
    }
    assert!(!counted.contains("code=\"404\""), "what matches no route is not counted");
    assert!(line(&counted, "kong_upstream_latency_ms_count{service=\"bad\"").is_none());
    let address = backend.address();
    for (state, value) in [("healthchecks_off", 1), ("healthy", 0), ("unhealthy", 0), ("dns_error", 0)] {
        let start = format!(
            "kong_upstream_target_health{{upstream=\"up\",target=\"{address}\",address=\"{address}\",state=\"{state}\",subsystem=\"http\"}} {value}"
        );
        assert!(line(&counted, &start).is_some(), "{start}");
    }
}

#[test]
fn a_client_that_goes_away_is_499() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    kong.configure(&json!({"plugins": counting(), "services": [
        {"name": "a", "host": "127.0.0.1", "port": backend.port, "routes": [{"name": "r", "paths": ["/slow"], "strip_path": false}]}]}));
    let mut stream = connect(kong.proxy).unwrap();
    send(&mut stream, "GET /slow/3000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    until("the upstream", || (backend.seen() > 0).then_some(()));
    drop(stream);
    until("the count", || {
        let text = get(kong.status, "/metrics").body;
        line(&text, "kong_http_requests_total{service=\"a\",route=\"r\",code=\"499\",source=\"service\"")
            .map(|_| ())
    });
}
