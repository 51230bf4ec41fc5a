//! Bodies and answers, as nginx and Kong write them.
//! In: values and texts. Out: HTTP responses. Never reads a request.

use std::error::Error;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

/// What can go wrong while a body is read.
pub type BodyError = Box<dyn Error + Send + Sync>;
/// Any body.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body of known bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A response of this type.
pub fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// JSON, as Kong's admin API answers.
pub fn json(status: StatusCode, value: &Value) -> Response<Body> {
    text(status, "application/json; charset=utf-8", value.to_string())
}

/// `{"message": …}`.
pub fn message(status: StatusCode, message: &str) -> Response<Body> {
    json(status, &serde_json::json!({ "message": message }))
}

/// A response without a body.
pub fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// nginx' own page, after which it closes the connection.
pub fn nginx_page(status: StatusCode, title: &str, line: Option<&str>) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or_default();
    let line = line.map(|line| format!("<center>{line}</center>\r\n")).unwrap_or_default();
    let page = format!(
        "<html>\r\n<head><title>{code} {title}</title></head>\r\n<body>\r\n<center><h1>{code} {reason}</h1></center>\r\n\
         {line}<hr><center>openresty</center>\r\n</body>\r\n</html>\r\n",
        code = status.as_u16(),
    );
    let mut response = text(status, "text/html; charset=UTF-8", page);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
