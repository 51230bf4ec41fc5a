//! Judges values by a schema and fills in defaults.
//! In: a value and its rules. Out: the value completed, or Kong's messages by field. Never looks at other entities.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{agreements, checks, schema::Entity};

/// Judges an item; fields that are allowed beside the schema's (nested children) are in `extra`.
///
/// # Errors
/// Messages by field; those of the whole entity under `@entity`.
pub fn item(
    entity: &Entity,
    value: &Value,
    extra: &[&str],
    plugins: &[String],
) -> Result<(), Map<String, Value>> {
    let Some(object) = value.as_object() else {
        return Err(Map::from_iter([("@entity".to_owned(), json!(["expected a record"]))]));
    };
    let mut errors = Map::new();
    for name in object.keys() {
        let known = entity.fields.contains_key(name) || entity.shorthands.contains_key(name);
        if !known && !extra.contains(&name.as_str()) && !name.starts_with('_') {
            errors.insert(name.clone(), json!("unknown field"));
        }
    }
    for (name, rules) in &entity.fields {
        let shorthand = name == "host" && object.contains_key("url");
        // A reference to the parent is implied where an item is nested in it.
        let implied = rules.get("reference").is_some();
        let given = object.get(name).unwrap_or(&Value::Null);
        if given.is_null() && (shorthand || implied) {
            continue;
        }
        if let Err(message) = field(given, rules, plugins) {
            errors.insert(name.clone(), message);
        }
    }
    let whole = agreements::judge(entity, object, &mut errors);
    if !whole.is_empty() {
        errors.insert("@entity".to_owned(), json!(whole));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn field(value: &Value, rules: &Value, plugins: &[String]) -> Result<(), Value> {
    if value.is_null() {
        let needed = rules.get("required") == Some(&Value::Bool(true));
        let filled = rules.get("default").is_some() || rules.get("auto").is_some();
        return if needed && !filled { Err(json!("required field missing")) } else { Ok(()) };
    }
    let kind = rules.get("type").and_then(Value::as_str).unwrap_or("any");
    match (kind, value) {
        ("any", _) | ("boolean", Value::Bool(_)) | ("foreign", Value::String(_)) => Ok(()),
        ("string", Value::String(text)) => string(text, rules, plugins).map_err(Value::String),
        ("number", Value::Number(_)) => number(value, rules).map_err(Value::String),
        ("integer", Value::Number(given)) if given.is_i64() || given.is_u64() => {
            number(value, rules).map_err(Value::String)
        }
        ("array" | "set", Value::Array(list)) => elements(list, rules, plugins),
        ("map", Value::Object(map)) => entries(map, rules, plugins),
        ("record", Value::Object(map)) => record(map, rules, plugins),
        ("foreign", Value::Object(map)) if map.contains_key("id") || map.contains_key("name") => Ok(()),
        ("foreign", Value::Object(_)) => Err(json!({"id": "missing primary key"})),
        // An empty table is both a list and a map to Lua.
        ("array" | "set", Value::Object(map)) if map.is_empty() => Ok(()),
        ("map" | "record", Value::Array(list)) if list.is_empty() => Ok(()),
        ("array" | "integer", _) => Err(json!(format!("expected an {kind}"))),
        ("foreign", _) => Err(json!("expected a string")),
        _ => Err(json!(format!("expected a {kind}"))),
    }
}

fn string(text: &str, rules: &Value, plugins: &[String]) -> Result<(), String> {
    one_of(&json!(text), rules)?;
    if rules.get("uuid").is_some() && uuid::Uuid::parse_str(text).is_err() {
        return Err("expected a valid UUID".to_owned());
    }
    if let Some(least) = rules.get("len_min").and_then(Value::as_u64)
        && (text.len() as u64) < least
    {
        return Err(format!("length must be at least {least}"));
    }
    if let Some(prefix) = rules.get("starts_with").and_then(Value::as_str)
        && !text.starts_with(prefix)
    {
        return Err(format!("should start with: {prefix}"));
    }
    if let Some(pattern) = rules.get("match").and_then(Value::as_str)
        && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
    {
        return Err(format!("invalid value: {text}"));
    }
    if text.is_empty() && rules.get("len_min").is_none() {
        // Kong's strings are at least one character long unless a schema says otherwise.
        return Err("length must be at least 1".to_owned());
    }
    checks::text(rules.get("check").and_then(Value::as_str).unwrap_or(""), text, plugins)
}

fn one_of(value: &Value, rules: &Value) -> Result<(), String> {
    let Some(choices) = rules.get("one_of").and_then(Value::as_array) else {
        return Ok(());
    };
    if choices.contains(value) {
        return Ok(());
    }
    let shown: Vec<String> = choices
        .iter()
        .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
        .collect();
    Err(format!("expected one of: {}", shown.join(", ")))
}

fn number(value: &Value, rules: &Value) -> Result<(), String> {
    one_of(value, rules)?;
    let limits = rules.get("between").and_then(Value::as_array).map(Vec::as_slice);
    let Some([low, high]) = limits else { return Ok(()) };
    let given = value.as_f64().unwrap_or_default();
    let inside =
        low.as_f64().is_none_or(|low| given >= low) && high.as_f64().is_none_or(|high| given <= high);
    if inside { Ok(()) } else { Err(format!("value should be between {low} and {high}")) }
}

fn elements(list: &[Value], rules: &Value, plugins: &[String]) -> Result<(), Value> {
    if let Some(least) = rules.get("len_min").and_then(Value::as_u64)
        && (list.len() as u64) < least
    {
        return Err(json!(format!("length must be at least {least}")));
    }
    let Some(rules) = rules.get("elements") else {
        return Ok(());
    };
    let results: Vec<Result<(), Value>> = list.iter().map(|entry| field(entry, rules, plugins)).collect();
    if results.iter().all(Result::is_ok) {
        return Ok(());
    }
    let worst = results.iter().rposition(Result::is_err).unwrap_or(0);
    Err(results.into_iter().take(worst + 1).map(|result| result.err().unwrap_or(Value::Null)).collect())
}

fn entries(map: &Map<String, Value>, rules: &Value, plugins: &[String]) -> Result<(), Value> {
    for (name, entry) in map {
        if let Some(rules) = rules.get("keys") {
            field(&json!(name), rules, plugins)?;
        }
        if let Some(rules) = rules.get("values") {
            field(entry, rules, plugins)?;
        }
    }
    Ok(())
}

fn record(map: &Map<String, Value>, rules: &Value, plugins: &[String]) -> Result<(), Value> {
    let none = Map::new();
    let fields = rules.get("fields").and_then(Value::as_object).unwrap_or(&none);
    let mut errors = Map::new();
    for name in map.keys().filter(|name| !fields.contains_key(*name)) {
        errors.insert(name.clone(), json!("unknown field"));
    }
    for (name, rules) in fields {
        if let Err(message) = field(map.get(name).unwrap_or(&Value::Null), rules, plugins) {
            errors.insert(name.clone(), message);
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Value::Object(errors)) }
}

/// Fills in defaults; a field without one becomes null.
pub fn complete(object: &mut Map<String, Value>, fields: &Map<String, Value>, now: u64) {
    for (name, rules) in fields {
        let value = object.entry(name.clone()).or_insert(Value::Null);
        if value.is_null()
            && let Some(default) = rules.get("default")
        {
            *value = default.clone();
        }
        if value.is_null() && rules.get("timestamp").is_some() {
            *value = json!(now);
        }
        if value.is_null()
            && rules.get("auto").is_some()
            && rules.get("uuid").is_none()
            && rules["type"] == "string"
        {
            *value = json!(uuid::Uuid::new_v4().simple().to_string());
        }
        if let (Value::Object(inner), Some(Value::Object(fields))) = (&mut *value, rules.get("fields")) {
            complete(inner, fields, now);
        }
    }
}
