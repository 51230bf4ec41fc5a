//! Where a hub keeps its objects: as they are, or packed.
//!
//! In: objects. Out: the same, by key. It tells nobody of anything.
//!
//! A Deployment of Kong takes 45 kB as k8s-openapi's types, which keep room for each optional field, and 6 kB as
//! JSON. Unpacking it takes some 50 µs, at each reconcile of the object that owns it and not while nothing happens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use serde::Serialize;

use super::Watched;

type All<K> = RwLock<HashMap<ObjectRef<K>, Packed>>;

/// The objects of one kind.
pub(super) enum Stock<K: Watched> {
    /// In kube's own store.
    Open { store: Store<K>, writer: Mutex<Writer<K>> },
    /// As JSON. The functions are named here so that only kinds that are packed have them in the program.
    Packed {
        all: All<K>,
        pack: fn(&K) -> serde_json::Result<String>,
        unpack: fn(&str) -> serde_json::Result<K>,
    },
}

pub(super) struct Packed {
    version: Option<String>,
    json: Box<str>,
}

impl<K: Watched> Stock<K> {
    pub fn open() -> Self {
        let mut writer = Writer::<K>::default();
        let store = writer.as_reader();
        // The store would wait for a first list; the coverage knows better.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        Self::Open { store, writer: Mutex::new(writer) }
    }

    pub fn packed() -> Self
    where
        K: Serialize,
    {
        Self::Packed {
            all: RwLock::default(),
            pack: serde_json::to_string,
            unpack: |json| serde_json::from_str(json),
        }
    }

    pub fn get(&self, key: &ObjectRef<K>) -> Option<Arc<K>> {
        match self {
            Self::Open { store, .. } => store.get(key),
            Self::Packed { all, unpack, .. } => open(*unpack, read(all).get(key)?),
        }
    }

    /// The version of an object that is kept.
    pub fn version(&self, key: &ObjectRef<K>) -> Option<String> {
        match self {
            Self::Open { store, .. } => store.get(key)?.resource_version(),
            Self::Packed { all, .. } => read(all).get(key)?.version.clone(),
        }
    }

    pub fn select(&self, keep: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        match self {
            Self::Open { store, .. } => store.state_filter(keep),
            Self::Packed { all, unpack, .. } => {
                let all = read(all);
                let objects = all.values().filter_map(|packed| open(*unpack, packed));
                objects.filter(|object| keep(object)).collect()
            }
        }
    }

    pub fn keys(&self) -> Vec<ObjectRef<K>> {
        match self {
            Self::Open { store, .. } => {
                store.state().iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
            }
            Self::Packed { all, .. } => read(all).keys().cloned().collect(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Open { store, .. } => store.len(),
            Self::Packed { all, .. } => read(all).len(),
        }
    }

    /// Keeps an object, and returns it as it is to be told of.
    pub fn put(&self, object: K) -> Arc<K> {
        let key = ObjectRef::from_obj(&object);
        match self {
            Self::Open { store, writer } => {
                let event = Event::Apply(object.clone());
                writer.lock().unwrap_or_else(PoisonError::into_inner).apply_watcher_event(&event);
                store.get(&key).unwrap_or_else(|| Arc::new(object))
            }
            Self::Packed { all, pack, .. } => {
                match pack(&object) {
                    Ok(json) => {
                        let packed =
                            Packed { version: object.resource_version(), json: json.into_boxed_str() };
                        all.write().unwrap_or_else(PoisonError::into_inner).insert(key, packed);
                    }
                    Err(error) => blame::<K>(&error),
                }
                Arc::new(object)
            }
        }
    }

    pub fn remove(&self, object: &K) {
        match self {
            Self::Open { writer, .. } => {
                let event = Event::Delete(object.clone());
                writer.lock().unwrap_or_else(PoisonError::into_inner).apply_watcher_event(&event);
            }
            Self::Packed { all, .. } => {
                let key = ObjectRef::from_obj(object);
                all.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
            }
        }
    }
}

fn read<K: Watched>(all: &All<K>) -> RwLockReadGuard<'_, HashMap<ObjectRef<K>, Packed>> {
    all.read().unwrap_or_else(PoisonError::into_inner)
}

fn open<K: Watched>(unpack: fn(&str) -> serde_json::Result<K>, packed: &Packed) -> Option<Arc<K>> {
    unpack(&packed.json).inspect_err(blame::<K>).map(Arc::new).ok()
}

/// What was decoded from JSON goes there and back.
fn blame<K: Resource<DynamicType = ()>>(error: &serde_json::Error) {
    tracing::error!(kind = %K::kind(&()), %error, "an object cannot be kept");
}
