//! Kong's own errors: JSON, HTML, XML or plain text, as `Accept` chooses.
//! In: status and message. Out: the response with Kong's headers. Never counts.

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Response, StatusCode};

use super::Exchange;
use crate::answer::{Body, full};

/// An error of Kong's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    status: u16,
    message: String,
}

impl Own {
    /// Status and message.
    pub fn new(status: u16, message: &str) -> Self {
        Self { status, message: message.to_owned() }
    }
}

/// The kind of text a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Html,
    Xml,
    Plain,
}

/// The response.
pub fn own(exchange: &Exchange<'_>, error: &Own) -> Response<Body> {
    let accept = exchange.head.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = choose(accept);
    let (content_type, body) = text(kind, &error.message, exchange.id);
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    decorate(exchange, &mut response);
    response
}

/// The headers of an answer that Kong makes itself.
pub fn decorate(exchange: &Exchange<'_>, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert("x-kong-response-latency", HeaderValue::from(exchange.elapsed()));
    if let Ok(server) = HeaderValue::from_str(&format!("kong/{}", exchange.node.conf.version)) {
        headers.insert(SERVER, server);
    }
    if let Ok(id) = HeaderValue::from_str(exchange.id) {
        headers.insert("x-kong-request-id", id);
    }
}

/// The entry of `Accept` with the greatest weight that Kong has a template for; JSON where there is none.
fn choose(accept: &str) -> Kind {
    let mut best = (Kind::Json, 0.0_f32);
    for entry in accept.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let kind = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => Kind::Json,
            "text/html" => Kind::Html,
            "application/xml" | "text/xml" => Kind::Xml,
            "text/plain" | "text/*" => Kind::Plain,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if weight > best.1 {
            best = (kind, weight);
        }
    }
    best.0
}

fn text(kind: Kind, message: &str, id: &str) -> (&'static str, String) {
    match kind {
        Kind::Json => (
            "application/json; charset=utf-8",
            format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{id}\"\n}}"),
        ),
        Kind::Html => (
            "text/html; charset=utf-8",
            format!(
                "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n  \
                 <body>\n    <h1>Error</h1>\n    <p>{message}.</p>\n    <p>request_id: {id}</p>\n  </body>\n</html>\n"
            ),
        ),
        Kind::Xml => (
            "application/xml; charset=utf-8",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>{message}</message>\n  \
                 <requestid>{id}</requestid>\n</error>\n"
            ),
        ),
        Kind::Plain => ("text/plain; charset=utf-8", format!("{message}\nrequest_id: {id}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_chooses() {
        for (accept, kind) in [
            ("", Kind::Json),
            ("*/*", Kind::Json),
            ("text/html", Kind::Html),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Kind::Html),
            ("application/json;q=0.5, text/plain", Kind::Plain),
            ("application/xml", Kind::Xml),
            ("image/png", Kind::Json),
        ] {
            assert_eq!(choose(accept), kind, "{accept}");
        }
    }

    #[test]
    fn json_is_laid_out_as_kong_does() {
        let (_, body) = text(Kind::Json, "m", "i");
        assert_eq!(body, "{\n  \"message\":\"m\",\n  \"request_id\":\"i\"\n}");
    }
}
