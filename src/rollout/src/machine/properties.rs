//! What holds in any state, whatever is seen.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::step;
use crate::observation::{Configuration, Observation, Parity, Pods, Request, Revision, Trouble, Verb};
use crate::plan::{Approval, ControlPlane, Gate, OnFailure, OnInconclusive, Plan};
use crate::simulate::fleet::Fleet;
use crate::simulate::run::at;
use crate::simulate::scene::{GOOD, Scene, plan};
use crate::state::{Pause, Stage, State};
use crate::wanted::{Event, Reason, Selects, Wanted};

const REVISIONS: [&str; 3] = ["old", "new", "newer"];

fn plans() -> impl Strategy<Value = Plan> {
    let gates = || prop_oneof![Just(Gate::Enforce), Just(Gate::Warn), Just(Gate::Off)];
    let doubts = prop_oneof![
        Just(OnInconclusive::Pause),
        Just(OnInconclusive::Rollback),
        Just(OnInconclusive::Promote)
    ];
    (gates(), gates(), doubts, any::<[bool; 5]>()).prop_map(|(acceptance, parity, doubt, flags)| {
        let [pauses, manual, paired, full_size, judged] = flags;
        let usual = plan();
        Plan {
            acceptance,
            parity,
            on_inconclusive: doubt,
            on_failure: if pauses { OnFailure::Pause } else { OnFailure::Rollback },
            promotion: if manual { Approval::Required } else { Approval::Automatic },
            control_plane: if paired { ControlPlane::Paired } else { ControlPlane::Shared },
            full_size,
            analysis: usual.analysis.filter(|_| judged),
            ..plan()
        }
    })
}

fn states() -> impl Strategy<Value = State> {
    let stages = prop_oneof![
        Just(Stage::Pending),
        Just(Stage::Preflight),
        Just(Stage::Stepping),
        Just(Stage::Promoting),
        Just(Stage::Draining),
        Just(Stage::RollingBack),
    ];
    let pauses = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Pause::Manual)),
        1 => Just(Some(Pause::Approval)),
        1 => Just(Some(Pause::Failed(Reason::Hook("h".to_owned())))),
    ];
    let ingress = prop_oneof![Just(Selects::Stable), Just(Selects::Both), Just(Selects::Canary)];
    let times = (0..2_000_000_u64, 0..2_000_000_u64, 0..90_000_000_u64, 0..90_000_u64);
    (stages, pauses, ingress, times, 0..6_usize, any::<[bool; 4]>()).prop_map(
        |(stage, pause, ingress, (held, unready, active, promoted), index, [joined, full, moved, judged])| {
            let begun = State::begin(Revision("old".into()), Revision("new".into()), full, at(100_000));
            let beyond = matches!(stage, Stage::Draining | Stage::RollingBack);
            let pause = pause.filter(|_| !beyond);
            let waiting = pause.as_ref().map(|_| at(100_000));
            let failure = (stage == Stage::RollingBack).then_some(Reason::Reverted);
            let promoted = (moved || stage == Stage::Draining).then(|| at(100_000 + promoted));
            State {
                failure,
                stage,
                waiting,
                pause,
                ingress,
                step: index,
                held,
                unready,
                active,
                joined,
                judged,
                promoted,
                ..begun
            }
        },
    )
}

fn pods() -> impl Strategy<Value = Pods> {
    let troubles = prop_oneof![
        8 => Just(None),
        1 => Just(Some(Trouble::ImagePull)),
        1 => Just(Some(Trouble::CrashLoop)),
        1 => Just(Some(Trouble::Unschedulable)),
    ];
    (0..30_u32, 0..30_u32, 0..30_u32, 0..4_u32, troubles).prop_map(
        |(present, ready, serving, restarts, trouble)| {
            let ready = ready.min(present);
            Pods { present, running: present, ready, serving: serving.min(ready), restarts, trouble }
        },
    )
}

fn verbs() -> impl Strategy<Value = Option<Verb>> {
    let all = [
        Verb::Promote,
        Verb::PromoteFull,
        Verb::Pause,
        Verb::Resume,
        Verb::Abort,
        Verb::Retry,
        Verb::Rollback,
    ];
    prop_oneof![6 => Just(None), 4 => proptest::sample::select(all.to_vec()).prop_map(Some)]
}

fn observations() -> impl Strategy<Value = Observation> {
    let configuration = prop_oneof![
        1 => Just(Configuration::Unknown),
        4 => Just(Configuration::Accepted),
        1 => Just(Configuration::Rejected("no".to_owned())),
    ];
    let parity = prop_oneof![
        Just(Parity::Unknown),
        (0..2_u32).prop_map(|mismatched| Parity::Compared { checked: 9, mismatched }),
    ];
    let asked = prop_oneof![1 => Just(0_usize), 12 => Just(1), 1 => Just(2)];
    let rest = (verbs(), any::<u32>(), prop::bool::weighted(0.9), prop::bool::weighted(0.9), 0..2_u32);
    (asked, pods(), pods(), configuration, parity, 0..25_u32, rest).prop_map(
        |(asked, stable, canary, configuration, parity, strength, (verb, id, staged, fed, others))| {
            Observation {
                asked: Revision(REVISIONS[asked].to_owned()),
                staged,
                strength,
                stable,
                canary,
                others,
                configuration,
                parity,
                fed,
                request: verb.map(|verb| request(verb, &id.to_string())),
                ..Observation::default()
            }
        },
    )
}

fn request(verb: Verb, id: &str) -> Request {
    Request { id: id.to_owned(), verb, revision: Revision("new".to_owned()), step: None }
}

/// What must hold after every turn.
fn holds(seen: &Observation, before: &State, state: &State, wanted: &Wanted) {
    for split in [wanted.requested, wanted.effective] {
        assert_eq!(split.canary() + split.stable(), 1000);
    }
    match wanted.ingress {
        // All that serve are at full strength, without counting on the canary.
        Selects::Stable | Selects::Both => assert!(wanted.stable >= seen.strength, "{wanted:?}"),
        Selects::Canary => assert!(wanted.canary >= seen.strength, "{wanted:?}"),
    }
    // All traffic moves only to pods that are there.
    let moved = wanted.ingress == Selects::Canary && before.ingress != Selects::Canary;
    if moved && before.stage == Stage::Promoting {
        assert!(seen.canary.ready >= seen.strength && seen.fed);
    }
    let gates = matches!(state.stage, Stage::Pending | Stage::Preflight);
    assert!(!gates || wanted.ingress == Selects::Stable, "traffic before the gates: {wanted:?}");
    assert!(wanted.wake.is_some() || state.stage == Stage::Done);
}

/// A fair world: it does what is wanted, and nothing fails.
fn settle(plan: &Plan, state: State, verb: Option<Verb>) -> (State, Wanted) {
    let scene: Scene = GOOD[0];
    let mut fleet = Fleet::new(scene, 1);
    fleet.clock = 400_000;
    let mut state = state;
    let mut verb = verb.map(|verb| request(verb, "last"));
    // Three days for an approval, one for everything else, at a look per quarter of an hour.
    for _ in 0..4 * 24 * 4 * 60 {
        let seen = Observation { request: verb.take(), ..fleet.observe(&Revision("new".to_owned())) };
        let (next, wanted) = step(plan, state, &seen, at(fleet.clock));
        state = next;
        fleet.apply(&wanted);
        if state.stage == Stage::Done {
            let seen = fleet.observe(&Revision("new".to_owned()));
            let (state, wanted) = step(plan, state, &seen, at(fleet.clock));
            return (state, wanted);
        }
        if state.pause.is_some() {
            // Nobody says anything; time passes.
            fleet.clock += 900;
        }
    }
    panic!("not over: {state:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_turn_keeps_what_serves_at_strength(plan in plans(), state in states(), seen in observations(), late in 0..9000_u64) {
        let (next, wanted) = step(&plan, state.clone(), &seen, at(100_000 + late));
        holds(&seen, &state, &next, &wanted);
    }

    #[test]
    fn no_attempt_is_promoted_twice(plan in plans(), turns in vec((observations(), 1..120_u64), 1..120)) {
        let mut state = State::begin(Revision("old".into()), Revision("new".into()), false, at(100_000));
        let (mut now, mut promotions) = (100_000, 0);
        for (seen, later) in turns {
            now += later;
            let before = state.clone();
            let (next, wanted) = step(&plan, state, &seen, at(now));
            holds(&seen, &before, &next, &wanted);
            if next.attempt != before.attempt {
                promotions = 0;
            }
            promotions += wanted.events.iter().filter(|event| **event == Event::Promoted).count();
            prop_assert!(promotions <= 1);
            state = next;
        }
    }

    #[test]
    fn a_turn_says_the_same_twice(plan in plans(), state in states(), seen in observations(), late in 0..9000_u64) {
        let now = at(100_000 + late);
        let (once, wanted) = step(&plan, state.clone(), &seen, now);
        prop_assert_eq!(step(&plan, state, &seen, now), (once.clone(), wanted));
        // What is remembered survives being written down.
        let text = serde_json::to_string(&once).unwrap();
        prop_assert_eq!(serde_json::from_str::<State>(&text).unwrap(), once);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_abort_takes_all_traffic_from_the_canary(plan in plans(), state in states()) {
        let (state, wanted) = settle(&plan, state, Some(Verb::Abort));
        prop_assert_eq!((wanted.ingress, wanted.effective.canary()), (Selects::Stable, 0));
        prop_assert!(state.failure.is_some());
    }

    #[test]
    fn every_rollout_ends(plan in plans(), state in states()) {
        let (state, wanted) = settle(&plan, state, None);
        prop_assert!(state.outcome.is_some());
        prop_assert!(wanted.effective.canary() == 0 || wanted.effective.canary() == 1000);
    }
}

#[test]
fn the_end_of_time_is_no_moment_to_panic() {
    let seen = Observation { asked: Revision("new".to_owned()), staged: true, ..Observation::default() };
    let state = State::begin(Revision::default(), Revision("new".to_owned()), false, jiff::Timestamp::MIN);
    let plan = Plan { scale_down_delay: Duration::MAX, keep_failed: Duration::MAX, ..plan() };
    let (state, _) = step(&plan, state, &seen, jiff::Timestamp::MAX);
    let state = State { stage: Stage::RollingBack, emptied: Some(jiff::Timestamp::MIN), ..state };
    step(&plan, state, &seen, jiff::Timestamp::MIN);
}
