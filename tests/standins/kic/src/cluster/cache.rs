//! Objects of one kind as a watch told of them.
//! In: events of watches, one for each namespace or one for all. Out: objects. Never asks the API server itself.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use kube::ResourceExt;
use kube::core::DynamicObject;
use kube::runtime::watcher::Event;

use crate::settings::values::Named;

/// What is kept of an object.
pub trait Kept: Sized + Send + Sync + 'static {
    /// Reads the object; one that cannot be read is not kept.
    fn read(object: &DynamicObject) -> Option<Self>;
}

/// An object as it came and as it was read.
#[derive(Debug)]
pub struct Entry<T> {
    /// As it came, for writing it back.
    pub raw: DynamicObject,
    /// As it was read.
    pub read: T,
}

/// Objects by namespace and name.
type Objects<T> = BTreeMap<Named, Arc<Entry<T>>>;

/// Objects of one kind.
#[derive(Debug)]
pub struct Cache<T> {
    objects: RwLock<Objects<T>>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { objects: RwLock::default() }
    }
}

impl<T: Kept> Cache<T> {
    /// Takes an event of a watch on a namespace, or on all; `listed` is what that watch collects while it lists.
    /// Says whether the list is complete.
    pub fn take(
        &self,
        namespace: Option<&str>,
        listed: &mut Objects<T>,
        event: Event<DynamicObject>,
    ) -> bool {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                if let Some((key, entry)) = entry(object) {
                    listed.insert(key, entry);
                }
            }
            Event::InitDone => {
                let elsewhere = |key: &Named| namespace.is_some_and(|own| key.namespace != own);
                let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
                objects.retain(|key, _| elsewhere(key));
                objects.append(listed);
                return true;
            }
            Event::Apply(object) => {
                if let Some((key, entry)) = entry(object) {
                    self.objects.write().unwrap_or_else(PoisonError::into_inner).insert(key, entry);
                }
            }
            Event::Delete(object) => {
                self.objects.write().unwrap_or_else(PoisonError::into_inner).remove(&key(&object));
            }
        }
        false
    }

    /// Everything, in the order of namespace and name.
    pub fn all(&self) -> Objects<T> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn key(object: &DynamicObject) -> Named {
    Named::new(&object.namespace().unwrap_or_default(), &object.name_any())
}

fn entry<T: Kept>(mut object: DynamicObject) -> Option<(Named, Arc<Entry<T>>)> {
    object.metadata.managed_fields = None;
    let read = T::read(&object)?;
    Some((key(&object), Arc::new(Entry { raw: object, read })))
}

/// Nothing is kept: the kind is watched because the real one watches it.
#[derive(Debug)]
pub struct Nothing;

impl Kept for Nothing {
    fn read(_: &DynamicObject) -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kinds::SERVICE;

    struct Name;

    impl Kept for Name {
        fn read(_: &DynamicObject) -> Option<Self> {
            Some(Self)
        }
    }

    fn object(namespace: &str, name: &str) -> DynamicObject {
        DynamicObject::new(name, &SERVICE.resource()).within(namespace)
    }

    fn names(cache: &Cache<Name>) -> Vec<String> {
        cache.all().keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_new_list_replaces_what_was_there_in_its_namespace_alone() {
        let cache = Cache::<Name>::default();
        let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
        for name in ["x", "y"] {
            cache.take(Some("a"), &mut first, Event::Apply(object("a", name)));
        }
        cache.take(Some("b"), &mut second, Event::Apply(object("b", "x")));
        cache.take(Some("a"), &mut first, Event::Init);
        cache.take(Some("a"), &mut first, Event::InitApply(object("a", "z")));
        assert_eq!(names(&cache), ["a/x", "a/y", "b/x"]);
        assert!(cache.take(Some("a"), &mut first, Event::InitDone));
        assert_eq!(names(&cache), ["a/z", "b/x"]);
        cache.take(Some("b"), &mut second, Event::Delete(object("b", "x")));
        assert_eq!(names(&cache), ["a/z"]);
    }
}
