//! Kubernetes events, on transitions only.
//!
//! In: the conditions of an object before and after a reconcile. Out: one event for each condition whose
//! status or reason is new and tells of more than progress. A failure to publish is a log line, never a failed
//! reconcile.

use std::sync::Arc;
use std::time::Duration;

use crds::conditions::{self, types};
use crds::gatewayapi;
use crds::k8s::{Condition, Event, MicroTime, ObjectMeta, ObjectReference, OwnerReference};
use crds::names;
use kube::{Resource, ResourceExt};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::writer::Writer;

const TRUE: &str = "True";
/// Gateway API's word for what is under way.
const PENDING: &str = "Pending";
/// Group and kind of those whose parts have events of failures only.
const WHOLES: [(&str, &str); 2] = [(gatewayapi::GROUP, "Gateway"), (names::GROUP, "ControlPlane")];
/// Longest note the API takes, in bytes.
const LONGEST_NOTE: usize = 1024;
/// How many events are on their way at a time; more wait, and keep no reconcile waiting.
const AT_A_TIME: usize = 8;
/// How long the end of the process waits for events that are on their way.
const FAREWELL: Duration = Duration::from_secs(3);

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub struct Happening<'a> {
    /// What was done, or decided.
    pub action: &'a str,
    /// A word for it.
    pub reason: &'a str,
    /// A sentence.
    pub note: &'a str,
    /// Whether something is wrong.
    pub warns: bool,
}

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
        self.tell(regarding, changed(Some(types::READY), before, after));
    }

    /// The same of an object: of one that is a part of another one of ours, its failures and their ends only.
    pub fn of<K>(&self, object: &K, before: &[Condition], after: &[Condition])
    where
        K: Resource<DynamicType = ()>,
    {
        self.tell(&object.object_ref(&()), changed(whole(object, after), before, after));
    }

    /// Publishes that something happened to an object, in the background.
    pub fn happened<K>(&self, object: &K, happening: &Happening<'_>)
    where
        K: Resource<DynamicType = ()>,
    {
        self.publish(self.event(&object.object_ref(&()), happening));
    }

    fn tell<'a>(&self, regarding: &ObjectReference, changed: impl Iterator<Item = &'a Condition>) {
        for condition in changed {
            self.publish(self.event(regarding, &told(condition)));
        }
    }

    fn publish(&self, event: Event) {
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

    /// Waits until what was told is published, but not for long; for the end of the process.
    pub async fn published(&self) {
        self.under_way.close();
        if tokio::time::timeout(FAREWELL, self.under_way.wait()).await.is_err() {
            tracing::warn!(count = self.under_way.len(), "events under way are given up");
        }
    }

    /// An event of its own for each transition. Those of a series would all show the note of the first.
    fn event(&self, regarding: &ObjectReference, happening: &Happening<'_>) -> Event {
        let metadata = ObjectMeta {
            generate_name: regarding.name.as_ref().map(|name| format!("{name}-")),
            namespace: regarding.namespace.clone(),
            ..ObjectMeta::default()
        };
        Event {
            metadata,
            action: Some(happening.action.to_owned()),
            event_time: Some(MicroTime(clock::now())),
            note: Some(cut(happening.note)),
            reason: Some(happening.reason.to_owned()),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(self.controller.to_owned()),
            reporting_instance: Some(self.controller.to_owned()),
            type_: Some(if happening.warns { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

/// The type of condition that tells that the whole is ready. What was made for a Gateway or a `ControlPlane` is a part of
/// it, and has none: that it is ready is told once, of its owner.
fn whole<K: Resource>(object: &K, conditions: &[Condition]) -> Option<&'static str> {
    let is_theirs = |owner: &OwnerReference| {
        let group = owner.api_version.split('/').next().unwrap_or_default();
        WHOLES.contains(&(group, &owner.kind))
    };
    if object.owner_references().iter().any(|owner| owner.controller == Some(true) && is_theirs(owner)) {
        return None;
    }
    let has_ready = conditions::get(conditions, types::READY).is_some();
    Some(if has_ready { types::READY } else { types::PROGRAMMED })
}

fn changed<'a>(
    whole: Option<&'static str>,
    before: &'a [Condition],
    after: &'a [Condition],
) -> impl Iterator<Item = &'a Condition> {
    after.iter().filter(move |new| {
        let old = before.iter().find(|old| old.type_ == new.type_);
        let moved = old.is_none_or(|old| old.status != new.status || old.reason != new.reason);
        moved && is_told(whole, old, new)
    })
}

/// Every failure and its end, and that the whole is ready. Steps on the way are told by the conditions alone:
/// an event for each would bury the others.
fn is_told(whole: Option<&str>, old: Option<&Condition>, new: &Condition) -> bool {
    let fails = |condition: &Condition| is_failure(&condition.status, &condition.reason);
    if new.status == TRUE { whole == Some(&new.type_) || old.is_some_and(fails) } else { fails(new) }
}

/// Whether a condition of that status and reason tells of something wrong rather than of something under way.
pub(crate) fn is_failure(status: &str, reason: &str) -> bool {
    status != TRUE && reason != PENDING && !conditions::is_progress(reason)
}

/// A condition that is false because somebody has to act is a warning.
/// What a transition of a condition is as an event.
fn told(condition: &Condition) -> Happening<'_> {
    Happening {
        action: &condition.type_,
        reason: &condition.reason,
        note: &condition.message,
        warns: condition.status != TRUE,
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

    fn told(before: &[Condition], after: &[Condition]) -> usize {
        changed(Some(types::READY), before, after).count()
    }

    #[test]
    fn only_a_new_status_or_reason_is_told() {
        let before = [condition("False", "CrashLoop", "exit code 1")];
        let reworded = [condition("False", "CrashLoop", "exit code 2")];
        assert_eq!(told(&before, &reworded), 0);
        assert_eq!(told(&before, &[condition("False", "ImagePullFailed", "x")]), 1);
        assert_eq!(told(&before, &[condition("True", "Ready", "x")]), 1);
        assert_eq!(told(&[], &before), 1);
        assert_eq!(told(&before, &[condition("False", "WaitingToBecomeReady", "x")]), 0, "mere progress");
    }

    #[test]
    fn a_part_is_told_only_when_it_failed_before() {
        let rolled_out = |status: &str, reason: &str| Condition {
            type_: "RolledOut".into(),
            ..condition(status, reason, "m")
        };
        let done = [rolled_out("True", "RolledOut")];
        assert_eq!(told(&[rolled_out("False", "Progressing")], &done), 0);
        assert_eq!(told(&[rolled_out("False", "ImagePullFailed")], &done), 1);
    }

    #[test]
    fn a_part_that_becomes_ready_is_told_by_its_owner() {
        let owned = |version: &str, kind: &str, controls: bool| {
            let mut object = crds::DataPlane::new("edge", crds::dataplane::DataPlaneSpec::default());
            let owner = OwnerReference {
                api_version: version.into(),
                controller: controls.then_some(true),
                kind: kind.into(),
                ..OwnerReference::default()
            };
            object.metadata.owner_references = Some(vec![owner]);
            object
        };
        let (gateway, ready) = ("gateway.networking.k8s.io/v1", [condition("True", "Ready", "x")]);
        let whole_of = |object: &crds::DataPlane| whole(object, &ready);
        assert_eq!(whole_of(&owned(gateway, "Gateway", true)), None);
        assert_eq!(whole_of(&owned("gateway-operator.konghq.com/v1beta1", "ControlPlane", true)), None);
        assert_eq!(whole_of(&owned(gateway, "Gateway", false)), Some(types::READY), "merely refers to it");
        assert_eq!(whole_of(&owned("example.com/v1", "Gateway", true)), Some(types::READY));
        let waiting = [condition("False", "WaitingToBecomeReady", "x")];
        assert_eq!(changed(None, &waiting, &ready).count(), 0);
        let failed = [condition("False", "CrashLoop", "x")];
        assert_eq!(changed(None, &waiting, &failed).count(), 1, "a failure is told of every part");
        assert_eq!(changed(None, &failed, &ready).count(), 1, "and so is its end");
    }

    #[test]
    fn what_is_pending_is_no_failure_and_a_gateway_that_is_programmed_is_whole() {
        let programmed = |status: &str, reason: &str| {
            [Condition { type_: "Programmed".into(), ..condition(status, reason, "x") }]
        };
        let (pending, done) = (programmed("False", "Pending"), programmed("True", "Programmed"));
        let object = crds::DataPlane::new("edge", crds::dataplane::DataPlaneSpec::default());
        let whole = whole(&object, &done);
        assert_eq!(changed(whole, &[], &pending).count(), 0);
        assert_eq!(changed(whole, &pending, &done).count(), 1);
    }

    #[test]
    fn a_failure_warns_and_success_does_not() {
        let warns = |status, reason| super::told(&condition(status, reason, "x")).warns;
        assert!(warns("False", "ImagePullFailed"));
        assert!(!warns("True", "Ready"));
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        assert_eq!(cut(&"é".repeat(600)).len(), 1024);
        assert_eq!(cut(&format!("a{}", "é".repeat(600))).len(), 1023);
    }
}
