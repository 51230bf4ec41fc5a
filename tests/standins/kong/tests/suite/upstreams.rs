//! Towards upstreams: certificates that are verified, HTTP/2 for gRPC, probes.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::harness::{Kong, get, until};
use crate::wire::Authority;

#[test]
fn the_certificate_of_an_upstream_is_verified_where_that_is_asked() {
    let (own, foreign) = (Authority::new(), Authority::new());
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let (cert, key) = own.issue("localhost");
    let ids = ["6f1d7a6e-0000-4000-8000-00000000000a", "6f1d7a6e-0000-4000-8000-00000000000b"];
    // The node's own TLS port is the upstream; it shows the certificate for the name it is asked for.
    let service = |name: &str, more: serde_json::Value| {
        let mut service = json!({"name": name, "protocol": "https", "host": "localhost", "port": kong.tls, "retries": 0,
            "routes": [{"name": name, "paths": [format!("/{name}")]}]});
        for (field, value) in more.as_object().unwrap() {
            service[field] = value.clone();
        }
        service
    };
    kong.configure(&json!({
        "certificates": [{"cert": cert, "key": key, "snis": [{"name": "localhost"}]}],
        "ca_certificates": [{"id": ids[0], "cert": own.pem()}, {"id": ids[1], "cert": foreign.pem()}],
        "services": [
            {"name": "end", "host": "127.0.0.1", "port": backend.port, "routes": [{"name": "end", "paths": ["/"], "strip_path": false}]},
            service("any", json!({})),
            service("known", json!({"tls_verify": true, "ca_certificates": [ids[0]]})),
            service("unknown", json!({"tls_verify": true, "ca_certificates": [ids[1]]})),
        ]}));
    for (path, code) in [("/any", 200), ("/known", 200), ("/unknown", 502)] {
        assert_eq!(get(kong.proxy, path).status, code, "{path}");
    }
}

#[tokio::test]
async fn grpc_upstreams_are_spoken_to_in_http2() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[("KONG_PROXY_LISTEN", "127.0.0.1:{proxy} http2")]);
    // The node itself is the upstream: the second time the request comes with its address as host.
    kong.configure(&json!({"services": [
        {"name": "grpc", "protocol": "grpc", "host": "127.0.0.1", "port": kong.proxy,
            "routes": [{"name": "grpc", "protocols": ["grpc", "grpcs"], "paths": ["/pkg.Service/"], "strip_path": false}]},
        {"name": "end", "host": "127.0.0.1", "port": backend.port,
            "routes": [{"name": "end", "hosts": ["127.0.0.1"], "strip_path": false}]},
    ]}));
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], kong.proxy))).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://client.test/pkg.Service/Call").body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("GET /pkg.Service/Call") && text.contains("Via: 2 kong/3.9.3"), "{text}");
}

#[test]
fn probes_find_out_who_is_ill_and_who_is_well_again() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[]);
    let upstream = |path: &str| {
        json!([{"name": "up", "targets": [{"target": backend.address()}], "healthchecks": {"active": {
        "http_path": path,
        "healthy": {"interval": 0.1, "successes": 1}, "unhealthy": {"interval": 0.1, "http_failures": 1}}}}])
    };
    let services = json!([{"name": "a", "host": "up", "routes": [{"name": "r", "paths": ["/a"]}]}]);
    kong.configure(&json!({"services": services, "upstreams": upstream("/code/500")}));
    until("the probe to fail", || (get(kong.proxy, "/a").status == 503).then_some(()));
    let health = get(kong.status, "/upstreams/up/health").json();
    assert_eq!(health["data"][0]["health"], "UNHEALTHY");
    kong.configure(&json!({"services": services, "upstreams": upstream("/code/200")}));
    until("the probe to succeed", || (get(kong.proxy, "/a").status == 200).then_some(()));
    assert_eq!(get(kong.status, "/upstreams/up/health").json()["data"][0]["health"], "HEALTHY");
}
