//! From watch events to what is kept: a list in the middle of a watch, too, is only the difference that it makes.
//!
//! In: events of one place. Out: objects put on a shelf or taken from it. kube's own store swaps all of its
//! content at each list, which neither suits several places in one store nor tells what vanished.

use std::collections::HashSet;

use futures::{Stream, StreamExt};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

use super::place::Place;

/// Namespace and name.
pub(super) type Key = (String, String);

/// What objects of a kind are kept on.
pub(super) trait Shelf<K> {
    /// The object is there, as it is now.
    fn put(&self, object: K);
    /// The object is gone; this is how it last was.
    fn take(&self, object: K);
    /// A list of that place is complete: whatever else is kept of it vanished while nobody looked.
    fn sweep(&self, place: &Place, listed: &HashSet<Key>);
}

/// Keeps on `shelf` what the events of a place tell.
pub(super) async fn follow<K: Resource>(
    place: Place,
    events: impl Stream<Item = Event<K>> + Send,
    shelf: impl Shelf<K>,
) {
    let mut events = std::pin::pin!(events);
    let mut listed = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Init => listed = HashSet::new(),
            Event::InitApply(object) => {
                listed.insert((object.namespace().unwrap_or_default(), object.name_any()));
                shelf.put(object);
            }
            Event::InitDone => shelf.sweep(&place, &std::mem::take(&mut listed)),
            Event::Apply(object) => shelf.put(object),
            Event::Delete(object) => shelf.take(object),
        }
    }
}
