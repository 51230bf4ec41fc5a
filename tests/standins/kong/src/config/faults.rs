//! The answer to a configuration that was refused.
//! In: messages by kind and index, and the input. Out: Kong's body, flat by entity where asked. Never judges.

use serde_json::{Map, Value, json};

use super::schema::{self, Entity};
use super::{load, lua};

/// The body of the 400 answer; `flat` as asked by `flatten_errors=1`.
pub fn answer(fields: Value, input: &Value, flat: bool) -> Value {
    let (rest, found) = if flat { flatten(&fields, input) } else { (fields, Vec::new()) };
    let mut body = Map::new();
    if flat {
        // Kong's encoder writes an empty list as an empty object.
        let flattened = if found.is_empty() { json!({}) } else { Value::Array(found) };
        body.insert("flattened_errors".into(), flattened);
    }
    body.insert("code".into(), json!(14));
    body.insert("name".into(), json!("invalid declarative configuration"));
    body.insert("message".into(), json!(format!("declarative config is invalid: {}", lua::table(&rest))));
    body.insert("fields".into(), rest);
    Value::Object(body)
}

/// What belongs to no entity, and the entities with their errors.
fn flatten(fields: &Value, input: &Value) -> (Value, Vec<Value>) {
    let mut left = Map::new();
    let mut found = Vec::new();
    let none = Map::new();
    // Kong drains a sorted list of kinds, and of indices, from its end.
    for (kind, problems) in fields.as_object().unwrap_or(&none).iter().rev() {
        let items = input.get(kind).and_then(Value::as_array);
        let (Some(problems), Some(items), Some(entity)) = (problems.as_array(), items, schema::entity(kind))
        else {
            left.insert(kind.clone(), problems.clone());
            continue;
        };
        for (problem, item) in problems.iter().zip(items).rev() {
            one(entity, item, problem, &mut found);
        }
    }
    (Value::Object(left), found)
}

fn one(entity: &Entity, item: &Value, problem: &Value, found: &mut Vec<Value>) {
    let mut errors = Vec::new();
    let mut shown = item.as_object().cloned().unwrap_or_default();
    match problem {
        Value::Object(map) => {
            let mut own = map.clone();
            for (child, field) in load::nested(entity) {
                let items = shown.remove(&child.name);
                let (Some(Value::Array(problems)), Some(Value::Array(items))) =
                    (own.remove(&child.name), items)
                else {
                    continue;
                };
                for (problem, nested) in problems.iter().zip(&items) {
                    let mut nested = nested.clone();
                    if let (Some(map), Some(id)) = (nested.as_object_mut(), item.get("id")) {
                        map.entry(field).or_insert_with(|| json!({ "id": id }));
                    }
                    one(child, &nested, problem, found);
                }
            }
            categorize(&own, "", &mut errors);
        }
        Value::String(message) => errors.push(json!({"type": "entity", "message": message})),
        _ => {}
    }
    if errors.is_empty() {
        return;
    }
    let singular = entity.name.strip_suffix('s').unwrap_or(&entity.name);
    let mut entry = Map::new();
    entry.insert("entity_type".into(), json!(singular));
    entry.insert("entity".into(), Value::Object(shown));
    entry.insert("errors".into(), Value::Array(errors));
    for (from, to) in [("name", "entity_name"), ("id", "entity_id"), ("tags", "entity_tags")] {
        if let Some(value) = item.get(from).filter(|value| is_shown(from, value)) {
            entry.insert(to.to_owned(), value.clone());
        }
    }
    found.push(Value::Object(entry));
}

fn is_shown(field: &str, value: &Value) -> bool {
    match field {
        "tags" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        "id" => value.as_str().is_some_and(|text| uuid::Uuid::parse_str(text).is_ok()),
        _ => value.as_str().is_some_and(|text| !text.is_empty()),
    }
}

fn categorize(problems: &Map<String, Value>, path: &str, errors: &mut Vec<Value>) {
    for (field, problem) in problems {
        if field == "@entity" {
            let messages = problem.as_array().cloned().unwrap_or_default();
            errors.extend(messages.into_iter().map(|message| json!({"type": "entity", "message": message})));
            continue;
        }
        let name = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
        match problem {
            Value::Object(inner) => categorize(inner, &name, errors),
            Value::Array(list) => {
                let indexed = list.iter().enumerate().filter(|(_, entry)| !entry.is_null());
                let inner: Map<String, Value> =
                    indexed.map(|(at, entry)| ((at + 1).to_string(), entry.clone())).collect();
                categorize(&inner, &name, errors);
            }
            message => errors.push(json!({"type": "field", "field": name, "message": message})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(input: &Value, flat: bool) -> Value {
        answer(load::load(input, &[], 1).unwrap_err(), input, flat)
    }

    #[test]
    fn names_the_field_of_each_entity() {
        let input = json!({"_format_version": "3.0", "services": [
            {"name": "a", "host": "h", "tags": ["k8s-name:a"], "bogus": 1},
            {"name": "b", "host": "h"},
            {"name": "c", "port": 70000, "host": "h", "routes": [{"name": "r", "methods": ["get"], "paths": ["/"]}]},
        ]});
        let body = refused(&input, true);
        assert_eq!(body["fields"], json!({}));
        let list = body["flattened_errors"].as_array().unwrap();
        assert_eq!(list.len(), 3);
        let by = |name: &str| list.iter().find(|entry| entry["entity_name"] == name).unwrap();
        assert_eq!(
            by("a")["errors"],
            json!([{"field": "bogus", "message": "unknown field", "type": "field"}])
        );
        assert_eq!(by("a")["entity_tags"], json!(["k8s-name:a"]));
        assert_eq!(by("r")["entity_type"], "route");
        assert_eq!(by("r")["errors"][0]["field"], "methods.1");
        assert_eq!(by("c")["errors"][0]["message"], "value should be between 0 and 65535");
        assert!(by("c")["entity"].get("routes").is_none());
    }

    #[test]
    fn without_flattening_the_message_is_a_lua_table() {
        let body = refused(
            &json!({"_format_version": "3.0", "services": [{"name": "a", "host": "h", "bogus": 1}]}),
            false,
        );
        assert_eq!(body["message"], "declarative config is invalid: {services={{bogus=\"unknown field\"}}}");
        assert_eq!(body["fields"], json!({"services": [{"bogus": "unknown field"}]}));
        assert!(body.get("flattened_errors").is_none());
    }

    #[test]
    fn faults_of_no_entity_stay_in_fields() {
        let body = refused(&json!({"_format_version": "9.9"}), true);
        assert_eq!(body["fields"], json!({"_format_version": "expected one of: 1.1, 2.1, 3.0"}));
        assert_eq!(body["flattened_errors"], json!({}));
    }

    #[test]
    fn faults_of_a_whole_entity_have_no_field() {
        let body = refused(&json!({"_format_version": "3.0", "routes": [{"name": "r"}]}), true);
        let error = &body["flattened_errors"][0]["errors"][0];
        assert_eq!(error["type"], "entity");
        assert!(error.get("field").is_none());
        assert_eq!(
            error["message"],
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"
        );
    }
}
