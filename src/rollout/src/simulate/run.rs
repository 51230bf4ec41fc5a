//! One rollout from its beginning to its end, and many.
//!
//! In: a scene, how many, a seed. Out: how they ended and when. Never: a state of its own; the machine has all of it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::fleet::{Fleet, TICK};
use super::scene::{Fault, Scene, plan};
use crate::machine::step;
use crate::observation::Revision;
use crate::plan::{Gate, Plan};
use crate::state::{Outcome, Pause, Stage, State};
use crate::wanted::{Event, Selects};

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The new revision serves.
    Promoted,
    /// The old one serves.
    RolledBack,
    /// Somebody has to decide.
    Waits,
}

/// One rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// Seconds until then.
    pub took: u64,
    /// Seconds until the canary was found bad, if it was.
    pub found: Option<u64>,
    /// Seconds that real requests had gone to the canary by then.
    pub exposed: u64,
    /// Whether it was found after promotion only.
    pub late: bool,
}

/// Many rollouts of one scene.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// The scene.
    pub scene: &'static str,
    /// How many.
    pub runs: usize,
    /// How many of them were promoted, and stayed.
    pub promoted: usize,
    /// How many were rolled back.
    pub rolled_back: usize,
    /// How many of those after promotion.
    pub late: usize,
    /// How many wait for somebody.
    pub waiting: usize,
    /// Seconds until half of the bad ones were found, counted from the beginning.
    pub found_median: Option<u64>,
    /// The same for 95 of 100.
    pub found_most: Option<u64>,
    /// Seconds until half of the bad ones were found, counted from the first real request.
    pub exposed_median: Option<u64>,
    /// The same for 95 of 100.
    pub exposed_most: Option<u64>,
}

/// The plan of a scene.
fn plan_of(scene: &Scene) -> Plan {
    let usual = plan();
    if scene.fault == Fault::RoutelessUnseen { Plan { parity: Gate::Off, ..usual } } else { usual }
}

/// Lets one rollout run to its end, or for a day.
pub fn run(scene: &Scene, seed: u64) -> Run {
    let plan = plan_of(scene);
    let mut fleet = Fleet::new(*scene, seed);
    let (from, to) = (Revision("old".to_owned()), Revision("new".to_owned()));
    let began = fleet.clock;
    let mut state = State::begin(from, to.clone(), false, at(began));
    let (mut found, mut exposed, mut late) = (None, 0, false);
    while fleet.clock < began + 86_400 {
        let observed = fleet.observe(&to);
        let (next, wanted) = step(&plan, state, &observed, at(fleet.clock));
        state = next;
        if found.is_none() && wanted.events.iter().any(|event| matches!(event, Event::Failed(_))) {
            found = Some(fleet.clock - began);
            late = state.promoted.is_some();
        }
        if found.is_none() && wanted.ingress != Selects::Stable {
            exposed += TICK;
        }
        fleet.apply(&wanted);
        if state.stage == Stage::Done || matches!(state.pause, Some(Pause::Inconclusive(_))) {
            break;
        }
    }
    Run { end: end(&state), took: fleet.clock - began, found, exposed, late }
}

fn end(state: &State) -> End {
    match state.outcome {
        Some(Outcome::Promoted | Outcome::PromotedByOverride) => End::Promoted,
        Some(_) => End::RolledBack,
        None => End::Waits,
    }
}

/// A moment of the simulation.
pub fn at(clock: u64) -> Timestamp {
    let clock = i64::try_from(clock).unwrap_or(i64::MAX / 2_000_000_000);
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(clock)).unwrap_or(Timestamp::MAX)
}

/// Lets `runs` rollouts run.
pub fn tally(scene: &Scene, runs: usize, seed: u64) -> Tally {
    let all: Vec<_> = (seed..).take(runs).map(|seed| run(scene, seed.wrapping_mul(7919))).collect();
    let ended = |end| all.iter().filter(|run| run.end == end).count();
    let found = sorted(all.iter().filter_map(|run| run.found));
    let exposed = sorted(all.iter().filter(|run| run.found.is_some()).map(|run| run.exposed));
    Tally {
        scene: scene.name,
        runs,
        promoted: ended(End::Promoted),
        rolled_back: ended(End::RolledBack),
        late: all.iter().filter(|run| run.late).count(),
        waiting: ended(End::Waits),
        found_median: quantile(&found, 50),
        found_most: quantile(&found, 95),
        exposed_median: quantile(&exposed, 50),
        exposed_most: quantile(&exposed, 95),
    }
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// The value that so many of 100 do not exceed.
pub fn quantile(sorted: &[u64], percent: usize) -> Option<u64> {
    let place = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
    sorted.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::super::scene::{BAD, GOOD, QUIET};
    use super::*;

    #[test]
    fn good_releases_are_promoted() {
        let tally = tally(&GOOD[0], 300, 1);
        assert!(tally.promoted >= 297, "{tally:?}");
    }

    #[test]
    fn good_releases_in_bad_weather_are_not_rolled_back() {
        for scene in &GOOD[1..4] {
            let tally = tally(scene, 40, 1);
            assert!(tally.rolled_back <= 1, "{tally:?}");
        }
    }

    #[test]
    fn bad_releases_are_rolled_back() {
        let all: Vec<_> = BAD.iter().map(|scene| tally(scene, 20, 1)).collect();
        let missed: Vec<_> = all.iter().filter(|tally| tally.rolled_back < fewest(tally)).collect();
        assert!(missed.is_empty(), "{missed:#?}");
    }

    /// One request of a thousand more is just what the plan calls too little to matter.
    fn fewest(tally: &Tally) -> usize {
        if tally.scene == "5xx ×2 of 0.1 %" { 10 } else { 20 }
    }

    #[test]
    fn what_cannot_be_judged_waits_for_somebody() {
        let tally = tally(&QUIET, 20, 1);
        assert_eq!((tally.waiting, tally.promoted), (20, 0), "{tally:?}");
    }

    #[test]
    fn quantiles_are_values_that_were_there() {
        assert_eq!(quantile(&[1, 2, 3, 4], 50), Some(2));
        assert_eq!(quantile(&[1, 2, 3, 4], 95), Some(4));
        assert_eq!(quantile(&[], 50), None);
    }
}
