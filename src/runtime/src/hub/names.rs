//! Which objects of a kind exist, and nothing else of them.
//!
//! In: a metadata-only watch. Out: whether an object of that name is there, and which came or went. Labels,
//! annotations and data never leave the decoder: a thousand Secrets cost their names.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use kube::core::ClusterResourceScope;
use kube::{Api, Resource, ResourceExt};
use tokio::sync::broadcast;

use super::follow::{Key, Shelf, follow};
use super::place::Place;
use super::source::{Source, Streamed, events};
use super::{DEPTH, Touch, Watched, live};
use crate::bare::Bare;

/// Names by namespace.
type Known = HashMap<Box<str>, HashSet<Box<str>>>;

/// Namespace and name of an object that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The names of all objects of a kind. Cloning shares them.
#[derive(Clone)]
pub struct Names {
    known: Arc<Mutex<Known>>,
    touches: broadcast::Sender<Touch<Name>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { known: Arc::default(), touches: broadcast::channel(DEPTH).0 }
    }
}

impl Names {
    /// Watches a kind in one place; the future drives the watch and never ends.
    pub fn watch<K: Streamed>(&self, source: Source) -> impl Future<Output = ()> + Send + use<K> {
        let known_as = Self::known_as::<K>();
        let (place, counted) = (source.place.clone(), self.clone());
        source.metrics.store(&known_as, move || counted.len());
        let api = place.api::<Bare<K>>(&source.client);
        follow(place, events(source, api, known_as), self.clone())
    }

    /// Watches a kind that has no namespace; the future drives the watch and never ends.
    pub fn watch_cluster<K>(&self, source: Source) -> impl Future<Output = ()> + Send + use<K>
    where
        K: Watched + Resource<Scope = ClusterResourceScope>,
    {
        let known_as = Self::known_as::<K>();
        let counted = self.clone();
        source.metrics.store(&known_as, move || counted.len());
        let api = Api::<Bare<K>>::all(source.client.clone());
        let source = Source { place: Place::Everywhere, ..source };
        follow(Place::Everywhere, events(source, api, known_as), self.clone())
    }

    /// What the coverage calls the watch of a kind's names.
    pub fn known_as<K: Resource<DynamicType = ()>>() -> String {
        format!("{} metadata", K::kind(&()))
    }

    /// Whether an object of that name exists.
    pub fn contains(&self, namespace: &str, name: &str) -> bool {
        self.known().get(namespace).is_some_and(|names| names.contains(name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known().values().map(HashSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// Objects that come or go from now on. Changes of one that stays are not told.
    pub fn touched(&self) -> impl Stream<Item = Touch<Name>> + Send + use<> {
        live(self.touches.subscribe())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, namespace: &str, name: &str) {
        let name = Name { namespace: namespace.to_owned(), name: name.to_owned() };
        // No reader yet is fine: a late one asks for what it needs.
        let _ = self.touches.send(Touch::Object(Arc::new(name)));
    }

    fn remove(&self, namespace: &str, name: &str) {
        let mut known = self.known();
        let Some(names) = known.get_mut(namespace) else { return };
        let gone = names.remove(name);
        if names.is_empty() {
            known.remove(namespace);
        }
        drop(known);
        if gone {
            self.tell(namespace, name);
        }
    }
}

impl<K: Watched> Shelf<Bare<K>> for Names {
    fn put(&self, object: Bare<K>) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let new = self.known().entry(namespace.as_str().into()).or_default().insert(name.as_str().into());
        if new {
            self.tell(&namespace, &name);
        }
    }

    fn take(&self, object: Bare<K>) {
        self.remove(&object.namespace().unwrap_or_default(), &object.name_any());
    }

    fn sweep(&self, place: &Place, listed: &HashSet<Key>) {
        let known = self.known();
        let there = known.iter().filter(|(namespace, _)| place.holds(namespace));
        let keys = there.flat_map(|(namespace, names)| {
            names.iter().map(|name| (namespace.as_ref().to_owned(), name.as_ref().to_owned()))
        });
        let gone: Vec<Key> = keys.filter(|key| !listed.contains(key)).collect();
        drop(known);
        for (namespace, name) in gone {
            self.remove(&namespace, &name);
        }
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
