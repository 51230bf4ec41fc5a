//! What a failure means: from its impact alone follow condition, event, log level and requeue.

use std::time::Duration;

/// Who has to act on a failure, and so how it is shown and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impact {
    /// Somebody has to change a resource: shown to them, tried again only when something changes.
    User,
    /// Somebody has to change something that no watch of ours tells of: shown, and looked at again by itself.
    Waiting,
    /// It passes by itself, such as an object that is being deleted: looked at again soon, and shown when it lasts.
    Passing,
    /// The API server or the network failed: tried again with growing pauses, and shown when it lasts.
    Transient,
    /// A fault of this program: logged as an error and tried again with growing pauses.
    Bug,
}

/// An error a reconcile can end with.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// Who has to act.
    fn impact(&self) -> Impact;

    /// Reason of the condition and the event, and label of the metric: `CamelCase`, from a finite set.
    fn reason(&self) -> &'static str;

    /// What is written into the condition and the event; the log has the chain of causes.
    fn public(&self) -> String {
        self.to_string()
    }
}

const WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_mins(2);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A transient failure is shown when it came this often in a row, that is after some eight seconds: a condition
/// that flips at each hiccup of the API server wakes people for nothing.
const LASTING: u32 = 5;
/// What should have passed by itself is shown when it came this often in a row, that is after some twenty seconds.
const STAYING: u32 = 8;

impl Impact {
    /// Whether a failure that came `attempts` times in a row is shown in the conditions.
    pub fn is_shown(self, attempts: u32) -> bool {
        match self {
            Self::User | Self::Waiting | Self::Bug => true,
            Self::Passing => attempts >= STAYING,
            Self::Transient => attempts >= LASTING,
        }
    }
}

/// An error and its causes on one line, none of them twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

/// How long to pause before the next try, after `attempts` tries in a row that failed (at least one);
/// `None` waits for a change. `seed` spreads objects that failed together over up to a quarter more.
pub fn pause(impact: Impact, attempts: u32, seed: u64) -> Option<Duration> {
    let (first, longest) = match impact {
        Impact::User => return None,
        Impact::Waiting => (WAIT, LONGEST_WAIT),
        Impact::Passing => (FIRST_PAUSE, FIRST_PAUSE * 10),
        Impact::Transient | Impact::Bug => (FIRST_PAUSE, LONGEST_PAUSE),
    };
    let doublings = attempts.saturating_sub(1).min(7);
    let base = (first * 2_u32.pow(doublings)).min(longest);
    let share = u32::try_from(seed % 256).unwrap_or(0);
    Some(base + base * share / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_error_waits_for_the_user() {
        assert_eq!(pause(Impact::User, 1, 0), None);
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let secs = |n| pause(Impact::Transient, n, 0).unwrap().as_secs_f64();
        assert!((secs(1) - 0.5).abs() < 1e-9);
        assert!((secs(2) - 1.0).abs() < 1e-9);
        assert!((secs(30) - 60.0).abs() < 1e-9);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_is_told_with_its_causes() {
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }

    #[test]
    fn a_hiccup_is_not_shown_and_a_fault_that_lasts_is() {
        assert!(!Impact::Transient.is_shown(1) && Impact::Transient.is_shown(5));
        assert!(Impact::User.is_shown(1) && !Impact::Passing.is_shown(3) && Impact::Passing.is_shown(8));
    }

    #[test]
    fn objects_that_failed_together_come_back_apart() {
        let pauses: Vec<_> = (0..256).map(|seed| pause(Impact::Waiting, 1, seed).unwrap()).collect();
        assert!(pauses.iter().max() > pauses.iter().min());
        assert!(pauses.iter().all(|p| *p < WAIT + WAIT / 4));
    }
}
