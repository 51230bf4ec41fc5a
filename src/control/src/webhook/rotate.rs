//! Carries out rotations, one write at a time.
//!
//! In: the Secret as it was last seen, and what clients are known to trust. Out: the Secret as the next step wants it,
//! written over the version that the step was decided on. Never: two steps at once, or a step on a state that our own
//! last write has already changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use certs::rotation::{self, Ask, Change, State, Step, View};
use crds::k8s::Secret;
use runtime::failure::{self, Impact};
use runtime::metrics::Metrics;
use runtime::{Writer, clock};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Setup;
use super::keep::{self, Seen, is_conflict, version};
use super::lead::Trust;
use super::secret;
use super::shown::USE;
use super::tell::{About, Tell};

/// How often the clock is looked at: a machine that slept, or whose clock was set, is noticed within it.
const LOOK: Duration = Duration::from_mins(1);
/// How long the watch may take to show a write of ours before the next decision is taken without it.
const SHOWN: Duration = Duration::from_secs(5);

/// Carries out rotations.
pub struct Rotator {
    pub setup: Arc<Setup>,
    pub writer: Writer,
    pub metrics: Metrics,
    pub seen: watch::Receiver<Seen>,
    pub trusted: watch::Receiver<Option<Trust>>,
    pub tell: Tell,
}

impl Rotator {
    /// Never ends.
    pub async fn run(mut self) -> Infallible {
        let mut failures = 0;
        loop {
            let seen = self.seen.borrow_and_update().clone();
            let trusted = self.trusted.borrow_and_update().clone();
            let step = seen.found.as_ref().map(|(found, since)| {
                let kept = seen.kept.as_deref();
                self.decide(found.as_deref(), *since, kept, trusted.as_ref())
            });
            let pause = match step {
                None => LOOK,
                Some(Ok(Step::Rest(_))) => {
                    failures = 0;
                    self.tell
                        .well(About::Rotation, "the certificate of the webhooks is renewed when it is time");
                    LOOK
                }
                Some(Ok(Step::Wait(left))) => left.unwrap_or(LOOK).min(LOOK),
                Some(Ok(Step::Write { change, state, settles })) => {
                    let found = seen.found.as_ref().and_then(|(found, _)| found.as_deref());
                    match self.write(found, change, &state, settles).await {
                        Ok(()) => {
                            failures = 0;
                            self.is_shown(&seen).await;
                            continue;
                        }
                        Err(words) => self.failed(words.as_deref(), &mut failures),
                    }
                }
                Some(Err(error)) => self.failed(Some(&error.to_string()), &mut failures),
            };
            tokio::select! {
                Ok(()) = self.seen.changed() => {}
                Ok(()) = self.trusted.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn decide(
        &self,
        found: Option<&Secret>,
        since: Instant,
        kept: Option<&State>,
        trusted: Option<&Trust>,
    ) -> Result<Step, certs::Error> {
        let stored = found.map(secret::state);
        let ask = self.asked(found);
        let bundle = stored.as_ref().map(State::bundle).unwrap_or_default();
        let trust = trusted.filter(|trust| certs::holds(&trust.bundle, &bundle));
        let request = self.setup.request();
        let view = View {
            request: &request,
            ask,
            trusted: trust.map(|trust| trust.since.max(since).elapsed()),
            now: keep::time(found, SystemTime::from(clock::now())),
            pace: self.setup.pace,
        };
        rotation::look(stored.as_ref(), kept, &view)
    }

    /// What is not understood is told, and nothing else comes of it.
    fn asked(&self, found: Option<&Secret>) -> Option<Ask> {
        match found.map_or(Ok(None), secret::ask) {
            Ok(ask) => {
                self.tell.well(About::Ask, "nothing is asked for that is not understood");
                ask
            }
            Err(asked) => {
                let key = crds::names::annotations::ROTATE;
                let words =
                    format!("annotation {key}: {asked:?} is neither leaf nor authority, nothing is rotated");
                self.tell.ill(About::Ask, "NotUnderstood", &words);
                None
            }
        }
    }

    async fn write(
        &self,
        found: Option<&Secret>,
        change: Change,
        state: &State,
        settles: bool,
    ) -> Result<(), Option<String>> {
        let next = secret::with(found, &self.setup.secret, state, settles);
        let namespace = &self.setup.namespace;
        let written = match found {
            Some(_) => self.writer.replace(namespace, &next).await.map(Some),
            None => self.writer.create(namespace, &next).await,
        };
        match written {
            Ok(Some(_)) => {
                self.metrics.certificates().rotated(USE, change.as_str());
                tracing::info!(change = change.as_str(), "rotated the certificate of the webhooks");
                Ok(())
            }
            Ok(None) => Err(None),
            Err(error) if is_conflict(&error) => Err(None),
            Err(error) => {
                self.metrics.certificates().rotated(USE, "error");
                Err(Some(error.to_string()))
            }
        }
    }

    /// Waits until the watch shows something else than what the last write was decided on.
    async fn is_shown(&mut self, before: &Seen) {
        let known = |seen: &Seen| seen.found.as_ref().map(|(found, _)| version(found.as_deref()));
        let before = known(before);
        let shown = self.seen.wait_for(|seen| known(seen) != before);
        if timeout(SHOWN, shown).await.is_err() {
            tracing::warn!("the watch does not show what was written to the Secret of the webhooks");
        }
    }

    /// Somebody who was faster is no failure. Returns how long to wait.
    fn failed(&self, words: Option<&str>, failures: &mut u32) -> Duration {
        *failures = failures.saturating_add(1);
        if let Some(words) = words {
            self.tell.ill(About::Rotation, "NotRotated", words);
        }
        failure::pause(Impact::Transient, *failures, 0).unwrap_or(LOOK)
    }
}
