//! One value against its own part of the schema.

use regex::Regex;
use serde_json::{Number, Value};

use super::Fault;

/// What is wrong with the value itself, not with what is in it.
pub fn faults(schema: &Value, value: &Value, path: &str) -> Vec<Fault> {
    let mut faults: Vec<_> = wrong_type(schema, value, path).into_iter().collect();
    match value {
        Value::String(text) => faults.extend(string(schema, text, path)),
        Value::Number(number) => faults.extend(self::number(schema, number, path)),
        Value::Array(items) => faults.extend(size(schema, items.len(), path)),
        _ => {}
    }
    faults.extend(choice(schema, value, path));
    faults
}

/// Types that a schema takes; none means any.
fn types(schema: &Value) -> Vec<&str> {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return vec!["integer", "string"];
    }
    schema.get("type").and_then(Value::as_str).into_iter().collect()
}

fn wrong_type(schema: &Value, value: &Value, path: &str) -> Option<Fault> {
    let types = types(schema);
    let (found, format) = match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
        Value::Number(number) if number.is_f64() => ("number", "float64"),
        Value::Number(_) => ("integer", "int64"),
    };
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = |wanted: &&str| {
        *wanted == found || (value.is_number() && (*wanted == "number" || (*wanted == "integer" && whole)))
    };
    if types.is_empty() || types.iter().any(fits) {
        return None;
    }
    // Of a scalar that is no text, the API server names the format where there is one.
    let formatted = schema.get("format").and_then(Value::as_str);
    let (wanted, found) = match formatted {
        Some(wanted) if !value.is_string() && !value.is_array() && !value.is_null() => {
            (wanted.to_owned(), format)
        }
        _ => (types.join(","), found),
    };
    let message = format!("Invalid value: {found:?}: {path} in body must be of type {wanted}: {found:?}");
    Some(Fault { cause: "FieldValueTypeInvalid", path: path.to_owned(), message })
}

fn string(schema: &Value, text: &str, path: &str) -> Option<Fault> {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    if let Some(most) = limit("maxLength").filter(|most| length > *most) {
        let bytes = if most == 1 { "byte" } else { "bytes" };
        let message = format!("Too long: may not be more than {most} {bytes}");
        return Some(Fault { cause: "FieldValueTooLong", path: path.to_owned(), message });
    }
    if let Some(least) = limit("minLength").filter(|least| length < *least) {
        return Some(invalid(path, &text.into(), &format!("should be at least {least} chars long")));
    }
    let pattern = schema.get("pattern").and_then(Value::as_str)?;
    let matches = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    (!matches).then(|| invalid(path, &text.into(), &format!("should match '{pattern}'")))
}

fn number(schema: &Value, number: &Number, path: &str) -> Vec<Fault> {
    let given = number.as_f64().unwrap_or_default();
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let of = |words: String| invalid(path, &number.clone().into(), &words);
    let mut faults = Vec::new();
    let whole = schema.get("type").and_then(Value::as_str) == Some("integer");
    let format = schema.get("format").and_then(Value::as_str);
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&given);
    if whole && format == Some("int32") && !fits {
        faults.push(of("must be of type integer with format int32".to_owned()));
    }
    if let Some(least) = limit("minimum").filter(|least| given < *least) {
        faults.push(of(format!("should be greater than or equal to {least}")));
    }
    if let Some(most) = limit("maximum").filter(|most| given > *most) {
        faults.push(of(format!("should be less than or equal to {most}")));
    }
    faults
}

fn size(schema: &Value, size: usize, path: &str) -> Vec<Fault> {
    let count = u64::try_from(size).unwrap_or(u64::MAX);
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    let mut faults = Vec::new();
    if let Some(least) = limit("minItems").filter(|least| count < *least) {
        faults.push(invalid(path, &count.into(), &format!("should have at least {least} items")));
    }
    if let Some(most) = limit("maxItems").filter(|most| count > *most) {
        let items = if most == 1 { "item" } else { "items" };
        let message = format!("Too many: {count}: must have at most {most} {items}");
        faults.push(Fault { cause: "FieldValueTooMany", path: path.to_owned(), message });
    }
    faults
}

fn choice(schema: &Value, value: &Value, path: &str) -> Option<Fault> {
    let choices = schema.get("enum").and_then(Value::as_array)?;
    if choices.contains(value) {
        return None;
    }
    let supported: Vec<_> = choices.iter().map(ToString::to_string).collect();
    let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
    Some(Fault { cause: "FieldValueNotSupported", path: path.to_owned(), message })
}

fn invalid(path: &str, value: &Value, words: &str) -> Fault {
    let message = format!("Invalid value: {value}: {path} in body {words}");
    Fault { cause: "FieldValueInvalid", path: path.to_owned(), message }
}
