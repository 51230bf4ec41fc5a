//! Kubernetes events, on transitions only.
//!
//! In: the conditions of an object before and after a reconcile. Out: one event for each condition whose
//! status or reason is new and tells of more than progress. A failure to publish is a log line, never a failed
//! reconcile.

use std::sync::Arc;
use std::time::Duration;

use crds::conditions::{self, types};
use crds::k8s::{Condition, Event, MicroTime, ObjectMeta, ObjectReference};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::writer::Writer;

const TRUE: &str = "True";
/// Longest note the API takes, in bytes.
const LONGEST_NOTE: usize = 1024;
/// How many events are on their way at a time; more wait, and keep no reconcile waiting.
const AT_A_TIME: usize = 8;
/// How long the end of the process waits for events that are on their way.
const FAREWELL: Duration = Duration::from_secs(3);

/// Publishes events for the whole process; cloning shares the limit.
#[derive(Clone)]
pub struct Events {
    writer: Writer,
    controller: &'static str,
    limit: Arc<Semaphore>,
    under_way: TaskTracker,
}

impl Events {
    /// Events that name `controller` as their source.
    pub fn new(writer: Writer, controller: &'static str) -> Self {
        Self { writer, controller, limit: Arc::new(Semaphore::new(AT_A_TIME)), under_way: TaskTracker::new() }
    }

    /// Publishes what changed between `before` and `after`, in the background.
    pub fn transitions(&self, regarding: &ObjectReference, before: &[Condition], after: &[Condition]) {
        for condition in changed(before, after) {
            let event = self.event(regarding, condition);
            let (writer, limit) = (self.writer.clone(), Arc::clone(&self.limit));
            self.under_way.spawn(async move {
                let Ok(_turn) = limit.acquire().await else { return };
                let namespace = event.metadata.namespace.clone().unwrap_or_default();
                if let Err(error) = writer.create(&namespace, &event).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        reason = event.reason,
                        "event not published"
                    );
                }
            });
        }
    }

    /// Waits until what was told is published, but not for long; for the end of the process.
    pub async fn published(&self) {
        self.under_way.close();
        if tokio::time::timeout(FAREWELL, self.under_way.wait()).await.is_err() {
            tracing::warn!(count = self.under_way.len(), "events under way are given up");
        }
    }

    /// An event of its own for each transition. Those of a series would all show the note of the first.
    fn event(&self, regarding: &ObjectReference, condition: &Condition) -> Event {
        let metadata = ObjectMeta {
            generate_name: regarding.name.as_ref().map(|name| format!("{name}-")),
            namespace: regarding.namespace.clone(),
            ..ObjectMeta::default()
        };
        Event {
            metadata,
            action: Some(condition.type_.clone()),
            event_time: Some(MicroTime(clock::now())),
            note: Some(cut(&condition.message)),
            reason: Some(condition.reason.clone()),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(self.controller.to_owned()),
            reporting_instance: Some(self.controller.to_owned()),
            type_: Some(severity(condition).to_owned()),
            ..Event::default()
        }
    }
}

fn changed<'a>(before: &'a [Condition], after: &'a [Condition]) -> impl Iterator<Item = &'a Condition> {
    after.iter().filter(|new| {
        let old = before.iter().find(|old| old.type_ == new.type_);
        let moved = old.is_none_or(|old| old.status != new.status || old.reason != new.reason);
        moved && is_told(old, new)
    })
}

/// Every failure and its end, and that the whole is ready. Steps on the way are told by the conditions alone:
/// an event for each would bury the others.
fn is_told(old: Option<&Condition>, new: &Condition) -> bool {
    let fails =
        |condition: &Condition| condition.status != TRUE && !conditions::is_progress(&condition.reason);
    if new.status == TRUE { new.type_ == types::READY || old.is_some_and(fails) } else { fails(new) }
}

/// A condition that is false because somebody has to act is a warning.
fn severity(condition: &Condition) -> &'static str {
    if condition.status == TRUE { "Normal" } else { "Warning" }
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
        let before = [condition("False", "CrashLoop", "exit code 1")];
        let reworded = [condition("False", "CrashLoop", "exit code 2")];
        assert_eq!(changed(&before, &reworded).count(), 0);
        assert_eq!(changed(&before, &[condition("False", "ImagePullFailed", "x")]).count(), 1);
        assert_eq!(changed(&before, &[condition("True", "Ready", "x")]).count(), 1);
        assert_eq!(changed(&[], &before).count(), 1);
        assert_eq!(
            changed(&before, &[condition("False", "WaitingToBecomeReady", "x")]).count(),
            0,
            "mere progress"
        );
    }

    #[test]
    fn a_part_is_told_only_when_it_failed_before() {
        let rolled_out = |status: &str, reason: &str| Condition {
            type_: "RolledOut".into(),
            ..condition(status, reason, "m")
        };
        let done = [rolled_out("True", "RolledOut")];
        assert_eq!(changed(&[rolled_out("False", "Progressing")], &done).count(), 0);
        assert_eq!(changed(&[rolled_out("False", "ImagePullFailed")], &done).count(), 1);
    }

    #[test]
    fn a_failure_warns_and_success_does_not() {
        assert_eq!(severity(&condition("False", "ImagePullFailed", "x")), "Warning");
        assert_eq!(severity(&condition("True", "Ready", "x")), "Normal");
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        assert_eq!(cut(&"é".repeat(600)).len(), 1024);
        assert_eq!(cut(&format!("a{}", "é".repeat(600))).len(), 1023);
    }
}
