//! What the conditions of a Gateway and of its listeners will say, for who is about to store it.
//!
//! In: a Gateway that was judged. Out: what is wrong with it, each a path and words. Never: what only time tells, such as
//! whether it is served.

use super::Judged;
use super::listeners::Entry;
use super::words::LISTENERS_NOT_VALID;

/// Where a Gateway names its own parameters.
const PARAMETERS: &str = "spec.infrastructure.parametersRef";
/// How words about the parameters of its class begin.
const OF_CLASS: &str = "GatewayClass: ";

impl Judged<'_> {
    /// What is wrong, in the words of the conditions, each after the path of the field that it is about.
    pub fn wrong(&self) -> Vec<String> {
        let is_own = !self.verdict.holds() && self.verdict.reason != LISTENERS_NOT_VALID;
        let own = is_own.then(|| placed(&self.verdict.message));
        let listeners = self.own.iter().enumerate();
        own.into_iter()
            .chain(listeners.flat_map(|(index, counted)| of_listener(index, &counted.entry)))
            .collect()
    }
}

fn placed(words: &str) -> String {
    if words.starts_with("spec.") {
        return words.to_owned();
    }
    let at = if words.starts_with(OF_CLASS) { "spec.gatewayClassName" } else { PARAMETERS };
    format!("{at}: {words}")
}

fn of_listener(index: usize, entry: &Entry) -> impl Iterator<Item = String> {
    let all = [&entry.refused, &entry.conflict, &entry.unresolved, &entry.kinds.refused];
    all.into_iter().flatten().map(move |(_, words)| format!("spec.listeners[{index}]: {words}"))
}
