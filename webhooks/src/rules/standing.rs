//! Whether an object that is wrong may stay as it is.
//!
//! In: an object and what it is an update of. Out: whether anything changed that rules look at. What was stored once,
//! perhaps before a rule existed or while no webhook was reached, must still take labels, lose finalizers and go.

use crds::names::GROUP;
use serde_json::{Map, Value};

use crate::kinds::{self, Subject};

/// Whether an update leaves everything that rules look at, or an object that is being deleted anyhow.
pub fn stands(subject: &Subject<'_>) -> bool {
    let Some(old) = subject.old else { return false };
    is_going(subject.object) || (notes(subject.object).eq(notes(old)) && same_spec(subject, old))
}

fn is_going(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string)
}

/// Annotations of ours; others mean nothing to us.
fn notes(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let all = object.pointer("/metadata/annotations").and_then(Value::as_object);
    all.into_iter().flatten().filter(|(key, _)| key.split('/').next() == Some(GROUP))
}

fn same_spec(subject: &Subject<'_>, old: &Value) -> bool {
    if subject.object.get("spec") == old.get("spec") {
        return true;
    }
    // What was stored without a webhook lacks the defaults, which are no change of its author's.
    let spec = old.get("spec").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let mut old = Value::Object(Map::from_iter([("spec".to_owned(), spec)]));
    kinds::default(subject.kind, &mut old);
    subject.object.get("spec") == old.get("spec")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kind;
    use serde_json::json;

    fn is_standing(object: &Value, old: Option<&Value>) -> bool {
        stands(&Subject { kind: Kind::DataPlane, object, old })
    }

    #[test]
    fn what_rules_do_not_look_at_may_change() {
        let stored = json!({ "metadata": { "name": "x", "finalizers": ["a/b"] }, "spec": {} });
        let defaulted = json!({
            "metadata": { "name": "x", "labels": { "a": "b" }, "annotations": { "a/b": "c" } },
            "spec": { "network": { "services": { "ingress": { "type": "LoadBalancer" } } } },
        });
        assert!(!is_standing(&stored, None), "it is new");
        assert!(is_standing(&stored, Some(&stored)));
        assert!(is_standing(&defaulted, Some(&stored)), "defaults are no change");
        let bare = json!({ "metadata": { "name": "x" } });
        assert!(is_standing(&defaulted, Some(&bare)));
    }

    #[test]
    fn what_rules_look_at_may_not() {
        let stored = json!({ "metadata": { "name": "x" }, "spec": {} });
        let mut changed = json!({ "metadata": { "name": "x" }, "spec": { "deployment": { "replicas": 2 } } });
        assert!(!is_standing(&changed, Some(&stored)));
        let noted = json!({ "metadata": { "annotations": { "gateway-operator.konghq.com/service-selector-override": "x" } }, "spec": {} });
        assert!(!is_standing(&noted, Some(&stored)));
        changed["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(is_standing(&changed, Some(&stored)), "what goes may go");
    }
}
