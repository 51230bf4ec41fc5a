//! An upstream that tells what it was asked, and can be slow, silent or broken.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

/// A running upstream; it lives until the test ends.
pub struct Backend {
    pub port: u16,
    pub hits: Arc<AtomicUsize>,
}

impl Backend {
    /// Starts one that answers under this name.
    pub fn start(name: &'static str) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let hits = Arc::new(AtomicUsize::new(0));
        let counter = hits.clone();
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                let counter = counter.clone();
                thread::spawn(move || serve(stream, name, &counter));
            }
        });
        Self { port, hits }
    }

    /// Requests seen so far.
    pub fn seen(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// Its address as a target.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn serve(mut stream: TcpStream, name: &str, hits: &AtomicUsize) -> Option<()> {
    loop {
        let (head, body) = request(&mut stream)?;
        hits.fetch_add(1, Ordering::SeqCst);
        let path = head.split_whitespace().nth(1)?.to_owned();
        let argument = path.rsplit('/').next().and_then(|text| text.split('?').next()?.parse::<u64>().ok());
        if path.starts_with("/slow/") {
            thread::sleep(Duration::from_millis(argument.unwrap_or(0)));
        }
        if path.starts_with("/hang") {
            thread::sleep(Duration::from_secs(30));
        }
        if path.starts_with("/close") {
            return None;
        }
        if path.starts_with("/garbage") {
            return stream.write_all(b"this is no HTTP\r\n\r\n").ok();
        }
        let status = if path.starts_with("/code/") { argument.unwrap_or(200) } else { 200 };
        let answer =
            json!({"backend": name, "line": head.lines().next(), "head": head, "body": body}).to_string();
        let text = format!(
            "HTTP/1.1 {status} Whatever\r\nServer: backend\r\nX-Backend: {name}\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        stream.write_all(text.as_bytes()).ok()?;
        if head.to_ascii_lowercase().contains("connection: close") {
            return None;
        }
    }
}

fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}
