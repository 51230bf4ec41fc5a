//! What became of requests.
//!
//! In: outcomes with their latencies. Out: counts, causes, percentiles. Never leaves one out.

use std::time::Duration;

/// How a request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was answered, wholly and as expected.
    Answered,
    /// It was written while the server closed the connection. HTTP/1.1: a connection that had been idle, and no byte
    /// of an answer came (RFC 9112 §9.3.1). HTTP/2: the server said that it did not look at the stream, and the request
    /// was answered over another connection (RFC 9113 §6.8). No setting of a server removes this race, so it is counted
    /// apart.
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
    /// Requests that crossed the close of a connection.
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

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn tally(outcomes: impl IntoIterator<Item = (u32, Outcome)>) -> Tally {
        let mut tally = Tally::default();
        for (latency, outcome) in outcomes {
            tally.add(Duration::ZERO, latency * MILLI, 1000 * MILLI, outcome);
        }
        tally
    }

    #[test]
    fn percentiles_are_of_the_answers() {
        let answers = (1..=200).rev().map(|latency| (latency, Outcome::Answered));
        let tally = tally(answers.chain([(9000, Outcome::Failed("x".into()))]));
        assert_eq!([50, 99, 100].map(|share| tally.latency(share)), [100 * MILLI, 198 * MILLI, 200 * MILLI]);
        assert_eq!((tally.sent(), tally.answered(), tally.failures.len()), (201, 200, 1));
        assert_eq!(Tally::default().latency(50), Duration::ZERO);
    }

    #[test]
    fn a_late_answer_and_a_failure_end_a_row_of_prompt_ones() {
        let prompt = || (1, Outcome::Answered);
        let row = |between| tally([prompt(), between, prompt(), prompt()]).prompt;
        assert_eq!(row(prompt()), 4);
        assert_eq!(row((1000, Outcome::Answered)), 2);
        assert_eq!(row((1, Outcome::Failed("x".into()))), 2);
        assert_eq!(row((1, Outcome::Crossed)), 3);
    }
}
