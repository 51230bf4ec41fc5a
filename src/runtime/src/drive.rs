//! The one loop around every reconciler: span, timer, metrics, status, events, requeue.
//!
//! In: a reconciler and a stream of what to look at. Out: nothing; it runs until it is told to stop and then
//! lets the reconciles under way finish. No reconciler touches metrics, events or requeue by itself.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crds::k8s::Condition;
use futures::{Stream, StreamExt, stream};
use kube::core::object::HasStatus;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::events::Events;
use crate::failure::{self, Failure, Impact};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::writer::{Writer, Written};

/// How many objects of one kind are reconciled at a time.
const CONCURRENCY: u16 = 16;
/// How long to wait with a status that could not be written and that nothing else would write again.
const UNPUBLISHED: Duration = Duration::from_secs(30);

/// How a reconcile that did not fail goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// All is as wanted; a watch will tell when that changes. Only what time brings is looked at again.
    Settled {
        /// When time alone will call for a change, such as the renewal of a certificate.
        again: Option<Duration>,
    },
    /// Something is under way. A watch will tell; look again after this long in case it does not.
    Waiting(Duration),
}

/// What a reconcile found and did.
#[derive(Debug)]
pub struct Outcome<S> {
    /// The status to publish.
    pub status: S,
    /// How it goes on.
    pub next: Next,
}

/// One reconciler per kind.
pub trait Reconciler: Send + Sync + 'static {
    /// What it reconciles.
    type Kind: Written + HasStatus<Status = Self::Status> + Serialize;
    /// The status it publishes.
    type Status: Serialize + PartialEq + Send + Sync;
    /// How it fails.
    type Error: Failure;

    /// Makes the world as `object` asks.
    fn reconcile(
        &self,
        object: Arc<Self::Kind>,
    ) -> impl Future<Output = Result<Outcome<Self::Status>, Self::Error>> + Send;

    /// The status that tells of a failure; everything else in it stays as it was.
    fn failed(&self, object: &Self::Kind, error: &Self::Error) -> Self::Status;

    /// The conditions in a status, from whose transitions events are made.
    fn conditions(status: &Self::Status) -> &[Condition];
}

/// What the loop needs besides the reconciler.
#[derive(Clone)]
pub struct Kit {
    /// Writes status.
    pub writer: Writer,
    /// Publishes events.
    pub events: Events,
    /// Counts.
    pub metrics: Metrics,
}

struct Loop<R: Reconciler> {
    reconciler: R,
    hub: Hub<R::Kind>,
    kit: Kit,
    attempts: Mutex<HashMap<ObjectRef<R::Kind>, u32>>,
}

/// Runs `reconciler` for everything that `triggers` names, until `stop`.
pub async fn drive<R: Reconciler>(
    reconciler: R,
    hub: Hub<R::Kind>,
    triggers: impl Stream<Item = ObjectRef<R::Kind>> + Send + 'static,
    kit: Kit,
    stop: CancellationToken,
) {
    let reader = hub.reader();
    let context = Arc::new(Loop { reconciler, hub, kit, attempts: Mutex::default() });
    let gone = Arc::clone(&context);
    Controller::for_stream(stream::pending(), reader)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(triggers)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(once, |_, error: &Infallible, _| match *error {}, context)
        .for_each(|done| {
            // All that the controller itself reports: an object went before its turn came.
            if let Err(controller::Error::ObjectNotFound(key)) = done {
                gone.forget(&ObjectRef::new(&key.name).within(key.namespace.as_deref().unwrap_or_default()));
            }
            futures::future::ready(())
        })
        .await;
}

async fn once<R: Reconciler>(object: Arc<R::Kind>, cx: Arc<Loop<R>>) -> Result<Action, Infallible> {
    let key = ObjectRef::from_obj(object.as_ref());
    // The controller's store may be behind an answer to our own write.
    let object = cx.hub.get(&key).unwrap_or(object);
    if object.meta().deletion_timestamp.is_some() {
        // Children go by their owner references.
        cx.forget(&key);
        return Ok(Action::await_change());
    }
    let namespace = object.namespace().unwrap_or_default();
    let span =
        tracing::info_span!("reconcile", kind = %R::Kind::kind(&()), namespace, name = object.name_any());
    Ok(cx.run(&key, object).instrument(span).await)
}

impl<R: Reconciler> Loop<R> {
    async fn run(&self, key: &ObjectRef<R::Kind>, object: Arc<R::Kind>) -> Action {
        let started = Instant::now();
        let kind = R::Kind::kind(&());
        let (status, next, result) = match self.reconciler.reconcile(Arc::clone(&object)).await {
            Ok(outcome) => (Some(outcome.status), Ok(outcome.next), label(outcome.next)),
            Err(error) => {
                let attempts = self.count(key);
                let pause = failure::pause(error.impact(), attempts, seed(key, attempts));
                log(&error, pause);
                let shown = error.impact().is_shown(attempts);
                (shown.then(|| self.reconciler.failed(&object, &error)), Err(pause), error.reason())
            }
        };
        let published = match &status {
            Some(status) => self.publish(&object, status).await,
            None => true,
        };
        self.kit.metrics.reconciled(&kind, result, started.elapsed());
        let pause = match (published, next) {
            (true, Ok(next)) => {
                self.forget(key);
                after(next)
            }
            (false, Ok(_)) => {
                let attempts = self.count(key);
                failure::pause(Impact::Transient, attempts, seed(key, attempts))
            }
            // Not published either: an error of the user's is not waited for before it is shown.
            (false, Err(None)) => Some(UNPUBLISHED),
            (_, Err(pause)) => pause,
        };
        pause.map_or_else(Action::await_change, Action::requeue)
    }

    /// Writes the status if it is another one, and tells of transitions. Returns whether it is published.
    async fn publish(&self, object: &R::Kind, status: &R::Status) -> bool {
        if object.status() == Some(status) {
            return true;
        }
        match self.kit.writer.status(object, status).await {
            Ok(written) => {
                self.hub.note(written);
                let before = object.status().map(R::conditions).unwrap_or_default();
                self.kit.events.transitions(&object.object_ref(&()), before, R::conditions(status));
                true
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "status not written, trying again");
                false
            }
        }
    }

    /// Counts one more failure in a row.
    fn count(&self, key: &ObjectRef<R::Kind>) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(key.clone()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    fn forget(&self, key: &ObjectRef<R::Kind>) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Something to spread objects by; it need not be the same in the next process.
fn seed(key: &impl Hash, attempts: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, attempts).hash(&mut hasher);
    hasher.finish()
}

fn after(next: Next) -> Option<Duration> {
    match next {
        Next::Settled { again } => again,
        Next::Waiting(pause) => Some(pause),
    }
}

fn label(next: Next) -> &'static str {
    match next {
        Next::Settled { .. } => "settled",
        Next::Waiting(_) => "waiting",
    }
}

fn log(error: &impl Failure, pause: Option<Duration>) {
    let (reason, cause) = (error.reason(), error as &dyn std::error::Error);
    match error.impact() {
        Impact::User | Impact::Waiting | Impact::Passing => {
            tracing::info!(reason, error = cause, ?pause, "not reconciled");
        }
        Impact::Transient => tracing::warn!(reason, error = cause, ?pause, "not reconciled"),
        Impact::Bug => tracing::error!(reason, error = cause, ?pause, "not reconciled"),
    }
}
