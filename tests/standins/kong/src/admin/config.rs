//! `GET /config` and `POST /config`.
//! In: a configuration, as JSON, as text in JSON, in a form, or bare. Out: Kong's answer. The node keeps it.

use std::sync::Arc;

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Asked, decode};
use crate::answer::{Body, bare, json as json_answer, message};
use crate::config::{faults, load};
use crate::log;
use crate::node::{Node, fresh_hash, hash_of};

/// The configuration in force, as YAML in JSON.
pub fn show(node: &Node) -> Response<Body> {
    match node.config.borrow().clone().to_yaml() {
        Ok(text) => json_answer(StatusCode::OK, &json!({ "config": text })),
        Err(error) => message(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

/// What was sent: parsed JSON, or a text that has a hash of its own.
enum Sent {
    Parsed(Value),
    Text(String),
}

/// Takes a configuration.
pub fn push(node: &Arc<Node>, asked: &Asked) -> Response<Body> {
    let sent = match read(asked) {
        Ok(sent) => sent,
        Err(response) => return *response,
    };
    let (input, hash) = match sent {
        Sent::Parsed(value) => (value, fresh_hash()),
        Sent::Text(text) => {
            let hash = hash_of(&text);
            if asked.flag("check_hash") && node.config.borrow().hash == hash {
                return bare(StatusCode::NOT_MODIFIED);
            }
            match load::parse(&text) {
                Ok(value) => (value, hash),
                Err(error) => {
                    return refused(
                        asked,
                        json!({"error": format!("failed parsing declarative configuration: {error}")}),
                        &Value::Null,
                    );
                }
            }
        }
    };
    if node.conf.switches.refuse_config {
        return refused(asked, json!({"error": "refused, as asked by STANDIN_REFUSE_CONFIG"}), &input);
    }
    if !input.is_object() {
        return message(StatusCode::BAD_REQUEST, "expected a declarative configuration");
    }
    match node.judge(&input) {
        Ok(entities) => {
            let snapshot = node.accept(entities, hash);
            log::notice("declarative config loaded");
            json_answer(StatusCode::CREATED, &snapshot.to_json())
        }
        Err(fields) => refused(asked, fields, &input),
    }
}

fn refused(asked: &Asked, fields: Value, input: &Value) -> Response<Body> {
    json_answer(StatusCode::BAD_REQUEST, &faults::answer(fields, input, asked.flag("flatten_errors")))
}

fn read(asked: &Asked) -> Result<Sent, Box<Response<Body>>> {
    let text = String::from_utf8_lossy(&asked.body).into_owned();
    let kind = asked.kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let nothing = || Box::new(message(StatusCode::BAD_REQUEST, "expected a declarative configuration"));
    match kind.as_str() {
        "application/json" => {
            let parsed: Value = serde_json::from_str(&text)
                .map_err(|_| Box::new(message(StatusCode::BAD_REQUEST, "Cannot parse JSON body")))?;
            match parsed.get("config").and_then(Value::as_str) {
                Some(config) if parsed.get("_format_version").is_none() => Ok(Sent::Text(config.to_owned())),
                _ => Ok(Sent::Parsed(parsed)),
            }
        }
        "text/yaml" | "application/yaml" | "application/x-yaml" | "text/x-yaml" => Ok(Sent::Text(text)),
        "multipart/form-data" => multipart(&asked.kind, &text).map(Sent::Text).ok_or_else(nothing),
        "application/x-www-form-urlencoded" => {
            let field = text.split('&').find_map(|pair| pair.strip_prefix("config="));
            field.map(|value| Sent::Text(decode(&value.replace('+', " ")))).ok_or_else(nothing)
        }
        _ => Err(Box::new(bare(StatusCode::UNSUPPORTED_MEDIA_TYPE))),
    }
}

/// The field `config` of a form.
fn multipart(kind: &str, body: &str) -> Option<String> {
    let boundary = kind.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    body.split(&format!("--{boundary}")).find_map(|part| {
        let (head, content) = part.split_once("\r\n\r\n")?;
        head.contains("name=\"config\"").then(|| content.strip_suffix("\r\n").unwrap_or(content).to_owned())
    })
}
