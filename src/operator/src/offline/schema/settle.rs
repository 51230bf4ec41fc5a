//! An object as the API server has it before it looks at it: without `null`, unknown fields left out, with the defaults
//! of the schema.

use serde_json::{Map, Value};

use super::{child, field};

/// Makes it so. `metadata` stays as it is.
pub fn settle(schema: &Value, object: &mut Value) {
    match object {
        Value::Object(members) => of_fields(schema, members),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    settle(schema, item);
                }
            }
        }
        _ => {}
    }
}

fn of_fields(schema: &Value, members: &mut Map<String, Value>) {
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return;
    }
    // To Kubernetes a field that is null is absent, but for one that may be null.
    members.retain(|name, value| {
        let nullable = field(schema, name).is_some_and(|schema| schema.get("nullable").is_some());
        !value.is_null() || nullable
    });
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) = schema.get("default") {
            members.entry(name.clone()).or_insert_with(|| default.clone());
        }
    }
    for (name, value) in members {
        if let Some(schema) = field(schema, name) {
            settle(schema, value);
        }
    }
}

/// Leaves out what the schema does not know, as the API server does when it stores an object.
pub fn prune(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) if schema.get("properties").is_some() => {
            members.retain(|name, _| field(schema, name).is_some());
            for (name, value) in members {
                if let Some(schema) = field(schema, name) {
                    prune(schema, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    prune(schema, item);
                }
            }
        }
        _ => {}
    }
}

/// Leaves out the values at these paths, as faults name them.
pub fn without(object: &mut Value, paths: &[&str]) {
    leave_out(object, "", paths);
}

fn leave_out(value: &mut Value, path: &str, paths: &[&str]) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !paths.contains(&child(path, name).as_str()));
            for (name, value) in members {
                leave_out(value, &child(path, name), paths);
            }
        }
        Value::Array(items) => {
            // What has gone must not move the others: their paths have numbers.
            let kept = std::mem::take(items).into_iter().enumerate().filter_map(|(index, mut item)| {
                let at = format!("{path}[{index}]");
                leave_out(&mut item, &at, paths);
                (!paths.contains(&at.as_str())).then_some(item)
            });
            *items = kept.collect();
        }
        _ => {}
    }
}
