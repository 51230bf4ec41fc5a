//! Ids of entities that came without one: UUIDs of version 5, as Kong derives them.
//! In: entity, key, parent. Out: the same id for the same input. Random only where Kong is random too.

use serde_json::Value;
use uuid::Uuid;

/// Namespace from which Kong derives the namespace of each kind of entity.
const ENTITIES: Uuid = Uuid::from_u128(0xfd02_801f_0957_4a15_a55a_c8d9_606f_30b5);

/// The id of an entity.
pub fn derive(entity: &str, key: &str) -> String {
    let namespace = Uuid::new_v5(&ENTITIES, entity.as_bytes());
    Uuid::new_v5(&namespace, key.as_bytes()).to_string()
}

/// The id of an item without one. `parent` is the id of the entity it belongs to, where its key is only unique
/// within that, as the address of a target is.
pub fn of(entity: &super::schema::Entity, item: &Value, parent: Option<&str>) -> String {
    let text = |field: &str| item.get(field).and_then(Value::as_str);
    if let Some(field) = &entity.endpoint_key
        && let Some(key) = text(field)
    {
        let unique =
            entity.fields.get(field).and_then(|rules| rules.get("unique")) == Some(&Value::Bool(true));
        return match parent {
            Some(parent) if !unique => derive(&entity.name, &format!("{key}:{parent}")),
            _ => derive(&entity.name, key),
        };
    }
    if entity.name == "plugins" {
        let scope = |field: &str| item.pointer(&format!("/{field}/id")).and_then(Value::as_str).unwrap_or("");
        let name = text("name").unwrap_or("");
        let scopes = ["route", "service", "consumer", "consumer_group"].map(scope).join(":");
        return derive("plugins", &format!("plugins:{name}:{scopes}"));
    }
    Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;
    use serde_json::json;

    #[test]
    fn the_same_name_gives_the_same_id() {
        let services = schema::entity("services").unwrap();
        let first = of(services, &json!({"name": "a"}), None);
        assert_eq!(first, of(services, &json!({"name": "a", "host": "x"}), None));
        assert_ne!(first, of(services, &json!({"name": "b"}), None));
        assert_ne!(first, of(schema::entity("routes").unwrap(), &json!({"name": "a"}), None));
        assert_eq!(Uuid::parse_str(&first).unwrap().get_version_num(), 5);
    }

    #[test]
    fn a_target_belongs_to_its_upstream() {
        let targets = schema::entity("targets").unwrap();
        let item = json!({"target": "10.0.0.1:80"});
        assert_ne!(of(targets, &item, Some("u1")), of(targets, &item, Some("u2")));
    }
}
