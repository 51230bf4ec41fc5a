//! Versions that misbehave on purpose.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::backend::Backend;
use crate::harness::{Kong, get, until};

fn routed(extra: &[(&str, &str)]) -> (Kong, Backend) {
    let backend = Backend::start("one");
    let kong = Kong::start(extra);
    kong.configure(&json!({"services": [{"name": "a", "host": "127.0.0.1", "port": backend.port, "routes": [{"name": "r", "paths": ["/a"]}]}]}));
    (kong, backend)
}

#[test]
fn never_ready() {
    let (kong, _backend) = routed(&[("STANDIN_NEVER_READY", "on")]);
    let reply = get(kong.status, "/status/ready");
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["message"], "router builds not yet complete, router ready in 0 of 2 workers");
}

#[test]
fn a_share_of_errors() {
    let (kong, backend) = routed(&[("STANDIN_ERROR_SHARE", "0.25")]);
    let before = backend.seen();
    let failed = (0..40).filter(|_| get(kong.proxy, "/a").status == 500).count();
    assert_eq!(failed, 10);
    assert_eq!(backend.seen() - before, 30);
}

#[test]
fn added_latency() {
    let (kong, _backend) = routed(&[("STANDIN_LATENCY", "150")]);
    let begun = Instant::now();
    assert_eq!(get(kong.proxy, "/a").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_crash() {
    let mut kong = Kong::start(&[("STANDIN_CRASH_AFTER", "0.5")]);
    assert_eq!(kong.end().0.code(), Some(139));
}

#[test]
fn a_refused_configuration() {
    let kong = Kong::start(&[("STANDIN_REFUSE_CONFIG", "true")]);
    let reply = kong.push(&json!({"_format_version": "3.0", "upstreams": [{"name": "kong"}]}));
    assert_eq!((reply.status, reply.json()["code"].clone()), (400, json!(14)));
    assert_eq!(get(kong.status, "/status/ready").status, 503);
}

#[test]
fn a_leak() {
    let kong = Kong::start(&[("STANDIN_LEAK", "30000000")]);
    let resident = || -> u64 {
        let text = get(kong.status, "/metrics").body;
        let line = text.lines().find(|line| line.starts_with("kong_memory_workers_lua_vms_bytes")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let before = resident();
    until("the leak", || (resident() > before + 25_000_000).then_some(()));
}
