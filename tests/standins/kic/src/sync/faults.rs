//! What Kong says of a configuration that it refuses.
//! In: the body of a 400. Out: objects and what is wrong with each. What names no object is dropped, as KIC does.

use serde_json::Value;

use crate::translate::object::Object;

/// An object of which Kong refused an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The object.
    pub object: Object,
    /// What is wrong, one text for each fault.
    pub faults: Vec<String>,
}

/// The objects that an answer names.
pub fn broken(body: &Value) -> Vec<Broken> {
    let all = body.get("flattened_errors").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(one).collect()
}

fn one(error: &Value) -> Option<Broken> {
    let object = Object::tagged(error.get("entity_tags")?)?;
    let kind = error.get("entity_type").and_then(Value::as_str).unwrap_or_default();
    let name = error.get("entity_name").and_then(Value::as_str).unwrap_or_default();
    let faults = error.get("errors").and_then(Value::as_array).into_iter().flatten();
    let faults = faults.flat_map(|fault| texts(fault, kind, name)).collect();
    Some(Broken { object, faults })
}

/// `invalid methods: cannot set 'methods' …`, or for the entity as a whole `invalid service:<name>: …`.
fn texts(fault: &Value, kind: &str, name: &str) -> Vec<String> {
    let field = match fault.get("field").and_then(Value::as_str) {
        Some(field) => field.to_owned(),
        None => format!("{kind}:{name}"),
    };
    let single = fault.get("message").and_then(Value::as_str);
    let several = fault.get("messages").and_then(Value::as_array).into_iter().flatten();
    let all = single.into_iter().chain(several.filter_map(Value::as_str));
    all.map(|message| format!("invalid {field}: {message}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_are_of_objects() {
        let body = json!({"flattened_errors": [
            {"entity_type": "route", "entity_name": "x", "entity_tags": ["k8s-name:r", "k8s-kind:HTTPRoute"],
                "errors": [{"type": "field", "field": "methods", "message": "no"}, {"type": "entity", "message": "bad"}]},
            {"entity_type": "plugin", "errors": []},
        ]});
        let found = broken(&body);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].object.name, "r");
        assert_eq!(found[0].faults, ["invalid methods: no", "invalid route:x: bad"]);
    }
}
