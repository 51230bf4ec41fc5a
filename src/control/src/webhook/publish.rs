//! Keeps the webhook configurations as they should be.
//!
//! In: the configurations as they are, the authorities that clients are to trust, and what the registration wants. Out:
//! configurations that are that, and since when all of them were seen with these authorities. Never: a configuration
//! that is not there (manifests bring it), and never one that refuses requests before the API server has been seen to
//! reach the webhooks, unless it did so already.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::k8s::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::{Api, Client};
use runtime::Writer;
use runtime::metrics::Metrics;
use tokio::sync::watch;

use super::lead::{Registration, Trust};
use super::selftest;
use super::side::{Configuration, Settled, Side};
use super::tell::{About, Tell};
use super::{Mode, Setup};

/// Pause after a self-test that did not pass; it doubles.
const SOON: Duration = Duration::from_millis(200);
/// Longest pause between self-tests.
const SELDOM: Duration = Duration::from_secs(30);
/// A self-test that has not passed so many times in a row, that is after some six seconds, is told.
const LASTING: u32 = 6;

/// Keeps the configurations.
pub struct Publisher {
    pub client: Client,
    pub setup: Arc<Setup>,
    pub writer: Writer,
    pub metrics: Metrics,
    pub registration: Registration,
    pub tell: Tell,
    pub trust: watch::Sender<Option<Trust>>,
}

/// What is known of whether the webhooks are reached.
#[derive(Debug, Default)]
struct Test {
    passed: bool,
    failures: u32,
    next: Option<Instant>,
}

impl Publisher {
    /// Never ends.
    pub async fn run(self, mut bundle: watch::Receiver<Option<String>>) {
        let client = || self.client.clone();
        let mut mutating = Side::new("mutating", Api::<MutatingWebhookConfiguration>::all(client()));
        let mut validating = Side::new("validating", Api::<ValidatingWebhookConfiguration>::all(client()));
        let mut test = Test::default();
        loop {
            let trusted = bundle.borrow_and_update().clone();
            let settled = [
                self.settle(&mut mutating, trusted.as_deref(), test.passed).await,
                self.settle(&mut validating, trusted.as_deref(), test.passed).await,
            ];
            self.note(trusted.as_deref(), &settled);
            if validating.is_absent() {
                test = Test::default();
            }
            let ready = settled.iter().all(|one| matches!(one, Settled::Holds | Settled::Absent));
            let lenient = mutating.is_lenient() || validating.is_lenient();
            let due = ready && lenient && !test.passed && !validating.is_absent();
            if due {
                self.test(&mut test).await;
                if test.passed {
                    continue;
                }
            }
            let tested = test.next.filter(|_| due);
            let again = settled.iter().filter_map(Settled::again).chain(tested).min();
            let again = again.map(|at| at.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = mutating.heard() => {}
                () = validating.heard() => {}
                Ok(()) = bundle.changed() => {}
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
            }
        }
    }

    /// Does what one configuration needs.
    async fn settle<K: Configuration>(
        &self,
        side: &mut Side<K>,
        bundle: Option<&str>,
        tested: bool,
    ) -> Settled {
        let settled = side.settle(&self.writer, &self.registration, bundle, tested).await;
        if let Some(ok) = side.wrote() {
            self.metrics.certificates().synced(side.name, ok);
        }
        settled
    }

    /// Tells the rotation what clients trust, and people what is wrong.
    fn note(&self, bundle: Option<&str>, settled: &[Settled]) {
        let mut ill: BTreeSet<_> = settled.iter().filter_map(Settled::words).collect();
        if let (Mode::Files(folder), true) = (&self.setup.mode, settled.contains(&Settled::Unsigned)) {
            let folder = folder.display();
            let words =
                "there is no usable ca.crt, and no annotation tells cert-manager to write the authorities";
            ill.insert(format!("{folder}: {words}"));
        }
        if ill.is_empty() {
            self.tell.well(About::Registration, "the webhook configurations are as wanted");
        } else {
            let words: Vec<_> = ill.into_iter().collect();
            self.tell.ill(About::Registration, "NotRegistered", &words.join("; "));
        }
        let holds = settled.iter().all(Settled::trusts);
        let trusted = bundle.filter(|_| holds);
        self.trust.send_if_modified(|known| {
            let same = known.as_ref().map(|known| known.bundle.as_str()) == trusted;
            if !same {
                *known = trusted.map(|bundle| Trust { bundle: bundle.to_owned(), since: Instant::now() });
            }
            !same
        });
    }

    async fn test(&self, test: &mut Test) {
        if test.next.is_some_and(|at| at > Instant::now()) {
            return;
        }
        match selftest::ask(&self.writer, &self.setup.namespace, self.registration.test).await {
            Ok(()) => {
                tracing::info!(failures = test.failures, "the API server reaches the webhooks");
                self.tell.well(About::SelfTest, "the API server reaches the webhooks");
                *test = Test { passed: true, ..Test::default() };
            }
            Err(why) => {
                test.failures = test.failures.saturating_add(1);
                let pause = (SOON * 2_u32.pow(test.failures.min(8))).min(SELDOM);
                test.next = Some(Instant::now() + pause);
                if test.failures >= LASTING {
                    let words = format!(
                        "the API server does not reach the webhooks, and requests go on without them where nothing refused them before: {why}"
                    );
                    self.tell.ill(About::SelfTest, "NotReached", &words);
                }
            }
        }
    }
}
