//! An object as it is wanted: the fields we own, and none that belong to others.

use std::fmt;
use std::marker::PhantomData;

use kube::Resource;
use serde_json::{Map, Value, json};

use crate::names;

/// Annotation with the digest of what was applied last. A live object that carries another one still
/// holds fields of ours that are no longer wanted, which comparing field by field cannot see.
pub const APPLIED: &str = "gateway-operator.konghq.com/applied";

/// What is sent by server-side apply for one object of kind `K`.
///
/// It is JSON and not a `K`, because a typed value cannot tell "not ours" from "empty", and because a
/// user's pod template may hold fields that are newer than the types compiled in here.
pub struct Wanted<K> {
    name: String,
    body: Value,
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = ()>> Wanted<K> {
    /// Makes it from metadata and the remaining top-level fields (`spec`, `data`, …); `apiVersion`, `kind`
    /// and the name are filled in.
    pub fn new(
        name: impl Into<String>,
        mut metadata: Map<String, Value>,
        fields: Map<String, Value>,
    ) -> Self {
        let name = name.into();
        metadata.insert("name".into(), json!(name));
        let mut body = Map::from_iter([
            ("apiVersion".to_owned(), json!(K::api_version(&()))),
            ("kind".to_owned(), json!(K::kind(&()))),
            ("metadata".to_owned(), Value::Object(metadata)),
        ]);
        body.extend(fields);
        Self { name, body: Value::Object(body), kind: PhantomData }
    }
}

impl<K> Wanted<K> {
    /// The object's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole object, as it would be sent.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// A short digest of the body that does not depend on the order of its keys.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        spell(&mut text, &self.body);
        names::digest(&text)
    }
}

impl<K> Clone for Wanted<K> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), body: self.body.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Wanted<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").field("name", &self.name).field("body", &self.body).finish_non_exhaustive()
    }
}

/// Maps are spelt in the order of their keys, whichever order `serde_json` was built to keep.
fn spell(text: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, member) in sorted {
                text.push_str(&json!(name).to_string());
                spell(text, member);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                spell(text, item);
            }
            text.push(']');
        }
        scalar => {
            text.push_str(&scalar.to_string());
            text.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn wanted(data: Value) -> Wanted<ConfigMap> {
        Wanted::new("x", Map::new(), Map::from_iter([("data".to_owned(), data)]))
    }

    #[test]
    fn kind_version_and_name_are_filled_in() {
        let body = wanted(json!({})).body().clone();
        assert_eq!(
            body,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {}})
        );
    }

    #[test]
    fn the_digest_sees_values_and_structure() {
        let digests = [
            json!({"a": "1"}),
            json!({"a": "2"}),
            json!({"a": ["1"]}),
            json!({"a": ["1", "1"]}),
            json!({"a": {"1": null}}),
        ];
        let digests: std::collections::BTreeSet<_> =
            digests.into_iter().map(|data| wanted(data).digest()).collect();
        assert_eq!(digests.len(), 5);
        assert_eq!(wanted(json!({"a": 1, "b": 2})).digest(), wanted(json!({"b": 2, "a": 1})).digest());
    }
}
