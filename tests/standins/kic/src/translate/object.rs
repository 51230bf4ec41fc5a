//! What an entity of Kong comes from.
//! In: metadata, or the tags of an entity. Out: tags, or the object they name.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// An object of Kubernetes, by everything that tags say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Group, empty for the core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty where it has none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
}

impl Object {
    /// An object of that kind and metadata.
    pub fn of(group: &str, version: &str, kind: &str, metadata: &ObjectMeta) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// The tags of its entities.
    pub fn tags(&self) -> Value {
        let all = [
            ("name", &self.name),
            ("namespace", &self.namespace),
            ("kind", &self.kind),
            ("uid", &self.uid),
            ("group", &self.group),
            ("version", &self.version),
        ];
        let given = all.iter().filter(|(_, value)| !value.is_empty());
        json!(given.map(|(key, value)| format!("k8s-{key}:{value}")).collect::<Vec<_>>())
    }

    /// The object that tags name.
    pub fn tagged(tags: &Value) -> Option<Self> {
        let all = tags.as_array()?;
        let find = |key: &str| {
            let prefix = format!("k8s-{key}:");
            let mut texts = all.iter().filter_map(Value::as_str);
            texts.find_map(|tag| tag.strip_prefix(&prefix).map(str::to_owned))
        };
        Some(Self {
            name: find("name")?,
            kind: find("kind")?,
            namespace: find("namespace").unwrap_or_default(),
            uid: find("uid").unwrap_or_default(),
            group: find("group").unwrap_or_default(),
            version: find("version").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_their_object() {
        let metadata = ObjectMeta {
            name: Some("r".into()),
            namespace: Some("ns".into()),
            uid: Some("u".into()),
            ..ObjectMeta::default()
        };
        let object = Object::of("gateway.networking.k8s.io", "v1", "HTTPRoute", &metadata);
        assert_eq!(Object::tagged(&object.tags()), Some(object));
        let secret = Object::of("", "v1", "Secret", &metadata);
        assert_eq!(
            secret.tags(),
            json!(["k8s-name:r", "k8s-namespace:ns", "k8s-kind:Secret", "k8s-uid:u", "k8s-version:v1"])
        );
        assert_eq!(Object::tagged(&json!(["other"])), None);
    }
}
