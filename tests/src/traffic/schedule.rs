//! The open loop.
//!
//! In: a pace. Out: requests begun at fixed times, each in a task of its own, and counted when they end. Never waits
//! for an answer before the next request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::Order;
use super::tally::{Outcome, Tally};

/// The longest that traffic flows if nobody finishes it.
pub const LONGEST: Duration = Duration::from_mins(5);

/// How long any answer may take, beyond what was asked for: long, because a machine that is busy with other work is
/// not what is tested. A connection to a pod that is gone fails all the same.
const DEADLINE: Duration = Duration::from_secs(40);
/// Within which time answers show that the machine keeps up, beyond what was asked for.
const PROMPT: Duration = Duration::from_secs(1);

/// How often, and how long an answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub interval: Duration,
    /// What the backend is asked to wait.
    pub wait: Duration,
}

impl Pace {
    /// How long an answer may take.
    pub fn deadline(self) -> Duration {
        self.wait + DEADLINE
    }
}

impl Order {
    /// Calls `ask` with 0, 1, 2 and so on at the times of the schedule, until told to stop; then waits for the
    /// rest.
    pub async fn run<Asked>(self, ask: impl Fn(usize) -> Asked + Send)
    where
        Asked: Future<Output = Outcome> + Send + 'static,
    {
        let mut under_way = JoinSet::new();
        for number in 0.. {
            let due = self.due(number);
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = sleep_until(due) => {}
            }
            if due - self.books.began > LONGEST {
                break;
            }
            let (asked, deadline) = (ask(number), self.books.pace.deadline());
            let books = self.books.clone();
            under_way.spawn(async move {
                let late = || Outcome::Failed(format!("no answer after {deadline:?}"));
                let outcome = timeout(deadline, asked).await.unwrap_or_else(|_| late());
                books.count(due, outcome);
            });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    /// When a request is due.
    pub fn due(&self, number: usize) -> Instant {
        self.books.began + self.books.pace.interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
    }
}

/// Where one kind of traffic is counted.
#[derive(Clone)]
pub struct Books {
    pub tally: Arc<watch::Sender<Tally>>,
    pub began: Instant,
    pub pace: Pace,
}

impl Books {
    /// Counts a request that was due then and has ended now.
    pub fn count(&self, due: Instant, outcome: Outcome) {
        let (since, took) = (due - self.began, due.elapsed());
        self.tally.send_modify(|tally| tally.add(since, took, self.pace.wait + PROMPT, outcome));
    }
}
