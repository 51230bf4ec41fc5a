//! The Secret of the webhooks as every replica follows it.
//!
//! In: the Secret, as its watch shows it. Out: the certificate that this replica shows, and what the rotation of the
//! one that leads goes by. Never: a write, but where there is nothing that could be shown: whoever comes first makes
//! it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use certs::rotation::{self, State, Step, View};
use crds::k8s::Secret;
use kube::{Api, Client, ResourceExt};
use runtime::{Writer, clock};
use tokio::sync::watch;

use super::Setup;
use super::secret;
use super::shown::{self, Shown};
use super::tell::{About, Tell};
use super::watched::{News, Watch};

/// Pause after a write of the first Secret that failed.
const AGAIN: Duration = Duration::from_secs(2);
/// How late a clock may be before it is told of.
const BEHIND: Duration = Duration::from_mins(5);
/// How often a clock that is late is looked at.
const LOOK: Duration = Duration::from_mins(1);

/// The Secret as it was last seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The Secret, and since when it is as it is; none before the first look.
    pub found: Option<(Option<Arc<Secret>>, Instant)>,
    /// The last sound state: what is gone or damaged is put back from it.
    pub kept: Option<Arc<State>>,
}

/// Follows the Secret.
pub struct Keeper {
    pub setup: Arc<Setup>,
    pub writer: Writer,
    pub shown: Shown,
    pub seen: watch::Sender<Seen>,
    pub tell: Tell,
}

impl Keeper {
    /// Never ends.
    pub async fn run(mut self, client: Client) {
        let api = Api::<Secret>::namespaced(client, &self.setup.namespace);
        let mut watch = Watch::new(api, &self.setup.secret);
        let mut pause = None;
        loop {
            tokio::select! {
                news = watch.next() => match news {
                    News::Found(secret) => self.take(secret.map(|secret| Arc::new(*secret))),
                    News::Broken(why) => self.broken(&why),
                },
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
            let late = self.clock().then_some(LOOK);
            pause = if self.shown.is_shown() { late } else { self.make().await.or(late) };
        }
    }

    /// Tells of a clock that is late. Returns whether it is.
    fn clock(&self) -> bool {
        let seen = self.seen.borrow();
        let found = seen.found.as_ref().and_then(|(found, _)| found.as_deref());
        let by = behind(found, SystemTime::from(clock::now()));
        if by > BEHIND {
            let words = format!(
                "the clock of this machine is {} minutes or more behind that of the API server, which is gone by: set it right",
                by.as_secs() / 60
            );
            self.tell.ill(About::Clock, "ClockBehind", &words);
        } else {
            self.tell.well(About::Clock, "the clock of this machine is not behind that of the API server");
        }
        by > BEHIND
    }

    fn broken(&self, why: &str) {
        let words = format!("the Secret of the webhooks cannot be read: {why}");
        self.tell.ill(About::Source, "NotRead", &words);
    }

    /// Shows what is in the Secret if clients can be expected to trust it.
    fn take(&mut self, found: Option<Arc<Secret>>) {
        self.tell.well(About::Source, "the Secret of the webhooks is read");
        let before = self.seen.borrow().clone();
        let unchanged = before
            .found
            .as_ref()
            .is_some_and(|(before, _)| version(before.as_deref()) == version(found.as_deref()));
        if unchanged && found.is_some() {
            return;
        }
        let mut kept = before.kept;
        if let Some(state) = found.as_deref().map(secret::state) {
            let request = self.setup.request();
            let view = view(&self.setup, &request, found.as_deref());
            if state.serves(&view) {
                self.show(&state, view.now);
                kept = if state.is_damaged(&view) { kept } else { Some(Arc::new(state)) };
            } else {
                self.refuse(&state, &view);
            }
        }
        self.seen.send_replace(Seen { found: Some((found, Instant::now())), kept });
    }

    fn show(&mut self, state: &State, now: SystemTime) {
        let Some(ends) = state.ends() else { return };
        self.shown.time(now);
        self.shown.publish(Some(state.bundle()), Some(&state.authority.certificate));
        self.shown.load(&state.leaf, ends);
    }

    fn refuse(&self, state: &State, view: &View<'_>) {
        let verdict = certs::judge(&state.leaf, &state.authority.certificate, view.request, view.now);
        if let certs::Verdict::Renew(why) = verdict {
            let words = format!("Secret {}: {why}", self.setup.secret);
            self.shown.refuse(shown::reason(why), &words);
        }
    }

    /// Makes what could be shown, where there is nothing. Returns when to try again.
    async fn make(&mut self) -> Option<Duration> {
        let seen = self.seen.borrow().clone();
        let (found, _) = seen.found?;
        let request = self.setup.request();
        let stored = found.as_deref().map(secret::state);
        let step = rotation::look(stored.as_ref(), None, &view(&self.setup, &request, found.as_deref()));
        let (change, state) = match step {
            Ok(Step::Write { change, state, .. }) => (change, state),
            Ok(Step::Wait(_) | Step::Rest(_)) => return None,
            Err(error) => {
                self.tell.ill(About::Rotation, "NotMade", &error.to_string());
                return Some(AGAIN);
            }
        };
        let secret = secret::with(found.as_deref(), &self.setup.secret, &state, false);
        let written = match found {
            Some(_) => self.writer.replace(&self.setup.namespace, &secret).await.map(Some),
            None => self.writer.create(&self.setup.namespace, &secret).await,
        };
        match written {
            Ok(Some(secret)) => {
                tracing::info!(change = change.as_str(), "made a certificate for the webhooks");
                self.take(Some(Arc::new(secret)));
                None
            }
            // Somebody was faster: the watch shows what they made.
            Ok(None) => Some(AGAIN),
            Err(error) => {
                if !is_conflict(&error) {
                    self.tell.ill(About::Rotation, error.reason(), &error.to_string());
                }
                Some(AGAIN)
            }
        }
    }
}

/// What steps follow from on a replica that knows nothing of clients.
fn view<'a>(setup: &Setup, request: &'a certs::Request, found: Option<&Secret>) -> View<'a> {
    View {
        request,
        ask: None,
        trusted: None,
        now: time(found, SystemTime::from(clock::now())),
        pace: setup.pace,
    }
}

/// The time to go by where the clock of this machine says `now`: that, unless the API server has stored the Secret later.
/// Its clock is the one by which clients judge certificates.
pub fn time(found: Option<&Secret>, now: SystemTime) -> SystemTime {
    now + behind(found, now)
}

/// How far the clock of this machine is behind, at least, where it says `now`.
fn behind(found: Option<&Secret>, now: SystemTime) -> Duration {
    let stored = found.and_then(secret::stored);
    stored.and_then(|stored| stored.duration_since(now).ok()).unwrap_or_default()
}

/// Tells one version of a Secret from another.
pub fn version(secret: Option<&Secret>) -> Option<(Option<String>, Option<String>)> {
    secret.map(|secret| (secret.uid(), secret.resource_version()))
}

/// Whether somebody was faster.
pub fn is_conflict(error: &runtime::writer::Error) -> bool {
    use runtime::writer::Error;
    matches!(error, Error::Api { cause, .. } if matches!(cause.as_ref(), kube::Error::Api(status) if status.is_conflict()))
}

#[cfg(test)]
mod tests {
    use crds::k8s::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::webhook::tests::setup;

    const HOUR: Duration = Duration::from_hours(1);

    /// A Secret of which the API server says that it was made and changed then.
    fn stored(made: SystemTime, changed: Option<SystemTime>) -> Secret {
        let text = |time| Timestamp::try_from(time).unwrap().to_string();
        let entries: Vec<_> = changed.into_iter().map(|time| json!({ "time": text(time) })).collect();
        let metadata = json!({ "creationTimestamp": text(made), "managedFields": entries });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    #[test]
    fn time_goes_by_the_later_clock() {
        let now = SystemTime::from(clock::now());
        assert_eq!(time(None, now), now);
        for (made, changed, later) in [
            (now - HOUR, None, now),
            (now + HOUR, None, now + HOUR),
            (now - HOUR, Some(now + HOUR), now + HOUR),
            (now + HOUR, Some(now - HOUR), now + HOUR),
        ] {
            assert_eq!(time(Some(&stored(made, changed)), now), later);
        }
    }

    #[test]
    fn a_clock_that_is_late_rotates_nothing_and_one_that_was_ahead_is_healed() {
        let (setup, now) = (setup(), SystemTime::from(clock::now()));
        let request = setup.request();
        let look = |made: SystemTime, stored_at: SystemTime, says: SystemTime| {
            let view = |now| View { request: &request, ask: None, trusted: None, now, pace: setup.pace };
            let Ok(Step::Write { state, .. }) = rotation::look(None, None, &view(made)) else {
                panic!("no beginning")
            };
            let secret = secret::with(Some(&stored(stored_at, None)), "a", &state, false);
            let state = secret::state(&secret);
            let view = view(time(Some(&secret), says));
            (state.serves(&view), rotation::look(Some(&state), None, &view).unwrap())
        };
        for late in [Duration::ZERO, HOUR * 2, HOUR * 24 * 365] {
            let (serves, step) = look(now, now, now - late);
            assert!(serves && matches!(step, Step::Rest(_)), "late by {late:?}: {step:?}");
        }
        // Made by a clock that was ahead: clients do not take it yet, and nobody can wait that long.
        let (serves, step) = look(now + HOUR * 2, now, now);
        assert!(!serves && matches!(step, Step::Write { change: rotation::Change::Begin, .. }), "{step:?}");
    }
}
