//! What is watched by now and what is not, kind by kind and place by place.
//!
//! In: what each watch met. Out: whether the stores can be relied on, and what is missing in words for the log
//! and for readiness. It decides nothing and watches nothing itself.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use super::place::Place;

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Its first list is under way, or waits for something else.
    Begun,
    /// Its first list is in the store, and the watch goes on.
    Listed,
    /// The API server does not let us, for this reason.
    Refused(String),
    /// The API server does not know the kind; this is the name of its definition.
    Absent(String),
}

type States = BTreeMap<Place, BTreeMap<String, State>>;

/// The state of all watches of the process. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    states: watch::Sender<States>,
    /// Whether it is beside another one, which tells the log of a place that is refused.
    is_beside: bool,
}

impl Coverage {
    /// That of watches without which the rest of the process goes on: the log has a warning for a place that is refused,
    /// and the error is the other's.
    pub fn beside() -> Self {
        Self { is_beside: true, ..Self::default() }
    }

    /// Says that a kind is going to be watched.
    pub fn expect(&self, place: &Place, kind: &str) {
        self.note(place, kind, State::Begun);
    }

    /// Says that a kind is watched, and tells the log when it was the last that was refused in that place.
    pub fn listed(&self, place: &Place, kind: &str) {
        let healed = self.is_refused(place);
        self.note(place, kind, State::Listed);
        if healed && !self.is_refused(place) && !self.is_beside {
            tracing::info!(%place, "everything in it can be watched now");
        }
    }

    /// Says that the API server refuses a kind, and tells the log when it is the first in that place.
    pub fn refused(&self, place: &Place, kind: &str, reason: &str) {
        match (self.is_refused(place), self.is_beside) {
            (true, _) => {}
            (false, false) => log(place, kind, reason),
            (false, true) => {
                tracing::warn!(%place, kind, reason, "may not be watched: what needs it waits, apply manifests/rbac");
            }
        }
        self.note(place, kind, State::Refused(reason.to_owned()));
    }

    /// Says that the API server does not know a kind. Who finds that out tells the log.
    pub fn absent(&self, place: &Place, kind: &str, definition: &str) {
        self.note(place, kind, State::Absent(definition.to_owned()));
    }

    /// Whether a kind is watched there.
    pub fn is_listed(&self, place: &Place, kind: &str) -> bool {
        self.states.borrow().get(place).and_then(|there| there.get(kind)) == Some(&State::Listed)
    }

    /// Waits until these kinds are listed there; one that the API server does not know has nothing to be listed.
    pub async fn holds(&self, place: &Place, kinds: &BTreeSet<String>) {
        let is_known = |state: &State| matches!(state, State::Listed | State::Absent(_));
        let all = |states: &States| {
            let there = states.get(place);
            kinds.iter().all(|kind| there.and_then(|there| there.get(kind)).is_some_and(is_known))
        };
        self.until(all).await;
    }

    /// Waits until every kind but these is known, or known not to be there.
    pub async fn settled(&self, but: &[String]) {
        let known = |(kind, state): (&String, &State)| but.contains(kind) || *state != State::Begun;
        self.until(|states| states.values().flatten().all(known)).await;
    }

    /// Waits until each place is either known in full or known to lack something: one that does, does not keep the
    /// others waiting.
    pub async fn begun(&self) {
        let known = |there: &BTreeMap<String, State>| {
            there.values().all(|state| *state == State::Listed)
                || there.values().any(|state| matches!(state, State::Refused(_) | State::Absent(_)))
        };
        self.until(|states| states.values().all(known)).await;
    }

    /// Whether all is watched; else what is not, place by place.
    ///
    /// # Errors
    /// The words for readiness.
    pub fn whole(&self) -> Result<(), String> {
        let missing: Vec<_> =
            self.states.borrow().iter().filter_map(|(place, there)| lacking(place, there)).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }

    fn is_refused(&self, place: &Place) -> bool {
        let states = self.states.borrow();
        states.get(place).is_some_and(|there| there.values().any(|state| matches!(state, State::Refused(_))))
    }

    fn note(&self, place: &Place, kind: &str, state: State) {
        self.states.send_modify(|states| {
            states.entry(place.clone()).or_default().insert(kind.to_owned(), state);
        });
    }

    async fn until(&self, done: impl FnMut(&States) -> bool) {
        // The sender is ours, so the wait cannot fail.
        let _ = self.states.subscribe().wait_for(done).await;
    }
}

fn log(place: &Place, kind: &str, reason: &str) {
    match place {
        Place::Everywhere => tracing::error!(
            kind,
            reason,
            "may not be watched: apply manifests/rbac, or name the namespaces to watch by --watch-namespaces"
        ),
        Place::Namespace(namespace) => tracing::error!(
            %namespace,
            kind,
            reason,
            "nothing in this namespace is looked after: it does not exist, or the operator has no rights in it; apply manifests/rbac/namespaced there"
        ),
    }
}

fn lacking(place: &Place, there: &BTreeMap<String, State>) -> Option<String> {
    let refused = there.iter().find_map(|(kind, state)| match state {
        State::Refused(reason) => Some(format!("{place}: {kind}: {reason}")),
        State::Absent(definition) => {
            Some(format!("{place}: {kind}: CustomResourceDefinition {definition} is not installed"))
        }
        State::Begun | State::Listed => None,
    });
    let begun: Vec<_> =
        there.iter().filter(|(_, state)| **state == State::Begun).map(|(kind, _)| kind.as_str()).collect();
    let pending = || (!begun.is_empty()).then(|| format!("{place}: not listed yet: {}", begun.join(", ")));
    refused.or_else(pending)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn place(name: &str) -> Place {
        Place::Namespace(name.into())
    }

    #[test]
    fn a_place_that_is_refused_does_not_keep_the_others_waiting() {
        let coverage = Coverage::default();
        for name in ["a", "b"] {
            coverage.expect(&place(name), "Pod");
            coverage.expect(&place(name), "Secret");
        }
        coverage.listed(&place("a"), "Pod");
        coverage.refused(&place("b"), "Pod", "forbidden");
        assert!(coverage.begun().now_or_never().is_none(), "Secrets of a are not listed");
        coverage.listed(&place("a"), "Secret");
        assert!(coverage.begun().now_or_never().is_some());
        assert_eq!(coverage.whole().unwrap_err(), "namespace b: Pod: forbidden");
    }

    #[test]
    fn an_absent_kind_is_named_and_keeps_nobody_waiting() {
        let coverage = Coverage::default();
        coverage.expect(&Place::Everywhere, "DataPlane");
        coverage.absent(&Place::Everywhere, "DataPlane", "dataplanes.example");
        assert!(coverage.begun().now_or_never().is_some());
        assert!(coverage.whole().unwrap_err().contains("dataplanes.example is not installed"));
    }

    #[test]
    fn all_but_some_are_waited_for_until_it_is_known_what_there_is() {
        let coverage = Coverage::default();
        for kind in ["Gateway", "HTTPRoute", "TCPRoute"] {
            coverage.expect(&Place::Everywhere, kind);
        }
        let but = ["Gateway".to_owned()];
        coverage.absent(&Place::Everywhere, "TCPRoute", "tcproutes.example");
        assert!(coverage.settled(&but).now_or_never().is_none(), "routes are not listed");
        coverage.listed(&Place::Everywhere, "HTTPRoute");
        assert!(coverage.settled(&but).now_or_never().is_some());
    }

    #[test]
    fn what_heals_is_no_longer_missing() {
        let coverage = Coverage::default();
        coverage.expect(&Place::Everywhere, "Pod");
        assert_eq!(coverage.whole().unwrap_err(), "all namespaces: not listed yet: Pod");
        coverage.refused(&Place::Everywhere, "Pod", "forbidden");
        let pods = BTreeSet::from(["Pod".to_owned()]);
        assert!(coverage.holds(&Place::Everywhere, &pods).now_or_never().is_none());
        coverage.listed(&Place::Everywhere, "Pod");
        assert!(coverage.holds(&Place::Everywhere, &pods).now_or_never().is_some());
        assert_eq!(coverage.whole(), Ok(()));
    }
}
