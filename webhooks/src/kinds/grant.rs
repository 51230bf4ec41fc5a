//! `WatchNamespaceGrant`: what of it says nothing. What it may not be is in the schema.

use crds::WatchNamespaceGrant;

use super::Subject;
use crate::rules::read;
use crate::verdict::Verdict;

/// The verdict.
pub fn verdict(subject: &Subject<'_>) -> Verdict {
    let object: WatchNamespaceGrant = match read::object(subject.object) {
        Ok(object) => object,
        Err(problem) => return Verdict { problems: vec![problem], warnings: Vec::new() },
    };
    let (own, mut warnings) = (object.metadata.namespace.as_deref(), Vec::new());
    for (index, from) in object.spec.from.iter().enumerate() {
        let at = format!("spec.from[{index}]");
        if own == Some(from.namespace.as_str()) {
            warnings.push(format!("{at}.namespace: ControlPlanes of the grant's own namespace need none"));
        }
        if object.spec.from.iter().take(index).any(|other| other == from) {
            warnings.push(format!("{at}: {:?} is there twice", from.namespace));
        }
    }
    Verdict { problems: Vec::new(), warnings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kind;
    use serde_json::json;

    #[test]
    fn what_says_nothing_is_told() {
        let from = |namespace: &str| json!({ "group": "gateway-operator.konghq.com", "kind": "ControlPlane", "namespace": namespace });
        let object = json!({
            "metadata": { "name": "x", "namespace": "team" },
            "spec": { "from": [from("a"), from("team"), from("a")] },
        });
        let verdict = verdict(&Subject { kind: Kind::WatchNamespaceGrant, object: &object, old: None });
        assert!(verdict.allowed());
        assert_eq!(
            verdict.warnings,
            [
                "spec.from[1].namespace: ControlPlanes of the grant's own namespace need none",
                "spec.from[2]: \"a\" is there twice",
            ]
        );
        let unreadable = json!({ "spec": { "from": [{ "group": "x" }] } });
        let subject = Subject { kind: Kind::WatchNamespaceGrant, object: &unreadable, old: None };
        assert!(!super::verdict(&subject).allowed());
    }
}
