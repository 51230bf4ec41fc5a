//! The one loop around every reconciler: turns, deadline, span, timer, metrics, status, events, requeue.
//!
//! In: a reconciler and a stream of what to look at. Out: nothing; it runs until it is told to stop and then
//! lets the reconciles under way finish. No reconciler touches metrics, events or requeue by itself, and none can
//! keep the others from their turns: not by being touched without end, not by hanging, not by a panic.

mod attempts;
mod postpone;
mod turns;

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::k8s::Condition;
use futures::Stream;
use kube::core::object::HasStatus;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};

use crate::events::Events;
use crate::failure::{Failure, Impact};
use crate::health::Checks;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::writer::{self, Writer, Written};
use attempts::Attempts;
use postpone::Postponed;

/// How many objects of one kind are reconciled at a time.
const CONCURRENCY: usize = 16;
/// How long a reconcile may take. A call to the API server has a deadline of its own, of which several fit in.
const DEADLINE: Duration = Duration::from_mins(2);
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

    /// What keeps an object until [`Reconciler::finish`] is done with it; none for a kind whose children all go by their
    /// owner references.
    const FINALIZER: Option<&'static str> = None;

    /// Whether a status that tells nothing but other words and numbers may wait for a moment. Not one by which another
    /// reconciler acts.
    const POSTPONES: bool = true;

    /// Makes the world as `object` asks.
    fn reconcile(
        &self,
        object: Arc<Self::Kind>,
    ) -> impl Future<Output = Result<Outcome<Self::Status>, Self::Error>> + Send;

    /// Takes away what does not go by itself with an object that is being deleted.
    fn finish(&self, object: Arc<Self::Kind>) -> impl Future<Output = Result<(), Self::Error>> + Send {
        drop(object);
        async { Ok(()) }
    }

    /// The status that tells of a failure with its reason and words; everything else in it stays as it was.
    fn failed(&self, object: &Self::Kind, reason: &'static str, words: String) -> Self::Status;

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
    /// Where the loop shows that it turns.
    pub live: Checks,
}

/// What keeps a reconcile from an outcome, besides its own errors.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// It hung.
    #[error("the reconcile did not end within {} s", DEADLINE.as_secs())]
    Late,
    /// It panicked, with these words.
    #[error("the reconcile panicked: {0}")]
    Panicked(String),
    /// Its finalizer could not be taken off.
    #[error(transparent)]
    Kept(#[from] writer::Error),
}

impl Failure for Broken {
    fn impact(&self) -> Impact {
        match self {
            Self::Late => Impact::Transient,
            Self::Kept(error) => error.impact(),
            Self::Panicked(_) => Impact::Bug,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Late => "DeadlineExceeded",
            Self::Kept(error) => error.reason(),
            Self::Panicked(_) => "Panicked",
        }
    }
}

type Key<R> = ObjectRef<<R as Reconciler>::Kind>;

struct Loop<R: Reconciler> {
    reconciler: R,
    hub: Hub<R::Kind>,
    kit: Kit,
    queue: Mutex<Queue<Key<R>>>,
    attempts: Mutex<Attempts<Key<R>>>,
    postponed: Mutex<Postponed<Key<R>>>,
    /// Number of reconciles so far: what sets the log lines of one apart from those of the next.
    number: AtomicU64,
}

/// Runs `reconciler` for everything that `triggers` names, until `stop`.
pub async fn drive<R: Reconciler>(
    reconciler: R,
    hub: Hub<R::Kind>,
    triggers: impl Stream<Item = ObjectRef<R::Kind>> + Send + 'static,
    kit: Kit,
    stop: CancellationToken,
) {
    let kind = R::Kind::kind(&());
    let check = format!("reconciler-{}", kind.to_lowercase());
    let cx = Arc::new(Loop {
        reconciler,
        hub,
        kit,
        queue: Mutex::default(),
        attempts: Mutex::default(),
        postponed: Mutex::default(),
        number: AtomicU64::new(0),
    });
    let shown = Arc::downgrade(&cx);
    cx.kit.metrics.queue(&kind, move || {
        shown.upgrade().map(|cx| cx.queue().standing(Instant::now())).unwrap_or_default()
    });
    // Without the first list an object that exists would count as gone.
    tokio::select! {
        () = cx.hub.synced() => turns::take(&cx, triggers, &check, stop).await,
        () = stop.cancelled() => {}
    }
}

impl<R: Reconciler> Loop<R> {
    fn queue(&self) -> MutexGuard<'_, Queue<Key<R>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(Key<R>, Duration)> {
        let mut queue = self.queue();
        if queue.running() < CONCURRENCY { queue.take(Instant::now()) } else { None }
    }

    /// One look at an object; returns after how long to look again by itself.
    async fn once(self: Arc<Self>, key: Key<R>) -> Option<Duration> {
        let is_kept = |object: &R::Kind| {
            R::FINALIZER.is_some_and(|own| object.finalizers().iter().any(|found| found == own))
        };
        match self.hub.get(&key) {
            Some(object) if object.meta().deletion_timestamp.is_none() => {
                let span = self.span(&object);
                self.run(&key, object).instrument(span).await
            }
            Some(object) if is_kept(&object) => {
                let span = self.span(&object);
                self.finish(&key, object).instrument(span).await
            }
            // Gone or going; its children go by their owner references.
            _ => {
                self.forget(&key);
                self.postponed().forget(&key);
                None
            }
        }
    }

    /// What is left of an object goes, and then the finalizer that kept it.
    async fn finish(&self, key: &Key<R>, object: Arc<R::Kind>) -> Option<Duration> {
        let tried = tokio::time::timeout(DEADLINE, self.reconciler.finish(Arc::clone(&object))).await;
        let failed = match tried {
            Ok(Ok(())) => match self.release(&object).await {
                Ok(()) => {
                    self.forget(key);
                    return None;
                }
                Err(error) => self.put_off(key, &Broken::Kept(error)),
            },
            Ok(Err(error)) => self.put_off(key, &error),
            Err(_) => self.put_off(key, &Broken::Late),
        };
        Span::current().record("otel.status_code", "ERROR");
        // Nobody but us will ever let it go, so a user's error is tried again too.
        failed.or(Some(UNPUBLISHED))
    }

    async fn release(&self, object: &R::Kind) -> Result<(), writer::Error> {
        let Some(finalizer) = R::FINALIZER else { return Ok(()) };
        match self.kit.writer.finalizer(object, finalizer, false).await {
            // It was seen once more before the watch showed that it is gone.
            Err(error) if error.is_absent() => Ok(()),
            released => released.map(drop),
        }
    }

    fn put_off(&self, key: &Key<R>, error: &impl Failure) -> Option<Duration> {
        let (_, pause) = self.count(key, error.impact());
        log(error, pause);
        pause
    }

    fn span(&self, object: &R::Kind) -> Span {
        let id = self.number.fetch_add(1, Ordering::Relaxed);
        let (kind, namespace) = (R::Kind::kind(&()), object.namespace().unwrap_or_default());
        let (name, unset) = (object.name_any(), field::Empty);
        tracing::info_span!("reconcile", id, %kind, namespace, name, result = unset, otel.status_code = unset)
    }

    async fn run(&self, key: &Key<R>, object: Arc<R::Kind>) -> Option<Duration> {
        let started = Instant::now();
        let tried = tokio::time::timeout(DEADLINE, self.reconciler.reconcile(Arc::clone(&object))).await;
        let (status, next, result) = match tried {
            Ok(Ok(outcome)) => (Some(outcome.status), Ok(outcome.next), label(outcome.next)),
            Ok(Err(error)) => self.fails(key, &object, &error),
            Err(_) => self.fails(key, &object, &Broken::Late),
        };
        let span = Span::current();
        span.record("result", result);
        if next.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        let later = status.as_ref().and_then(|status| self.later(key, &object, (status, next)));
        let published = match &status {
            Some(status) if later.is_none() => self.publish(key, &object, status).await,
            _ => true,
        };
        self.kit.metrics.reconciled(&R::Kind::kind(&()), result, started.elapsed());
        match (published, next) {
            (true, Ok(next)) => {
                self.forget(key);
                after(next).into_iter().chain(later).min()
            }
            (false, Ok(_)) => self.count(key, Impact::Transient).1,
            // Not published either: an error of the user's is not waited for before it is shown.
            (false, Err(None)) => Some(UNPUBLISHED),
            (_, Err(pause)) => pause,
        }
    }

    /// What follows from a failure: the status that shows it, when to try again, and the label of the metric.
    fn fails(&self, key: &Key<R>, object: &R::Kind, error: &impl Failure) -> Failed<R> {
        let (attempts, pause) = self.count(key, error.impact());
        log(error, pause);
        let shown = error.impact().is_shown(attempts);
        let status = shown.then(|| self.reconciler.failed(object, error.reason(), told(error)));
        (status, Err(pause), error.reason())
    }

    /// A panic is told in the log and tried again; its object has no status of it, for who knows what broke.
    fn panicked(&self, key: &Key<R>, error: JoinError) -> Option<Duration> {
        let error = Broken::Panicked(error.try_into_panic().map(words).unwrap_or_default());
        let (_, pause) = self.count(key, error.impact());
        let kind = R::Kind::kind(&());
        tracing::info_span!("reconcile", %kind, namespace = key.namespace, name = key.name)
            .in_scope(|| log(&error, pause));
        self.kit.metrics.reconciled(&kind, error.reason(), Duration::ZERO);
        pause
    }

    /// How long the status may stay unwritten: while something is under way and it decides nothing. The look that
    /// follows writes what is true by then.
    fn later(&self, key: &Key<R>, object: &R::Kind, (status, next): Said<'_, R>) -> Option<Duration> {
        let is_under_way = matches!(next, Ok(Next::Waiting(_)));
        let is_other = object.status() != Some(status);
        let waits = R::POSTPONES && is_under_way && is_other && !postpone::decides(object.status(), status);
        if waits { self.postponed().rest(key, Instant::now()) } else { None }
    }

    /// Writes the status if it is another one, and tells of transitions. Returns whether it is published.
    async fn publish(&self, key: &Key<R>, object: &R::Kind, status: &R::Status) -> bool {
        if object.status() == Some(status) {
            self.postponed().forget(key);
            return true;
        }
        match self.kit.writer.status(object, status).await {
            Ok(written) => {
                self.hub.note(written);
                self.postponed().forget(key);
                let before = object.status().map(R::conditions).unwrap_or_default();
                self.kit.events.of(object, before, R::conditions(status));
                true
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "status not written, trying again");
                false
            }
        }
    }

    /// Counts one more failure in a row: how many there are, and when to try again.
    fn count(&self, key: &Key<R>, impact: Impact) -> (u32, Option<Duration>) {
        self.attempts().failed(key, impact, Instant::now())
    }

    fn forget(&self, key: &Key<R>) {
        self.attempts().forget(key);
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts<Key<R>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn postponed(&self) -> MutexGuard<'_, Postponed<Key<R>>> {
        self.postponed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A status, and how the reconcile goes on that came to it.
type Said<'a, R> = (&'a <R as Reconciler>::Status, Result<Next, Option<Duration>>);

/// The status that shows a failure, when to try again, and the label of the metric.
type Failed<R> = (Option<<R as Reconciler>::Status>, Result<Next, Option<Duration>>, &'static str);

/// What somebody reads who does not know whether to act.
fn told(error: &impl Failure) -> String {
    match error.impact() {
        Impact::Transient => format!("{}. It is tried again", error.public()),
        _ => error.public(),
    }
}

fn words(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("without words").to_owned(),
    }
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

#[cfg(test)]
#[path = "drive_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "drive_late_tests.rs"]
mod late_tests;
