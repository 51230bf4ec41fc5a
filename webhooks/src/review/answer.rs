//! The answer to a review, in the form in which clients show it best.
//!
//! In: a verdict. Out: the review to send. `kubectl` prints a bullet per cause only where the code is 422, the reason
//! `Invalid` and kind and name are given; others show the message, which holds everything too.

use json_patch::Patch;
use plan::Problem;
use serde_json::{Map, Value, json};

use crate::routes::{Resource, Route};
use crate::verdict::Verdict;

/// How many bytes of warnings a client is sure to get (Kubernetes, "Dynamic Admission Control").
const WARNINGS: usize = 4096;
/// How many problems are shown: nobody reads more, and an answer has a size.
const CAUSES: usize = 100;
/// How long a single one may be.
const WARNING: usize = 256;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It goes on as it is.
    Allowed,
    /// It goes on with defaults filled in.
    Patched,
    /// It is refused for what is in it.
    Refused,
    /// It could not be understood, or could not be answered.
    Failed,
}

impl Decision {
    /// The word by which metrics know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Patched => "patched",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What became of the request.
    pub decision: Decision,
    /// The whole review.
    pub review: Value,
}

impl Answer {
    fn new(decision: Decision, uid: String, more: Value) -> Self {
        let allowed = matches!(decision, Decision::Allowed | Decision::Patched);
        let mut response =
            Map::from_iter([("uid".to_owned(), uid.into()), ("allowed".to_owned(), allowed.into())]);
        if let Value::Object(more) = more {
            response.extend(more);
        }
        let review = json!({ "apiVersion": super::VERSION, "kind": "AdmissionReview", "response": response });
        Self { decision, review }
    }

    /// Nothing to say.
    pub fn allowed(uid: String) -> Self {
        Self::new(Decision::Allowed, uid, Value::Null)
    }

    /// Defaults to fill in.
    pub fn patched(uid: String, patch: &Patch) -> Self {
        let Ok(bytes) = serde_json::to_vec(patch) else { return Self::allowed(uid) };
        let patch = crds::k8s::ByteString(bytes);
        Self::new(Decision::Patched, uid, json!({ "patchType": "JSONPatch", "patch": patch }))
    }

    /// A review that cannot be judged: refused, and it says why.
    pub fn failed(route: &Route, uid: String, code: u16, words: &str) -> Self {
        // Both are whatever somebody posted: enough of it to find the request again, and no more.
        let (id, why) = (beginning(&uid, 64), beginning(words, 200));
        tracing::warn!(path = route.path, uid = id, code, words = why, "a review could not be answered");
        let reason = match code {
            413 => "RequestEntityTooLarge",
            500 => "InternalError",
            _ => "BadRequest",
        };
        let status = json!({ "code": code, "reason": reason, "status": "Failure", "message": words });
        Self::new(Decision::Failed, uid, json!({ "status": status }))
    }

    /// What was judged about an object of that name.
    pub fn decided(route: &Route, uid: String, name: &str, verdict: Verdict) -> Self {
        let mut more = Map::new();
        let warnings = shown(verdict.warnings);
        if !warnings.is_empty() {
            more.insert("warnings".to_owned(), warnings.into());
        }
        let decision = if verdict.problems.is_empty() { Decision::Allowed } else { Decision::Refused };
        if decision == Decision::Refused {
            more.insert("status".to_owned(), status(route, name, &verdict.problems));
        }
        Self::new(decision, uid, more.into())
    }

    /// The answer to the operator's own question: it refuses, and repeats what it was asked.
    pub fn tested(route: &Route, uid: String, object: &Value) -> Self {
        let label = crds::names::labels::SELF_TEST;
        let asked = object.pointer("/metadata/labels").and_then(|labels| labels.get(label)?.as_str());
        let words = format!("{} {}", route.name, asked.unwrap_or_default());
        let status = json!({ "code": 403, "reason": "Forbidden", "status": "Failure", "message": words });
        Self::new(Decision::Refused, uid, json!({ "status": status }))
    }
}

fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

fn status(route: &Route, name: &str, problems: &[Problem]) -> Value {
    let Resource { group, kind, .. } = route.kind.resource();
    let cause = |Problem { cause, path, message }: &Problem| json!({ "reason": cause.as_str(), "field": path, "message": message });
    let shown = problems.get(..CAUSES).unwrap_or(problems);
    let mut causes: Vec<_> = shown.iter().map(cause).collect();
    let mut said: Vec<_> =
        shown.iter().map(|Problem { path, message, .. }| format!("{path}: {message}")).collect();
    if shown.len() < problems.len() {
        let words = format!(
            "{} more problems: `silverback validate` shows all of them",
            problems.len() - shown.len()
        );
        causes.push(json!({ "reason": "FieldValueInvalid", "field": "spec", "message": words }));
        said.push(words);
    }
    json!({
        "code": 422,
        "reason": "Invalid",
        "status": "Failure",
        "message": format!("{kind}.{group} {name:?} is invalid: {}", said.join("; ")),
        "details": { "group": group, "kind": kind, "name": name, "causes": causes },
    })
}

/// The warnings that fit, and how many more there are.
fn shown(warnings: Vec<String>) -> Vec<String> {
    let count = warnings.len();
    let mut room = WARNINGS - WARNING;
    let mut shown = Vec::new();
    for mut warning in warnings {
        if warning.len() > WARNING {
            warning = format!("{}…", beginning(&warning, WARNING - 4));
        }
        let Some(left) = room.checked_sub(warning.len()) else { break };
        room = left;
        shown.push(warning);
    }
    if shown.len() < count {
        shown.push(format!("{} more warnings: `silverback validate` shows all of them", count - shown.len()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_fit_into_what_clients_get() {
        assert_eq!(shown(vec!["a".into()]), ["a"]);
        let long = shown(vec!["ä".repeat(300)]);
        assert!(long[0].len() <= WARNING && long[0].ends_with('…'), "{}", long[0].len());
        let many = shown(vec!["x".repeat(200); 100]);
        assert!(many.iter().map(String::len).sum::<usize>() <= WARNINGS);
        assert!(many.last().unwrap().starts_with("81 more warnings"), "{:?}", many.last());
    }
}
