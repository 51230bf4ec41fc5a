//! TCP and UDP by `stream_listen`.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;

use serde_json::json;

use crate::harness::{Kong, PATIENCE, connect, free_port, until};

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
    let kong = Kong::start(&[("KONG_STREAM_LISTEN", &format!("127.0.0.1:{port} udp"))]);
    kong.configure(&json!({"services": [{"name": "s", "protocol": "udp", "host": "127.0.0.1", "port": target.port(), "routes": [
        {"name": "r", "protocols": ["udp"], "destinations": [{"port": port}]}]}]}));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE / 20)).unwrap();
    until("a datagram back", || {
        client.send_to(b"ping", ("127.0.0.1", port)).ok()?;
        let mut buffer = [0_u8; 64];
        let length = client.recv(&mut buffer).ok()?;
        (&buffer[..length] == b"ping").then_some(())
    });
}
