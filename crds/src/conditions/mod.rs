//! Conditions: their words, and how one is set.
//!
//! In: the conditions that an object has and what is true now. Out: the conditions it should have,
//! and whether that is a change. Never: a clock; the time is given.

pub mod reasons;
pub mod types;

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It could not be found out.
    Unknown,
}

impl Status {
    /// The word that Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What is true now about one type of condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// One of [`types`].
    pub type_: &'static str,
    /// Whether it holds.
    pub status: Status,
    /// One of [`reasons`].
    pub reason: &'static str,
    /// A sentence for a person: what is wrong, and what to do about it.
    pub message: String,
    /// `metadata.generation` of the object that was looked at.
    pub generation: Option<i64>,
}

/// Writes `update` into `conditions` and says whether anything changed.
///
/// `lastTransitionTime` moves to `now`, in whole seconds, only when the status changes; reason,
/// message and observed generation always follow the update.
pub fn set(conditions: &mut Vec<Condition>, update: Update, now: Timestamp) -> bool {
    let Some(found) = conditions.iter_mut().find(|found| found.type_ == update.type_) else {
        conditions.push(condition(update, whole_seconds(now)));
        return true;
    };
    let moved = found.status != update.status.as_str();
    let since = if moved { whole_seconds(now) } else { found.last_transition_time.clone() };
    let wanted = condition(update, since);
    let changed = *found != wanted;
    *found = wanted;
    changed
}

/// The condition of a type, if it is there.
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|found| found.type_ == type_)
}

/// Whether a reason tells of something under way rather than of something wrong.
pub fn is_progress(reason: &str) -> bool {
    use reasons::{
        ADDRESS_PENDING, DEFINITIONS_MISSING, DEPENDENCIES_NOT_READY, NO_DATA_PLANE, NOT_PROGRAMMED,
        PODS_NOT_READY, PROGRESSING, RESOURCE_CREATED_OR_UPDATED, SCALED_TO_ZERO, WAITING_TO_BECOME_READY,
    };
    let progress = [
        ADDRESS_PENDING,
        DEFINITIONS_MISSING,
        DEPENDENCIES_NOT_READY,
        NO_DATA_PLANE,
        NOT_PROGRAMMED,
        PODS_NOT_READY,
        PROGRESSING,
        RESOURCE_CREATED_OR_UPDATED,
        SCALED_TO_ZERO,
        WAITING_TO_BECOME_READY,
    ];
    progress.contains(&reason)
}

/// Whether a condition is there and `True`.
pub fn holds(conditions: &[Condition], type_: &str) -> bool {
    get(conditions, type_).is_some_and(|found| found.status == Status::True.as_str())
}

fn condition(update: Update, since: Time) -> Condition {
    Condition {
        last_transition_time: since,
        message: update.message,
        observed_generation: update.generation,
        reason: update.reason.to_owned(),
        status: update.status.as_str().to_owned(),
        type_: update.type_.to_owned(),
    }
}

/// Kubernetes writes times in whole seconds; what is kept in memory must equal what is read back.
fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(status: Status, reason: &'static str, message: &str, generation: i64) -> Update {
        Update { type_: types::READY, status, reason, message: message.into(), generation: Some(generation) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 700_000_000).unwrap()
    }

    #[test]
    fn a_new_type_is_added_in_whole_seconds() {
        let mut conditions = Vec::new();
        assert!(set(&mut conditions, update(Status::False, reasons::CRASH_LOOP, "m", 1), at(100)));
        assert_eq!(conditions[0].last_transition_time, Time(Timestamp::from_second(100).unwrap()));
        assert!(!holds(&conditions, types::READY));
        assert_eq!(get(&conditions, types::READY).unwrap().observed_generation, Some(1));
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let first = update(Status::False, reasons::CRASH_LOOP, "m", 1);
        let cases = [
            ("the same again", first.clone(), false, 100),
            ("new reason", update(Status::False, reasons::IMAGE_PULL_FAILED, "m", 1), true, 100),
            ("new message", update(Status::False, reasons::CRASH_LOOP, "n", 1), true, 100),
            ("new generation", update(Status::False, reasons::CRASH_LOOP, "m", 2), true, 100),
            ("new status", update(Status::True, reasons::READY, "m", 1), true, 200),
        ];
        for (name, second, changed, since) in cases {
            let mut conditions = Vec::new();
            set(&mut conditions, first.clone(), at(100));
            assert_eq!(set(&mut conditions, second.clone(), at(200)), changed, "{name}");
            assert_eq!(conditions.len(), 1, "{name}");
            assert_eq!(conditions[0].last_transition_time.0.as_second(), since, "{name}");
            assert_eq!(conditions[0].reason, second.reason, "{name}");
            assert_eq!(conditions[0].message, second.message, "{name}");
            assert_eq!(conditions[0].observed_generation, second.generation, "{name}");
        }
    }

    #[test]
    fn other_conditions_are_left_alone() {
        let mut conditions = Vec::new();
        set(&mut conditions, update(Status::True, reasons::READY, "m", 1), at(100));
        let ready = conditions.clone();
        let mut addresses = update(Status::False, reasons::ADDRESS_PENDING, "m", 1);
        addresses.type_ = types::ADDRESS_ASSIGNED;
        assert!(set(&mut conditions, addresses, at(200)));
        assert_eq!(conditions[..1], ready[..]);
        assert!(holds(&conditions, types::READY));
    }

    #[test]
    fn every_word_is_camel_case_documented_and_unique() {
        for table in [types::ALL, reasons::ALL] {
            for (word, meaning) in table {
                // On objects of others a type has our domain before it.
                let own = word.strip_prefix("gateway-operator.konghq.com/").unwrap_or(word);
                assert!(own.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
                assert!(own.chars().all(char::is_alphanumeric), "{word}");
                assert!(meaning.trim().ends_with('.') && meaning.len() > 20, "{word}: {meaning}");
                assert_eq!(table.iter().filter(|(other, _)| other == word).count(), 1, "{word}");
            }
        }
    }
}
