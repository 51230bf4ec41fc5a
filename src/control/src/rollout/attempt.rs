//! What is known of a rollout besides its status.
//!
//! In: answers of pods and of Kong Ingress Controller. Out: the same, until they are asked again. Never: anything that could
//! not be found out anew after a restart.

use std::collections::HashMap;
use std::time::Instant;

use kong::attended::Ledger;
use rollout::judge::Meter;
use rollout::observation::{Configuration, Parity};

use super::hooks::Call;

/// What is known of one.
#[derive(Default)]
pub(super) struct Attempt {
    /// What became of stable's configuration at the canary, before it joined.
    pub configuration: Configuration,
    /// When it was submitted, to the pod of that address.
    pub submitted: Option<(String, Instant)>,
    /// How the canary answers.
    pub parity: Parity,
    /// The first differences.
    pub words: Vec<String>,
    /// Counters of the pods.
    pub meter: Meter,
    /// When counters were read last.
    pub read: Option<Instant>,
    /// What each pod was sent that is no traffic, by uid.
    pub ledgers: HashMap<String, Known>,
    /// Pushes that each pod had refused when it was first heard of, by address.
    pub refusals: HashMap<String, u32>,
    /// When Kong Ingress Controller was asked last.
    pub heard: Option<Instant>,
    /// Hooks that were asked, by attempt, key and time.
    pub calls: HashMap<String, Call>,
    /// What it said of the canary.
    pub pushed: Configuration,
}

/// What is known of a pod's counters.
pub(super) struct Known {
    /// What was counted that is no traffic.
    pub ledger: Ledger,
    /// When the pod was first read.
    pub since: Instant,
    /// How often the operator asked.
    pub asked: u64,
    /// Whether it is one of the canary's.
    pub canary: bool,
    /// The version that Kong says it has.
    pub version: Option<String>,
}

impl Attempt {
    /// Another try begins: what another pod answered says nothing.
    pub fn forget_answers(&mut self) {
        *self = Self::default();
    }
}
