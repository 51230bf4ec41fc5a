//! How Kubernetes tells the items of a list apart when it merges.
//!
//! In: the name of a list's field and its items. Out: the fields that are the item's key. The table is that of
//! `k8s.io/api/core/v1` (`listMapKey`, and `patchMergeKey` where there is none); a list that is not in it is
//! replaced as a whole.

use std::fmt::Write;

use serde_json::Value;

const KEYS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("env", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ownerReferences", &["uid"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// The keys of the items of the list in `field`; none for a list that is replaced as a whole. `ports` are
/// keyed by another field in a container than in a Service.
pub fn keys(field: &str, items: &[Value]) -> Option<&'static [&'static str]> {
    if field == "ports" {
        let container = items.iter().any(|port| port.get("containerPort").is_some());
        return Some(if container { &["containerPort", "protocol"] } else { &["port", "protocol"] });
    }
    KEYS.iter().find(|(name, _)| *name == field).map(|(_, keys)| *keys)
}

/// One key of an item; a port without a protocol is a TCP port.
pub fn key(item: &Value, key: &str) -> Value {
    let default = if key == "protocol" { Value::from("TCP") } else { Value::Null };
    item.get(key).cloned().unwrap_or(default)
}

/// Adds one key of an item to the name by which the item is known: text and other values never give the same name. A
/// port without a protocol is a TCP port.
pub fn spell_key(item: &Value, key: &str, name: &mut String) {
    match item.get(key) {
        Some(Value::String(text)) => {
            // The length tells where it ends, whatever is in it. Writing to a string does not fail.
            let _ = write!(name, "{}\"{text}", text.len());
        }
        Some(other) => drop(write!(name, "{other}")),
        None if key == "protocol" => name.push_str("3\"TCP"),
        None => name.push_str("null"),
    }
    name.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_of_containers_and_of_services_have_their_own_keys() {
        assert_eq!(keys("ports", &[json!({"containerPort": 1})]), Some(&["containerPort", "protocol"][..]));
        assert_eq!(keys("ports", &[json!({"port": 1})]), Some(&["port", "protocol"][..]));
        assert_eq!(keys("tolerations", &[]), None);
        let spelt = |item: Value, key: &str| {
            let mut name = String::new();
            spell_key(&item, key, &mut name);
            name
        };
        assert_eq!(spelt(json!({}), "protocol"), spelt(json!({ "protocol": "TCP" }), "protocol"));
        assert_eq!(spelt(json!({}), "name"), spelt(json!({ "name": null }), "name"));
        assert_ne!(spelt(json!({ "name": "1" }), "name"), spelt(json!({ "name": 1 }), "name"));
    }
}
