//! Rotations that are broken off anywhere, with replicas and API servers that lag behind, by simulation: at every
//! moment every API server takes what every replica shows.

use std::cell::RefCell;
use std::collections::HashMap;

use super::*;

const TICK: Duration = Duration::from_secs(1);
const GRACE: u32 = 3;
const OVERLAP: u32 = 4;
/// How far API servers lag behind a configuration: less than the grace.
const BEHIND: usize = 2;
/// How far replicas lag behind the Secret: less than the overlap.
const LATE: usize = 3;

/// The cluster, a tick at a time.
struct Simulation {
    request: Request,
    now: SystemTime,
    /// What was stored, tick by tick, the latest last.
    stored: Vec<Option<State>>,
    /// What was published, tick by tick.
    published: Vec<String>,
    /// Since when the leader in office has seen the state and the bundle as they are.
    since: Option<SystemTime>,
    /// What the leader in office has seen last.
    kept: Option<State>,
    ask: Option<Ask>,
    writes: usize,
    /// Verdicts that were found before: signatures take their time.
    known: RefCell<HashMap<String, bool>>,
}

/// What the leader does at one of its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It goes on.
    Lives,
    /// It dies after the write.
    DiesAfter,
    /// It dies before the write arrives.
    DiesBefore,
}

impl Simulation {
    fn new(ask: Option<Ask>) -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let mut new = Self {
            request: Request::server(["a.b.svc"]),
            now,
            stored: vec![],
            published: vec![],
            since: None,
            kept: None,
            ask: None,
            writes: 0,
            known: RefCell::default(),
        };
        let step = look(None, None, &new.view()).unwrap();
        let Step::Write { state, .. } = step else { panic!("{step:?}") };
        new.published.push(state.bundle());
        new.stored.push(Some(*state));
        new.ask = ask;
        new
    }

    fn view(&self) -> View<'_> {
        let pace = Pace { grace: TICK * GRACE, overlap: TICK * OVERLAP, ..Pace::default() };
        let trusted = self.since.map(|since| self.now.duration_since(since).unwrap());
        View { request: &self.request, ask: self.ask, trusted, now: self.now, pace }
    }

    fn last(&self) -> Option<State> {
        self.stored.last().unwrap().clone()
    }

    /// One tick of the leader; each of its two writes may be its last.
    fn lead(&mut self, fates: &[Fate]) {
        let fate = |writes: usize| fates.get(writes).copied().unwrap_or(Fate::Lives);
        let mut stored = self.last();
        let bundle = stored.as_ref().or(self.kept.as_ref()).map(State::bundle).unwrap_or_default();
        let mut published = self.published.last().unwrap().clone();
        let mut dies = false;
        if published != bundle && !bundle.is_empty() {
            self.since = None;
            dies |= fate(self.writes) != Fate::Lives;
            if fate(self.writes) != Fate::DiesBefore {
                published = bundle;
            }
            self.writes += 1;
        } else {
            self.since.get_or_insert(self.now);
            let step = look(stored.as_ref(), self.kept.as_ref(), &self.view()).unwrap();
            if let Step::Write { state, settles, .. } = step {
                dies |= fate(self.writes) != Fate::Lives;
                if fate(self.writes) != Fate::DiesBefore {
                    stored = Some(*state);
                    self.ask = self.ask.filter(|_| !settles);
                    self.since = None;
                }
                self.writes += 1;
            }
        }
        let sound = stored.as_ref().filter(|state| !state.is_damaged(&self.view())).cloned();
        self.kept = sound.or(self.kept.take());
        if dies {
            (self.since, self.kept) = (None, stored.clone());
        }
        self.stored.push(stored);
        self.published.push(published);
        self.now += TICK;
    }

    /// Every API server takes what every replica shows, however far each of them is behind.
    fn check(&self, what: &str) {
        let ago = |list: usize, lag: usize| list.saturating_sub(1 + lag);
        let count = self.stored.len();
        for late in 0..=LATE {
            // A replica shows the last state that it saw and that could be shown.
            let seen = self.stored.iter().take(ago(count, late) + 1).rev().flatten();
            let Some(shown) = seen.into_iter().find(|state| self.shows(state)) else { continue };
            for behind in 0..=BEHIND {
                let bundle = &self.published[ago(count, behind)];
                assert!(self.takes(bundle, &shown.leaf), "{what}: {late} late, {behind} behind");
            }
        }
    }

    /// All of it takes minutes where certificates live for months.
    fn known(&self, key: String, find: impl FnOnce() -> bool) -> bool {
        *self.known.borrow_mut().entry(key).or_insert_with(find)
    }

    fn shows(&self, state: &State) -> bool {
        let key =
            format!("shows {}{}{}", state.authority.certificate, state.leaf.certificate, state.leaf.key);
        self.known(key, || state.serves(&self.view()))
    }

    fn takes(&self, bundle: &str, leaf: &Pair) -> bool {
        let good = || matches!(judge::judge(leaf, bundle, &self.request, self.now), Verdict::Good { .. });
        self.known(format!("takes {bundle}{}", leaf.certificate), good)
    }

    fn rests(&self) -> bool {
        let stored = self.last();
        self.ask.is_none()
            && stored.is_some_and(|state| {
                state.next.is_none() && state.old.is_none() && state.serves(&self.view())
            })
    }

    /// Runs until nothing is left to do.
    fn run(mut self, fates: &[Fate], what: &str) -> Self {
        for _ in 0..200 {
            self.lead(fates);
            self.check(what);
            if self.rests() && self.published.last() == self.last().map(|state| state.bundle()).as_ref() {
                return self;
            }
        }
        panic!("{what}: no end; {:?}", self.last());
    }
}

#[test]
fn a_rotation_that_is_broken_off_anywhere_goes_on_and_nobody_notices() {
    let calm = Simulation::new(Some(Ask::Authority)).run(&[], "calm");
    assert_eq!(calm.writes, 5, "stage, publish, exchange, drop, publish");
    let fates = [Fate::Lives, Fate::DiesAfter, Fate::DiesBefore];
    // Each combination of fates at the first five writes, those that follow from them included.
    for mut number in 0..3_usize.pow(5) {
        let mut chosen = Vec::new();
        for _ in 0..5 {
            chosen.push(fates[number % 3]);
            number /= 3;
        }
        let done = Simulation::new(Some(Ask::Authority)).run(&chosen, &format!("{chosen:?}"));
        assert_ne!(done.last().unwrap().authority, calm.stored[0].as_ref().unwrap().authority);
    }
}

#[test]
fn a_leaf_that_is_asked_for_at_any_tick_of_a_rotation_disturbs_nothing() {
    for tick in 0..20 {
        let mut simulation = Simulation::new(Some(Ask::Authority));
        for _ in 0..tick {
            simulation.lead(&[]);
            simulation.check("before");
        }
        if simulation.ask.is_none() {
            simulation.ask = Some(Ask::Leaf);
        }
        simulation.run(&[], &format!("a leaf at tick {tick}"));
    }
}

#[test]
fn a_secret_that_is_deleted_or_spoilt_at_any_tick_comes_back() {
    let spoil: [fn(&mut Option<State>); 4] = [
        |stored| *stored = None,
        |stored| *stored = Some(State::read(|_| None)),
        |stored| stored.as_mut().unwrap().authority.key.clear(),
        |stored| stored.as_mut().unwrap().leaf.key.clear(),
    ];
    for (which, spoil) in spoil.iter().enumerate() {
        for tick in 1..20 {
            let mut simulation = Simulation::new(Some(Ask::Authority));
            for _ in 0..tick {
                simulation.lead(&[]);
            }
            let mut stored = simulation.last();
            spoil(&mut stored);
            simulation.stored.push(stored);
            let bundle = simulation.published.last().unwrap().clone();
            simulation.published.push(bundle);
            simulation.run(&[], &format!("spoilt {which} at tick {tick}"));
        }
    }
}
