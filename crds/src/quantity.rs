//! Kubernetes quantities (`500m`, `1Gi`, `1e3`) as numbers, so that two spellings of one value are equal.
//!
//! In: a JSON string or number. Out: the value in billionths, or `None` when it is no quantity.
//! Grammar: `k8s.io/apimachinery/pkg/api/resource.Quantity`.

use serde_json::Value;

const BILLION: i128 = 1_000_000_000;

/// Maps of which each value is a quantity.
const MAPS: [&str; 3] = ["limits", "overhead", "requests"];
/// Fields that are a quantity.
const FIELDS: [&str; 2] = ["divisor", "sizeLimit"];
/// Fields that are one where they stand in the `target` of a metric.
const OF_TARGET: [&str; 2] = ["averageValue", "value"];

/// Writes quantities that stand there as numbers (`cpu: 1`) as text, which is how Kubernetes keeps them and how its
/// types are read here. The API server takes both.
pub fn spell(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.as_str();
                if FIELDS.contains(&name) {
                    as_text(member);
                }
                let inner = member.as_object_mut().into_iter().flatten();
                let inner = inner.filter(|(field, _)| {
                    MAPS.contains(&name) || (name == "target" && OF_TARGET.contains(&field.as_str()))
                });
                inner.for_each(|(_, quantity)| as_text(quantity));
                spell(member);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell),
        _ => {}
    }
}

fn as_text(value: &mut Value) {
    if let Value::Number(number) = value {
        *value = Value::String(number.to_string());
    }
}

/// The value in billionths of a unit (the finest step Kubernetes keeps), or `None` for anything that is
/// no quantity or too large to hold.
pub fn parse(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse_text(text),
        Value::Number(number) => parse_text(&number.to_string()),
        _ => None,
    }
}

fn parse_text(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (numerator, denominator) = factor(suffix)?;
    let scaled = decimal(number)?.checked_mul(numerator)?;
    Some(scaled / denominator)
}

/// The mantissa in billionths.
fn decimal(number: &str) -> Option<i128> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let padded = format!("{fraction:0<9}");
    let billionths: i128 = padded.get(..9)?.parse().ok()?;
    let value = whole.checked_mul(BILLION)?.checked_add(billionths)?;
    Some(if negative { -value } else { value })
}

fn factor(suffix: &str) -> Option<(i128, i128)> {
    let power = match suffix {
        "" => return Some((1, 1)),
        "n" => return Some((1, BILLION)),
        "u" => return Some((1, 1_000_000)),
        "m" => return Some((1, 1_000)),
        "k" => 10_i128.pow(3),
        "M" => 10_i128.pow(6),
        "G" => 10_i128.pow(9),
        "T" => 10_i128.pow(12),
        "P" => 10_i128.pow(15),
        "E" => 10_i128.pow(18),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        exponent => return scientific(exponent),
    };
    Some((power, 1))
}

fn scientific(suffix: &str) -> Option<(i128, i128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::json;

    #[test]
    fn spellings_of_one_value_are_equal() {
        for (a, b) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1e3", "1k"),
            ("100u", "0.1m"),
            ("2E", "2E18"),
        ] {
            assert_eq!(parse(&json!(a)), parse(&json!(b)), "{a} {b}");
            assert!(parse(&json!(a)).is_some(), "{a}");
        }
        assert_eq!(parse(&json!(2)), parse(&json!("2")));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "m", "1x", "1.2.3", "abc", "1e"] {
            assert_eq!(parse(&json!(text)), None, "{text}");
        }
        assert_eq!(parse(&json!(true)), None);
    }

    #[test]
    fn different_values_differ() {
        assert_ne!(parse(&json!("1G")), parse(&json!("1Gi")));
        assert_ne!(parse(&json!("-1")), parse(&json!("1")));
    }
}
