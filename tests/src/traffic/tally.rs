//! What became of requests.
//!
//! In: outcomes with their latencies. Out: counts, causes, percentiles. Never leaves one out.

use std::time::Duration;

/// How a request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was answered, wholly and as expected.
    Answered,
    /// It was written to a connection that had been idle, while the server closed that: no byte of an answer came.
    /// No setting of a server removes this race (RFC 9112 §9.3.1), so it is counted apart.
    Crossed,
    /// Everything else, with its cause.
    Failed(String),
}

/// A request that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When it was due, from the beginning of the traffic.
    pub due: Duration,
    /// Why.
    pub cause: String,
}

/// What became of the requests of one kind.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    latencies: Vec<Duration>,
    /// How many answers in a row, up to the last, came promptly.
    pub prompt: usize,
    /// Requests that crossed the close of an idle connection.
    pub crossed: usize,
    /// Requests that failed.
    pub failures: Vec<Failure>,
}

impl Tally {
    /// Adds a request that was due at `due`, from the beginning of the traffic, and took `latency` from then; less
    /// than `prompt` is prompt.
    pub fn add(&mut self, due: Duration, latency: Duration, prompt: Duration, outcome: Outcome) {
        match outcome {
            Outcome::Answered => {
                self.latencies.push(latency);
                self.prompt = if latency < prompt { self.prompt + 1 } else { 0 };
            }
            Outcome::Crossed => self.crossed += 1,
            Outcome::Failed(cause) => {
                self.failures.push(Failure { due, cause });
                self.prompt = 0;
            }
        }
    }

    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.latencies.len()
    }

    /// How many were sent.
    pub fn sent(&self) -> usize {
        self.latencies.len() + self.crossed + self.failures.len()
    }

    /// The latency that `share` percent of the answers did not exceed.
    pub fn latency(&self, share: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * share).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}
