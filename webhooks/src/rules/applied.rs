//! Fields that were written and are not there any more.
//!
//! In: an object. Out: warnings about fields that its author applied and that its kind does not have. The API server
//! drops them before anybody sees them; `kubectl apply` keeps what was written in an annotation. A client that asks for
//! it is told by the API server itself.

use serde_json::Value;

use crate::fields;
use crate::kinds::Subject;

const ANNOTATION: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// A sentence for each field that was dropped.
pub fn dropped(subject: &Subject<'_>) -> Vec<String> {
    let Some(written) = note(subject.object) else { return Vec::new() };
    // It stays as it was when something else changes the object; its author was told already.
    if subject.old.and_then(note) == Some(written) {
        return Vec::new();
    }
    let Ok(written) = serde_json::from_str::<Value>(written) else { return Vec::new() };
    let unknown = fields::unknown(subject.kind, &written);
    unknown.iter().map(|problem| format!("{}: {}; it was dropped", problem.path, problem.message)).collect()
}

fn note(object: &Value) -> Option<&str> {
    object.pointer(ANNOTATION)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kind;
    use serde_json::json;

    #[test]
    fn what_was_applied_and_dropped_is_told_once() {
        let applied = |spec: Value| {
            let written = json!({ "metadata": { "name": "x" }, "spec": spec }).to_string();
            json!({ "metadata": { "annotations": { "kubectl.kubernetes.io/last-applied-configuration": written } } })
        };
        let told =
            |object: &Value, old: Option<&Value>| dropped(&Subject { kind: Kind::DataPlane, object, old });
        let (wrong, good) = (applied(json!({ "netwrok": {} })), applied(json!({ "network": {} })));
        assert_eq!(
            told(&wrong, None),
            ["spec.netwrok: unknown field, did you mean \"network\"?; it was dropped"]
        );
        assert_eq!(told(&wrong, Some(&good)).len(), 1);
        assert_eq!(told(&wrong, Some(&wrong)), [] as [&str; 0]);
        assert_eq!(told(&good, None), [] as [&str; 0]);
        assert_eq!(told(&json!({}), None), [] as [&str; 0]);
    }
}
