//! Which pods of stable a canary is compared with.
//!
//! In: how old the pods of both revisions are. Out: the pods to read. Never: more pods than are worth reading.
//!
//! A pod that has just started has cold caches and few connections, in the new revision as in the old one; compared with
//! pods that have run for weeks it would look worse than it is.

use std::time::Duration;

/// Most pods of a side that are read.
pub const MOST: usize = 8;

/// A pod that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The pod's UID.
    pub pod: String,
    /// How long it has been ready.
    pub age: Duration,
}

/// The pods of the canary that are read: the oldest, so that the choice stays while more are added.
pub fn canary(mut pods: Vec<Candidate>) -> Vec<Candidate> {
    pods.sort_by(|left, right| right.age.cmp(&left.age).then_with(|| left.pod.cmp(&right.pod)));
    pods.truncate(MOST);
    pods
}

/// As many pods of stable as the canary has, at least two so that one can be held against the other: the youngest,
/// whose age is nearest to the canary's.
pub fn age_matched(mut stable: Vec<Candidate>, canaries: usize) -> Vec<Candidate> {
    stable.sort_by(|left, right| left.age.cmp(&right.age).then_with(|| left.pod.cmp(&right.pod)));
    stable.truncate(canaries.clamp(2, MOST));
    stable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(ages: &[u64]) -> Vec<Candidate> {
        let pod = |age: &u64| Candidate { pod: format!("p{age}"), age: Duration::from_secs(*age) };
        ages.iter().map(pod).collect()
    }

    #[test]
    fn the_control_is_as_young_as_it_gets() {
        assert_eq!(age_matched(pods(&[500, 30, 900, 60]), 2), pods(&[30, 60]));
        assert_eq!(age_matched(pods(&[500, 30]), 1).len(), 2);
        assert_eq!(age_matched(pods(&(0..40).collect::<Vec<_>>()), 30).len(), MOST);
        assert_eq!(age_matched(Vec::new(), 3), []);
    }

    #[test]
    fn the_canary_is_read_from_its_oldest_pods() {
        assert_eq!(canary(pods(&[5, 80, 20])), pods(&[80, 20, 5]));
        assert_eq!(canary(pods(&(0..40).collect::<Vec<_>>())).len(), MOST);
    }
}
