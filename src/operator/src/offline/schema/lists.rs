//! Lists whose items have keys, or are a set: none twice.

use serde_json::{Map, Value};

use super::{Fault, child, field};

/// Items that are there twice; each is told once.
pub fn check(schema: &Value, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let Some(schema) = field(schema, name) {
                    check(schema, value, &child(path, name), faults);
                }
            }
        }
        Value::Array(items) => {
            let keys: Vec<_> = items.iter().map(|item| key(schema, item)).collect();
            for (index, key) in keys.iter().enumerate() {
                let before = keys.iter().take(index).filter(|other| *other == key).count();
                if let (Some(key), 1) = (key, before) {
                    let message = format!("Duplicate value: {key}");
                    faults.push(Fault {
                        cause: "FieldValueDuplicate",
                        path: format!("{path}[{index}]"),
                        message,
                    });
                }
            }
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    check(schema, item, &format!("{path}[{index}]"), faults);
                }
            }
        }
        _ => {}
    }
}

/// What no other item may have; nothing where a list is as it is.
fn key(schema: &Value, item: &Value) -> Option<Value> {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str)? {
        "set" => Some(item.clone()),
        "map" => {
            let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array)?;
            let pairs = keys.iter().filter_map(Value::as_str);
            let pairs = pairs.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())));
            Some(Value::Object(pairs.collect::<Map<_, _>>()))
        }
        _ => None,
    }
}
