//! A rollout in a fleet in which everything is well, until a test says otherwise.

use jiff::Timestamp;

use super::step;
use crate::observation::Pods;
use crate::observation::{Observation, Request, Revision, Trouble, Verb};
use crate::plan::Plan;
use crate::simulate::fleet::{Fleet, TICK};
use crate::simulate::run::at;
use crate::simulate::scene::GOOD;
use crate::state::{Effect, Phase, Stage, State};
use crate::wanted::{Event, Selects, Wanted};

/// A rollout in a fleet in which everything is well, until a test says otherwise.
pub(super) struct Trial {
    plan: Plan,
    pub fleet: Fleet,
    pub state: State,
    wanted: Option<Wanted>,
    pub events: Vec<Event>,
    pub asked: Revision,
    verbs: u32,
}

pub(super) fn revision(name: &str) -> Revision {
    Revision(name.to_owned())
}

impl Trial {
    pub fn new(plan: Plan) -> Self {
        let fleet = Fleet::new(GOOD[0], 1);
        let state = State::begin(revision("old"), revision("new"), false, at(fleet.clock));
        Self { plan, fleet, state, wanted: None, events: Vec::new(), asked: revision("new"), verbs: 0 }
    }

    fn now(&self) -> Timestamp {
        at(self.fleet.clock)
    }

    /// One turn, of what the fleet shows and `change` makes of it.
    pub fn turn(&mut self, change: impl Fn(&mut Observation)) -> &Wanted {
        let mut seen = self.fleet.observe(&self.asked);
        change(&mut seen);
        // What is remembered lives in a status: it must survive being written down.
        let text = serde_json::to_string(&self.state).unwrap();
        let state: State = serde_json::from_str(&text).unwrap();
        let (state, wanted) = step(&self.plan, state, &seen, self.now());
        self.state = state;
        self.fleet.apply(&wanted);
        self.events.extend(wanted.events.clone());
        self.wanted.insert(wanted)
    }

    /// Turns until `test` is true, for a day at most.
    pub fn until(&mut self, test: impl Fn(&State) -> bool) -> &mut Self {
        self.until_with(test, |_| {})
    }

    pub fn until_with(
        &mut self,
        test: impl Fn(&State) -> bool,
        change: impl Fn(&mut Observation),
    ) -> &mut Self {
        for _ in 0..86_400 / TICK * 4 {
            if test(&self.state) {
                return self;
            }
            self.turn(&change);
        }
        panic!("not in four days: {:?}", self.state);
    }

    pub fn at_step(plan: Plan, index: usize) -> Self {
        let mut trial = Self::new(plan);
        trial.until(|state| state.stage == Stage::Stepping && state.step == index);
        trial.turn(|_| {});
        trial
    }

    pub fn say(&mut self, verb: Verb) -> Option<Effect> {
        self.say_for(verb, "new", None)
    }

    pub fn say_for(&mut self, verb: Verb, to: &str, step: Option<&str>) -> Option<Effect> {
        self.verbs += 1;
        let (id, step) = (self.verbs.to_string(), step.map(str::to_owned));
        let request = Request { id, verb, revision: revision(to), step };
        self.turn(|seen| seen.request = Some(request.clone()));
        self.state.last_action.as_ref().map(|last| last.effect)
    }

    pub fn wanted(&self) -> &Wanted {
        self.wanted.as_ref().unwrap()
    }

    pub fn phase(&self) -> Phase {
        self.state.phase(&self.plan)
    }

    /// The seconds that it takes to fail, under `change`.
    pub fn fails(&mut self, change: impl Fn(&mut Observation)) -> u64 {
        let began = self.fleet.clock;
        self.until_with(|state| state.failure.is_some(), change);
        assert_eq!((self.state.stage, self.wanted().ingress), (Stage::RollingBack, Selects::Stable));
        self.fleet.clock - began
    }
}

pub(super) const fn trouble(trouble: Trouble) -> impl Fn(&mut Observation) {
    move |seen| {
        seen.canary = Pods { ready: 0, serving: 0, trouble: Some(trouble), ..seen.canary };
    }
}
