//! TCP and UDP by `stream_listen`.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;

use serde_json::json;

use crate::backend::Backend;
use crate::harness::{Kong, PATIENCE, connect, free_port, until};
use crate::wire::{Authority, ask, dial};

#[test]
fn tcp_is_carried_by_destination_port() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = socket.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in socket.incoming().flatten() {
            let mut buffer = [0_u8; 64];
            let length = stream.read(&mut buffer).unwrap_or(0);
            let _ = stream.write_all(&buffer[..length]);
        }
    });
    let port = free_port();
    let kong = Kong::start(&[("KONG_STREAM_LISTEN", &format!("127.0.0.1:{port}"))]);
    kong.configure(&json!({
        "upstreams": [{"name": "up", "targets": [{"target": upstream.to_string()}]}],
        "services": [{"name": "s", "protocol": "tcp", "host": "up", "routes": [
            {"name": "r", "protocols": ["tcp"], "destinations": [{"port": port}]}]}]}));
    let mut stream = connect(port).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = [0_u8; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    let root = crate::harness::get(kong.admin, "/").json();
    assert_eq!(root["configuration"]["stream_listeners"][0]["port"], port);
}

#[test]
fn udp_is_carried_by_destination_port() {
    let upstream = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = upstream.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0_u8; 64];
        while let Ok((length, from)) = upstream.recv_from(&mut buffer) {
            let _ = upstream.send_to(&buffer[..length], from);
        }
    });
    let port = free_port();
    let maps = format!("53:{port}");
    let kong =
        Kong::start(&[("KONG_STREAM_LISTEN", &format!("127.0.0.1:{port} udp")), ("KONG_PORT_MAPS", &maps)]);
    // The port that the Service shows, not the one that Kong listens on.
    kong.configure(&json!({"services": [{"name": "s", "protocol": "udp", "host": "127.0.0.1", "port": target.port(), "routes": [
        {"name": "r", "protocols": ["udp"], "destinations": [{"port": 53}]}]}]}));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE / 20)).unwrap();
    until("a datagram back", || {
        client.send_to(b"ping", ("127.0.0.1", port)).ok()?;
        let mut buffer = [0_u8; 64];
        let length = client.recv(&mut buffer).ok()?;
        (&buffer[..length] == b"ping").then_some(())
    });
}

#[tokio::test]
async fn tls_ends_here_or_passes_through_by_sni() {
    let authority = Authority::new();
    let backend = Backend::start("one");
    let port = free_port();
    let kong = Kong::start(&[("KONG_STREAM_LISTEN", &format!("127.0.0.1:{port} ssl"))]);
    let certificate = |name: &str| {
        let (cert, key) = authority.issue(name);
        json!({"cert": cert, "key": key, "snis": [{"name": name}]})
    };
    let route = |name: &str, protocol: &str| json!([{"name": name, "protocols": [protocol], "snis": [name]}]);
    kong.configure(&json!({"certificates": [certificate("ends.test"), certificate("passes.test")], "services": [
        {"name": "ends", "protocol": "tcp", "host": "127.0.0.1", "port": backend.port, "routes": route("ends.test", "tls")},
        {"name": "passes", "protocol": "tcp", "host": "127.0.0.1", "port": kong.tls, "routes": route("passes.test", "tls_passthrough")},
        {"name": "http", "host": "127.0.0.1", "port": backend.port, "routes": [{"name": "http", "paths": ["/"]}]},
    ]}));
    let ended = ask(port, "ends.test", authority.client(None, &[])).await;
    assert!(ended.starts_with("HTTP/1.1 200") && !ended.contains("X-Kong"), "carried as it is: {ended}");
    let passed = ask(port, "passes.test", authority.client(None, &[])).await;
    assert!(passed.contains("X-Forwarded-Proto: https"), "TLS ended at the proxy behind: {passed}");
    assert!(dial(port, "other.test", authority.client(None, &[])).await.is_err());
}
