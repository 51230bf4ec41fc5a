//! The failure matrix: each row that the machine decides.

use super::trial::{Trial, trouble};
use crate::judge::Verdict;
use crate::observation::{Configuration, Observation, Parity, Trouble};
use crate::plan::{Approval, ControlPlane, Gate, OnInconclusive, Plan};
use crate::simulate::fleet::TICK;
use crate::simulate::scene::plan;
use crate::state::{Outcome, Pause, Phase, Stage};
use crate::wanted::{Event, Reason, Selects};

#[test]
fn a_good_release_takes_all_steps_and_replaces_the_old_one() {
    let mut trial = Trial::new(plan());
    trial.until(|state| state.stage == Stage::Done);
    assert_eq!((trial.phase(), trial.state.outcome), (Phase::Succeeded, Some(Outcome::Promoted)));
    let entered: Vec<_> = trial.events.iter().filter(|event| matches!(event, Event::Entered(_))).collect();
    assert_eq!(entered.len(), 4);
    let wanted = trial.turn(|_| {});
    assert_eq!((wanted.stable, wanted.canary, wanted.ingress), (0, 8, Selects::Canary));
    assert!(wanted.shrinks);
}

#[test]
fn pods_that_cannot_run_fail_within_a_minute_and_at_no_weight() {
    for what in [
        Trouble::ImagePull,
        Trouble::ImageName,
        Trouble::Reference,
        Trouble::CrashLoop,
        Trouble::OutOfMemory,
        Trouble::Version,
    ] {
        let mut trial = Trial::new(plan());
        trial.until(|state| state.stage == Stage::Preflight);
        assert!(trial.fails(trouble(what)) <= 60, "{what:?}");
        assert_eq!(trial.state.failure, Some(Reason::Pods(what)));
        trial.until_with(|state| state.stage == Stage::Done, trouble(what));
        assert_eq!(trial.state.outcome, Some(Outcome::RolledBack));
    }
}

#[test]
fn three_restarts_are_a_crash_loop_and_one_is_not() {
    let mut trial = Trial::at_step(plan(), 1);
    trial.turn(|seen| seen.canary.restarts = 2);
    assert_eq!(trial.state.stage, Stage::Stepping);
    trial.fails(|seen| seen.canary.restarts = 3);
    assert_eq!(trial.state.failure, Some(Reason::Pods(Trouble::CrashLoop)));
}

#[test]
fn pods_that_are_ready_now_and_then_do_not_turn_the_clock_back() {
    let mut trial = Trial::at_step(plan(), 1);
    let began = trial.fleet.clock;
    while trial.state.failure.is_none() {
        let ready = u32::from((trial.fleet.clock / TICK).is_multiple_of(3));
        trial.turn(|seen| seen.canary.ready = ready);
        assert!(trial.fleet.clock - began < 2 * 3600, "never failed");
    }
    // Ten minutes not ready in sum are fifteen by the clock.
    assert!((870..=930).contains(&(trial.fleet.clock - began)), "{}", trial.fleet.clock - began);
    assert_eq!(trial.state.failure, Some(Reason::NotReady(None)));
}

#[test]
fn pods_without_a_node_hold_until_the_deadline() {
    let mut trial = Trial::new(plan());
    trial.until(|state| state.stage == Stage::Preflight);
    assert!(trial.fails(trouble(Trouble::Unschedulable)) >= 600);
    assert_eq!(trial.state.failure, Some(Reason::NotReady(Some(Trouble::Unschedulable))));
}

#[test]
fn refused_configuration_never_reaches_the_controller_of_stable() {
    let rejected = |seen: &mut Observation| seen.configuration = Configuration::Rejected("no".to_owned());
    let mut before = Trial::new(plan());
    before.until_with(
        |state| state.failure.is_some(),
        |seen| {
            rejected(seen);
            seen.canary.ready = 0;
        },
    );
    assert_eq!(before.wanted().admin, Selects::Stable);
    assert!(!before.events.contains(&Event::PreflightPassed));
    for acceptance in [Gate::Enforce, Gate::Warn, Gate::Off] {
        let mut joined = Trial::at_step(Plan { acceptance, ..plan() }, 2);
        assert_eq!(joined.wanted().admin, Selects::Both);
        // Quarantined in the same turn, long before its connections are gone.
        let wanted = joined.turn(rejected);
        assert_eq!((wanted.admin, wanted.ingress), (Selects::Stable, Selects::Stable));
    }
}

#[test]
fn a_refusal_that_only_warns_lets_the_canary_join() {
    let mut trial = Trial::new(Plan { acceptance: Gate::Warn, ..plan() });
    trial.until(|state| state.stage == Stage::Preflight);
    trial.turn(|_| {});
    let wanted = trial.turn(|seen| seen.configuration = Configuration::Rejected("no".to_owned()));
    assert_eq!(wanted.admin, Selects::Both);
    assert!(matches!(wanted.events.first(), Some(Event::Warning(Reason::ConfigRejected(_)))));
}

#[test]
fn routes_that_answer_differently_stop_it_before_the_first_request() {
    let differ = |seen: &mut Observation| seen.parity = Parity::Compared { checked: 143, mismatched: 2 };
    let mut trial = Trial::new(plan());
    trial.fails(differ);
    assert_eq!(trial.state.failure, Some(Reason::RouteMismatch(2)));
    let mut warned = Trial::new(Plan { parity: Gate::Warn, ..plan() });
    warned.until_with(|state| state.stage == Stage::Stepping, differ);
    assert!(warned.events.contains(&Event::Warning(Reason::RouteMismatch(2))));
    let mut allowed = Trial::new(Plan { parity_drift: 2, ..plan() });
    allowed.until_with(|state| state.stage == Stage::Stepping, differ);
}

#[test]
fn a_paired_canary_is_never_fed_by_the_controller_of_stable() {
    let mut trial = Trial::new(Plan { control_plane: ControlPlane::Paired, ..plan() });
    while trial.state.stage != Stage::Draining {
        assert_eq!(trial.turn(|_| {}).admin, Selects::Stable);
    }
}

#[test]
fn a_controller_that_is_down_holds_everything_and_fails_nothing() {
    let mut trial = Trial::at_step(plan(), 1);
    let held = trial.state.held;
    for _ in 0..100 {
        trial.turn(|seen| seen.fed = false);
    }
    assert_eq!((trial.state.held, trial.state.stage), (held, Stage::Stepping));
    trial.until(|state| state.stage == Stage::Promoting);
    for _ in 0..20 {
        trial.turn(|seen| seen.fed = false);
    }
    assert_eq!(trial.state.stage, Stage::Promoting);
}

#[test]
fn what_cannot_be_measured_is_neither_pass_nor_failure() {
    for (policy, stage) in [
        (OnInconclusive::Pause, Stage::Stepping),
        (OnInconclusive::Rollback, Stage::RollingBack),
        (OnInconclusive::Promote, Stage::Stepping),
    ] {
        let mut trial = Trial::new(Plan { on_inconclusive: policy, ..plan() });
        trial.until(|state| state.step == 1);
        let began = trial.fleet.clock;
        let doubtful = |event: &Event| *event == Event::Inconclusive(Verdict::NoData);
        while !trial.events.iter().any(doubtful) {
            trial.turn(|seen| seen.window = None);
        }
        // Twice the hold.
        assert!((1150..1260).contains(&(trial.fleet.clock - began)), "{}", trial.fleet.clock - began);
        assert_eq!(trial.state.stage, stage);
        let step = if policy == OnInconclusive::Promote { 2 } else { 1 };
        assert_eq!(trial.state.step, step);
    }
}

#[test]
fn windows_in_which_configurations_differ_are_dropped() {
    let mut trial = Trial::at_step(plan(), 1);
    let windows = trial.state.record.windows;
    trial.turn(|seen| seen.confounded = true);
    assert_eq!(trial.state.record.windows, windows);
    trial.turn(|_| {});
    assert_eq!(trial.state.record.windows, windows + 1);
}

#[test]
fn an_operator_that_was_away_goes_on_and_counts_only_what_it_saw() {
    let mut trial = Trial::at_step(plan(), 1);
    trial.turn(|_| {});
    let held = trial.state.held;
    trial.fleet.clock += 5 * 3600;
    trial.turn(|_| {});
    assert_eq!((trial.state.held, trial.state.stage), (held, Stage::Stepping));
    trial.fleet.clock += 5 * 3600;
    trial.turn(|seen| seen.canary.trouble = Some(Trouble::CrashLoop));
    assert_eq!(trial.state.stage, Stage::RollingBack);
}

#[test]
fn approval_is_waited_for_and_expires_even_while_the_operator_is_away() {
    let mut trial = Trial::new(Plan { promotion: Approval::Required, ..plan() });
    trial.until(|state| state.pause == Some(Pause::Approval));
    assert_eq!((trial.phase(), trial.wanted().ingress), (Phase::Paused, Selects::Both));
    trial.fleet.clock += 71 * 3600;
    trial.turn(|_| {});
    assert_eq!(trial.phase(), Phase::Paused);
    trial.fleet.clock += 2 * 3600;
    trial.turn(|_| {});
    assert_eq!(trial.state.failure, Some(Reason::ApprovalExpired));
    trial.until(|state| state.stage == Stage::Done);
    assert_eq!(trial.state.outcome, Some(Outcome::DeadlineExceeded));
}
