//! Which route a request takes.

use serde_json::{Value, json};

use crate::harness::{Kong, Reply, ask};

/// Method, path, headers, and the route that must be taken.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

/// A service whose plugin answers with its name, so that the answer tells the route.
fn told(name: &str, mut route: Value) -> Value {
    route["name"] = json!(name);
    json!({"name": name, "host": "127.0.0.1", "port": 1, "routes": [route],
        "plugins": [{"name": "request-termination", "config": {"status_code": 200, "body": name, "content_type": "text/plain"}}]})
}

fn which(reply: &Reply) -> &str {
    if reply.status == 404 { "none" } else { &reply.body }
}

#[test]
fn the_order_of_routes_is_kongs() {
    let kong = Kong::start(&[]);
    kong.configure(&json!({"services": [
        told("plain", json!({"paths": ["/plain"]})),
        told("longer", json!({"paths": ["/plain/longer"]})),
        told("regex", json!({"paths": [r"~/re/\d+$"]})),
        told("regex-prefix", json!({"paths": ["/re/1"], "methods": ["GET"], "headers": {"x-a": ["1"]}})),
        told("host", json!({"hosts": ["host.test"]})),
        told("wild", json!({"hosts": ["*.wild.test"], "paths": ["/w"]})),
        told("right", json!({"hosts": ["right.*"]})),
        told("method", json!({"paths": ["/method"], "methods": ["PUT"]})),
        told("header", json!({"paths": ["/header"], "headers": {"X-Kind": ["one", "two"]}})),
        told("header-regex", json!({"paths": ["/hregex"], "headers": {"x-kind": ["~*^v[0-9]+$"]}})),
        told("secure", json!({"paths": ["/sni"], "protocols": ["https"], "snis": ["a.test"]})),
    ]}));
    let table: &[Row] = &[
        ("GET", "/plain", &[], "plain"),
        ("GET", "/plainx", &[], "plain"),
        ("GET", "/plain/longer/x", &[], "longer"),
        ("GET", "/Plain", &[], "none"),
        ("GET", "/plain/../plain/longer", &[], "longer"),
        ("GET", "//plain", &[], "plain"),
        ("GET", "/%70lain", &[], "plain"),
        ("GET", "/re/1", &[("x-a", "1")], "regex"),
        ("GET", "/re/1x", &[("x-a", "1")], "regex-prefix"),
        ("GET", "/plain", &[("Host", "host.test")], "host"),
        ("GET", "/re/1", &[("Host", "HOST.test:8080")], "host"),
        ("GET", "/w", &[("Host", "a.wild.test")], "wild"),
        ("GET", "/w", &[("Host", "a.b.wild.test")], "wild"),
        ("GET", "/w", &[("Host", "wild.test")], "none"),
        ("GET", "/", &[("Host", "right.org")], "right"),
        ("PUT", "/method", &[], "method"),
        ("GET", "/method", &[], "none"),
        ("GET", "/header", &[("x-kind", "TWO")], "header"),
        ("GET", "/header", &[("x-kind", "three")], "none"),
        ("GET", "/header", &[], "none"),
        ("GET", "/hregex", &[("x-kind", "V42")], "header-regex"),
        ("GET", "/none", &[], "none"),
    ];
    for (method, path, headers, wanted) in table {
        let reply = ask(kong.proxy, method, path, headers, "");
        assert_eq!(which(&reply), *wanted, "{method} {path} {headers:?}: {}", reply.body);
    }
}

#[test]
fn expressions_are_routed_as_well() {
    let kong = Kong::start(&[("KONG_ROUTER_FLAVOR", "expressions")]);
    let route = |text: &str, priority: u64| json!({"expression": text, "priority": priority});
    kong.configure(&json!({"services": [
        told("low", route(r#"http.path ^= "/x""#, 1)),
        told("high", route(r##"(http.host == "h.test" || http.host =^ ".h.test") && http.path ~ r#"^/x/\d+"# && http.method == "GET""##, 9)),
        told("header", route(r#"any(lower(http.headers.x_kind)) == "one" && !(net.protocol == "https")"#, 5)),
        told("query", route(r#"http.queries.q == "1" && http.path.segments.0 == "q" && net.src.ip in 127.0.0.0/8"#, 7)),
    ]}));
    let table: &[Row] = &[
        ("GET", "/x/1", &[], "low"),
        ("GET", "/x/1", &[("Host", "h.test")], "high"),
        ("GET", "/x/1", &[("Host", "a.h.test")], "high"),
        ("GET", "/x/a", &[("Host", "h.test")], "low"),
        ("GET", "/x/1", &[("X-Kind", "ONE")], "header"),
        ("GET", "/q/z?q=1", &[], "query"),
        ("GET", "/q/z?q=2", &[], "none"),
        ("GET", "/none", &[], "none"),
    ];
    for (method, path, headers, wanted) in table {
        let reply = ask(kong.proxy, method, path, headers, "");
        assert_eq!(which(&reply), *wanted, "{path} {headers:?}");
    }
    let bad =
        kong.push(&json!({"_format_version": "3.0", "services": [told("bad", route("http.path ^^ 1", 1))]}));
    assert_eq!(bad.status, 400, "{}", bad.body);
}

#[test]
fn plain_http_where_only_tls_will_do() {
    let kong = Kong::start(&[]);
    let route = |path: &str, code: u16| json!({"paths": [path], "protocols": ["https"], "https_redirect_status_code": code});
    kong.configure(&json!({"services": [
        told("a", route("/426", 426)), told("b", route("/301", 301)), told("c", route("/308", 308)),
    ]}));
    let upgrade = ask(kong.proxy, "GET", "/426", &[], "");
    assert_eq!((upgrade.status, upgrade.header("upgrade")), (426, Some("TLS/1.2, HTTP/1.1")));
    assert!(upgrade.body.contains("Please use HTTPS protocol"));
    for (path, code) in [("/301?a=b", 301), ("/308", 308)] {
        let reply = ask(kong.proxy, "GET", path, &[("Host", "h.test:8000")], "");
        assert_eq!(reply.status, code);
        assert_eq!(reply.header("location"), Some(format!("https://h.test{path}").as_str()));
    }
}
