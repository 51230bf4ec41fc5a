//! What one field manager applied to an object, taken back out of the object.
//!
//! In: an object with its managed fields. Out: the body that, applied again, writes the same fields with the same
//! values. Never includes what the API server or another manager set.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// The body that a manager applied, to the object or to a subresource of it; its name and kind too, which every body has.
pub fn body(object: &Value, manager: &str, subresource: Option<&str>) -> Result<Value> {
    let entries =
        object.pointer("/metadata/managedFields").and_then(Value::as_array).context("no managed fields")?;
    let applied = entries.iter().find(|entry| {
        let is = |key: &str, value: &str| entry.get(key).and_then(Value::as_str) == Some(value);
        let part = entry.get("subresource").and_then(Value::as_str);
        is("manager", manager) && is("operation", "Apply") && part == subresource
    });
    let fields = applied.and_then(|entry| entry.get("fieldsV1"));
    let fields = fields.with_context(|| format!("{manager} applied nothing"))?;
    let mut body = extract(object, fields);
    for (pointer, key) in [("/apiVersion", "apiVersion"), ("/kind", "kind")] {
        put(&mut body, key, object.pointer(pointer));
    }
    if body.get("metadata").is_none() {
        put(&mut body, "metadata", Some(&json!({})));
    }
    if let Some(metadata) = body.get_mut("metadata") {
        put(metadata, "name", object.pointer("/metadata/name"));
    }
    Ok(body)
}

fn put(into: &mut Value, key: &str, value: Option<&Value>) {
    if let (Some(map), Some(value)) = (into.as_object_mut(), value) {
        map.insert(key.to_owned(), value.clone());
    }
}

/// The part of a value that a set of fields names (`FieldsV1` of structured-merge-diff).
fn extract(value: &Value, fields: &Value) -> Value {
    let fields = fields.as_object().filter(|fields| !fields.keys().all(|key| key == "."));
    let Some(fields) = fields else { return value.clone() };
    match value {
        Value::Object(map) => Value::Object(members(map, fields)),
        Value::Array(items) => Value::Array(elements(items, fields)),
        other => other.clone(),
    }
}

fn members(map: &Map<String, Value>, fields: &Map<String, Value>) -> Map<String, Value> {
    let named = fields.iter().filter_map(|(key, below)| Some((key.strip_prefix("f:")?, below)));
    named.filter_map(|(key, below)| Some((key.to_owned(), extract(map.get(key)?, below)))).collect()
}

/// In the order of the object, which is the order in which they were applied.
fn elements(items: &[Value], fields: &Map<String, Value>) -> Vec<Value> {
    let picked = |item: &Value| fields.iter().find(|(key, _)| names(key, item)).map(|(_, below)| below);
    items.iter().filter_map(|item| Some(extract(item, picked(item)?))).collect()
}

/// Whether the key of an element, by its own keys or by its value, means this one.
fn names(key: &str, item: &Value) -> bool {
    let parse = |text| serde_json::from_str::<Value>(text).ok();
    match key.split_once(':') {
        Some(("k", text)) => parse(text)
            .and_then(|keys| {
                keys.as_object().map(|keys| keys.iter().all(|(key, value)| item.get(key) == Some(value)))
            })
            .unwrap_or(false),
        Some(("v", text)) => parse(text).is_some_and(|value| value == *item),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_manager_applied_comes_back() {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "one", "uid": "u", "labels": { "ours": "1", "theirs": "2" },
                "finalizers": ["a", "b"],
                "managedFields": [
                    { "manager": "other", "operation": "Apply", "fieldsV1": { "f:metadata": { "f:labels": { "f:theirs": {} } } } },
                    { "manager": "me", "operation": "Apply", "subresource": "status", "fieldsV1": { "f:status": { "f:a": {} } } },
                    { "manager": "me", "operation": "Apply", "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:ours": {} }, "f:finalizers": { "v:\"b\"": {} } },
                        "f:spec": {
                            "f:selector": {},
                            "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {}, "f:name": {} } },
                        },
                    } },
                ],
            },
            "status": { "a": 1, "b": 2 },
            "spec": {
                "clusterIP": "10.96.0.5",
                "selector": { "app": "one" },
                "ports": [
                    { "port": 443, "protocol": "TCP" },
                    { "port": 80, "protocol": "TCP", "name": "http", "nodePort": 30000 },
                ],
            },
        });
        let expected = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "one", "labels": { "ours": "1" }, "finalizers": ["b"] },
            "spec": { "selector": { "app": "one" }, "ports": [{ "port": 80, "name": "http" }] },
        });
        assert_eq!(body(&object, "me", None).unwrap(), expected);
        let status = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "one" }, "status": { "a": 1 } });
        assert_eq!(body(&object, "me", Some("status")).unwrap(), status);
        assert!(body(&object, "nobody", None).is_err());
    }
}
