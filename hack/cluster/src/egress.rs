//! The way from a box to image registries: an HTTP proxy that listens inside and dials outside.
//!
//! In: a listener that lives in the box's network. Out: connections from this process's own network,
//! through the proxy that `HTTPS_PROXY` or `HTTP_PROXY` names where there is one. Only containerd is told
//! of it. It never looks into what passes, but for the first head of a connection.

mod dial;
mod head;

use std::io::{self, Error, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use dial::Way;
use head::Head;

/// Serves until the process ends; returns at once.
pub(crate) fn serve(listener: TcpListener) {
    serve_by(listener, Way::from_env(|name| std::env::var(name).ok()));
}

fn serve_by(listener: TcpListener, way: Way) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let way = way.clone();
            thread::spawn(move || answer(&stream, &way));
        }
    });
}

/// Serves one connection; what goes wrong is told to containerd, whose error shows in the pod's events.
fn answer(stream: &TcpStream, way: &Way) {
    if let Err(error) = carry(stream, way) {
        let body = format!("the box's way to registries: {error}\n");
        let length = body.len();
        let head =
            format!("HTTP/1.1 502 Bad Gateway\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        // Nobody is left to tell when this fails too.
        let _ = (&*stream).write_all((head + &body).as_bytes());
    }
}

fn carry(mut inside: &TcpStream, way: &Way) -> io::Result<()> {
    let head = Head::read(inside)?;
    let outside = way.dial(&head.authority)?;
    if head.is_connect() {
        inside.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        (&outside).write_all(head.to_origin().as_bytes())?;
    }
    join(inside, &outside)
}

/// Copies both ways until both have ended.
fn join(inside: &TcpStream, outside: &TcpStream) -> io::Result<()> {
    let (from, to) = (inside.try_clone()?, outside.try_clone()?);
    let up = thread::spawn(move || copy(&from, &to));
    copy(outside, inside);
    up.join().map_err(|_| Error::other("a copying thread ended badly"))
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    // An error on one side ends the other, which tells all there is to tell.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    /// A server that answers every connection with the head it was sent.
    fn mirror() -> String {
        let (listener, address) = listen();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let head = dial::read_head(&stream).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").unwrap();
                stream.write_all(head.as_bytes()).unwrap();
            }
        });
        address
    }

    fn proxy(way: Way) -> String {
        let (listener, address) = listen();
        serve_by(listener, way);
        address
    }

    fn through(proxy: &str, text: &str) -> String {
        let mut stream = TcpStream::connect(proxy).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn plain_requests_are_sent_on_in_origin_form() {
        let (to, by) = (mirror(), proxy(Way::Direct));
        let answer = through(
            &by,
            &format!("GET http://{to}/v2/?a=b HTTP/1.1\r\nhost: {to}\r\nconnection: keep-alive\r\n\r\n"),
        );
        assert!(
            answer.ends_with(&format!("GET /v2/?a=b HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n")),
            "{answer}"
        );
    }

    #[test]
    fn tunnels_lead_to_where_they_are_asked_for() {
        let (to, by) = (mirror(), proxy(Way::Direct));
        let answer =
            through(&by, &format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\nGET /in HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK"), "{answer}");
        assert!(answer.ends_with("GET /in HTTP/1.1\r\n\r\n"), "{answer}");
    }

    #[test]
    fn an_outer_proxy_is_used() {
        let (to, outer) = (mirror(), proxy(Way::Direct));
        let way = Way::from_env(|name| (name == "HTTPS_PROXY").then(|| format!("http://user:word@{outer}/")));
        let answer = through(&proxy(way), &format!("CONNECT {to} HTTP/1.1\r\n\r\nGET /in HTTP/1.1\r\n\r\n"));
        assert!(answer.ends_with("GET /in HTTP/1.1\r\n\r\n"), "{answer}");
        let (none, address) = listen();
        drop(none);
        let way = Way::from_env(|name| (name == "HTTPS_PROXY").then(|| address.clone()));
        let answer = through(&proxy(way), &format!("CONNECT {to} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("refused"), "{answer}");
    }
}
