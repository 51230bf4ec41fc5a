//! An object that may not decode.
//!
//! In: JSON. Out: an object, or its name and why it does not decode. kube has such a guard too; it goes through a
//! tree of values and back, which takes the memory of both and a second decoder of each kind in the program.

use std::borrow::Cow;

use crds::k8s::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::bare::Bare;

/// An object, or what is known of one that does not decode.
#[derive(Debug, Clone)]
pub(super) enum Guarded<K> {
    Good(K),
    Bad { metadata: Box<ObjectMeta>, error: String },
}

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        match serde_json::from_str(text.get()) {
            Ok(object) => Ok(Self::Good(object)),
            Err(error) => {
                let bare: Bare<K> = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
                Ok(Self::Bad { metadata: Box::new(bare.into_metadata()), error: error.to_string() })
            }
        }
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Good(object) => object.meta(),
            Self::Bad { metadata, .. } => metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Good(object) => object.meta_mut(),
            Self::Bad { metadata, .. } => metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use crds::k8s::Pod;
    use kube::api::WatchEvent;
    use kube::core::ObjectList;

    use super::*;

    const GOOD: &str = r#"{"metadata":{"name":"a","resourceVersion":"1"},"spec":{"containers":[]}}"#;
    const BAD: &str =
        r#"{"metadata":{"name":"b","namespace":"ns","resourceVersion":"2"},"spec":{"containers":7}}"#;

    #[test]
    fn one_object_that_does_not_decode_spoils_no_list() {
        let list =
            format!(r#"{{"apiVersion":"v1","kind":"PodList","metadata":{{}},"items":[{GOOD},{BAD}]}}"#);
        let list: ObjectList<Guarded<Pod>> = serde_json::from_str(&list).unwrap();
        assert!(matches!(&list.items[0], Guarded::Good(pod) if pod.metadata.name.as_deref() == Some("a")));
        let Guarded::Bad { metadata, error } = &list.items[1] else { panic!("it decodes") };
        assert_eq!((metadata.name.as_deref(), metadata.namespace.as_deref()), (Some("b"), Some("ns")));
        assert!(error.contains('7'), "{error}");
    }

    #[test]
    fn nor_a_watch() {
        let event = format!(r#"{{"type":"MODIFIED","object":{BAD}}}"#);
        let event: WatchEvent<Guarded<Pod>> = serde_json::from_str(&event).unwrap();
        let WatchEvent::Modified(object) = event else { panic!("another event") };
        assert_eq!(object.meta().resource_version.as_deref(), Some("2"), "the watch goes on from it");
        assert!(serde_json::from_str::<Guarded<Pod>>("[]").is_err());
    }
}
