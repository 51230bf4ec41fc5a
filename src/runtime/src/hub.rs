//! One store per kind for the whole process, to read from, and a stream of what was touched.
//!
//! In: watches of a kind, one for each place. Out: a warm store, and every object that appeared, changed, was
//! deleted or vanished while a watch was broken (kube's own shared streams tell of neither deletes nor relist
//! losses). It never writes, and it drops an object it cannot decode instead of stopping for it.

mod coverage;
mod follow;
mod guard;
mod names;
mod place;
mod source;
mod stock;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::ready;
use futures::stream::{self, Stream, StreamExt};
use kube::core::ClusterResourceScope;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

use follow::{Key, Shelf, follow};
use guard::Guarded;
use stock::Stock;

pub use coverage::Coverage;
pub use names::{Name, Names};
pub use place::Place;
pub use source::{Source, Streamed};

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

/// Answers to our own writes that the watch has not shown yet.
struct Ahead<K: Watched> {
    /// The highest version that the watch has shown, of any object, deleted ones included.
    seen: u128,
    answers: HashMap<ObjectRef<K>, Arc<K>>,
}

/// The store and the touches of one kind. Cloning it shares both.
pub struct Hub<K: Watched> {
    stock: Arc<Stock<K>>,
    touches: broadcast::Sender<Touch<K>>,
    ahead: Arc<Mutex<Ahead<K>>>,
    /// Places whose first list is not in the store yet.
    pending: watch::Sender<BTreeSet<Place>>,
    /// What is taken off an object before it is kept.
    trim: fn(&mut K),
}

impl<K: Watched> Clone for Hub<K> {
    fn clone(&self) -> Self {
        Self {
            stock: Arc::clone(&self.stock),
            touches: self.touches.clone(),
            ahead: Arc::clone(&self.ahead),
            pending: self.pending.clone(),
            trim: self.trim,
        }
    }
}

impl<K: Watched> Default for Hub<K> {
    fn default() -> Self {
        Self::trimmed(|_| ())
    }
}

impl<K: Watched> Hub<K> {
    /// An empty store that keeps of each object what `trim` leaves of it. Managed fields are never kept: they are
    /// half of an object's size and nobody here reads them.
    pub fn trimmed(trim: fn(&mut K)) -> Self {
        Self::of(Stock::open(), trim)
    }

    /// An empty store of large objects that are read one by one and not often: each is unpacked when it is asked
    /// for.
    pub fn packed() -> Self
    where
        K: Serialize,
    {
        Self::of(Stock::packed(), |_| ())
    }

    fn of(stock: Stock<K>, trim: fn(&mut K)) -> Self {
        let ahead = Ahead { seen: 0, answers: HashMap::new() };
        Self {
            stock: Arc::new(stock),
            touches: broadcast::channel(DEPTH).0,
            ahead: Arc::new(Mutex::new(ahead)),
            pending: watch::Sender::default(),
            trim,
        }
    }

    /// Watches the kind in one more place; the future drives the watch and never ends.
    pub fn watch(&self, source: Source) -> impl Future<Output = ()> + Send + use<K>
    where
        K: Streamed,
    {
        let api = source.place.api::<Guarded<K>>(&source.client);
        self.stream(source, api)
    }

    /// Watches a kind that has no namespace; the future drives the watch and never ends.
    pub fn watch_cluster(&self, source: Source) -> impl Future<Output = ()> + Send + use<K>
    where
        K: Resource<Scope = ClusterResourceScope>,
    {
        let api = Api::<Guarded<K>>::all(source.client.clone());
        self.stream(Source { place: Place::Everywhere, ..source }, api)
    }

    fn stream(&self, source: Source, api: Api<Guarded<K>>) -> impl Future<Output = ()> + Send + use<K> {
        let (place, counted) = (source.place.clone(), Arc::clone(&self.stock));
        source.metrics.store(&Self::known_as(), move || counted.len());
        let events = source::events(source, api, Self::known_as());
        let kept = Arc::clone(&self.stock);
        let events = events.filter_map(move |event| ready(decoded(event, |key| kept.get(key))));
        self.follow(place, events)
    }

    /// What the coverage calls the watch.
    pub fn known_as() -> String {
        K::kind(&()).into_owned()
    }

    /// A store that follows a stream of watch events of all namespaces; for tests.
    pub fn over<E>(events: E) -> (Self, impl Future<Output = ()> + Send + use<K, E>)
    where
        E: Stream<Item = Event<K>> + Send,
    {
        let hub = Self::default();
        let drive = hub.follow(Place::Everywhere, events);
        (hub, drive)
    }

    fn follow<E>(&self, place: Place, events: E) -> impl Future<Output = ()> + Send + use<K, E>
    where
        E: Stream<Item = Event<K>> + Send,
    {
        self.pending.send_modify(|pending| {
            pending.insert(place.clone());
        });
        follow(place, events, self.clone())
    }

    /// Forgets everything of a place, and tells of each object as gone: its watch has ended for good.
    pub fn clear(&self, place: &Place) {
        self.sweep(place, &HashSet::new());
    }

    /// Waits until the first list of each place that is watched by now is in the store.
    pub async fn synced(&self) {
        // The sender is ours, so the wait cannot fail.
        let _ = self.pending.subscribe().wait_for(BTreeSet::is_empty).await;
    }

    /// The object as last seen, by the watch or as the answer to a write of ours.
    pub fn get(&self, key: &ObjectRef<K>) -> Option<Arc<K>> {
        let answer = self.ahead().answers.get(key).cloned();
        answer.or_else(|| self.stock.get(key))
    }

    /// All objects the watch has shown that `keep` accepts.
    pub fn select(&self, keep: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.stock.select(keep)
    }

    /// References to all objects.
    pub fn all(&self) -> Vec<ObjectRef<K>> {
        self.stock.keys()
    }

    /// Notes the answer to a write, so that what is read next is never older than it. An answer that comes
    /// later than the watch's own word, which may be that the object is gone, is not news.
    pub fn note(&self, mut object: K) {
        self.shorten(&mut object);
        let mut ahead = self.ahead();
        if version(&object) > ahead.seen {
            ahead.answers.insert(ObjectRef::from_obj(&object), Arc::new(object));
        }
    }

    /// What exists now, then everything that is touched from now on.
    pub fn touched(&self) -> impl Stream<Item = Touch<K>> + Send + use<K> {
        // Subscribed before the snapshot: doubles are harmless, gaps are not.
        let news = live(self.touches.subscribe());
        let hub = self.clone();
        let now = self.stock.keys().into_iter().filter_map(move |key| hub.stock.get(&key)).map(Touch::Object);
        stream::iter(now).chain(news)
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead<K>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shorten(&self, object: &mut K) {
        object.meta_mut().managed_fields = None;
        (self.trim)(object);
    }

    /// What the watch has shown up to here takes the place of older answers.
    fn catch_up(&self, shown: &K) {
        let shown = version(shown);
        let mut ahead = self.ahead();
        ahead.seen = ahead.seen.max(shown);
        ahead.answers.retain(|_, answer| version(answer.as_ref()) > shown);
    }

    fn tell(&self, object: Arc<K>) {
        // No reader yet is fine: a late one begins with a snapshot.
        let _ = self.touches.send(Touch::Object(object));
    }
}

impl<K: Watched> Shelf<K> for Hub<K> {
    fn put(&self, mut object: K) {
        self.shorten(&mut object);
        let key = ObjectRef::from_obj(&object);
        self.catch_up(&object);
        let before = self.stock.version(&key);
        if before.is_some() && before == object.resource_version() {
            return;
        }
        // The object as it was, when its owners change: those it had want to know.
        let disowned = before.and_then(|_| self.stock.get(&key));
        let disowned = disowned.filter(|before| before.owner_references() != object.owner_references());
        for touched in disowned.into_iter().chain([self.stock.put(object)]) {
            self.tell(touched);
        }
    }

    fn take(&self, mut object: K) {
        self.shorten(&mut object);
        self.catch_up(&object);
        self.stock.remove(&object);
        self.tell(Arc::new(object));
    }

    fn sweep(&self, place: &Place, listed: &HashSet<Key>) {
        let gone = self.stock.select(|object| {
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            place.holds(&key.0) && !listed.contains(&key)
        });
        for object in gone {
            self.stock.remove(&object);
            self.tell(object);
        }
        self.pending.send_if_modified(|pending| pending.remove(place));
    }
}

/// Resource versions of one kind can be compared as numbers, also across objects (KEP-5504).
fn version<K: Resource>(object: &K) -> u128 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// What is told from now on.
fn live<T: Send + Sync + 'static>(
    receiver: broadcast::Receiver<Touch<T>>,
) -> impl Stream<Item = Touch<T>> + Send
where
    Touch<T>: Clone,
{
    stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(touch) => Some((touch, receiver)),
            Err(RecvError::Lagged(_)) => Some((Touch::Resync, receiver)),
            Err(RecvError::Closed) => None,
        }
    })
}

/// One object that does not decode must not stop the watch for the others. Where it goes, what goes is how it was
/// `kept`, from when it still decoded.
fn decoded<K: Watched>(
    event: Event<Guarded<K>>,
    kept: impl Fn(&ObjectRef<K>) -> Option<Arc<K>>,
) -> Option<Event<K>> {
    let open = |guarded| match guarded {
        Guarded::Good(object) => Some(object),
        Guarded::Bad { metadata, error } => {
            let (namespace, name) =
                (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
            tracing::error!(kind = %K::kind(&()), namespace, name, error, "object does not decode, left alone");
            None
        }
    };
    Some(match event {
        Event::Apply(guard) => Event::Apply(open(guard)?),
        Event::Delete(Guarded::Bad { metadata, .. }) => {
            let key = ObjectRef::new(metadata.name.as_deref().unwrap_or_default());
            let key = key.within(metadata.namespace.as_deref().unwrap_or_default());
            Event::Delete(Arc::unwrap_or_clone(kept(&key)?))
        }
        Event::Delete(Guarded::Good(object)) => Event::Delete(object),
        Event::InitApply(guard) => Event::InitApply(open(guard)?),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    })
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
