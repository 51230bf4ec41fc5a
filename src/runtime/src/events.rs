//! Kubernetes events, on transitions only.
//!
//! In: the conditions of an object before and after a reconcile. Out: one event for each condition whose
//! status or reason is new. A failure to publish is a log line, never a failed reconcile.

use crds::k8s::{Condition, ObjectReference};
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Longest note the API takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Publishes events for the whole process.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// Events that name `controller` as their source.
    pub fn new(client: Client, controller: &str) -> Self {
        Self(Recorder::new(client, Reporter { controller: controller.to_owned(), instance: None }))
    }

    /// Publishes what changed between `before` and `after`.
    pub async fn transitions(&self, regarding: &ObjectReference, before: &[Condition], after: &[Condition]) {
        for condition in changed(before, after) {
            let event = event(condition);
            if let Err(error) = self.0.publish(&event, regarding).await {
                tracing::warn!(error = &error as &dyn std::error::Error, reason = event.reason, "event not published");
            }
        }
    }
}

fn changed<'a>(before: &'a [Condition], after: &'a [Condition]) -> impl Iterator<Item = &'a Condition> {
    after.iter().filter(|new| {
        let old = before.iter().find(|old| old.type_ == new.type_);
        old.is_none_or(|old| old.status != new.status || old.reason != new.reason)
    })
}

/// A condition that is false because somebody has to act is a warning; progress is not.
fn event(condition: &Condition) -> Event {
    let progress = crds::conditions::is_progress(&condition.reason);
    let normal = condition.status == "True" || progress;
    Event {
        type_: if normal { EventType::Normal } else { EventType::Warning },
        reason: condition.reason.clone(),
        note: Some(cut(&condition.message)),
        action: condition.type_.clone(),
        secondary: None,
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(LONGEST_NOTE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(status: &str, reason: &str, message: &str) -> Condition {
        Condition {
            type_: "Ready".into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            last_transition_time: crds::k8s::Time(crds::k8s::Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    #[test]
    fn only_a_new_status_or_reason_is_told() {
        let before = [condition("False", "WaitingToBecomeReady", "0 of 2")];
        let reworded = [condition("False", "WaitingToBecomeReady", "1 of 2")];
        assert_eq!(changed(&before, &reworded).count(), 0);
        assert_eq!(changed(&before, &[condition("False", "ImagePullFailed", "x")]).count(), 1);
        assert_eq!(changed(&[], &before).count(), 1);
    }

    #[test]
    fn a_failure_warns_and_progress_does_not() {
        assert_eq!(event(&condition("False", "ImagePullFailed", "x")).type_, EventType::Warning);
        assert_eq!(event(&condition("False", "WaitingToBecomeReady", "x")).type_, EventType::Normal);
        assert_eq!(event(&condition("True", "Ready", "x")).type_, EventType::Normal);
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        assert_eq!(cut(&"é".repeat(600)).len(), 1024);
        assert_eq!(cut(&format!("a{}", "é".repeat(600))).len(), 1023);
    }
}
