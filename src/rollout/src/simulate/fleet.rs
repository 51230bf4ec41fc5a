//! A cluster that does what the machine wants, a little later.
//!
//! In: what is wanted, a scene, time. Out: what there is to observe. Never: a surprise; what goes wrong is the scene's.

use std::collections::BTreeMap;

use super::random::Random;
use super::scene::{Fault, Scene, Weather};
use super::traffic;
use crate::judge::control::{Candidate, age_matched, canary};
use crate::judge::{Arm, PodWindow, Window, real};
use crate::observation::{Answer, Configuration, Observation, Parity, Pods, Revision, Trouble};
use crate::wanted::{Selects, Wanted};
use std::time::Duration;

/// Seconds between two looks.
pub const TICK: u64 = 15;
/// Seconds from a pod's start until it can be ready.
const STARTING: u64 = 10;

/// A pod.
#[derive(Debug, Clone)]
struct Pod {
    id: String,
    born: u64,
}

/// The pods of both revisions.
#[derive(Debug, Clone)]
pub struct Fleet {
    scene: Scene,
    random: Random,
    /// Seconds since it began.
    pub clock: u64,
    made: u64,
    stable: Vec<Pod>,
    canary: Vec<Pod>,
    ingress: Selects,
    fed: bool,
    submitted: bool,
    compared: bool,
    answers: BTreeMap<String, Answer>,
}

impl Fleet {
    /// A fleet before its rollout; its pods have run for a while.
    pub fn new(scene: Scene, seed: u64) -> Self {
        let mut fleet = Self {
            scene,
            random: Random::new(seed),
            clock: 100_000,
            made: 0,
            stable: Vec::new(),
            canary: Vec::new(),
            ingress: Selects::Stable,
            fed: false,
            submitted: false,
            compared: false,
            answers: BTreeMap::new(),
        };
        for age in 1..=u64::from(scene.strength) {
            let id = fleet.name("stable");
            fleet.stable.push(Pod { id, born: fleet.clock - 1000 * age });
        }
        fleet
    }

    fn name(&mut self, track: &str) -> String {
        self.made += 1;
        format!("{track}-{:06}", self.made)
    }

    /// Does what is wanted, and lets time pass.
    pub fn apply(&mut self, wanted: &Wanted) {
        self.scale(Arm::Control, wanted.stable);
        self.scale(Arm::Canary, wanted.canary);
        self.ingress = wanted.ingress;
        self.fed = wanted.admin != Selects::Stable;
        self.submitted |= wanted.submit;
        self.compared |= wanted.compare;
        for ask in &wanted.asks {
            self.answers.insert(ask.key.clone(), Answer::Passed);
        }
        if wanted.canary == 0 {
            (self.submitted, self.compared) = (false, false);
        }
        self.clock += TICK;
    }

    fn scale(&mut self, arm: Arm, wanted: u32) {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(10_000);
        let name = if arm == Arm::Canary { "canary" } else { "stable" };
        let have = if arm == Arm::Canary { self.canary.len() } else { self.stable.len() };
        let fresh: Vec<_> = (have..wanted).map(|_| Pod { id: self.name(name), born: self.clock }).collect();
        let pods = if arm == Arm::Canary { &mut self.canary } else { &mut self.stable };
        pods.truncate(wanted);
        pods.extend(fresh);
    }

    /// What is seen now.
    pub fn observe(&mut self, asked: &Revision) -> Observation {
        let fault = self.scene.fault;
        let configuration = match fault {
            Fault::Refuses if self.submitted || self.fed => {
                Configuration::Rejected("schema violation".into())
            }
            _ if self.submitted || self.fed => Configuration::Accepted,
            _ => Configuration::Unknown,
        };
        let mismatched = if fault == Fault::Routeless { 143 } else { 0 };
        Observation {
            asked: asked.clone(),
            staged: true,
            strength: self.scene.strength,
            stable: self.pods(Arm::Control),
            canary: self.pods(Arm::Canary),
            others: 0,
            configuration,
            parity: if self.compared {
                Parity::Compared { checked: 143, mismatched }
            } else {
                Parity::Unknown
            },
            fed: true,
            hooks: self.answers.clone(),
            window: self.window(),
            confounded: false,
            request: None,
        }
    }

    fn pods(&self, arm: Arm) -> Pods {
        let fault = if arm == Arm::Canary { self.scene.fault } else { Fault::None };
        let pods = if arm == Arm::Canary { &self.canary } else { &self.stable };
        let count = |test: &dyn Fn(&Pod) -> bool| {
            u32::try_from(pods.iter().filter(|pod| test(pod)).count()).unwrap_or(u32::MAX)
        };
        let present = count(&|_| true);
        let oldest = pods.iter().map(|pod| self.clock - pod.born).max().unwrap_or(0);
        let ready = count(&|pod| self.is_ready(arm, pod));
        let (trouble, restarts) = match fault {
            Fault::NoImage if present > 0 => (Some(Trouble::ImagePull), 0),
            Fault::Crashes if oldest >= 60 => (Some(Trouble::CrashLoop), 3),
            Fault::Leaks(minutes) if oldest >= minutes * 60 => (Some(Trouble::OutOfMemory), 1),
            _ => (None, 0),
        };
        let running = if fault == Fault::NoImage { 0 } else { count(&|pod| pod.born < self.clock) };
        let serving = if self.is_selected(arm) { ready } else { 0 };
        Pods { present, running, ready, serving, restarts, trouble }
    }

    fn is_ready(&self, arm: Arm, pod: &Pod) -> bool {
        let started = self.clock >= pod.born + STARTING;
        if arm == Arm::Control {
            return started;
        }
        let configured = self.fed || self.submitted && self.scene.fault != Fault::Refuses;
        // A crashing pod is ready for every other look.
        let alive = match self.scene.fault {
            Fault::NoImage => false,
            Fault::Crashes => (self.clock / TICK).is_multiple_of(2),
            _ => true,
        };
        started && configured && alive
    }

    fn is_selected(&self, arm: Arm) -> bool {
        self.ingress == Selects::Both || (self.ingress == Selects::Canary) == (arm == Arm::Canary)
    }

    /// What pods counted since the last look: those that serve share all requests.
    fn window(&mut self) -> Option<Window> {
        let serving = u64::from(self.pods(Arm::Control).serving + self.pods(Arm::Canary).serving);
        if serving == 0 {
            return None;
        }
        let each = self.scene.rate * real(TICK) / real(serving);
        let failing = self.failing();
        let control = age_matched(self.candidates(Arm::Control), self.canary.len());
        let canary = canary(self.candidates(Arm::Canary));
        let mut pods = Vec::new();
        for (arm, fault, chosen) in
            [(Arm::Control, Fault::None, control), (Arm::Canary, self.scene.fault, canary)]
        {
            for Candidate { pod, .. } in chosen {
                let delta = traffic::draw(&mut self.random, each, failing, fault);
                pods.push(PodWindow { pod, arm, delta });
            }
        }
        pods.sort_by(|left, right| left.pod.cmp(&right.pod));
        Some(Window { span: Duration::from_secs(TICK), pods, custom: BTreeMap::new() })
    }

    fn candidates(&self, arm: Arm) -> Vec<Candidate> {
        let pods = if arm == Arm::Canary { &self.canary } else { &self.stable };
        let chosen = pods.iter().filter(|pod| self.is_selected(arm) && self.is_ready(arm, pod));
        let age = |pod: &Pod| Duration::from_secs(self.clock - pod.born);
        chosen.map(|pod| Candidate { pod: pod.id.clone(), age: age(pod) }).collect()
    }

    fn failing(&mut self) -> f64 {
        let minute = (self.clock - 100_000) / 60;
        let factor = match self.scene.weather {
            Weather::Incident if (20..30).contains(&minute) => 10.0,
            Weather::Calm | Weather::Incident => 1.0,
            Weather::Bursts => self.random.exponential(),
        };
        (self.scene.failing * factor).min(0.5)
    }
}
