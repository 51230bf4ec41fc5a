//! What a failure means: from its impact alone follow condition, event, log level and requeue.

use std::time::Duration;

/// Who has to act on a failure, and so how it is shown and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impact {
    /// Somebody has to change a resource: shown to them, tried again only when something changes.
    User,
    /// Something else has to happen first, and a watch may not tell: looked at again soon.
    Waiting,
    /// The API server or the network failed: tried again with growing pauses.
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

    /// What is written into the condition and the event. The chain of causes goes to the log only.
    fn public(&self) -> String {
        self.to_string()
    }
}

const WAIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long to pause before the next try, after `attempts` tries in a row that failed (at least one);
/// `None` waits for a change. `seed` spreads objects that failed together over up to a quarter more.
pub fn pause(impact: Impact, attempts: u32, seed: u64) -> Option<Duration> {
    let base = match impact {
        Impact::User => return None,
        Impact::Waiting => WAIT,
        Impact::Transient | Impact::Bug => {
            let doublings = attempts.saturating_sub(1).min(7);
            (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
        }
    };
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

    #[test]
    fn objects_that_failed_together_come_back_apart() {
        let pauses: Vec<_> = (0..256).map(|seed| pause(Impact::Waiting, 1, seed).unwrap()).collect();
        assert!(pauses.iter().max() > pauses.iter().min());
        assert!(pauses.iter().all(|p| *p < WAIT + WAIT / 4));
    }
}
