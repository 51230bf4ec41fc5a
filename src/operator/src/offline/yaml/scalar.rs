//! Plain scalars as `kubectl` takes them.
//!
//! `kubectl` reads YAML by go.yaml.in/yaml/v2, which is YAML 1.1 in its words: `yes`, `on` and their like are booleans and
//! `0777` is octal. What comes out is JSON, where a float without a fraction is an integer.

use serde_json::{Number, Value};

const YAML: &str = "tag:yaml.org,2002:";

/// The value of a scalar; `tag` is its handle and suffix.
///
/// # Errors
/// What cannot be what its tag says, or has no form in JSON.
pub fn value(text: &str, plain: bool, tag: Option<(&str, &str)>) -> Result<Value, String> {
    let untagged = || if plain { resolved(text) } else { Ok(Value::String(text.to_owned())) };
    let wanted = match tag {
        None => return untagged(),
        Some((YAML, suffix)) => suffix,
        // A tag of somebody's own says nothing about JSON.
        Some(_) => return Ok(Value::String(text.to_owned())),
    };
    let found = match wanted {
        "str" | "binary" => return Ok(Value::String(text.to_owned())),
        _ => resolved(text)?,
    };
    let good = match wanted {
        "int" => found.is_i64() || found.is_u64(),
        "float" => found.is_number(),
        "bool" => found.is_boolean(),
        "null" => found.is_null(),
        _ => true,
    };
    if good { Ok(found) } else { Err(format!("{text:?} is no !!{wanted}")) }
}

fn resolved(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(true.into());
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(false.into());
        }
        _ => {}
    }
    let bare = text.trim_start_matches(['+', '-']).to_lowercase();
    if text.len() - bare.len() <= 1 && [".inf", ".nan"].contains(&bare.as_str()) {
        return Err(format!("{text} cannot be written as JSON"));
    }
    Ok(number(text).unwrap_or_else(|| Value::String(text.to_owned())))
}

fn number(text: &str) -> Option<Value> {
    let first = text.chars().next()?;
    if !first.is_ascii_digit() && !"+-.".contains(first) {
        return None;
    }
    let text = text.replace('_', "");
    integer(&text).or_else(|| float(&text))
}

/// Digits with a sign and, in Go's way, a prefix that says their base.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let prefixes = [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)];
    let based = prefixes.iter().find_map(|(prefix, base)| Some((lower.strip_prefix(prefix)?, *base)));
    let (digits, base) = based.filter(|(digits, _)| !digits.is_empty()).unwrap_or((&lower, 10));
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = i128::from(u64::from_str_radix(digits, base).ok()?);
    let number = if negative { -size } else { size };
    // What is larger goes through a float on its way.
    i64::try_from(number).map_or_else(|_| float(text), |number| Some(Value::from(number)))
}

fn float(text: &str) -> Option<Value> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let known = |letter: char| letter.is_ascii_digit() || ".eE+-".contains(letter);
    if !bare.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.') || !bare.chars().all(known)
    {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let whole = || format!("{number:.0}").parse::<i64>().ok().filter(|_| number.fract() == 0.0);
    whole().map(Value::from).or_else(|| Number::from_f64(number).map(Value::Number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_words_and_numbers_are_those_of_kubectl() {
        let cases = [
            ("yes", json!(true)),
            ("off", json!(false)),
            ("Y", json!(true)),
            ("~", json!(null)),
            ("12", json!(12)),
            ("+12", json!(12)),
            ("-12", json!(-12)),
            ("0777", json!(511)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("08", json!(8)),
            ("3.0", json!(3)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000)),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_f64)),
            ("100m", json!("100m")),
            ("1.2.3", json!("1.2.3")),
            ("2026-01-02", json!("2026-01-02")),
            ("1e", json!("1e")),
            ("-", json!("-")),
            (".", json!(".")),
            ("+-1", json!("+-1")),
            ("kong", json!("kong")),
        ];
        for (text, wanted) in cases {
            assert_eq!(value(text, true, None), Ok(wanted), "{text}");
            assert_eq!(value(text, false, None), Ok(json!(text)), "{text}");
        }
        assert!(value(".inf", true, None).is_err() && value("-.INF", true, None).is_err());
    }

    #[test]
    fn tags_say_what_is_meant() {
        let tagged = |text: &str, suffix: &str| value(text, true, Some((YAML, suffix)));
        assert_eq!(tagged("12", "str"), Ok(json!("12")));
        assert_eq!(value("12", false, Some((YAML, "int"))), Ok(json!(12)));
        assert!(tagged("x", "int").is_err() && tagged("12", "bool").is_err());
        assert_eq!(value("12", true, Some(("!", "vault"))), Ok(json!("12")));
    }
}
