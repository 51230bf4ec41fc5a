//! The schemas of Kong's entities, as data.
//! In: `schema.json`, built in. Out: fields, keys and references by entity. Never judges a value.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

const TEXT: &str = include_str!("schema.json");

/// Entities by name, parsed once; empty only if the built-in text were broken, which a test rules out.
static ALL: LazyLock<BTreeMap<String, Entity>> = LazyLock::new(|| {
    let all: Map<String, Value> = serde_json::from_str(TEXT).unwrap_or_default();
    all.into_iter().map(|(name, value)| (name.clone(), Entity::new(name, &value))).collect()
});

/// One kind of entity.
#[derive(Debug)]
pub struct Entity {
    /// Plural name, as in a declarative configuration.
    pub name: String,
    /// Path in the admin API, where it differs from the name.
    pub admin: String,
    /// The field that names an entity beside its id.
    pub endpoint_key: Option<String>,
    /// Fields with their rules.
    pub fields: Map<String, Value>,
    /// Fields that stand for others, such as `url`.
    pub shorthands: Map<String, Value>,
}

impl Entity {
    fn new(name: String, value: &Value) -> Self {
        let object = |key: &str| value.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        Self {
            admin: value.get("admin").and_then(Value::as_str).unwrap_or(&name).to_owned(),
            endpoint_key: value.get("endpoint_key").and_then(Value::as_str).map(str::to_owned),
            fields: object("fields"),
            shorthands: object("shorthand_fields"),
            name,
        }
    }

    /// Fields that refer to another entity: field and the entity referred to.
    pub fn foreign(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .filter_map(|(field, rules)| Some((field.as_str(), rules.get("reference")?.as_str()?)))
    }

    /// The answer of `GET /schemas/<entity>`.
    pub fn to_json(&self) -> Value {
        let fields: Vec<Value> = self.fields.iter().map(|(name, rules)| json!({ name: rules })).collect();
        json!({ "fields": fields })
    }
}

/// The entity with this plural name.
pub fn entity(name: &str) -> Option<&'static Entity> {
    ALL.get(name)
}

/// The entity at this path of the admin API.
pub fn by_admin_path(path: &str) -> Option<&'static Entity> {
    ALL.values().find(|entity| entity.admin == path).or_else(|| entity(path))
}

/// Every entity.
pub fn all() -> impl Iterator<Item = &'static Entity> {
    ALL.values()
}

/// Entities that may be written inside this one: their name and the field that refers to it.
pub fn children(of: &str) -> impl Iterator<Item = (&'static Entity, &'static str)> + '_ {
    all().filter_map(move |entity| {
        entity.foreign().find(|(_, to)| *to == of).map(|(field, _)| (entity, field))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_text_is_whole() {
        assert!(all().count() >= 20);
        for entity in all() {
            for (field, to) in entity.foreign() {
                assert!(super::entity(to).is_some(), "{}.{field} refers to {to}", entity.name);
            }
        }
    }

    #[test]
    fn routes_and_plugins_nest_in_services() {
        let names: Vec<&str> = children("services").map(|(entity, _)| entity.name.as_str()).collect();
        assert!(names.contains(&"routes") && names.contains(&"plugins"), "{names:?}");
    }

    #[test]
    fn credentials_have_paths_of_their_own() {
        assert_eq!(by_admin_path("key-auths").unwrap().name, "keyauth_credentials");
        assert_eq!(by_admin_path("routes").unwrap().name, "routes");
        assert!(by_admin_path("nosuch").is_none());
    }
}
