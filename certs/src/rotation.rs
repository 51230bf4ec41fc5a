//! How the authority and the certificate of a server change, while every client knows the server at every moment.
//!
//! In: what is stored, what clients are known to trust, what somebody asked for, the time. Out: the next thing to do,
//! with the whole state that is to be stored instead. Never: a store, a clock, or a step that needs two writes; what
//! was stored last is all that the next step rests on, so that a crash between any two steps costs time only.
//!
//! A new authority comes in four steps: it is made and published beside the one in use; when every client has
//! trusted both for a while it signs the leaf and takes over; the old one stays published until every server must have
//! loaded that leaf; then it is dropped.

mod state;

use std::time::{Duration, SystemTime};

use crate::authority::{Authority, LEAF_LIFE};
use crate::error::Error;
use crate::judge::{self, Reason, Verdict};
use crate::request::{Pair, Request};

pub use state::{KEYS, State};

/// Name of the authority in its own certificate.
const SUBJECT: &str = "Silverback webhooks";

/// How long an authority of a server lives: a year. Every client of it is told by the same process, so replacing it
/// costs nobody anything, and what happens every eight months is known to work.
const AUTHORITY_LIFE: Duration = Duration::from_hours(365 * 24);

/// How long an authority before is trusted at most, if the grace is no longer than that.
const LONGEST_OVERLAP: Duration = Duration::from_mins(10);

/// How fast things change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long every client must have trusted the next authority before it signs anything.
    pub grace: Duration,
    /// How long the authority before is trusted after it signs no more: longer than any server takes to load a leaf.
    pub overlap: Duration,
    /// How long an authority lives; it is replaced at two thirds of that.
    pub authority: Duration,
    /// How long a leaf lives; it is replaced at two thirds of that.
    pub leaf: Duration,
}

impl Pace {
    /// A grace of that length. The overlap is ten times as long, but not longer than ten minutes unless the grace is:
    /// loading a leaf takes servers no longer because clients are slow to learn of an authority.
    pub fn with_grace(grace: Duration) -> Self {
        let overlap = grace.saturating_mul(10).min(grace.max(LONGEST_OVERLAP));
        Self { grace, overlap, authority: AUTHORITY_LIFE, leaf: LEAF_LIFE }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::with_grace(Duration::from_mins(1))
    }
}

/// What somebody wants replaced before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The leaf.
    Leaf,
    /// The authority, and with it the leaf.
    Authority,
}

/// What a step follows from, besides the state.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What the leaf is for.
    pub request: &'a Request,
    /// What somebody wants.
    pub ask: Option<Ask>,
    /// For how long the state has been as it is, with every client known to trust its whole bundle; none while one is
    /// not.
    pub trusted: Option<Duration>,
    /// The time; never before what is stored was stored, by the clock of whoever stores it: a clock that is late would
    /// take what is good for not valid yet.
    pub now: SystemTime,
    /// How fast things change.
    pub pace: Pace,
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Everything is made anew: nothing that is there can serve.
    Begin,
    /// What was known before is stored again.
    Restore,
    /// The authority in use signs another leaf.
    Leaf,
    /// The next authority is made, to be published.
    Stage,
    /// The next authority signs a leaf and takes over.
    Exchange,
    /// The authority before is trusted no more.
    Drop,
}

impl Change {
    /// The word by which metrics and logs know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Restore => "restore",
            Self::Leaf => "leaf",
            Self::Stage => "stage",
            Self::Exchange => "exchange",
            Self::Drop => "drop",
        }
    }
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Store this state instead.
    Write {
        /// What it does.
        change: Change,
        /// The whole state.
        state: Box<State>,
        /// Whether what somebody asked for has been done with it.
        settles: bool,
    },
    /// Wait that much longer; while clients do not trust the whole bundle, until they do.
    Wait(Option<Duration>),
    /// Nothing before that time.
    Rest(SystemTime),
}

impl Step {
    fn write(change: Change, state: State, settles: bool) -> Self {
        Self::Write { change, state: Box::new(state), settles }
    }
}

/// What to do about what is stored. `kept` is the last sound state that was seen: what is gone or damaged is put back
/// from it.
pub fn look(stored: Option<&State>, kept: Option<&State>, view: &View<'_>) -> Result<Step, Error> {
    match (stored, kept) {
        (Some(stored), _) if !stored.is_damaged(view) => next(stored, view),
        (_, Some(kept)) => Ok(Step::write(Change::Restore, kept.clone(), false)),
        (Some(stored), None) => next(stored, view),
        (None, None) => begin(None, view),
    }
}

/// How an authority stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It signs until then.
    Good(SystemTime),
    /// It still signs, and should be replaced.
    Due,
    /// It signs no more.
    Lost,
}

fn standing(authority: &Pair, now: SystemTime) -> Standing {
    match judge::judge_authority(authority, now) {
        Verdict::Good { renew_at } => Standing::Good(renew_at),
        Verdict::Renew(Reason::Expiring)
            if judge::ends(&authority.certificate).is_some_and(|ends| ends > now) =>
        {
            Standing::Due
        }
        Verdict::Renew(_) => Standing::Lost,
    }
}

fn next(state: &State, view: &View<'_>) -> Result<Step, Error> {
    let signs = standing(&state.authority, view.now);
    if signs == Standing::Lost && !state.serves(view) {
        return begin(Some(state), view);
    }
    let leaf = judge::judge(&state.leaf, &state.authority.certificate, view.request, view.now);
    let renew_at = match leaf {
        Verdict::Good { renew_at } if view.ask != Some(Ask::Leaf) => renew_at,
        // It still serves: only another authority can replace it.
        _ if signs == Standing::Lost => view.now,
        _ => return renew(state, view),
    };
    if let Some(next) = &state.next {
        return take_over(state, next, view);
    }
    if let Some(old) = &state.old {
        return Ok(drop_old(state, old, view));
    }
    match signs {
        Standing::Good(until) if view.ask != Some(Ask::Authority) => Ok(Step::Rest(until.min(renew_at))),
        _ => stage(state, view),
    }
}

/// Nothing that is there can serve. What clients may still trust stays published all the same.
fn begin(state: Option<&State>, view: &View<'_>) -> Result<Step, Error> {
    let staged = state.and_then(|state| state.next.clone());
    let staged = staged.filter(|next| matches!(standing(next, view.now), Standing::Good(_)));
    let authority = match staged {
        Some(next) => Authority::read(&next)?,
        None => make(view)?,
    };
    let readable = |state: &State| judge::ends(&state.authority.certificate).is_some();
    let old = state.filter(|state| readable(state)).map(|state| state.authority.certificate.clone());
    let leaf = authority.issue_for(view.request, view.now, view.pace.leaf)?;
    let state = State { authority: authority.pair().clone(), leaf, next: None, old };
    Ok(Step::write(Change::Begin, state, view.ask.is_some()))
}

fn renew(state: &State, view: &View<'_>) -> Result<Step, Error> {
    let authority = Authority::read(&state.authority)?;
    let leaf = authority.issue_for(view.request, view.now, view.pace.leaf)?;
    let state = State { leaf, ..state.clone() };
    Ok(Step::write(Change::Leaf, state, view.ask == Some(Ask::Leaf)))
}

/// The next authority may sign once everybody has known it for a while.
fn take_over(state: &State, next: &Pair, view: &View<'_>) -> Result<Step, Error> {
    if !matches!(standing(next, view.now), Standing::Good(_)) {
        return stage(state, view);
    }
    if let Some(wait) = wait(view, view.pace.grace) {
        return Ok(wait);
    }
    let authority = Authority::read(next)?;
    let leaf = authority.issue_for(view.request, view.now, view.pace.leaf)?;
    let old = Some(state.authority.certificate.clone());
    let state = State { authority: next.clone(), leaf, next: None, old };
    Ok(Step::write(Change::Exchange, state, false))
}

fn drop_old(state: &State, old: &str, view: &View<'_>) -> Step {
    let useless = judge::ends(old).is_none();
    let dropped = || Step::write(Change::Drop, State { old: None, ..state.clone() }, false);
    wait(view, view.pace.overlap).filter(|_| !useless).unwrap_or_else(dropped)
}

fn stage(state: &State, view: &View<'_>) -> Result<Step, Error> {
    let next = Some(make(view)?.pair().clone());
    let state = State { next, ..state.clone() };
    Ok(Step::write(Change::Stage, state, view.ask == Some(Ask::Authority)))
}

fn make(view: &View<'_>) -> Result<Authority, Error> {
    Authority::make_for(SUBJECT, view.now, view.pace.authority)
}

/// What is left to wait of `wanted`, if anything.
fn wait(view: &View<'_>, wanted: Duration) -> Option<Step> {
    match view.trusted {
        None => Some(Step::Wait(None)),
        Some(trusted) => {
            wanted.checked_sub(trusted).filter(|left| !left.is_zero()).map(|left| Step::Wait(Some(left)))
        }
    }
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rotation_crashes.rs"]
mod crashes;
