//! An object of which only its name is read.
//!
//! In: metadata from the API server. Out: name, namespace and version. Labels, annotations, managed fields and data
//! never leave the decoder, and data is not even sent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crds::k8s::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};

/// An object of kind `K` of which only the name is read.
#[derive(Deserialize)]
#[serde(bound = "")]
pub struct Bare<K> {
    #[serde(deserialize_with = "named")]
    metadata: ObjectMeta,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

/// What is read of an object's metadata; the version is what a watch goes on from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
}

fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let Read { name, namespace, resource_version } = Read::deserialize(deserializer)?;
    Ok(ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() })
}

impl<K> Bare<K> {
    /// What was read.
    pub fn into_metadata(self) -> ObjectMeta {
        self.metadata
    }
}

impl<K> Clone for Bare<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Bare<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.metadata.namespace, self.metadata.name)
    }
}

impl<K: Resource> Resource for Bare<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    /// The API server sends nothing but metadata.
    fn metadata_api() -> bool {
        true
    }

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
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use crds::k8s::Secret;
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_but_the_name_and_the_version_is_read() {
        let metadata = json!({
            "name": "a", "namespace": "ns", "resourceVersion": "7", "uid": "u",
            "labels": { "a": "b" },
            "annotations": { "large": "x" },
            "managedFields": [{ "manager": "kubectl" }],
        });
        let object = json!({ "kind": "PartialObjectMetadata", "metadata": metadata });
        let object: Bare<Secret> = serde_json::from_value(object).unwrap();
        let text = |value: &str| Some(value.to_owned());
        let read = ObjectMeta {
            name: text("a"),
            namespace: text("ns"),
            resource_version: text("7"),
            ..ObjectMeta::default()
        };
        assert_eq!(*object.meta(), read);
        assert!(Bare::<Secret>::metadata_api(), "data would be sent");
    }
}
