//! Whose turn it is: keys in the order in which they were asked for, each at most once, none while it is under way.
//!
//! In: keys that are asked for now or later, and the time. Out: the next key, and how long it waited. A key that
//! is asked for while it is under way comes again behind everybody who waits, so that one that is touched without
//! end takes no turn from the others. Never: a clock or a task.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// When a key comes by itself; the number keeps two of the same moment apart.
type Due = (Instant, u64);

/// How a queue stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Keys that wait for their turn, those asked for again while they are under way included.
    pub waiting: usize,
    /// How long the one that waits longest has waited.
    pub oldest: Duration,
    /// Keys under way.
    pub running: usize,
}

/// A fair queue of keys.
#[derive(Debug)]
pub struct Queue<K> {
    ready: VecDeque<K>,
    /// Since when each key waits, whether it is ready or still under way.
    asked: HashMap<K, Instant>,
    running: HashSet<K>,
    later: BTreeMap<Due, K>,
    dues: HashMap<K, Due>,
    number: u64,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            asked: HashMap::new(),
            running: HashSet::new(),
            later: BTreeMap::new(),
            dues: HashMap::new(),
            number: 0,
        }
    }
}

impl<K: Hash + Eq + Clone> Queue<K> {
    /// Asks for a turn as soon as it can be had; what was planned for later is thereby done.
    pub fn ask(&mut self, key: K, now: Instant) {
        if let Some(due) = self.dues.remove(&key) {
            self.later.remove(&due);
        }
        if self.asked.contains_key(&key) {
            return;
        }
        self.asked.insert(key.clone(), now);
        if !self.running.contains(&key) {
            self.ready.push_back(key);
        }
    }

    /// Asks for everything whose time has come.
    pub fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((due, _), key) = entry.remove_entry();
            self.dues.remove(&key);
            self.ask(key, due);
        }
    }

    /// When something comes by itself.
    pub fn next_due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next key, which is under way from now on, and how long it waited.
    pub fn take(&mut self, now: Instant) -> Option<(K, Duration)> {
        let key = self.ready.pop_front()?;
        let waited = self.asked.remove(&key).map_or(Duration::ZERO, |since| now - since);
        self.running.insert(key.clone());
        Some((key, waited))
    }

    /// Ends a turn. The key comes again at `again`, or at the back of the queue where it was asked for meanwhile.
    pub fn done(&mut self, key: &K, again: Option<Instant>) {
        self.running.remove(key);
        if self.asked.contains_key(key) {
            self.ready.push_back(key.clone());
        } else if let Some(again) = again {
            self.number += 1;
            let due = (again, self.number);
            self.later.insert(due, key.clone());
            self.dues.insert(key.clone(), due);
        }
    }

    /// How many are under way.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// How it stands.
    pub fn standing(&self, now: Instant) -> Standing {
        let oldest = self.asked.values().min().map_or(Duration::ZERO, |since| now - *since);
        Standing { waiting: self.asked.len(), oldest, running: self.running.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn taken(queue: &mut Queue<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.take(now).map(|(key, _)| key)).collect()
    }

    #[test]
    fn keys_come_once_and_in_their_order() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for key in ["b", "a", "b", "c", "a"] {
            queue.ask(key, now);
        }
        assert_eq!(taken(&mut queue, now), ["b", "a", "c"]);
    }

    #[test]
    fn a_key_under_way_comes_again_behind_all_who_wait() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.ask("busy", now);
        assert_eq!(taken(&mut queue, now), ["busy"]);
        queue.ask("busy", now);
        queue.ask("quiet", now);
        assert_eq!(queue.take(now).map(|(key, _)| key), Some("quiet"), "not twice at a time");
        assert!(queue.take(now).is_none());
        queue.ask("other", now);
        queue.done(&"busy", Some(now + SECOND));
        assert_eq!(taken(&mut queue, now), ["other", "busy"]);
        queue.done(&"busy", None);
        assert_eq!(queue.next_due(), None, "asked for anew, what was planned is done");
    }

    #[test]
    fn nobody_is_passed_over_however_often_others_are_touched() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for key in 0..100 {
            queue.ask(key, now);
        }
        let mut turns = HashMap::new();
        for _ in 0..1000 {
            let (key, _) = queue.take(now).unwrap();
            *turns.entry(key).or_insert(0) += 1;
            // The first ten are touched while they are under way and while they wait; the others are just due.
            if key < 10 {
                queue.ask(key, now);
            }
            queue.done(&key, Some(now));
            queue.wake(now);
        }
        assert!(turns.len() == 100 && turns.values().all(|count| *count == 10), "{turns:?}");
    }

    #[test]
    fn what_is_planned_comes_at_its_time_or_when_it_is_asked_for() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for (key, pause) in [("late", 3), ("early", 1), ("asked", 2)] {
            queue.ask(key, now);
            queue.take(now);
            queue.done(&key, Some(now + SECOND * pause));
        }
        queue.ask("asked", now);
        assert_eq!(taken(&mut queue, now), ["asked"]);
        assert_eq!(queue.next_due(), Some(now + SECOND));
        queue.wake(now + SECOND * 4);
        let (first, waited) = queue.take(now + SECOND * 4).unwrap();
        assert_eq!((first, waited), ("early", SECOND * 3), "it waits from when it was due");
        assert_eq!(taken(&mut queue, now + SECOND * 4), ["late"]);
    }

    #[test]
    fn it_says_how_it_stands() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        assert_eq!(queue.standing(now), Standing::default());
        queue.ask("a", now);
        queue.ask("b", now + SECOND);
        let standing = Standing { waiting: 2, oldest: SECOND * 2, running: 0 };
        assert_eq!(queue.standing(now + SECOND * 2), standing);
        let (_, waited) = queue.take(now + SECOND * 2).unwrap();
        assert_eq!(waited, SECOND * 2);
        queue.ask("a", now + SECOND * 2);
        let standing = Standing { waiting: 2, oldest: SECOND, running: 1 };
        assert_eq!(queue.standing(now + SECOND * 2), standing, "one is asked for again, and one waits");
    }
}
