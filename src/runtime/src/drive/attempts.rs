//! Failures in a row, and when each is followed by another try.
//!
//! In: who failed, how, and the time. Out: how often by now, and how long to pause. A look that something called for
//! before the pause was over, such as the watch's word of the very status that told of the failure, is no further attempt:
//! it neither lengthens the pause nor puts off the next try. Never: a clock.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{self, Impact};

/// The failures of each key.
#[derive(Debug)]
pub(super) struct Attempts<K>(HashMap<K, Last>);

/// The last failure of a key.
#[derive(Debug, Clone, Copy)]
struct Last {
    impact: Impact,
    count: u32,
    until: Instant,
}

impl<K> Default for Attempts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone> Attempts<K> {
    /// Counts one more failure: how many there are in a row, and the pause before the next try; `None` waits for a change.
    pub fn failed(&mut self, key: &K, impact: Impact, now: Instant) -> (u32, Option<Duration>) {
        let last = self.0.get(key).copied();
        if let Some(last) = last.filter(|last| last.impact == impact && now < last.until) {
            return (last.count, Some(last.until - now));
        }
        let count = last.map_or(0, |last| last.count).saturating_add(1);
        let pause = failure::pause(impact, count, seed(key, count));
        let until = pause.and_then(|pause| now.checked_add(pause)).unwrap_or(now);
        self.0.insert(key.clone(), Last { impact, count, until });
        (count, pause)
    }

    /// It went well, or is gone.
    pub fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }
}

/// Something to spread objects by; it need not be the same in the next process.
fn seed(key: &impl Hash, attempts: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, attempts).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_before_its_time_is_no_further_attempt() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let (count, pause) = attempts.failed(&"a", Impact::Transient, now);
        let pause = pause.unwrap();
        assert_eq!(count, 1);
        let early = attempts.failed(&"a", Impact::Transient, now + pause / 4);
        assert_eq!(
            early,
            (1, Some(pause.saturating_sub(pause / 4))),
            "the next try stays when it was planned"
        );
        let (count, longer) = attempts.failed(&"a", Impact::Transient, now + pause);
        assert!(count == 2 && longer.unwrap() > pause, "{longer:?}");
        attempts.forget(&"a");
        assert_eq!(attempts.failed(&"a", Impact::Transient, now).0, 1);
    }

    #[test]
    fn another_failure_is_another_attempt_and_a_users_waits_for_nothing() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        attempts.failed(&"a", Impact::Transient, now);
        assert_eq!(attempts.failed(&"a", Impact::User, now), (2, None));
        assert_eq!(attempts.failed(&"a", Impact::User, now), (3, None));
        assert_eq!(attempts.failed(&"b", Impact::User, now).0, 1);
    }
}
