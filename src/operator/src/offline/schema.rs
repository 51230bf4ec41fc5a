//! What the API server asks of an object by its definition, without one.
//!
//! In: the schema of a custom resource definition and an object. Out: every fault, in the API server's words and with
//! its causes. Never: a rule in CEL, and no schema but those that definitions can have: a keyword that is not known
//! here is found by a test.

mod lists;
mod settle;
mod value;

use serde_json::{Map, Value};

pub use settle::{prune, settle, without};

/// A field that is not as the schema wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason of the `StatusCause`.
    pub cause: &'static str,
    /// Path of the field.
    pub path: String,
    /// What the API server says of it.
    pub message: String,
}

/// Everything that is wrong with an object that is settled already.
pub fn faults(schema: &Value, object: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    check(schema, object, "", &mut faults);
    lists::check(schema, object, "", &mut faults);
    faults
}

fn check(schema: &Value, given: &Value, path: &str, faults: &mut Vec<Fault>) {
    faults.extend(value::faults(schema, given, path));
    match given {
        Value::Object(members) => fields(schema, members, path, faults),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    check(schema, item, &format!("{path}[{index}]"), faults);
                }
            }
        }
        _ => {}
    }
}

fn fields(schema: &Value, members: &Map<String, Value>, path: &str, faults: &mut Vec<Fault>) {
    for (name, value) in members {
        if let Some(schema) = field(schema, name) {
            check(schema, value, &child(path, name), faults);
        }
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str).filter(|name| !members.contains_key(*name)) {
        let message = "Required value".to_owned();
        faults.push(Fault { cause: "FieldValueRequired", path: child(path, name), message });
    }
}

/// The schema of a member.
fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(name));
    named.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
}

fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(schema: &Value, object: &Value) -> Vec<String> {
        let mut object = object.clone();
        settle(schema, &mut object);
        faults(schema, &object)
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect()
    }

    #[test]
    fn every_keyword_of_the_definitions_is_known() {
        const KNOWN: [&str; 24] = [
            "type",
            "properties",
            "required",
            "items",
            "additionalProperties",
            "description",
            "default",
            "enum",
            "format",
            "pattern",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-map-type",
            "x-kubernetes-validations",
            "minProperties",
            "maxProperties",
        ];
        fn walk(schema: &Value) {
            for (keyword, value) in schema.as_object().unwrap() {
                assert!(KNOWN.contains(&keyword.as_str()), "{keyword}");
                match keyword.as_str() {
                    "properties" => value.as_object().unwrap().values().for_each(walk),
                    "items" | "additionalProperties" if value.is_object() => walk(value),
                    _ => {}
                }
            }
        }
        for definition in crds::definitions() {
            let schema = definition.spec.versions[0].schema.clone().unwrap().open_api_v3_schema;
            walk(&serde_json::to_value(schema).unwrap());
        }
    }

    fn scalars() -> Value {
        json!({ "type": "object", "properties": {
            "n": { "type": "integer", "format": "int32", "minimum": 1.0, "maximum": 9.0 },
            "s": { "type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z]*$" },
            "e": { "type": "string", "enum": ["A", "B"] },
            "p": { "x-kubernetes-int-or-string": true },
            "b": { "type": "boolean" },
            "l": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "type": "integer" } },
        } })
    }

    fn one(name: &str, value: &Value) -> String {
        told(&scalars(), &json!({ name: value })).join(" | ")
    }

    #[test]
    fn what_fits_is_not_told() {
        for (name, good) in [
            ("n", json!(5)),
            ("n", json!(5.0)),
            ("s", json!("ab")),
            ("e", json!("A")),
            ("p", json!(1)),
            ("p", json!("x")),
            ("b", json!(false)),
            ("l", json!([1, 2])),
            ("n", json!(null)),
            ("zzz", json!(1)),
        ] {
            assert_eq!(one(name, &good), "", "{name} {good}");
        }
    }

    #[test]
    fn types_are_told_as_the_api_server_tells_them() {
        let bad = [
            ("n", json!("5"), "n: Invalid value: \"string\": n in body must be of type integer: \"string\""),
            ("n", json!(true), "n: Invalid value: \"\": n in body must be of type int32: \"\""),
            ("n", json!(1.5), "n: Invalid value: \"float64\": n in body must be of type int32: \"float64\""),
            ("n", json!(0), "n: Invalid value: 0: n in body should be greater than or equal to 1"),
            ("n", json!(10), "n: Invalid value: 10: n in body should be less than or equal to 9"),
            (
                "n",
                json!(3_000_000_000_u64),
                "n: Invalid value: 3000000000: n in body must be of type integer with format int32 | n: Invalid value: 3000000000: n in body should be less than or equal to 9",
            ),
            ("s", json!(1), "s: Invalid value: \"integer\": s in body must be of type string: \"integer\""),
            ("s", json!("a"), "s: Invalid value: \"a\": s in body should be at least 2 chars long"),
            ("s", json!("abcd"), "s: Too long: may not be more than 3 bytes"),
            ("s", json!("A1"), "s: Invalid value: \"A1\": s in body should match '^[a-z]*$'"),
            ("e", json!("C"), "e: Unsupported value: \"C\": supported values: \"A\", \"B\""),
            (
                "p",
                json!(true),
                "p: Invalid value: \"boolean\": p in body must be of type integer,string: \"boolean\"",
            ),
            ("b", json!("no"), "b: Invalid value: \"string\": b in body must be of type boolean: \"string\""),
            ("l", json!([]), "l: Invalid value: 0: l in body should have at least 1 items"),
            ("l", json!([1, 2, 3]), "l: Too many: 3: must have at most 2 items"),
            (
                "l",
                json!([1, "x"]),
                "l[1]: Invalid value: \"string\": l[1] in body must be of type integer: \"string\"",
            ),
            (
                "l",
                json!([null]),
                "l[0]: Invalid value: \"null\": l[0] in body must be of type integer: \"null\"",
            ),
        ];
        for (name, value, wanted) in bad {
            assert_eq!(one(name, &value), wanted);
        }
    }

    #[test]
    fn required_fields_defaults_and_keys() {
        let item =
            json!({ "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } });
        let list = json!({ "type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] });
        let schema = json!({ "type": "object", "properties": {
            "spec": { "type": "object", "default": {}, "required": ["list"], "properties": { "list": list } },
        } });
        assert_eq!(told(&schema, &json!({})), ["spec.list: Required value"]);
        let twice = json!({ "spec": { "list": [{ "name": "a" }, { "name": "b" }, { "name": "a" }, {}] } });
        assert_eq!(
            told(&schema, &twice),
            ["spec.list[3].name: Required value", "spec.list[2]: Duplicate value: {\"name\":\"a\"}"]
        );
    }
}
