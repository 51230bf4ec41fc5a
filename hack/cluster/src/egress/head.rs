//! The head of a request to a proxy.
//!
//! In: the first bytes of a connection. Out: where it wants to go, and the head to send there. Never
//! touches a body.

use std::io::{self, Error};
use std::net::TcpStream;

use super::dial;

/// A request's first line and header fields.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    method: String,
    /// Host and port.
    pub(super) authority: String,
    path: String,
    fields: Vec<String>,
}

/// Fields that are about the connection to the proxy, not about the request.
const OWN: [&str; 4] = ["connection:", "keep-alive:", "proxy-connection:", "proxy-authorization:"];

impl Head {
    pub(super) fn read(stream: &TcpStream) -> io::Result<Self> {
        let text = dial::read_head(stream)?;
        Self::parse(&text)
            .ok_or_else(|| Error::other(format!("no request to a proxy: {:?}", text.lines().next())))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (authority, path) = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or((rest, "/"), |at| rest.split_at(at)),
            None if method == "CONNECT" => (target, ""),
            None => return None,
        };
        let fields = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Some(Self { method, authority: with_port(authority), path: path.to_owned(), fields })
    }

    pub(super) fn is_connect(&self) -> bool {
        self.method == "CONNECT"
    }

    /// The head as a server expects it. It asks for the connection's end after the answer, so that the
    /// next request, which may be to another server, comes by a connection of its own.
    pub(super) fn to_origin(&self) -> String {
        let own = |field: &str| OWN.iter().any(|own| field.to_ascii_lowercase().starts_with(own));
        let first = format!("{} {} HTTP/1.1", self.method, self.path);
        let mut lines = vec![first.as_str()];
        lines.extend(self.fields.iter().map(String::as_str).filter(|field| !own(field)));
        lines.extend(["connection: close", "", ""]);
        lines.join("\r\n")
    }
}

fn with_port(authority: &str) -> String {
    let last = authority.rsplit(']').next().unwrap_or(authority);
    if last.contains(':') { authority.to_owned() } else { format!("{authority}:80") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_targets_are_understood() {
        let place = |line: &str| {
            Head::parse(&format!("{line} HTTP/1.1\r\n\r\n")).map(|head| (head.authority, head.path))
        };
        let found = |authority: &str, path: &str| Some((authority.to_owned(), path.to_owned()));
        assert_eq!(place("CONNECT quay.io:443"), found("quay.io:443", ""));
        assert_eq!(place("GET http://quay.io"), found("quay.io:80", "/"));
        assert_eq!(place("GET http://[::1]/v2/"), found("[::1]:80", "/v2/"));
        assert_eq!(place("GET http://[::1]:5000/v2/"), found("[::1]:5000", "/v2/"));
        assert_eq!(place("GET /v2/"), None);
    }

    #[test]
    fn what_is_the_proxys_own_is_not_sent_on() {
        let text = "GET http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: x\r\nKeep-Alive: 5\r\nAccept: */*\r\n\r\n";
        let sent = Head::parse(text).unwrap().to_origin();
        assert_eq!(sent, "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nconnection: close\r\n\r\n");
    }
}
