//! Whether a live object already is what we want.
//!
//! In: the fields we own and the object as the API server holds it. Out: the first path that differs, or
//! `None`. Fields we do not name belong to others and are never looked at; what the API server
//! normalises (defaults, dropped empty values, quantities) is no difference.

use crds::lists;
use serde_json::{Map, Value};

/// Fields whose string values are quantities, which the API server stores in canonical form.
const QUANTITIES: &[&str] = &["limits", "requests", "overhead", "sizeLimit", "target", "divisor", "storage"];

/// Maps that are replaced as a whole (`mapType=atomic`): another key in them is a difference.
const ATOMIC: &[&str] = &[
    "configMapKeyRef",
    "fieldRef",
    "labelSelector",
    // Of a selector, which is replaced with all that is in it.
    "matchLabels",
    "nodeSelector",
    "resourceFieldRef",
    "secretKeyRef",
    "selector",
];

/// Lists that are sets of words (`listType=set`): others add theirs.
const SETS: &[&str] = &["finalizers"];

/// Fields without a pointer in Go: `false` and 0 are never encoded there, and absent means the same. Of all
/// other fields an absent one may well mean `true`.
const DROPPED: &[&str] = &[
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "initialDelaySeconds",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
];

/// The path of the first difference, for a log line; `None` when `live` holds everything in `want`.
pub fn first(want: &Value, live: &Value) -> Option<String> {
    compare(&At { path: String::new(), field: String::new(), quantity: false }, want, live)
}

struct At {
    path: String,
    field: String,
    quantity: bool,
}

impl At {
    fn child(&self, field: &str) -> Self {
        Self {
            path: format!("{}.{field}", self.path),
            field: field.to_owned(),
            quantity: self.quantity || QUANTITIES.contains(&field),
        }
    }

    fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), field: String::new(), quantity: self.quantity }
    }
}

fn compare(at: &At, want: &Value, live: &Value) -> Option<String> {
    match (want, live) {
        (Value::Object(want), Value::Object(live)) => members(at, want, live),
        (Value::Array(want), Value::Array(live)) => items(at, want, live),
        _ if want == live || (at.quantity && same_quantity(want, live)) => None,
        _ => Some(at.path.clone()),
    }
}

fn members(at: &At, want: &Map<String, Value>, live: &Map<String, Value>) -> Option<String> {
    let foreign = live.keys().find(|name| ATOMIC.contains(&at.field.as_str()) && !want.contains_key(*name));
    if let Some(name) = foreign {
        return Some(at.child(name).path);
    }
    want.iter().find_map(|(name, value)| match live.get(name) {
        Some(found) => compare(&at.child(name), value, found),
        None if is_empty(name, value) => None,
        None => Some(at.child(name).path),
    })
}

fn items(at: &At, want: &[Value], live: &[Value]) -> Option<String> {
    if let Some(keys) = lists::keys(&at.field, want) {
        return want.iter().enumerate().find_map(|(index, item)| {
            let twin = live
                .iter()
                .find(|live| keys.iter().all(|key| lists::key(item, key) == lists::key(live, key)));
            twin.map_or_else(|| Some(at.item(index).path), |twin| compare(&at.item(index), item, twin))
        });
    }
    if SETS.contains(&at.field.as_str()) {
        return want.iter().any(|item| !live.contains(item)).then(|| at.path.clone());
    }
    if want.len() != live.len() {
        return Some(at.path.clone());
    }
    let mut pairs = want.iter().zip(live).enumerate();
    pairs.find_map(|(index, (want, live))| compare(&at.item(index), want, live))
}

/// Empty values are dropped when the API server encodes an object, so their absence means the same.
fn is_empty(field: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag && DROPPED.contains(&field),
        Value::Number(number) => number.as_f64() == Some(0.0) && DROPPED.contains(&field),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.iter().all(|(name, member)| is_empty(name, member)),
    }
}

fn same_quantity(a: &Value, b: &Value) -> bool {
    match (crds::quantity::parse(a), crds::quantity::parse(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::first;
    use serde_json::json;

    #[test]
    fn what_others_add_is_no_difference() {
        let want = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "proxy", "image": "kong"}]}});
        let live = json!({
            "metadata": {"labels": {"a": "1", "argocd": "x"}, "annotations": {"b": "2"}},
            "spec": {"replicas": 3, "containers": [{"name": "sidecar"}, {"name": "proxy", "image": "kong", "tty": false}]},
        });
        assert_eq!(first(&want, &live), None);
    }

    #[test]
    fn an_edited_field_is_named_by_its_path() {
        let want = json!({"spec": {"containers": [{"name": "proxy", "env": [{"name": "A", "value": "1"}]}]}});
        let live = json!({"spec": {"containers": [{"name": "proxy", "env": [{"name": "A", "value": "2"}]}]}});
        assert_eq!(first(&want, &live).as_deref(), Some(".spec.containers[0].env[0].value"));
    }

    #[test]
    fn a_missing_item_and_a_missing_field_differ() {
        let want = json!({"env": [{"name": "A", "value": "1"}], "x": 1});
        assert!(first(&want, &json!({"env": [], "x": 1})).is_some());
        assert!(first(&want, &json!({"env": [{"name": "A", "value": "1"}]})).is_some());
    }

    #[test]
    fn dropped_empty_values_are_no_difference_but_overridden_ones_are() {
        let want = json!({"tty": false, "env": {"value": ""}, "list": []});
        assert_eq!(first(&want, &json!({})), None);
        assert!(first(&want, &json!({"tty": true})).is_some());
        let token = json!({"automountServiceAccountToken": false});
        assert!(first(&token, &json!({})).is_some(), "absent means true there");
    }

    #[test]
    fn a_finalizer_of_others_is_no_difference_and_one_that_is_taken_off_is() {
        let want = json!({"metadata": {"finalizers": ["ours"]}});
        assert_eq!(first(&want, &json!({"metadata": {"finalizers": ["theirs", "ours"]}})), None);
        let gone = json!({"metadata": {"finalizers": ["theirs"]}});
        assert_eq!(first(&want, &gone).as_deref(), Some(".metadata.finalizers"));
        assert!(first(&want, &json!({"metadata": {}})).is_some());
    }

    #[test]
    fn another_key_in_an_atomic_map_is_a_difference() {
        let want = json!({"spec": {"selector": {"app": "a"}}});
        assert_eq!(first(&want, &want), None);
        let live = json!({"spec": {"selector": {"app": "a", "x": "y"}}});
        assert_eq!(first(&want, &live).as_deref(), Some(".spec.selector.x"));
        let want = json!({"spec": {"selector": {"matchLabels": {"app": "a"}}}});
        let live = json!({"spec": {"selector": {"matchLabels": {"app": "a", "x": "y"}}}});
        assert_eq!(first(&want, &live).as_deref(), Some(".spec.selector.matchLabels.x"));
    }

    #[test]
    fn quantities_are_compared_by_value_where_quantities_stand() {
        let want = json!({"limits": {"cpu": "1000m", "memory": "1024Mi"}});
        assert_eq!(first(&want, &json!({"limits": {"cpu": "1", "memory": "1Gi"}})), None);
        assert!(first(&want, &json!({"limits": {"cpu": "2", "memory": "1Gi"}})).is_some());
        assert!(first(&json!({"label": "1000m"}), &json!({"label": "1"})).is_some());
    }

    #[test]
    fn ports_are_matched_by_number_and_protocol() {
        let want = json!({"ports": [{"port": 80, "targetPort": 8000}]});
        let live = json!({"ports": [{"port": 80, "protocol": "UDP", "targetPort": 1}, {"port": 80, "protocol": "TCP", "targetPort": 8000, "nodePort": 30080}]});
        assert_eq!(first(&want, &live), None);
    }

    #[test]
    fn lists_without_keys_are_compared_whole() {
        assert!(first(&json!({"command": ["a"]}), &json!({"command": ["a", "b"]})).is_some());
    }
}
