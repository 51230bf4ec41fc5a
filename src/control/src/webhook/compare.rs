//! Where a webhook configuration is not what is wanted.
//!
//! In: `webhooks` as they are wanted and as the API server has them. Out: each place that differs, and what is there.
//! Never: a difference in the order, or between what is empty and what is absent. Unlike elsewhere, what we do not name
//! is a difference: a condition that somebody adds to a webhook is a hole in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A place that differs, for a log line, and what the API server has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The place.
    pub path: String,
    /// What is there instead of what is wanted.
    pub found: Value,
}

/// All differences. Where the authorities are `injected`, those are not looked at.
pub fn differences(wanted: &Value, shown: &Value, injected: bool) -> Vec<Difference> {
    let (wanted, shown) = (by_name(wanted), by_name(shown));
    let names: BTreeSet<_> = wanted.keys().chain(shown.keys()).collect();
    let mut all = Vec::new();
    for name in names {
        let at = format!(".webhooks[{name}]");
        match (wanted.get(name), shown.get(name)) {
            (Some(wanted), Some(shown)) => {
                let shown = if injected { without_authorities(shown) } else { (*shown).clone() };
                member(&at, wanted, &shown, &mut all);
            }
            (_, shown) => {
                let found = shown.copied().cloned().unwrap_or_default();
                all.push(Difference { path: at, found });
            }
        }
    }
    all
}

/// The names of the webhooks that refuse what nobody answers.
pub fn refusing(configuration: &Value) -> BTreeSet<&str> {
    let refuses = |webhook: &&Value| webhook.get("failurePolicy").and_then(Value::as_str) == Some("Fail");
    webhooks(configuration).iter().filter(refuses).filter_map(name).collect()
}

/// The webhooks of a configuration.
pub fn webhooks(configuration: &Value) -> &[Value] {
    configuration.get("webhooks").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The name of a webhook.
pub fn name(webhook: &Value) -> Option<&str> {
    webhook.get("name").and_then(Value::as_str)
}

fn by_name(configuration: &Value) -> BTreeMap<&str, &Value> {
    webhooks(configuration).iter().filter_map(|webhook| Some((name(webhook)?, webhook))).collect()
}

fn without_authorities(webhook: &Value) -> Value {
    let mut webhook = webhook.clone();
    if let Some(client) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut) {
        client.remove("caBundle");
    }
    webhook
}

fn member(at: &str, wanted: &Value, shown: &Value, all: &mut Vec<Difference>) {
    match (wanted, shown) {
        (Value::Object(wanted), Value::Object(shown)) => {
            let fields: BTreeSet<_> = wanted.keys().chain(shown.keys()).collect();
            for field in fields {
                let of = |side: &serde_json::Map<String, Value>| side.get(field).cloned().unwrap_or_default();
                member(&format!("{at}.{field}"), &of(wanted), &of(shown), all);
            }
        }
        (Value::Array(wanted), Value::Array(shown)) if wanted.len() == shown.len() => {
            for (index, (wanted, shown)) in wanted.iter().zip(shown).enumerate() {
                member(&format!("{at}[{index}]"), wanted, shown, all);
            }
        }
        _ if wanted == shown || (is_empty(wanted) && is_empty(shown)) => {}
        _ => all.push(Difference { path: at.to_owned(), found: shown.clone() }),
    }
}

/// What the API server adds where nothing is given, or drops.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({ "webhooks": [
            {
                "name": "a",
                "clientConfig": { "caBundle": "QQ==", "service": { "name": "s", "port": 443 } },
                "failurePolicy": "Fail",
                "objectSelector": {},
                "rules": [{ "operations": ["CREATE"] }],
            },
            { "name": "b", "failurePolicy": "Ignore" },
        ] })
    }

    /// What somebody may do to a configuration.
    type Edit = fn(&mut Value);

    #[test]
    fn every_edit_is_seen_and_nothing_else() {
        let edits: [(&str, Option<&str>, Edit); 9] = [
            ("nothing", None, |_| ()),
            ("what the API server adds", None, |v| v["webhooks"][1]["namespaceSelector"] = json!({})),
            ("what the API server drops", None, |v| v["webhooks"][0]["objectSelector"] = Value::Null),
            ("another order", None, |v| v["webhooks"].as_array_mut().unwrap().reverse()),
            ("authorities", Some(".webhooks[a].clientConfig.caBundle"), |v| {
                v["webhooks"][0]["clientConfig"]["caBundle"] = json!("Qg==");
            }),
            ("a condition", Some(".webhooks[a].matchConditions"), |v| {
                v["webhooks"][0]["matchConditions"] = json!([{ "name": "never", "expression": "false" }]);
            }),
            ("a selector", Some(".webhooks[b].namespaceSelector"), |v| {
                v["webhooks"][1]["namespaceSelector"] = json!({ "matchLabels": { "a": "b" } });
            }),
            ("one too many", Some(".webhooks[c]"), |v| {
                v["webhooks"].as_array_mut().unwrap().push(json!({ "name": "c" }));
            }),
            ("none at all", Some(".webhooks[a]"), |v| v["webhooks"] = Value::Null),
        ];
        for (what, path, edit) in edits {
            let mut shown = wanted();
            edit(&mut shown);
            let found = differences(&wanted(), &shown, false);
            assert_eq!(found.first().map(|one| one.path.as_str()), path, "{what}");
        }
    }

    #[test]
    fn no_difference_hides_another() {
        let mut shown = wanted();
        shown["webhooks"][0]["timeoutSeconds"] = json!(3);
        shown["webhooks"][0]["rules"][0]["operations"] = json!(["DELETE"]);
        shown["webhooks"][1]["failurePolicy"] = json!("Fail");
        let found = differences(&wanted(), &shown, false);
        let found: Vec<_> = found.iter().map(|one| (one.path.as_str(), one.found.clone())).collect();
        assert_eq!(
            found,
            [
                (".webhooks[a].rules[0].operations[0]", json!("DELETE")),
                (".webhooks[a].timeoutSeconds", json!(3)),
                (".webhooks[b].failurePolicy", json!("Fail")),
            ]
        );
    }

    #[test]
    fn authorities_that_somebody_else_writes_are_left_alone() {
        let (mut ours, mut shown) = (wanted(), wanted());
        ours["webhooks"][0]["clientConfig"].as_object_mut().unwrap().remove("caBundle");
        shown["webhooks"][0]["clientConfig"]["caBundle"] = json!("Qg==");
        assert_eq!(differences(&ours, &shown, true), []);
        assert_eq!(differences(&ours, &shown, false).len(), 1);
    }
}
