//! Who is reconciled when: one turn of the loop after the other.
//!
//! In: what is asked for, and the time. Out: reconciles, each a task of its own, sixteen at most. Never: a look at an
//! object; that is the task's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::Resource;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Key, Loop, Reconciler};

/// How long reconciles under way may go on after the stop: the kubelet kills a pod half a minute after its signal.
pub(super) const FAREWELL: Duration = Duration::from_secs(15);
/// How often the loop turns when nothing happens, and when it counts as stuck.
const BEAT: Duration = Duration::from_secs(5);
const STUCK: Duration = Duration::from_secs(30);

/// Gives turns until the stop, and then waits for those under way.
pub(super) async fn take<R: Reconciler>(
    cx: &Arc<Loop<R>>,
    triggers: impl Stream<Item = Key<R>> + Send + 'static,
    check: &str,
    stop: CancellationToken,
) {
    let pulse = cx.kit.live.pulse(check, STUCK);
    let mut triggers = std::pin::pin!(triggers.chain(stream::pending()));
    let mut turns = Turns { tasks: JoinSet::new(), keys: HashMap::new() };
    loop {
        pulse.beat();
        cx.queue().wake(Instant::now());
        while let Some((key, waited)) = cx.next() {
            cx.kit.metrics.waited(&R::Kind::kind(&()), waited);
            turns.begin(cx, key);
        }
        let due = cx.queue().next_due();
        tokio::select! {
            () = stop.cancelled() => break,
            Some(key) = triggers.next() => cx.queue().ask(key, Instant::now()),
            true = turns.end(cx) => {}
            () = until(due) => {}
            () = tokio::time::sleep(BEAT) => {}
        }
    }
    drop(pulse);
    let rest = async { while turns.end(cx).await {} };
    if tokio::time::timeout(FAREWELL, rest).await.is_err() {
        tracing::warn!(count = turns.tasks.len(), "reconciles under way are given up");
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The reconciles under way, each a task of its own.
struct Turns<R: Reconciler> {
    tasks: JoinSet<Option<Duration>>,
    keys: HashMap<Id, Key<R>>,
}

impl<R: Reconciler> Turns<R> {
    fn begin(&mut self, cx: &Arc<Loop<R>>, key: Key<R>) {
        let task = Arc::clone(cx).once(key.clone());
        self.keys.insert(self.tasks.spawn(task).id(), key);
    }

    /// Waits for one to end and plans its next turn; `false` when none is under way.
    async fn end(&mut self, cx: &Loop<R>) -> bool {
        let Some(ended) = self.tasks.join_next_with_id().await else { return false };
        let (id, again) = match ended {
            Ok((id, again)) => (id, Ok(again)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(key) = self.keys.remove(&id) else { return true };
        let pause = match again {
            Ok(pause) => pause,
            Err(error) => cx.panicked(&key, error),
        };
        cx.queue().done(&key, pause.and_then(|pause| Instant::now().checked_add(pause)));
        true
    }
}
