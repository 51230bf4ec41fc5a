//! Kong's declarative configuration, as it is put together.
//! In: entities. Out: the JSON that is pushed. Never an entity of its own but the one that an empty state needs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A configuration that grows.
#[derive(Debug, Default)]
pub struct Content {
    /// Services by name, with their routes inside.
    services: BTreeMap<String, Value>,
    /// Upstreams by name, with their targets inside.
    upstreams: BTreeMap<String, Value>,
    /// Certificates, with their names inside.
    certificates: Vec<Value>,
}

impl Content {
    /// Adds a service, or routes to one that is there.
    pub fn service(&mut self, service: Value, routes: Vec<Value>) {
        let name = service.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let held = self.services.entry(name).or_insert(service);
        if let Some(object) = held.as_object_mut() {
            let known = object.entry("routes").or_insert_with(|| json!([]));
            if let Some(known) = known.as_array_mut() {
                known.extend(routes);
            }
        }
    }

    /// Adds an upstream.
    pub fn upstream(&mut self, name: &str, targets: &Value, tags: &Value) {
        let upstream = json!({"name": name, "algorithm": "round-robin", "targets": targets, "tags": tags});
        self.upstreams.insert(name.to_owned(), upstream);
    }

    /// Sets the certificates.
    pub fn certificates(&mut self, certificates: Vec<Value>) {
        self.certificates = certificates;
    }

    /// The routes of all services.
    pub fn routes(&self) -> Vec<Value> {
        let held =
            |service: &Value| service.get("routes").and_then(Value::as_array).cloned().unwrap_or_default();
        self.services.values().flat_map(held).collect()
    }

    /// The whole configuration. An empty one has an upstream `kong`: without any entity Kong does not become ready.
    pub fn render(self) -> Value {
        let mut all = Map::new();
        all.insert("_format_version".to_owned(), json!("3.0"));
        if self.services.is_empty() && self.upstreams.is_empty() && self.certificates.is_empty() {
            all.insert("upstreams".to_owned(), json!([{"name": "kong"}]));
            return Value::Object(all);
        }
        let lists = [
            ("services", self.services.into_values().collect::<Vec<_>>()),
            ("upstreams", self.upstreams.into_values().collect()),
            ("certificates", self.certificates),
        ];
        for (name, list) in lists {
            if !list.is_empty() {
                all.insert(name.to_owned(), Value::Array(list));
            }
        }
        Value::Object(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_state_has_an_upstream() {
        let wanted = json!({"_format_version": "3.0", "upstreams": [{"name": "kong"}]});
        assert_eq!(Content::default().render(), wanted);
    }

    #[test]
    fn routes_of_one_service_come_together() {
        let mut content = Content::default();
        content.service(json!({"name": "a"}), vec![json!(1)]);
        content.service(json!({"name": "a"}), vec![json!(2)]);
        let wanted = json!({"_format_version": "3.0", "services": [{"name": "a", "routes": [1, 2]}]});
        assert_eq!(content.render(), wanted);
    }
}
