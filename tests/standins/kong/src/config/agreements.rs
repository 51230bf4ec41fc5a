//! What fields of one entity must agree on.
//! In: an object. Out: Kong's messages. Never looks at other entities.

use serde_json::{Map, Value, json};

use super::schema::Entity;
use crate::tls::certs;

/// Judges an object. Messages about one field go into `errors`, the others are returned.
pub fn judge(entity: &Entity, object: &Map<String, Value>, errors: &mut Map<String, Value>) -> Vec<String> {
    match entity.name.as_str() {
        "routes" => route(object, errors),
        "services" => service(object, errors),
        "upstreams" => upstream(object, errors),
        "certificates" => certificate(object),
        "consumers" if empty(object, "username") && empty(object, "custom_id") => {
            vec!["at least one of these fields must be non-empty: 'custom_id', 'username'".to_owned()]
        }
        _ => Vec::new(),
    }
}

fn empty(object: &Map<String, Value>, field: &str) -> bool {
    match object.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

const PER_PROTOCOL: [(&str, &str, &[&str]); 6] = [
    ("https", "'protocols' is 'https'", &["methods", "hosts", "headers", "paths", "snis"]),
    ("http", "'protocols' is 'http'", &["methods", "hosts", "headers", "paths"]),
    ("grpcs", "'protocols' is 'grpcs'", &["hosts", "headers", "paths", "snis"]),
    ("grpc", "'protocols' is 'grpc'", &["hosts", "headers", "paths"]),
    ("tls_passthrough", "'protocols' is 'tls_passthrough'", &["snis"]),
    ("stream", "'protocols' is 'tcp', 'tls' or 'udp'", &["sources", "destinations", "snis"]),
];

fn route(object: &Map<String, Value>, errors: &mut Map<String, Value>) -> Vec<String> {
    let default = json!(["http", "https"]);
    let protocols = object.get("protocols").filter(|value| !value.is_null()).unwrap_or(&default);
    let has = |name: &str| protocols.as_array().is_some_and(|list| list.iter().any(|entry| entry == name));
    let stream = has("tcp") || has("tls") || has("udp");
    let mut whole = Vec::new();
    if empty(object, "expression") {
        let rule = PER_PROTOCOL.iter().find(|(name, _, _)| has(name) || (*name == "stream" && stream));
        if let Some((_, when, fields)) = rule
            && fields.iter().all(|field| empty(object, field))
        {
            let names: Vec<String> = fields.iter().map(|field| format!("'{field}'")).collect();
            whole.push(match *when {
                "'protocols' is 'tls_passthrough'" => format!("must set snis when {when}"),
                _ => format!("must set one of {} when {when}", names.join(", ")),
            });
        }
    }
    if stream || has("tls_passthrough") {
        for field in
            ["methods", "hosts", "paths", "headers"].into_iter().filter(|field| !empty(object, field))
        {
            let message =
                format!("cannot set '{field}' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'");
            errors.insert(field.to_owned(), json!(message));
        }
    }
    let secure = ["grpcs", "https", "tls", "tls_passthrough"].into_iter().any(has);
    if !secure && !empty(object, "snis") {
        errors.insert("snis".into(), json!("length must be 0"));
        whole.push(
            "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'".into(),
        );
    }
    whole
}

fn service(object: &Map<String, Value>, errors: &mut Map<String, Value>) -> Vec<String> {
    let protocol = object.get("protocol").and_then(Value::as_str).unwrap_or("http");
    let conditional = "failed conditional validation given value of field 'protocol'".to_owned();
    let mut whole = Vec::new();
    if ["tcp", "tls", "udp", "grpc", "grpcs", "tls_passthrough"].contains(&protocol) && !empty(object, "path")
    {
        errors.insert("path".into(), json!("value must be null"));
        whole.push(conditional.clone());
    }
    if !["https", "tls", "grpcs"].contains(&protocol) && object.get("url").is_none() {
        for field in ["client_certificate", "tls_verify", "ca_certificates"] {
            if !empty(object, field) {
                errors.insert(field.to_owned(), json!("value must be null"));
                whole.push(conditional.clone());
            }
        }
    }
    whole
}

fn upstream(object: &Map<String, Value>, errors: &mut Map<String, Value>) -> Vec<String> {
    let mut whole = Vec::new();
    for (field, value, needed) in [
        ("hash_on", "header", "hash_on_header"),
        ("hash_fallback", "header", "hash_fallback_header"),
        ("hash_on", "cookie", "hash_on_cookie"),
        ("hash_on", "query_arg", "hash_on_query_arg"),
        ("hash_on", "uri_capture", "hash_on_uri_capture"),
    ] {
        if object.get(field).and_then(Value::as_str) == Some(value) && empty(object, needed) {
            errors.insert(needed.to_owned(), json!("required field missing"));
            whole.push(format!("failed conditional validation given value of field '{field}'"));
        }
    }
    whole
}

fn certificate(object: &Map<String, Value>) -> Vec<String> {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let (Some(certificate), Some(key)) = (text("cert"), text("key")) else {
        return Vec::new();
    };
    let (Ok(chain), Ok(key)) = (certs::chain(certificate), certs::key(key)) else {
        return Vec::new();
    };
    match certs::pair(chain, key) {
        Ok(_) => Vec::new(),
        Err(_) => vec!["certificate does not match key".to_owned()],
    }
}
