//! Which status may be written a moment later, and until when.
//!
//! In: the status that an object has and the one that it should have, or whose status waits, and the time. Out: whether
//! anybody decides by the difference, and how long the write may still wait. While pods start, numbers and words change
//! several times a second; each would be a write, and bring everybody to look who watches. Never: a clock or a write.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::events::is_failure;

/// How long a status that decides nothing may stay unwritten.
pub(super) const LONGEST: Duration = Duration::from_secs(2);
const GENERATION: &str = "observedGeneration";

/// Until when the status of each key is to be written.
#[derive(Debug)]
pub(super) struct Postponed<K>(HashMap<K, Instant>);

impl<K> Default for Postponed<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone> Postponed<K> {
    /// How long the write may still wait, counted from when it was put off first, however often it was since; `None` when
    /// its time has come.
    pub fn rest(&mut self, key: &K, now: Instant) -> Option<Duration> {
        let until = *self.0.entry(key.clone()).or_insert_with(|| now.checked_add(LONGEST).unwrap_or(now));
        until.checked_duration_since(now).filter(|rest| !rest.is_zero())
    }

    /// It is written, or need not be, or its object is gone.
    pub fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }
}

/// Whether the status `after` tells more than words and numbers that `before` did not tell: of another generation, of a
/// condition that became `True` or no longer is, of a failure. The first status of all waits as well, unless it tells of a
/// failure: nobody has begun to wait for it.
pub(super) fn decides(before: Option<&impl Serialize>, after: &impl Serialize) -> bool {
    let before = before.map_or(Ok(Value::Null), serde_json::to_value);
    let (Ok(before), Ok(after)) = (before, serde_json::to_value(after)) else { return true };
    if has(&before, &|_| true) {
        decisive(&before) != decisive(&after)
    } else {
        has(&after, &|condition| is_failure(condition.status, condition.reason))
    }
}

/// Whether one of the conditions in a status is so.
fn has(status: &Value, is_so: &impl Fn(&Said<'_>) -> bool) -> bool {
    match status {
        Value::Object(fields) => match condition(fields) {
            Some(condition) => is_so(&condition),
            None => fields.values().any(|value| has(value, is_so)),
        },
        Value::Array(all) => all.iter().any(|value| has(value, is_so)),
        _ => false,
    }
}

/// What is left of a status without words, numbers and times. Conditions count wherever they are, as those of the listeners
/// of a Gateway. One that is absent means the same as one that is `Unknown` (Kubernetes API conventions), so neither counts.
fn decisive(status: &Value) -> Option<Value> {
    match status {
        Value::Object(fields) => {
            condition(fields).map_or_else(|| of_fields(fields), |condition| condition.decisive(fields))
        }
        Value::Array(all) => {
            let kept: Vec<_> = all.iter().filter_map(decisive).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn of_fields(fields: &Map<String, Value>) -> Option<Value> {
    let kept = fields.iter().filter_map(|(name, value)| {
        let kept = if name == GENERATION { Some(value.clone()) } else { decisive(value) };
        Some((name.clone(), kept?))
    });
    let kept: Map<_, _> = kept.collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// What of a condition counts.
struct Said<'a> {
    type_: &'a str,
    status: &'a str,
    reason: &'a str,
}

fn condition(fields: &Map<String, Value>) -> Option<Said<'_>> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    fields.contains_key("lastTransitionTime").then_some(())?;
    Some(Said { type_: text("type")?, status: text("status")?, reason: text("reason")? })
}

impl Said<'_> {
    fn decisive(&self, fields: &Map<String, Value>) -> Option<Value> {
        let failure = is_failure(self.status, self.reason).then_some(self.reason);
        if self.status == "Unknown" && failure.is_none() {
            return None;
        }
        Some(json!([self.type_, self.status, failure, fields.get(GENERATION)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        json!({
            "type": type_, "status": status, "reason": reason, "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        })
    }

    fn status(conditions: &[Value]) -> Value {
        json!({ "observedGeneration": 1, "conditions": conditions, "readyReplicas": 0 })
    }

    fn starting() -> Value {
        status(&[condition("Ready", "False", "WaitingToBecomeReady")])
    }

    fn changed(pointer: &str, value: Value) -> Value {
        let mut after = starting();
        *after.pointer_mut(pointer).unwrap() = value;
        after
    }

    #[test]
    fn words_and_numbers_wait_and_what_others_act_on_does_not() {
        let waiting = condition("Ready", "False", "WaitingToBecomeReady");
        let with = |more: Value| status(&[waiting.clone(), more]);
        let cases = [
            ("other words", changed("/conditions/0/message", json!("1 of 2")), false),
            ("other numbers", changed("/readyReplicas", json!(1)), false),
            ("another progress", changed("/conditions/0/reason", json!("DependenciesNotReady")), false),
            ("a flip", changed("/conditions/0/status", json!("True")), true),
            ("a failure of the same status", changed("/conditions/0/reason", json!("CrashLoop")), true),
            ("another generation", changed("/observedGeneration", json!(2)), true),
            (
                "another generation, of a condition",
                changed("/conditions/0/observedGeneration", json!(2)),
                true,
            ),
            ("a new condition", with(condition("RolledOut", "True", "RolledOut")), true),
            (
                "a new condition that does not hold",
                with(condition("RolledOut", "False", "Progressing")),
                true,
            ),
            (
                "a new one that nobody knows of",
                with(condition("Accepted", "Unknown", "NotProgrammed")),
                false,
            ),
            ("one that fails unknown", with(condition("Accepted", "Unknown", "Broken")), true),
            ("none left", status(&[]), true),
        ];
        for (name, after, decided) in cases {
            assert_eq!(decides(Some(&starting()), &after), decided, "{name}");
        }
    }

    #[test]
    fn conditions_count_wherever_they_are() {
        let listener = |status: &str, routes: i32| {
            let conditions = [condition("Programmed", status, "Pending")];
            json!({ "listeners": [{ "name": "http", "attachedRoutes": routes, "conditions": conditions }] })
        };
        assert!(!decides(Some(&listener("False", 0)), &listener("False", 3)));
        assert!(decides(Some(&listener("False", 0)), &listener("True", 0)));
        let mut two = listener("False", 0);
        let first = two["listeners"][0].clone();
        two["listeners"].as_array_mut().unwrap().push(first);
        assert!(decides(Some(&listener("False", 0)), &two));
    }

    #[test]
    fn the_first_status_waits_unless_it_tells_of_a_failure() {
        let some = status(&[
            condition("Granted", "True", "Granted"),
            condition("Ready", "False", "WaitingToBecomeReady"),
        ]);
        assert!(!decides(None::<&Value>, &some));
        assert!(!decides(Some(&json!({ "conditions": [] })), &some));
        assert!(decides(None::<&Value>, &status(&[condition("Ready", "False", "ImagePullFailed")])));
    }

    #[test]
    fn what_was_unknown_becomes_known_at_once() {
        // As the definition of Gateways has it by default.
        let mut unknown = condition("Accepted", "Unknown", "Pending");
        unknown.as_object_mut().unwrap().remove(GENERATION);
        let unknown = json!({ "conditions": [unknown] });
        assert!(decides(Some(&unknown), &status(&[condition("Accepted", "True", "Accepted")])));
    }

    #[test]
    fn it_waits_once_however_often_it_is_put_off() {
        let (mut postponed, now) = (Postponed::default(), Instant::now());
        assert_eq!(postponed.rest(&"a", now), Some(LONGEST));
        assert_eq!(postponed.rest(&"a", now + LONGEST / 4), Some(LONGEST * 3 / 4));
        assert_eq!(postponed.rest(&"a", now + LONGEST), None);
        assert_eq!(postponed.rest(&"a", now + LONGEST * 2), None, "until it is written");
        assert_eq!(postponed.rest(&"b", now + LONGEST), Some(LONGEST));
        postponed.forget(&"a");
        assert_eq!(postponed.rest(&"a", now + LONGEST * 2), Some(LONGEST));
    }
}
