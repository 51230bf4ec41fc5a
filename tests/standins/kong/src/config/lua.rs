//! Values as a Lua table, the way Kong prints them in its messages.
//! In: JSON. Out: text such as `{services={{bogus="unknown field"}}}`. Never fails.

use serde_json::Value;

/// Prints a value without blanks.
pub fn table(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(list) => sequence(list),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(name, entry)| format!("{}={}", key(name), table(entry))).collect();
            format!("{{{}}}", entries.join(","))
        }
        other => other.to_string(),
    }
}

/// Leading entries stand bare; after a gap they carry their index, counted from 1.
fn sequence(list: &[Value]) -> String {
    let bare = list.iter().take_while(|entry| !entry.is_null()).count();
    let entries: Vec<String> = list
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.is_null())
        .map(|(at, entry)| if at < bare { table(entry) } else { format!("[{}]={}", at + 1, table(entry)) })
        .collect();
    format!("{{{}}}", entries.join(","))
}

fn key(name: &str) -> String {
    let starts = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let plain = starts && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if plain { name.to_owned() } else { format!("[{}]", quote(name)) }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prints_as_lua_does() {
        assert_eq!(
            table(&json!({"services": [{"bogus": "unknown field"}]})),
            "{services={{bogus=\"unknown field\"}}}"
        );
        assert_eq!(table(&json!({"a": [null, "x"]})), "{a={[2]=\"x\"}}");
        assert_eq!(table(&json!({"@entity": ["y"]})), "{[\"@entity\"]={\"y\"}}");
        assert_eq!(table(&json!({})), "{}");
    }
}
