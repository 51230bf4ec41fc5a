//! Which namespaces are meant: all, the same one, or those that a selector matches.
//!
//! In: what a listener or a Gateway says, and labels. Out: yes or no. A selector that cannot be understood matches nothing.

use std::collections::BTreeMap;

use crds::k8s::{LabelSelector, LabelSelectorRequirement};
use serde_json::Value;

use super::World;

/// Who is let in.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// Everybody.
    All,
    /// Who lives in the same namespace.
    Same,
    /// Nobody.
    None,
    /// Who lives in a namespace of such labels.
    Selector(LabelSelector),
}

impl From {
    /// Reads `{from, selector}`, where `absent` stands for a missing `from`.
    pub fn read(namespaces: Option<&Value>, absent: Self) -> Self {
        let field = |name: &str| namespaces.and_then(|namespaces| namespaces.get(name));
        match field("from").and_then(Value::as_str) {
            None => absent,
            Some("All") => Self::All,
            Some("Same") => Self::Same,
            Some("Selector") => {
                let selector = field("selector").cloned().unwrap_or(Value::Null);
                serde_json::from_value(selector).map_or(Self::None, Self::Selector)
            }
            Some(_) => Self::None,
        }
    }

    /// Whether who lives in `namespace` is let in by who lives in `own`.
    pub fn lets(&self, own: &str, namespace: &str, world: &dyn World) -> bool {
        match self {
            Self::All => true,
            Self::Same => own == namespace,
            Self::None => false,
            Self::Selector(selector) => {
                world.labels(namespace).is_some_and(|labels| matches(selector, &labels))
            }
        }
    }
}

/// Whether labels are such as the selector asks for.
pub fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let mut equal = selector.match_labels.iter().flatten();
    let mut asked = selector.match_expressions.iter().flatten();
    equal.all(|(key, value)| labels.get(key) == Some(value)) && asked.all(|one| holds(one, labels))
}

fn holds(asked: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let found = labels.get(&asked.key);
    let listed = || found.is_some_and(|value| asked.values.iter().flatten().any(|one| one == value));
    match asked.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_matches_as_kubernetes_does() {
        let labels: BTreeMap<_, _> =
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into();
        for (selector, fits) in [
            (json!({}), true),
            (json!({ "matchLabels": { "a": "1" } }), true),
            (json!({ "matchLabels": { "a": "1", "b": "3" } }), false),
            (json!({ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["0", "1"] }] }), true),
            (json!({ "matchExpressions": [{ "key": "a", "operator": "NotIn", "values": ["1"] }] }), false),
            (json!({ "matchExpressions": [{ "key": "c", "operator": "NotIn", "values": ["1"] }] }), true),
            (json!({ "matchExpressions": [{ "key": "a", "operator": "Exists" }] }), true),
            (json!({ "matchExpressions": [{ "key": "a", "operator": "DoesNotExist" }] }), false),
            (json!({ "matchExpressions": [{ "key": "a", "operator": "Like" }] }), false),
        ] {
            assert_eq!(
                matches(&serde_json::from_value(selector.clone()).unwrap(), &labels),
                fits,
                "{selector}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_lets_nobody_in() {
        assert_eq!(From::read(Some(&json!({ "from": "Selector" })), From::Same), From::None);
        assert_eq!(From::read(Some(&json!({ "from": "Some" })), From::Same), From::None);
        assert_eq!(From::read(None, From::Same), From::Same);
    }
}
