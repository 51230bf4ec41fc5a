//! Plans and scenes of the simulator.
//!
//! In: nothing. Out: values. Never: a rollout; [`super::fleet`] has those.

use std::time::Duration;

use crate::plan::{
    Analysis, Approval, ControlPlane, Deadlines, Gate, OnFailure, OnInconclusive, Plan, Ratio,
    RollbackWindow, Share, Step, Steps, Surge, Weight,
};

/// The usual plan: a look without traffic, 5 %, 25 % and 50 %, then all of it, watched for half an hour. Nobody has to
/// approve anything.
///
/// # Panics
/// Never: its numbers are within their ranges, as a test shows.
#[expect(clippy::expect_used, reason = "constants, that every test of this module makes")]
pub fn plan() -> Plan {
    let step = |name: &str, weight, minutes| Step {
        name: name.to_owned(),
        weight: Weight::new(weight).expect("up to 50"),
        hold: Duration::from_mins(minutes),
        approval: Approval::Automatic,
        hooks: Vec::new(),
    };
    let steps =
        vec![step("preview", 0, 1), step("first", 5, 10), step("quarter", 25, 15), step("half", 50, 15)];
    Plan {
        steps: Steps::new(steps).expect("names of their own, rising weights"),
        max_surge: Surge::WHOLE,
        full_size: false,
        control_plane: ControlPlane::Shared,
        acceptance: Gate::Enforce,
        parity: Gate::Enforce,
        parity_drift: 0,
        promotion: Approval::Automatic,
        on_failure: OnFailure::Rollback,
        on_inconclusive: OnInconclusive::Pause,
        deadlines: Deadlines {
            ready: Duration::from_mins(10),
            approval: Duration::from_hours(72),
            total: Duration::from_hours(24),
        },
        scale_down_delay: Duration::from_mins(1),
        keep_failed: Duration::from_mins(15),
        watch: Duration::from_mins(30),
        analysis: Some(Analysis {
            alpha: Share::new(0.01).expect("a share"),
            harmless: Ratio::new(1.25).expect("a ratio"),
            max_ratio: Ratio::new(2.0).expect("a ratio"),
            error_budget: Share::new(0.01).expect("a share"),
            difference: Share::new(0.001).expect("a share"),
            min_requests: 500,
            custom: Vec::new(),
        }),
        rollback_window: RollbackWindow { revisions: 3, max_age: Duration::from_hours(24) },
    }
}

/// What is wrong with the canary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// So many times as many requests fail in the gateway.
    Errors(f64),
    /// Each request takes 20 ms longer.
    Slow,
    /// It refuses the configuration when it is submitted.
    Refuses,
    /// It takes the configuration, and routes nothing: every request is answered with 404.
    Routeless,
    /// The same, where nobody compares routes beforehand.
    RoutelessUnseen,
    /// It ends a few seconds after each start.
    Crashes,
    /// It is killed for its memory after so many minutes.
    Leaks(u64),
    /// Its image cannot be pulled.
    NoImage,
}

/// What happens around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Failures come one by one.
    Calm,
    /// From the twentieth to the thirtieth minute, ten times as many requests fail, in both revisions.
    Incident,
    /// Failures come in bursts, of both revisions at once.
    Bursts,
}

/// A rollout to be simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scene {
    /// Its name.
    pub name: &'static str,
    /// Requests per second, of both revisions.
    pub rate: f64,
    /// Pods of stable.
    pub strength: u32,
    /// The share of requests that fail in the gateway of stable.
    pub failing: f64,
    /// What is wrong with the canary.
    pub fault: Fault,
    /// What happens around it.
    pub weather: Weather,
}

const USUAL: Scene = Scene {
    name: "no change",
    rate: 200.0,
    strength: 8,
    failing: 0.001,
    fault: Fault::None,
    weather: Weather::Calm,
};

/// Good releases: all should be promoted.
pub const GOOD: [Scene; 5] = [
    USUAL,
    Scene { name: "no change, 2 % fail", failing: 0.02, ..USUAL },
    Scene { name: "no change, incident in both", weather: Weather::Incident, ..USUAL },
    Scene { name: "no change, bursts in both", weather: Weather::Bursts, ..USUAL },
    Scene { name: "no change, 2,000 requests per second", rate: 2000.0, strength: 20, ..USUAL },
];

/// A good release that too few people use for anything to be said.
pub const QUIET: Scene = Scene { name: "no change, 0.2 requests per second", rate: 0.2, ..USUAL };

/// Bad releases: none should stay.
pub const BAD: [Scene; 12] = [
    Scene { name: "5xx ×2 of 1 %", failing: 0.01, fault: Fault::Errors(2.0), ..USUAL },
    Scene { name: "5xx ×2 of 0.1 %", fault: Fault::Errors(2.0), ..USUAL },
    Scene { name: "5xx ×4 of 0.1 %", fault: Fault::Errors(4.0), ..USUAL },
    Scene { name: "5xx ×8 of 0.1 %", fault: Fault::Errors(8.0), ..USUAL },
    Scene { name: "20 ms more", fault: Fault::Slow, ..USUAL },
    Scene { name: "configuration refused", fault: Fault::Refuses, ..USUAL },
    Scene { name: "404 only", fault: Fault::Routeless, ..USUAL },
    Scene { name: "404 only, routes not compared", fault: Fault::RoutelessUnseen, ..USUAL },
    Scene { name: "crash loop", fault: Fault::Crashes, ..USUAL },
    Scene { name: "leak, killed after 25 min", fault: Fault::Leaks(25), ..USUAL },
    Scene { name: "leak, killed after 60 min", fault: Fault::Leaks(60), ..USUAL },
    Scene { name: "image cannot be pulled", fault: Fault::NoImage, ..USUAL },
];
