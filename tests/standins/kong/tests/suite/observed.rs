//! What the admin and status APIs answered in the real Kong 3.9.3: path by path.

use serde_json::{Value, json};

use crate::harness::{Kong, Reply, ask, get};

/// Where a request goes, what it is, and what must come back.
struct Row {
    status_port: bool,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    code: u16,
    /// The whole body as JSON; null where it does not matter.
    answer: Value,
}

fn row(method: &'static str, path: &'static str, body: &'static str, code: u16, answer: Value) -> Row {
    Row { status_port: false, method, path, body, code, answer }
}

fn status(method: &'static str, path: &'static str, code: u16, answer: Value) -> Row {
    Row { status_port: true, method, path, body: "", code, answer }
}

fn send(kong: &Kong, row: &Row) -> Reply {
    let port = if row.status_port { kong.status } else { kong.admin };
    ask(port, row.method, row.path, &[("Content-Type", "application/json")], row.body)
}

const EMPTY: &str = "no configuration available (empty configuration present)";

fn reading() -> Vec<Row> {
    let not_found = json!({"message": "Not found"});
    vec![
        status("GET", "/status/ready", 503, json!({"message": EMPTY})),
        status("GET", "/", 404, not_found.clone()),
        status("GET", "/config", 404, not_found.clone()),
        status("GET", "/metrics", 200, Value::Null),
        status("GET", "/upstreams/none/health", 404, not_found.clone()),
        row("GET", "/status/ready", "", 404, not_found.clone()),
        row("GET", "/nosuch", "", 404, not_found.clone()),
        row("GET", "/services/none", "", 404, not_found.clone()),
        row("GET", "/consumers/none", "", 404, not_found.clone()),
        row("PUT", "/config", "{}", 405, Value::Null),
        row("OPTIONS", "/config", "", 204, Value::Null),
        row("GET", "/services", "", 200, json!({"data": [], "next": null})),
        row("GET", "/key-auths?size=1000", "", 200, json!({"data": [], "next": null})),
        row("GET", "/filter-chains", "", 200, json!({"data": [], "next": null})),
        row("GET", "/key-sets", "", 200, json!({"data": [], "next": null})),
    ]
}

fn writing() -> Vec<Row> {
    let ok = json!({"message": "schema validation successful"});
    vec![
        row(
            "POST",
            "/services",
            r#"{"name":"a","host":"b"}"#,
            405,
            json!({"code": 12, "name": "operation unsupported",
                "message": "cannot create 'services' entities when not using a database"}),
        ),
        row(
            "POST",
            "/services",
            r#"{"name":"a","bogus":1}"#,
            400,
            json!({"code": 2, "name": "schema violation",
                "message": "2 schema violations (bogus: unknown field; host: required field missing)",
                "fields": {"bogus": "unknown field", "host": "required field missing"}}),
        ),
        row("POST", "/schemas/routes/validate", r#"{"paths":["/a"]}"#, 200, ok.clone()),
        row("POST", "/schemas/plugins/validate", r#"{"name":"prometheus","config":{}}"#, 200, ok),
        row("POST", "/schemas/plugins/validate", r#"{"name":"nosuch"}"#, 400, Value::Null),
        row("GET", "/schemas/plugins/key-auth", "", 200, Value::Null),
        row("GET", "/schemas/services", "", 200, Value::Null),
        row("POST", "/config", "{nonsense", 400, json!({"message": "Cannot parse JSON body"})),
    ]
}

#[test]
fn every_path_answers_as_observed() {
    let kong = Kong::start(&[]);
    for row in reading().into_iter().chain(writing()) {
        let reply = send(&kong, &row);
        assert_eq!(reply.status, row.code, "{} {}: {}", row.method, row.path, reply.body);
        if !row.answer.is_null() {
            assert_eq!(reply.json(), row.answer, "{} {}", row.method, row.path);
        }
    }
}

#[test]
fn every_answer_carries_kongs_headers() {
    let kong = Kong::start(&[]);
    let reply = get(kong.admin, "/");
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("server"), Some("kong/3.9.3"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("connection"), Some("keep-alive"));
    assert!(reply.header("x-kong-admin-latency").is_some() && reply.header("date").is_some());
    assert_eq!(get(kong.status, "/status").header("access-control-allow-credentials"), None);
    let allowed = ask(kong.admin, "OPTIONS", "/config", &[], "");
    assert_eq!(allowed.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
}

#[test]
fn the_root_tells_what_an_ingress_controller_needs() {
    let kong = Kong::start(&[("STANDIN_VERSION", "3.10.0.2"), ("KONG_ADMIN_SSL_CERT_KEY", "")]);
    let root = get(kong.admin, "/").json();
    assert_eq!(root["version"], "3.10.0.2");
    assert_eq!(root["edition"], "community");
    let configuration = &root["configuration"];
    assert_eq!(configuration["database"], "off");
    assert_eq!(configuration["role"], "traditional");
    assert_eq!(configuration["router_flavor"], "traditional_compatible");
    assert_eq!(configuration["plugins"], json!(["bundled"]));
    assert_eq!(configuration["stream_listeners"], json!({}));
    let listeners = configuration["proxy_listeners"].as_array().unwrap();
    assert_eq!(listeners[0]["port"], kong.proxy);
    assert_eq!((&listeners[1]["ssl"], &listeners[1]["http2"]), (&json!(true), &json!(true)));
    assert!(root["plugins"]["available_on_server"]["key-auth"]["priority"].is_number());
    assert_eq!(get(kong.admin, "/").json()["node_id"], root["node_id"]);
}

#[test]
fn the_status_of_both_apis_is_alike() {
    let kong = Kong::start(&[]);
    for port in [kong.admin, kong.status] {
        let status = get(port, "/status").json();
        assert_eq!(status["configuration_hash"], "0".repeat(32));
        assert!(status["server"]["total_requests"].is_number());
        assert!(status["memory"]["workers_lua_vms"][0]["pid"].is_number());
        assert!(status["memory"]["lua_shared_dicts"]["kong"]["capacity"].is_string());
        assert!(status.get("database").is_none());
    }
}

#[test]
fn gzip_where_it_is_asked_for() {
    let kong = Kong::start(&[]);
    let mut stream = crate::harness::connect(kong.admin).unwrap();
    crate::harness::send(&mut stream, "GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
    let reply = crate::harness::receive(&mut stream).unwrap();
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
}

#[test]
fn draining_is_seen_by_probes_and_ends_with_a_reload() {
    let kong = Kong::start(&[]);
    kong.configure(&json!({}));
    assert_eq!(get(kong.status, "/status/ready").json(), json!({"message": "ready"}));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(ask(kong.status, "POST", "/status/ready", &form, "status=draining").status, 204);
    let reply = get(kong.status, "/status/ready");
    assert_eq!((reply.status, reply.json()), (503, json!({"message": "draining"})));
    kong.configure(&json!({}));
    assert_eq!(get(kong.status, "/status/ready").status, 503, "a new configuration does not end draining");
    assert!(kong.command(&["reload"]).status.success());
    crate::harness::until("ready", || (get(kong.status, "/status/ready").status == 200).then_some(()));
}
