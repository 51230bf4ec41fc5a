//! From a weight to pods, and from pods to a weight.
//!
//! In: how many pods stable needs, what the canary is to get. Out: pods, and the split they really give. Never: fewer
//! pods of stable than it needs without a canary.
//!
//! A Service gives each ready pod behind it the same share of new connections. So the share of the canary is its part of
//! the pods, and with few pods it is coarse.

use serde::{Deserialize, Serialize};

use crate::plan::{Plan, Weight};

/// How requests are split, in thousandths; both sides always make the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    canary: u16,
}

impl Split {
    /// All for stable.
    pub const STABLE: Self = Self { canary: 0 };
    /// All for the canary.
    pub const CANARY: Self = Self { canary: 1000 };

    /// What a weight asks for.
    pub fn of(weight: Weight) -> Self {
        Self { canary: u16::from(weight.percent()) * 10 }
    }

    /// What so many of all are: pods, or requests. All for stable where there are none.
    pub fn parts(canary: u64, stable: u64) -> Self {
        let whole = u128::from(canary) + u128::from(stable);
        let rounded = (u128::from(canary) * 1000 + whole / 2).checked_div(whole);
        Self { canary: rounded.and_then(|parts| u16::try_from(parts).ok()).unwrap_or_default().min(1000) }
    }

    /// Thousandths of the canary.
    pub fn canary(self) -> u16 {
        self.canary.min(1000)
    }

    /// Thousandths of stable.
    pub fn stable(self) -> u16 {
        1000 - self.canary()
    }

    /// Whether more than one and a half times as much goes to the canary as was asked for: pods are too few.
    pub fn is_coarse(self, asked: Self) -> bool {
        asked.canary > 0 && u32::from(self.canary) * 2 > u32::from(asked.canary) * 3
    }
}

/// Pods of the canary for a weight beside `strength` pods of stable, all of which stay (`PreserveStable`).
pub fn pods(plan: &Plan, strength: u32, weight: Weight) -> u32 {
    if plan.full_size {
        return strength.max(1);
    }
    let (strength, percent) = (u64::from(strength), u64::from(weight.percent()));
    let rest = 100 - percent;
    let most = strength * u64::from(plan.max_surge.percent()) / 100;
    let exact = (strength * percent + rest / 2) / rest;
    u32::try_from(exact.min(most).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Surge;
    use crate::simulate::scene::plan;

    fn canaries(strength: u32, percent: u8) -> u32 {
        pods(&plan(), strength, Weight::new(percent).unwrap())
    }

    #[test]
    fn the_canary_is_its_part_of_the_whole() {
        for (strength, percent, wanted) in
            [(6, 25, 2), (6, 50, 6), (19, 5, 1), (40, 5, 2), (100, 20, 25), (3, 5, 1), (0, 50, 1), (8, 0, 1)]
        {
            assert_eq!(canaries(strength, percent), wanted, "{percent} % beside {strength}");
        }
    }

    #[test]
    fn surge_limits_it_and_blue_and_green_needs_all() {
        let half = Plan { max_surge: Surge::new(50).unwrap(), ..plan() };
        assert_eq!(pods(&half, 6, Weight::new(50).unwrap()), 3);
        assert_eq!(pods(&half, 1, Weight::new(50).unwrap()), 1);
        let green = Plan { full_size: true, ..plan() };
        assert_eq!(pods(&green, 6, Weight::NONE), 6);
    }

    #[test]
    fn both_sides_make_the_whole() {
        for (canary, stable, thousandths) in
            [(0, 0, 0), (1, 0, 1000), (0, 9, 0), (2, 6, 250), (1, 2, 333), (u64::MAX, u64::MAX, 500)]
        {
            let split = Split::parts(canary, stable);
            assert_eq!((split.canary(), split.canary() + split.stable()), (thousandths, 1000));
        }
    }

    #[test]
    fn few_pods_are_coarse() {
        let asked = Split::of(Weight::new(5).unwrap());
        assert!(Split::parts(1, 3).is_coarse(asked));
        assert!(!Split::parts(1, 19).is_coarse(asked));
        assert!(!Split::STABLE.is_coarse(Split::STABLE));
    }
}
