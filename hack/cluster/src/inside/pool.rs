//! The addresses that Services of type `LoadBalancer` get.
//!
//! In: Services by their UID. Out: one address each. Never talks to the API.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::address::BALANCERS;

/// Which Service has which address.
#[derive(Debug, Default)]
pub(crate) struct Pool(BTreeMap<Ipv4Addr, String>);

impl Pool {
    /// The address of a Service: the one it has, the one it wishes for, or the first that is free.
    /// Nothing when none is left.
    pub(crate) fn take(
        &mut self,
        uid: &str,
        has: Option<Ipv4Addr>,
        wish: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let held = self.0.iter().find(|(_, owner)| *owner == uid).map(|(address, _)| *address);
        let free =
            |address: &Ipv4Addr| is_ours(*address) && self.0.get(address).is_none_or(|owner| owner == uid);
        let chosen = wish.filter(free).or(held).or(has.filter(free)).or_else(|| every().find(free))?;
        self.release(uid);
        self.0.insert(chosen, uid.to_owned());
        Some(chosen)
    }

    /// Makes the address of a Service free again.
    pub(crate) fn release(&mut self, uid: &str) {
        self.0.retain(|_, owner| owner != uid);
    }

    /// Forgets every Service but these.
    pub(crate) fn keep(&mut self, uids: &[String]) {
        self.0.retain(|_, owner| uids.contains(owner));
    }
}

/// Whether an address is one of the pool.
pub(crate) fn is_ours(address: Ipv4Addr) -> bool {
    every().any(|ours| ours == address)
}

fn every() -> impl Iterator<Item = Ipv4Addr> {
    let [a, b, c] = BALANCERS;
    (1..255).map(move |d| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 97, 0, last)
    }

    #[test]
    fn a_service_keeps_its_address_and_nobody_else_gets_it() {
        let mut pool = Pool::default();
        assert_eq!(pool.take("a", None, None), Some(at(1)));
        assert_eq!(pool.take("b", None, None), Some(at(2)));
        assert_eq!(pool.take("a", None, None), Some(at(1)));
        pool.release("a");
        assert_eq!(pool.take("c", None, None), Some(at(1)));
    }

    #[test]
    fn wishes_are_granted_when_they_can_be() {
        let mut pool = Pool::default();
        assert_eq!(pool.take("a", None, Some(at(7))), Some(at(7)));
        assert_eq!(pool.take("b", None, Some(at(7))), Some(at(1)));
        assert_eq!(pool.take("c", None, Some(Ipv4Addr::LOCALHOST)), Some(at(2)));
        assert_eq!(pool.take("a", Some(at(7)), Some(at(9))), Some(at(9)));
        assert_eq!(pool.take("d", None, Some(at(7))), Some(at(7)));
    }

    #[test]
    fn an_address_from_before_is_kept() {
        assert_eq!(Pool::default().take("a", Some(at(30)), None), Some(at(30)));
    }

    #[test]
    fn forgotten_services_free_theirs_and_a_full_pool_gives_none() {
        let mut pool = Pool::default();
        for index in 0..254 {
            assert!(pool.take(&index.to_string(), None, None).is_some());
        }
        assert_eq!(pool.take("late", None, None), None);
        pool.keep(&["3".to_owned()]);
        assert_eq!(pool.take("late", None, None), Some(at(1)));
    }
}
