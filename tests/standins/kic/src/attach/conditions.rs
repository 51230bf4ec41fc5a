//! Conditions, kept while nothing changes.
//! In: conditions that are there, one that is to be. Out: the conditions then.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A condition without a time of its own.
pub fn condition(type_: &str, status: &str, reason: &str, generation: i64) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: Some(generation),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

/// Sets a condition; its time changes with its status alone.
pub fn set(all: &mut Vec<Condition>, wanted: Condition, now: Timestamp) {
    match all.iter_mut().find(|known| known.type_ == wanted.type_) {
        Some(known) => {
            let time = if known.status == wanted.status { known.last_transition_time.0 } else { now };
            *known = Condition { last_transition_time: Time(time), ..wanted };
        }
        None => all.push(Condition { last_transition_time: Time(now), ..wanted }),
    }
}

/// Whether a condition is True for that reason and generation.
pub fn holds(all: &[Condition], type_: &str, generation: i64) -> bool {
    // KIC compares the reason too: it is the condition's own name.
    all.iter().any(|one| {
        one.type_ == type_
            && one.status == "True"
            && one.reason == type_
            && one.observed_generation == Some(generation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_changes_with_the_status() {
        let (first, second) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(9).unwrap());
        let mut all = vec![];
        set(&mut all, condition("Accepted", "True", "Accepted", 1), first);
        set(&mut all, condition("Accepted", "True", "Accepted", 2), second);
        assert_eq!((all[0].last_transition_time.0, all[0].observed_generation), (first, Some(2)));
        set(&mut all, condition("Accepted", "False", "No", 2), second);
        assert_eq!((all.len(), all[0].last_transition_time.0), (1, second));
    }

    #[test]
    fn the_reason_and_the_generation_count() {
        let all = [condition("Accepted", "True", "Accepted", 2)];
        assert!(holds(&all, "Accepted", 2) && !holds(&all, "Accepted", 3));
        assert!(!holds(&[condition("Accepted", "True", "Fine", 2)], "Accepted", 2));
    }
}
