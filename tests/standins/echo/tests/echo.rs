//! The backend as a process: what it echoes, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Echo {
    child: Child,
    port: u16,
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one on a port of its own choice, which it prints.
fn start() -> Option<Echo> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_echo-backend"))
        .env("HTTP_PORT", "0")
        .envs([("POD_NAME", "p-1"), ("NAMESPACE", "n"), ("NODE_NAME", "node-1")])
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
    let port = line.rsplit(' ').next()?.trim().parse().ok()?;
    Some(Echo { child, port })
}

fn connect(echo: &Echo) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", echo.port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

fn ask(echo: &Echo, text: &str) -> std::io::Result<String> {
    let mut stream = connect(echo)?;
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn tells_what_it_was_asked() {
    let echo = start().unwrap();
    let text = "POST /a/b?c=d HTTP/1.1\r\nHost: h.test\r\nX-One: 1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
    let answer = ask(&echo, text).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("x-echo-pod: p-1"), "{answer}");
    let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    for (field, value) in
        [("method", "POST"), ("path", "/a/b"), ("query", "c=d"), ("host", "h.test"), ("body", "hi")]
    {
        assert_eq!(body[field], value, "{field}");
    }
    for (field, value) in [("pod", "p-1"), ("namespace", "n"), ("node", "node-1")] {
        assert_eq!(body[field], value, "{field}");
    }
    assert_eq!(body["headers"]["x-one"], "1");
}

#[test]
fn answers_the_status_it_is_asked_for() {
    let echo = start().unwrap();
    let answer = ask(&echo, "GET /status/418 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");
}

#[test]
fn finishes_what_is_in_flight() {
    let mut echo = start().unwrap();
    let mut stream = connect(&echo).unwrap();
    // The first answer shows that the connection is served before the signal comes.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0_u8; 12];
    stream.read_exact(&mut first).unwrap();
    let mut slow = connect(&echo).unwrap();
    slow.write_all(b"GET /delay/1500 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut other = connect(&echo).unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    other.read_exact(&mut first).unwrap();
    let killed = Command::new("kill").arg(echo.child.id().to_string()).status().unwrap();
    assert!(killed.success());
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(echo.child.wait().unwrap().success());
    assert!(connect(&echo).is_err());
}

#[test]
fn echoes_websocket_frames() {
    let echo = start().unwrap();
    let mut stream = connect(&echo).unwrap();
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let text = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    // A masked text frame `hi`; the answer is the same frame without a mask.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).unwrap();
    let mut frame = [0_u8; 4];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame, [0x81, 2, b'h', b'i']);
}
