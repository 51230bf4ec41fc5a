//! Waiting when the API server asks for it.
//!
//! In: answers with `Retry-After`. Out: a wait before the next request of this process. Never: a rate limit of our
//! own; API priority and fairness knows better what the API server can take.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;

/// The longest wait that is believed in: whoever waits still has time for its request after it.
const LONGEST: Duration = Duration::from_secs(20);

/// Until when requests wait; cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Hold(Arc<Mutex<Option<Until>>>);

#[derive(Debug, Clone, Copy)]
struct Until {
    at: Instant,
    pause: Duration,
}

impl Hold {
    /// Takes up an answer. Returns for how long requests wait from now on, where it asks for that.
    pub fn note(&self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        let pause = asked(status, headers)?.min(LONGEST);
        let at = Instant::now() + pause;
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_none_or(|until| until.at < at) {
            *until = Some(Until { at, pause });
        }
        Some(pause)
    }

    /// Waits as long as the API server has asked for, and up to a quarter longer, so that not all come at once.
    pub async fn passed(&self) {
        while let Some(at) = self.open_at() {
            tokio::time::sleep_until(at).await;
        }
    }

    fn open_at(&self) -> Option<Instant> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = (*held)?;
        if until.at <= Instant::now() {
            *held = None;
            return None;
        }
        Some(until.at + until.pause.mul_f64(random() / 4.0))
    }
}

/// The API server speaks of seconds; the other form of the header, a date, is not used by it.
fn asked(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|pause| !pause.is_zero())
}

/// Between 0 and 1: a new hasher has other keys each time.
fn random() -> f64 {
    let word = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(word >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, after: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        asked(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn only_an_overloaded_server_is_listened_to() {
        assert_eq!(answer(429, "1"), Some(Duration::from_secs(1)));
        assert_eq!(answer(503, " 7 "), Some(Duration::from_secs(7)));
        for (status, after) in [(200, "1"), (500, "1"), (429, "0"), (429, "soon"), (429, "-1")] {
            assert_eq!(answer(status, after), None, "{status} {after}");
        }
        assert_eq!(asked(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new()), None);
    }

    async fn waits(hold: &Hold) -> Duration {
        let began = Instant::now();
        hold.passed().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_waits_long_enough_and_not_all_as_long() {
        let hold = Hold::default();
        assert_eq!(waits(&hold).await, Duration::ZERO);
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, "8".parse().unwrap())]);
        assert_eq!(hold.note(StatusCode::TOO_MANY_REQUESTS, &headers), Some(Duration::from_secs(8)));
        let all = futures::future::join_all((0..64).map(|_| waits(&hold))).await;
        let range = Duration::from_secs(8)..=Duration::from_millis(10_001);
        assert!(all.iter().all(|wait| range.contains(wait)), "{all:?}");
        assert!(all.iter().max().unwrap().checked_sub(*all.iter().min().unwrap()).unwrap().as_millis() > 100);
        assert_eq!(waits(&hold).await, Duration::ZERO, "that was it");
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_is_longer_than_a_request_can_bear() {
        let hold = Hold::default();
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, "3600".parse().unwrap())]);
        assert_eq!(hold.note(StatusCode::SERVICE_UNAVAILABLE, &headers), Some(LONGEST));
        assert!(waits(&hold).await <= LONGEST * 5 / 4 + Duration::from_millis(1));
    }
}
