//! The courses that a rollout can take: specifications that change, people, autoscalers, and what comes after promotion.

use std::time::Duration;

use super::trial::{Trial, revision, trouble};
use crate::observation::{Request, Trouble, Verb};
use crate::plan::{Approval, Hook, OnFailure, Plan, Steps, When};
use crate::simulate::fleet::TICK;
use crate::simulate::scene::plan;
use crate::state::{Effect, Outcome, Pause, Phase, Stage};
use crate::wanted::{Event, Reason, Selects};

#[test]
fn a_changed_specification_supersedes_and_stable_again_reverts() {
    for (asked, reason, outcome) in
        [("newer", Reason::Superseded, Outcome::Superseded), ("old", Reason::Reverted, Outcome::Aborted)]
    {
        for index in 0..4 {
            let mut trial = Trial::at_step(plan(), index);
            trial.asked = revision(asked);
            let wanted = trial.turn(|_| {});
            assert_eq!(wanted.ingress, Selects::Stable);
            assert_eq!(trial.state.failure, Some(reason.clone()));
            trial.until(|state| state.stage == Stage::Done);
            assert_eq!(trial.state.outcome, Some(outcome));
            // The track is free for the next attempt at once.
            assert_eq!(trial.turn(|_| {}).canary, 0);
        }
    }
}

#[test]
fn the_next_attempt_waits_until_the_pods_of_the_last_one_are_gone() {
    let mut trial = Trial::new(plan());
    for _ in 0..10 {
        assert_eq!(trial.turn(|seen| seen.others = 1).canary, 0);
    }
    assert_eq!(trial.phase(), Phase::Pending);
    trial.turn(|_| {});
    assert_eq!(trial.phase(), Phase::Preflight);
}

#[test]
fn a_stanza_that_is_taken_away_leads_back_to_stable() {
    let mut trial = Trial::at_step(plan(), 2);
    trial.turn(|seen| seen.staged = false);
    assert_eq!((trial.state.stage, &trial.state.failure), (Stage::RollingBack, &Some(Reason::Withdrawn)));
}

#[test]
fn an_abort_drains_before_it_takes_pods_away_and_keeps_one() {
    for index in 0..4 {
        let mut trial = Trial::at_step(plan(), index);
        let pods = trial.wanted().canary;
        assert_eq!(trial.say(Verb::Abort), Some(Effect::Applied));
        assert_eq!((trial.wanted().ingress, trial.wanted().canary), (Selects::Stable, pods));
        // Pods that still have new connections keep the clock from starting.
        for _ in 0..20 {
            trial.turn(|seen| seen.canary.serving = 1);
            assert_eq!(trial.state.stage, Stage::RollingBack);
        }
        trial.until(|state| state.stage == Stage::Done);
        assert_eq!((trial.state.outcome, trial.wanted().canary), (Some(Outcome::Aborted), 1));
        for _ in 0..15 * 60 / TICK {
            trial.turn(|_| {});
        }
        assert_eq!((trial.wanted().canary, trial.wanted().stable), (0, 8));
    }
}

#[test]
fn an_unhealthy_stable_is_said_once_and_holds_up_nobody() {
    let mut trial = Trial::at_step(plan(), 1);
    trial.until_with(|state| state.stage == Stage::Done, |seen| seen.stable.ready = seen.stable.ready.min(4));
    assert_eq!(trial.state.outcome, Some(Outcome::Promoted));
    assert_eq!(trial.events.iter().filter(|event| **event == Event::StableDegraded).count(), 1);
}

#[test]
fn after_promotion_it_returns_at_once_while_the_old_pods_are_warm() {
    let mut trial = Trial::new(plan());
    trial.until(|state| state.stage == Stage::Draining);
    trial.turn(|_| {});
    assert_eq!(trial.wanted().ingress, Selects::Canary);
    trial.turn(trouble(Trouble::CrashLoop));
    trial.turn(trouble(Trouble::CrashLoop));
    assert_eq!(trial.wanted().ingress, Selects::Stable);
}

#[test]
fn after_promotion_the_old_pods_come_back_before_the_traffic_does() {
    let mut trial = Trial::new(plan());
    trial.until(|state| state.stage == Stage::Draining);
    trial.until(|state| state.stage == Stage::Draining && state.emptied.is_some());
    for _ in 0..10 {
        trial.turn(|_| {});
    }
    assert_eq!((trial.wanted().stable, trial.wanted().admin), (0, Selects::Canary));
    assert_eq!(trial.say(Verb::Rollback), Some(Effect::Applied));
    assert_eq!((trial.wanted().stable, trial.wanted().ingress), (8, Selects::Canary));
    trial.until(|state| state.stage == Stage::Done);
    assert_eq!((trial.wanted().ingress, trial.state.outcome), (Selects::Stable, Some(Outcome::Aborted)));
    assert_eq!(trial.events.iter().filter(|event| **event == Event::Promoted).count(), 1);
}

#[test]
fn an_autoscaler_changes_the_canary_with_stable_and_takes_nothing_away() {
    let mut trial = Trial::at_step(plan(), 2);
    assert_eq!((trial.wanted().stable, trial.wanted().canary), (8, 3));
    trial.turn(|seen| seen.strength = 20);
    assert_eq!((trial.wanted().stable, trial.wanted().canary), (20, 7));
    assert!(!trial.wanted().shrinks);
    trial.turn(|seen| seen.strength = 2);
    assert_eq!((trial.wanted().stable, trial.wanted().canary), (20, 7));
}

#[test]
fn an_evicted_pod_extends_the_hold_and_fails_nothing() {
    let mut trial = Trial::at_step(plan(), 1);
    trial.turn(|_| {});
    let held = trial.state.held;
    trial.turn(|seen| (seen.canary.ready, seen.canary.serving) = (0, 0));
    assert_eq!(trial.state.held, held);
    trial.until(|state| state.step == 2);
}

#[test]
fn a_failure_may_take_the_traffic_and_leave_the_pods() {
    let mut trial = Trial::at_step(Plan { on_failure: OnFailure::Pause, ..plan() }, 2);
    trial.turn(|seen| seen.canary.restarts = 3);
    assert!(matches!(trial.state.pause, Some(Pause::Failed(_))));
    assert_eq!((trial.wanted().ingress, trial.wanted().canary), (Selects::Stable, 3));
    assert_eq!(trial.say(Verb::PromoteFull), Some(Effect::Refused));
    assert_eq!(trial.say(Verb::Retry), Some(Effect::Applied));
    assert_eq!((trial.state.attempt, trial.phase()), (2, Phase::Preflight));
    trial.until(|state| state.stage == Stage::Done);
    assert_eq!(trial.state.outcome, Some(Outcome::Promoted));
}

#[test]
fn verbs_for_something_else_and_verbs_seen_before_do_nothing() {
    let mut trial = Trial::at_step(plan(), 1);
    assert_eq!(trial.say_for(Verb::Abort, "other", None), Some(Effect::Stale));
    assert_eq!(trial.say_for(Verb::Promote, "new", Some("half")), Some(Effect::Stale));
    assert_eq!(trial.say(Verb::Resume), Some(Effect::Refused));
    assert_eq!(trial.say_for(Verb::Promote, "new", Some("first")), Some(Effect::Applied));
    assert_eq!(trial.state.step, 2);
    let same = trial.state.last_action.clone().unwrap().request;
    let same = Request { step: None, ..same };
    trial.turn(|seen| seen.request = Some(same.clone()));
    assert_eq!(trial.state.step, 2);
}

#[test]
fn a_pause_stops_the_clock_and_a_resume_starts_it() {
    let mut trial = Trial::at_step(plan(), 1);
    assert_eq!(trial.say(Verb::Pause), Some(Effect::Applied));
    let (held, active) = (trial.state.held, trial.state.active);
    for _ in 0..200 {
        trial.turn(|_| {});
    }
    assert_eq!((trial.state.held, trial.phase()), (held, Phase::Paused));
    assert!(trial.state.active - active <= 1000 * TICK);
    assert_eq!(trial.say(Verb::Resume), Some(Effect::Applied));
    trial.until(|state| state.step == 2);
}

#[test]
fn a_full_promotion_skips_steps_and_no_gate() {
    let mut trial = Trial::new(plan());
    trial.turn(|_| {});
    assert_eq!(trial.say(Verb::PromoteFull), Some(Effect::Applied));
    assert_eq!(trial.phase(), Phase::Preflight);
    trial.until(|state| state.stage == Stage::Done);
    assert!(trial.events.contains(&Event::PreflightPassed));
    assert!(!trial.events.iter().any(|event| matches!(event, Event::Entered(_))));
    assert_eq!(trial.state.outcome, Some(Outcome::PromotedByOverride));
}

#[test]
fn blue_and_green_has_all_pods_and_no_traffic_until_somebody_says_so() {
    let mut trial = Trial::new(plan().blue_green(Approval::Required));
    trial.until(|state| state.pause == Some(Pause::Approval));
    let wanted = trial.wanted();
    assert_eq!((wanted.stable, wanted.canary, wanted.ingress, wanted.preview), (8, 8, Selects::Stable, true));
    assert_eq!(trial.say(Verb::Promote), Some(Effect::Applied));
    trial.until(|state| state.stage == Stage::Draining);
    trial.until(|state| state.stage == Stage::Done);
    assert_eq!(trial.state.outcome, Some(Outcome::Promoted));
}

#[test]
fn hooks_are_asked_once_and_a_no_or_silence_is_a_failure() {
    let hook = |when| Hook { name: "suite".to_owned(), when, timeout: Duration::from_mins(5) };
    let hooked = |when| {
        let mut steps: Vec<_> = plan().steps.iter().cloned().collect();
        steps[0].hooks.push(hook(when));
        Plan { steps: Steps::new(steps).unwrap(), ..plan() }
    };
    for when in [When::Enter, When::Exit] {
        Trial::new(hooked(when)).until(|state| state.stage == Stage::Done && state.failure.is_none());
        let mut silent = Trial::new(hooked(when));
        silent.until_with(|state| state.failure.is_some(), |seen| seen.hooks.clear());
        assert_eq!(silent.state.failure, Some(Reason::Hook("preview/suite".to_owned())));
    }
}
