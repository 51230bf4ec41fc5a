//! `POST /config`: what is accepted, what is refused, what is kept.

use serde_json::{Value, json};

use crate::harness::{Kong, Reply, ask, get};

const ZEROS: &str = "00000000000000000000000000000000";

fn service() -> Value {
    json!({"_format_version": "3.0", "services": [{"name": "a", "host": "example.test"}]})
}

fn hash(kong: &Kong) -> String {
    get(kong.status, "/status").json()["configuration_hash"].as_str().unwrap_or_default().to_owned()
}

fn text(kong: &Kong, kind: &str, body: &str) -> Reply {
    ask(kong.admin, "POST", "/config?check_hash=1", &[("Content-Type", kind)], body)
}

#[test]
fn json_is_always_taken_and_its_hash_is_always_new() {
    let kong = Kong::start(&[]);
    let first = kong.push(&service());
    assert_eq!(first.status, 201);
    let before = hash(&kong);
    assert_eq!(kong.push(&service()).status, 201);
    assert_ne!(before, hash(&kong));
    assert_eq!(before.len(), 32);
    assert_eq!(get(kong.status, "/status/ready").json(), json!({"message": "ready"}));
}

#[test]
fn the_answer_holds_every_entity_with_its_defaults() {
    let kong = Kong::start(&[]);
    let body = kong.push(&service()).json();
    let services = body["services"].as_object().unwrap();
    let (id, item) = services.iter().next().unwrap();
    assert_eq!(item["id"], json!(id));
    assert_eq!((&item["retries"], &item["port"], &item["protocol"]), (&json!(5), &json!(80), &json!("http")));
    assert_eq!(item["read_timeout"], 60000);
    assert_eq!(kong.push(&service()).json()["services"].as_object().unwrap().keys().next(), Some(id));
    assert_eq!(get(kong.admin, "/services/a").json()["id"], json!(id));
    assert_eq!(get(kong.admin, "/services").json()["data"][0]["name"], "a");
}

#[test]
fn text_is_hashed_and_not_loaded_twice() {
    let kong = Kong::start(&[]);
    let yaml = "_format_version: \"3.0\"\nservices:\n- name: a\n  host: example.test\n";
    let reply = text(&kong, "application/json", &json!({ "config": yaml }).to_string());
    assert_eq!(reply.status, 201, "{}", reply.body);
    // The MD5 of the text.
    assert_eq!(hash(&kong), "c776f80b348aeca8ef4442f53f3f3946");
    let again = text(&kong, "text/yaml", yaml);
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let form = format!("--x\r\nContent-Disposition: form-data; name=\"config\"\r\n\r\n{yaml}\r\n--x--\r\n");
    assert_eq!(text(&kong, "multipart/form-data; boundary=x", &form).status, 304);
    assert_eq!(text(&kong, "text/yaml", "_format_version: \"3.0\"\nservices: []\n").status, 201);
    assert_eq!(hash(&kong), ZEROS);
}

#[test]
fn nothing_at_all_makes_the_node_unready_again() {
    let kong = Kong::start(&[]);
    assert_eq!(kong.push(&service()).status, 201);
    let reply = kong.push(&json!({"_format_version": "3.0"}));
    assert_eq!((reply.status, reply.body.as_str()), (201, "{}"));
    assert_eq!(hash(&kong), ZEROS);
    assert_eq!(get(kong.status, "/status/ready").status, 503);
    let dummy = json!({"_format_version": "3.0", "upstreams": [{"name": "kong"}]});
    assert_eq!(kong.push(&dummy).status, 201);
    assert_eq!(get(kong.status, "/status/ready").status, 200);
}

#[test]
fn a_refusal_keeps_the_old_configuration() {
    let kong = Kong::start(&[]);
    kong.push(&service());
    let before = hash(&kong);
    let bad = json!({"_format_version": "3.0", "services": [
        {"name": "a", "host": "h", "tags": ["k8s-name:a"], "bogus": 1}]});
    let reply = kong.push(&bad);
    assert_eq!(reply.status, 400);
    let body = reply.json();
    assert_eq!((&body["code"], &body["name"]), (&json!(14), &json!("invalid declarative configuration")));
    assert_eq!(
        body["flattened_errors"],
        json!([{"entity_type": "service", "entity_name": "a", "entity_tags": ["k8s-name:a"],
            "entity": {"name": "a", "host": "h", "tags": ["k8s-name:a"], "bogus": 1},
            "errors": [{"field": "bogus", "message": "unknown field", "type": "field"}]}])
    );
    assert_eq!(hash(&kong), before);
    assert_eq!(get(kong.status, "/status/ready").status, 200);
}

#[test]
fn references_must_exist() {
    let kong = Kong::start(&[]);
    let reply = kong.push(&json!({"_format_version": "3.0", "routes": [
        {"name": "r", "paths": ["/"], "service": {"name": "none"}}]}));
    assert_eq!(reply.status, 400);
    let body = reply.json();
    assert_eq!(
        body["fields"]["routes"]["r"],
        json!(["invalid reference 'service: none' (no such entry in 'services')"])
    );
    assert_eq!(body["flattened_errors"], json!({}));
    let twice = kong.push(&json!({"_format_version": "3.0", "services": [
        {"name": "a", "host": "h"}, {"name": "a", "host": "h"}]}));
    assert_eq!(twice.status, 400);
    assert!(twice.body.contains("uniqueness violation"), "{}", twice.body);
}

#[test]
fn kinds_of_content_and_sizes_that_are_not_taken() {
    let kong = Kong::start(&[("KONG_NGINX_ADMIN_CLIENT_MAX_BODY_SIZE", "1k")]);
    assert_eq!(text(&kong, "text/plain", "x").status, 415);
    assert_eq!(ask(kong.admin, "POST", "/config", &[], "x").status, 415);
    let large = text(&kong, "application/json", &"x".repeat(2000));
    assert_eq!(large.status, 413);
    assert!(large.body.contains("413 Request Entity Too Large"));
    assert_eq!(large.header("connection"), Some("close"));
}

#[test]
fn a_restarted_node_has_its_configuration_at_once() {
    let kong = Kong::start(&[]);
    kong.push(&service());
    let (before, id) = (hash(&kong), get(kong.admin, "/").json()["node_id"].clone());
    let again = Kong::start_in(kong.release(), &[]);
    assert_eq!(get(again.status, "/status/ready").status, 200);
    assert_eq!(hash(&again), before);
    assert_eq!(get(again.admin, "/").json()["node_id"], id);
    let other = Kong::start(&[]);
    assert_ne!(get(other.admin, "/").json()["node_id"], id);
}

#[test]
fn what_is_in_force_can_be_read_back_and_pushed_again() {
    let kong = Kong::start(&[]);
    kong.push(&service());
    let yaml = get(kong.admin, "/config").json()["config"].as_str().unwrap().to_owned();
    assert!(yaml.contains("_format_version"), "{yaml}");
    let reply = text(&kong, "text/yaml", &yaml);
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(get(kong.admin, "/services/a").json()["host"], "example.test");
}

#[test]
fn a_configuration_can_come_with_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kong.yml");
    std::fs::write(&path, "_format_version: \"3.0\"\nservices:\n- name: filed\n  host: h\n").unwrap();
    let kong = Kong::start(&[("KONG_DECLARATIVE_CONFIG", path.to_str().unwrap())]);
    assert_eq!(get(kong.status, "/status/ready").status, 200);
    assert_eq!(get(kong.admin, "/services/filed").status, 200);
    let kong = Kong::start(&[("KONG_DECLARATIVE_CONFIG_STRING", &service().to_string())]);
    assert_eq!(get(kong.admin, "/services/a").status, 200);
}

#[test]
fn what_an_ingress_controller_sends_is_taken_and_routed() {
    let backend = crate::backend::Backend::start("one");
    let kong = Kong::start(&[]);
    let (cert, key) = self_signed();
    let tags = json!([
        "k8s-name:r1",
        "k8s-namespace:default",
        "k8s-kind:HTTPRoute",
        "k8s-group:gateway.networking.k8s.io",
        "k8s-version:v1",
        "k8s-uid:6f1d7a6e-0000-4000-8000-000000000001"
    ]);
    let id = "6f1d7a6e-0000-4000-8000-000000000002";
    kong.configure(&json!({
        "certificates": [{"id": id, "cert": cert, "key": key, "tags": tags, "snis": [{"name": "h.test", "certificate": {"id": id}}]}],
        "services": [{
            "id": "6f1d7a6e-0000-4000-8000-000000000003", "name": "httproute.default.r1.0", "host": "httproute.default.r1.0",
            "port": 80, "protocol": "http", "connect_timeout": 60000, "read_timeout": 60000, "write_timeout": 60000, "retries": 5, "tags": tags,
            "plugins": [{"name": "key-auth", "config": {"key_names": ["apikey"]}, "enabled": false}],
            "routes": [{
                "id": "6f1d7a6e-0000-4000-8000-000000000004", "name": "httproute.default.r1.0.0", "hosts": ["h.test"],
                "headers": {"X-A": ["1"]}, "methods": ["GET"], "paths": ["~/x$", "/x/"], "path_handling": "v0", "preserve_host": true,
                "protocols": ["http", "https"], "strip_path": false, "https_redirect_status_code": 426, "tags": tags}]}],
        "upstreams": [{"name": "httproute.default.r1.0", "algorithm": "round-robin", "tags": tags, "targets": [
            {"target": backend.address(), "weight": 75}, {"target": "127.0.0.1:1", "weight": 0}]}],
        "consumers": [{"username": "c", "keyauth_credentials": [{"key": "secret"}], "acls": [{"group": "g"}]}],
    }));
    let headers = [("Host", "h.test"), ("X-A", "1")];
    for (path, code) in [("/x", 200), ("/x/y", 200), ("/xy", 404)] {
        assert_eq!(ask(kong.proxy, "GET", path, &headers, "").status, code, "{path}");
    }
    assert_eq!(ask(kong.proxy, "GET", "/x", &headers[..1], "").status, 404);
    assert_eq!(get(kong.admin, "/key-auths").json()["data"][0]["key"], "secret");
    assert_eq!(get(kong.admin, "/consumers/c/acls").json()["data"][0]["group"], "g");
    assert_eq!(get(kong.admin, &format!("/certificates/{id}/snis")).json()["data"][0]["name"], "h.test");
    assert_eq!(
        get(kong.admin, "/routes/httproute.default.r1.0.0/service").json()["name"],
        "httproute.default.r1.0"
    );
}

fn self_signed() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["h.test".to_owned()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
}
