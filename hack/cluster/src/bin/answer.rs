//! A program for the pods of the box's own tests.
//!
//! In: HTTP requests on port 8080. Out: to `/`, its host name and the address of whoever asks; to
//! `/dial/HOST:PORT`, what another one of its kind at that place answers. Knows nothing else of HTTP.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

fn main() -> Result<()> {
    let listener = TcpListener::bind(("::", 8080)).or_else(|_| TcpListener::bind(("0.0.0.0", 8080)))?;
    for stream in listener.incoming().flatten() {
        // The asker sees a closed connection where this fails.
        std::thread::spawn(move || serve(stream));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<()> {
    let path = read_path(&stream)?;
    let (status, body) = match path.strip_prefix("/dial/") {
        None => ("200 OK", format!("{} {}", host()?, stream.peer_addr()?.ip().to_canonical())),
        Some(to) => match dial(to) {
            Ok(body) => ("200 OK", body),
            Err(error) => ("502 Bad Gateway", format!("{to}: {error}")),
        },
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Reads a request without a body; its path.
fn read_path(stream: &TcpStream) -> Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().ok_or_else(|| Error::other("no request"))??;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    first.split(' ').nth(1).map(str::to_owned).ok_or_else(|| Error::other("no path"))
}

fn host() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned())
}

fn dial(to: &str) -> Result<String> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET / HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or_else(|| Error::other("no answer"))
}
