//! The addresses that Services of type `LoadBalancer` get.
//!
//! In: Services by their UID. Out: a number each, under which it has an address of every family. Never talks
//! to the API.

use std::collections::BTreeMap;

use crate::address::BALANCERS;

/// Which Service has which number.
#[derive(Debug, Default)]
pub(crate) struct Pool(BTreeMap<u16, String>);

impl Pool {
    /// The number of a Service: the one it has, the one it wishes for, or the first that is free.
    /// Nothing when none is left.
    pub(crate) fn take(&mut self, uid: &str, has: Option<u16>, wish: Option<u16>) -> Option<u16> {
        let held = self.0.iter().find(|(_, owner)| *owner == uid).map(|(number, _)| *number);
        let free = |number: &u16| self.0.get(number).is_none_or(|owner| owner == uid);
        let every = || 1..=BALANCERS;
        let chosen = wish.filter(free).or(held).or(has.filter(free)).or_else(|| every().find(free))?;
        self.release(uid);
        self.0.insert(chosen, uid.to_owned());
        Some(chosen)
    }

    /// Makes the number of a Service free again.
    pub(crate) fn release(&mut self, uid: &str) {
        self.0.retain(|_, owner| owner != uid);
    }

    /// Forgets every Service but these.
    pub(crate) fn keep(&mut self, uids: &[String]) {
        self.0.retain(|_, owner| uids.contains(owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_its_number_and_nobody_else_gets_it() {
        let mut pool = Pool::default();
        assert_eq!(pool.take("a", None, None), Some(1));
        assert_eq!(pool.take("b", None, None), Some(2));
        assert_eq!(pool.take("a", None, None), Some(1));
        pool.release("a");
        assert_eq!(pool.take("c", None, None), Some(1));
    }

    #[test]
    fn wishes_are_granted_when_they_can_be() {
        let mut pool = Pool::default();
        assert_eq!(pool.take("a", None, Some(7)), Some(7));
        assert_eq!(pool.take("b", None, Some(7)), Some(1));
        assert_eq!(pool.take("a", Some(7), Some(9)), Some(9));
        assert_eq!(pool.take("d", None, Some(7)), Some(7));
    }

    #[test]
    fn a_number_from_before_is_kept() {
        assert_eq!(Pool::default().take("a", Some(30), None), Some(30));
    }

    #[test]
    fn forgotten_services_free_theirs_and_a_full_pool_gives_none() {
        let mut pool = Pool((1..=BALANCERS).map(|number| (number, (number - 1).to_string())).collect());
        assert_eq!(pool.take("late", None, None), None);
        pool.keep(&["3".to_owned()]);
        assert_eq!(pool.take("late", None, None), Some(1));
    }
}
