//! Settings as Kong knows them: `kong.conf` keys with their defaults, overridden by `KONG_*` variables.
//! In: pairs of the environment. Out: every key with its value as text and as JSON. Never judges a value.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value, json};

const DEFAULTS: &str = include_str!("defaults.json");

/// The settings of one process.
#[derive(Clone, Debug)]
pub struct Settings {
    defaults: Map<String, Value>,
    given: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the `KONG_*` and `STANDIN_*` variables; `X_FILE` gives the content of a file as `X`.
    ///
    /// # Errors
    /// Where both `X` and `X_FILE` are given, or the file cannot be read.
    pub fn read(environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let all: BTreeMap<String, String> = environment.into_iter().collect();
        let mut given = BTreeMap::new();
        for (name, value) in &all {
            if let Some(key) = name.strip_prefix("KONG_") {
                given.insert(key.to_lowercase(), value.trim().to_owned());
            } else if let Some(key) = name.strip_prefix("STANDIN_") {
                given.insert(format!("standin.{}", key.to_lowercase()), value.trim().to_owned());
            }
        }
        for (name, path) in &all {
            let Some(plain) = name.strip_suffix("_FILE").filter(|plain| plain.starts_with("KONG_")) else {
                continue;
            };
            if all.contains_key(plain) {
                return Err(format!("both {plain} and {name} are set (but are exclusive)"));
            }
            let text =
                fs::read_to_string(path).map_err(|error| format!("cannot read {path} ({name}): {error}"))?;
            given.insert(plain["KONG_".len()..].to_lowercase(), text.trim_end_matches('\n').to_owned());
        }
        let defaults = serde_json::from_str(DEFAULTS).map_err(|error| error.to_string())?;
        Ok(Self { defaults, given })
    }

    /// The value of a key; lists are joined by `, `, as `kong.conf` writes them. An empty value counts as absent.
    pub fn get(&self, key: &str) -> Option<String> {
        if let Some(value) = self.given.get(key) {
            return Some(value.clone()).filter(|value| !value.is_empty());
        }
        match self.defaults.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(on) => Some(if *on { "on" } else { "off" }.to_owned()),
            Value::Array(list) => {
                let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                Some(words.join(", ")).filter(|text| !text.is_empty())
            }
            other => Some(other.to_string()),
        }
    }

    /// The entries of a list.
    pub fn list(&self, key: &str) -> Vec<String> {
        let text = self.get(key).unwrap_or_default();
        text.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
    }

    /// Gives a key a value, as the argument of a command does.
    pub fn set(&mut self, key: &str, value: &str) {
        self.given.insert(key.to_owned(), value.to_owned());
    }

    /// The keys that were given, with their values.
    pub fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        self.given.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The object `configuration` of `GET /`: every key, with the paths of keys masked.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut all = self.defaults.clone();
        for (key, text) in &self.given {
            if key.starts_with("standin.") {
                continue;
            }
            let value = match all.get(key) {
                Some(Value::Array(_)) => json!(self.list(key)),
                Some(Value::Bool(_)) => json!(is_on(text)),
                Some(Value::Number(_)) => {
                    text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
                }
                _ => json!(text),
            };
            all.insert(key.clone(), value);
        }
        for (key, value) in &mut all {
            let secret = key.ends_with("_cert_key") || key.ends_with("password");
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if secret && !empty {
                *value = if value.is_array() { json!(["******"]) } else { json!("******") };
            }
        }
        all
    }
}

/// Whether Kong takes a text for true.
pub fn is_on(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "on" | "true" | "1" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::read(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).unwrap()
    }

    #[test]
    fn variables_override_defaults() {
        let found =
            settings(&[("KONG_DATABASE", "off"), ("HOME", "/root"), ("KONG_PLUGINS", "bundled, mine")]);
        assert_eq!(found.get("database").as_deref(), Some("off"));
        assert_eq!(found.get("log_level").as_deref(), Some("notice"));
        assert_eq!(found.list("plugins"), ["bundled", "mine"]);
        assert_eq!(found.get("home"), None);
    }

    #[test]
    fn a_value_can_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "debug\n").unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(settings(&[("KONG_LOG_LEVEL_FILE", path)]).get("log_level").as_deref(), Some("debug"));
        let both = [("KONG_LOG_LEVEL_FILE", path), ("KONG_LOG_LEVEL", "info")];
        let error = Settings::read(both.map(|(key, value)| (key.to_owned(), value.to_owned()))).unwrap_err();
        assert!(error.contains("exclusive"), "{error}");
    }

    #[test]
    fn keys_are_masked_and_our_own_switches_hidden() {
        let found =
            settings(&[("KONG_ADMIN_SSL_CERT_KEY", "/secret/tls.key"), ("STANDIN_LATENCY", "5")]).to_json();
        assert_eq!(found["admin_ssl_cert_key"], json!(["******"]));
        assert!(!found.keys().any(|key| key.contains("standin")));
    }
}
