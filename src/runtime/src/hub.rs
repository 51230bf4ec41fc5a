//! One watch per kind for the whole process: a store to read from and a stream of what was touched.
//!
//! In: a watch stream. Out: a warm store, and every object that appeared, changed, was deleted or vanished
//! while a watch was broken (kube's own shared streams tell of neither deletes nor relist losses).
//! It never writes, and it drops an object it cannot decode instead of stopping for it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, Stream, StreamExt};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::metrics::Metrics;

/// How many touches a slow reader may lag behind before it is told to look at everything.
const DEPTH: usize = 1024;

/// What every watched kind must be able to do.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Watched for K {}

/// Something a watch told.
#[derive(Debug, Clone)]
pub enum Touch<K> {
    /// This object appeared, changed or went; the store says which.
    Object(Arc<K>),
    /// The reader was too slow, and anything may have changed.
    Resync,
}

type Index<K> = HashMap<ObjectRef<K>, Arc<K>>;

/// Answers to our own writes that the watch has not shown yet.
struct Ahead<K: Watched> {
    /// The highest version that the watch has shown, of any object, deleted ones included.
    seen: u128,
    answers: Index<K>,
}

/// The store and the touches of one kind. Cloning it shares both.
pub struct Hub<K: Watched> {
    store: Store<K>,
    touches: broadcast::Sender<Touch<K>>,
    ahead: Arc<Mutex<Ahead<K>>>,
}

impl<K: Watched> Clone for Hub<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), touches: self.touches.clone(), ahead: Arc::clone(&self.ahead) }
    }
}

impl<K: Watched> Hub<K> {
    /// Watches a kind in all namespaces; the future drives the watch and ends only with the process.
    pub fn watch(
        client: Client,
        config: watcher::Config,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let kind = K::kind(&());
        let guarded: Api<DeserializeGuard<K>> = Api::all(client);
        let events = kube::runtime::watcher(guarded, config).default_backoff().filter_map(move |event| {
            let event = match event {
                Ok(event) => decoded(event),
                Err(error) => {
                    tracing::warn!(%kind, error = &error as &dyn std::error::Error, "watch broken, trying again");
                    metrics.watch_broken(&kind);
                    None
                }
            };
            futures::future::ready(event)
        });
        Self::over(events)
    }

    /// Follows a stream of watch events; for [`Hub::watch`] and for tests.
    pub fn over(events: impl Stream<Item = Event<K>> + Send) -> (Self, impl Future<Output = ()> + Send) {
        let (store, writer) = reflector::store::<K>();
        let (touches, _) = broadcast::channel(DEPTH);
        let ahead = Arc::new(Mutex::new(Ahead { seen: 0, answers: Index::new() }));
        let hub = Self { store, touches, ahead };
        let drive = follow(events, writer, hub.clone());
        (hub, drive)
    }

    /// Waits until the first list is in the store.
    pub async fn synced(&self) {
        // The writer lives in the driving future, which ends only with the process.
        let _ = self.store.wait_until_ready().await;
    }

    /// The object as last seen, by the watch or as the answer to a write of ours.
    pub fn get(&self, key: &ObjectRef<K>) -> Option<Arc<K>> {
        let answer = self.ahead().answers.get(key).cloned();
        answer.or_else(|| self.store.get(key))
    }

    /// All objects the watch has shown that `keep` accepts.
    pub fn select(&self, keep: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.store.state_filter(keep)
    }

    /// References to all objects.
    pub fn all(&self) -> Vec<ObjectRef<K>> {
        self.store.state().iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
    }

    /// kube's reader of the same store.
    pub fn reader(&self) -> Store<K> {
        self.store.clone()
    }

    /// Notes the answer to a write, so that what is read next is never older than it. An answer that comes
    /// later than the watch's own word, which may be that the object is gone, is not news.
    pub fn note(&self, object: K) {
        let mut ahead = self.ahead();
        if version(&object) > ahead.seen {
            ahead.answers.insert(ObjectRef::from_obj(&object), Arc::new(object));
        }
    }

    fn ahead(&self) -> std::sync::MutexGuard<'_, Ahead<K>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What exists now, then everything that is touched from now on.
    pub fn touched(&self) -> impl Stream<Item = Touch<K>> + Send + use<K> {
        // Subscribed before the snapshot: doubles are harmless, gaps are not.
        let live = self.touches.subscribe();
        let now = self.store.state().into_iter().map(Touch::Object);
        stream::iter(now).chain(stream::unfold(live, |mut live| async move {
            match live.recv().await {
                Ok(touch) => Some((touch, live)),
                Err(RecvError::Lagged(_)) => Some((Touch::Resync, live)),
                Err(RecvError::Closed) => None,
            }
        }))
    }

    /// What the watch has shown up to here takes the place of older answers.
    fn catch_up(&self, event: &Event<K>) {
        if let Event::Apply(object) | Event::Delete(object) | Event::InitApply(object) = event {
            let shown = version(object);
            let mut ahead = self.ahead();
            ahead.seen = ahead.seen.max(shown);
            ahead.answers.retain(|_, answer| version(answer.as_ref()) > shown);
        }
    }
}

/// Resource versions of one kind can be compared as numbers, also across objects (KEP-5504).
fn version<K: Resource>(object: &K) -> u128 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

async fn follow<K: Watched>(
    events: impl Stream<Item = Event<K>> + Send,
    mut writer: StoreWriter<K>,
    hub: Hub<K>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(mut event) = events.next().await {
        strip(&mut event);
        let before = matches!(event, Event::InitDone).then(|| index(&hub.store));
        let disowned = disowned(&event, &hub.store);
        writer.apply_watcher_event(&event);
        hub.catch_up(&event);
        for object in disowned.into_iter().chain(touched_by(event, before, &hub.store)) {
            // No reader yet is fine: a late one begins with a snapshot.
            let _ = hub.touches.send(Touch::Object(object));
        }
    }
}

/// The object as it was, when its owners change: those it had want to know.
fn disowned<K: Watched>(event: &Event<K>, store: &Store<K>) -> Option<Arc<K>> {
    let Event::Apply(object) = event else { return None };
    let before = store.get(&ObjectRef::from_obj(object))?;
    (before.owner_references() != object.owner_references()).then_some(before)
}

/// Managed fields are half of an object's size and nobody here reads them.
fn strip<K: Resource>(event: &mut Event<K>) {
    if let Event::Apply(object) | Event::Delete(object) | Event::InitApply(object) = event {
        object.meta_mut().managed_fields = None;
    }
}

fn index<K: Watched>(store: &Store<K>) -> Index<K>
where
    ObjectRef<K>: Eq + Hash,
{
    store.state().into_iter().map(|object| (ObjectRef::from_obj(object.as_ref()), object)).collect()
}

/// After a relist: what vanished while nobody looked, and what is new or another version.
fn touched_by<K: Watched>(event: Event<K>, before: Option<Index<K>>, store: &Store<K>) -> Vec<Arc<K>> {
    match event {
        Event::Apply(object) | Event::Delete(object) => vec![Arc::new(object)],
        Event::Init | Event::InitApply(_) => vec![],
        Event::InitDone => {
            let before = before.unwrap_or_default();
            let after = index(store);
            let changed = after.iter().filter(|(key, object)| {
                before.get(*key).is_none_or(|old| old.resource_version() != object.resource_version())
            });
            let changed: Vec<_> = changed.map(|(_, object)| Arc::clone(object)).collect();
            let gone =
                before.into_iter().filter(|(key, _)| !after.contains_key(key)).map(|(_, object)| object);
            gone.chain(changed).collect()
        }
    }
}

/// One object that does not decode must not stop the watch for the others.
fn decoded<K: Resource<DynamicType = ()>>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
    let open = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            let namespace = invalid.metadata.namespace.as_deref().unwrap_or_default();
            tracing::error!(kind = %K::kind(&()), namespace, name, error = %invalid.error, "object does not decode, left alone");
            None
        }
    };
    Some(match event {
        Event::Apply(guard) => Event::Apply(open(guard)?),
        Event::Delete(guard) => Event::Delete(open(guard)?),
        Event::InitApply(guard) => Event::InitApply(open(guard)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
