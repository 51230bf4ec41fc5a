//! The first bytes of a connection: TLS, HTTP/2, or a PROXY header.
//! In: a socket. Out: what comes next. Consumes nothing but a PROXY header.

use std::net::{IpAddr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// First byte of a TLS record that begins a handshake.
const HANDSHAKE: u8 = 0x16;
const HTTP2: &[u8] = b"PRI * HTTP/2.0";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Waits for the first byte, or for the end of the connection.
pub async fn first(stream: &TcpStream) -> Option<u8> {
    let mut bytes = [0_u8; 1];
    let length = stream.peek(&mut bytes).await.ok()?;
    bytes.first().copied().filter(|_| length == 1)
}

/// Whether the caller begins with TLS. Waits for the first byte, however long that takes, as nginx does.
pub async fn is_tls(stream: &TcpStream) -> bool {
    first(stream).await == Some(HANDSHAKE)
}

/// Whether the caller begins with the preface of HTTP/2.
pub async fn is_http2(stream: &TcpStream) -> bool {
    let mut first = [0_u8; 3];
    // `PRI` is no method, so three bytes are enough to tell.
    matches!(stream.peek(&mut first).await, Ok(3)) && HTTP2.starts_with(&first)
}

/// Reads a PROXY header: the address it tells, nothing where it tells none, and `None` where there is no header.
pub async fn proxied(stream: &mut TcpStream) -> Option<Option<SocketAddr>> {
    let mut start = [0_u8; 12];
    stream.read_exact(&mut start).await.ok()?;
    if start == V2 { version2(stream).await } else { version1(stream, &start).await }
}

async fn version1(stream: &mut TcpStream, start: &[u8]) -> Option<Option<SocketAddr>> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() > 107 {
            return None;
        }
        line.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(line).ok()?;
    let mut words = text.split_whitespace();
    if words.next()? != "PROXY" {
        return None;
    }
    if words.next()? == "UNKNOWN" {
        return Some(None);
    }
    let ip: IpAddr = words.next()?.parse().ok()?;
    let port = words.nth(1)?.parse().ok()?;
    Some(Some(SocketAddr::new(ip, port)))
}

async fn version2(stream: &mut TcpStream) -> Option<Option<SocketAddr>> {
    let mut head = [0_u8; 4];
    stream.read_exact(&mut head).await.ok()?;
    let [_, family, high, low] = head;
    let mut rest = vec![0_u8; usize::from(u16::from_be_bytes([high, low]))];
    stream.read_exact(&mut rest).await.ok()?;
    let port = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
    match family >> 4 {
        1 => {
            let ip: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            Some(Some(SocketAddr::new(IpAddr::from(ip), port(8)?)))
        }
        2 => {
            let ip: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            Some(Some(SocketAddr::new(IpAddr::from(ip), port(32)?)))
        }
        _ => Some(None),
    }
}
