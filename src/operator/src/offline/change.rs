//! What would change in a cluster.
//!
//! In: an object as it is there and as it would be. Out: the difference for people, and what becomes of the pods. Never:
//! a value of a Secret.

use serde_json::Value;
use similar::TextDiff;

use super::stored;

/// Lines around a difference.
const AROUND: usize = 3;

/// One object, before and after.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// As it is; nothing where it is not there.
    pub before: Option<Value>,
    /// As it would be; nothing where it would go.
    pub after: Option<Value>,
    /// Why the operator would not touch it.
    pub refused: Option<String>,
}

impl Change {
    /// The difference, in unified form; empty where there is none.
    ///
    /// # Errors
    /// When an object cannot be written as YAML.
    pub fn difference(&self) -> Result<String, serde_saphyr::ser::Error> {
        let (mut before, mut after) = (self.before.clone(), self.after.clone());
        mask(before.as_mut(), after.as_mut());
        let text = |side: Option<Value>| {
            side.map_or_else(|| Ok(String::new()), |side| stored::document(&bare(side)))
        };
        let (before, after) = (text(before)?, text(after)?);
        let named = |side: &str| format!("{side}/{} {}", self.kind, self.name);
        let difference = TextDiff::from_lines(&before, &after);
        let mut unified = difference.unified_diff();
        Ok(unified.context_radius(AROUND).header(&named("live"), &named("planned")).to_string())
    }

    /// What becomes of the pods, where it is a Deployment.
    pub fn pods(&self) -> Option<String> {
        if self.kind != "Deployment" {
            return None;
        }
        let replicas = |side: &Value| side.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let template = |side: &Value| side.pointer("/spec/template").cloned().unwrap_or_default();
        let count = |number: u64| if number == 1 { "1 pod".to_owned() } else { format!("{number} pods") };
        let words = match (&self.before, &self.after) {
            (None, None) => return None,
            (None, Some(after)) => format!("{} would be started", count(replicas(after))),
            (Some(before), None) => format!("{} would be stopped", count(replicas(before))),
            (Some(before), Some(after)) if template(before) != template(after) => {
                let scaled = if replicas(before) == replicas(after) {
                    String::new()
                } else {
                    format!(", {} afterwards", count(replicas(after)))
                };
                format!("{} would be replaced{scaled}", count(replicas(before)))
            }
            (Some(before), Some(after)) if replicas(before) != replicas(after) => {
                format!(
                    "no pod would be replaced; {} instead of {}",
                    count(replicas(after)),
                    replicas(before)
                )
            }
            (Some(_), Some(_)) => "no pod would be replaced".to_owned(),
        };
        Some(format!("Deployment {}: {words}", self.name))
    }
}

/// Without what the API server keeps for itself.
fn bare(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        for field in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"] {
            metadata.remove(field);
        }
    }
    object
}

/// Values of Secrets are told by whether they change.
fn mask(before: Option<&mut Value>, after: Option<&mut Value>) {
    let known = before.as_deref().cloned();
    let was = |key: &str| known.as_ref().and_then(|object| object.pointer("/data")?.get(key).cloned());
    for (side, changed) in [(before, "***"), (after, "*** (changed)")] {
        let Some(side) = side.filter(|side| side.get("kind") == Some(&"Secret".into())) else { continue };
        let Some(data) = side.get_mut("data").and_then(Value::as_object_mut) else { continue };
        for (key, value) in data {
            let same = was(key).is_none_or(|was| was == *value);
            *value = if same { "***" } else { changed }.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn change(kind: &str, before: Option<Value>, after: Option<Value>) -> Change {
        Change { kind: kind.to_owned(), name: "x".to_owned(), before, after, refused: None }
    }

    fn deployment(replicas: u64, image: &str) -> Value {
        let metadata = json!({ "uid": "1", "generation": replicas });
        let spec = json!({ "replicas": replicas, "template": { "image": image } });
        json!({ "kind": "Deployment", "metadata": metadata, "spec": spec })
    }

    fn changed(before: Value, after: Value) -> Change {
        change("Deployment", Some(before), Some(after))
    }

    #[test]
    fn only_what_people_write_is_compared() {
        let same = changed(deployment(1, "a"), deployment(1, "a"));
        assert_eq!(same.difference().unwrap(), "");
        let other = changed(deployment(1, "a"), deployment(1, "b")).difference().unwrap();
        let lines = "-    image: a\n+    image: b\n";
        assert!(other.contains(lines) && other.starts_with("--- live/Deployment x\n"), "{other}");
    }

    #[test]
    fn pods_are_replaced_when_their_template_changes() {
        let new = change("Deployment", None, Some(deployment(2, "a"))).pods().unwrap();
        assert_eq!(new, "Deployment x: 2 pods would be started");
        for (before, after, wanted) in [
            ((2, "a"), (2, "b"), "2 pods would be replaced"),
            ((1, "a"), (3, "b"), "1 pod would be replaced, 3 pods afterwards"),
            ((1, "a"), (3, "a"), "no pod would be replaced; 3 pods instead of 1"),
            ((1, "a"), (1, "a"), "no pod would be replaced"),
        ] {
            let told = changed(deployment(before.0, before.1), deployment(after.0, after.1)).pods().unwrap();
            assert_eq!(told, format!("Deployment x: {wanted}"));
        }
        let gone = change("Deployment", Some(deployment(2, "a")), None).pods().unwrap();
        assert_eq!(gone, "Deployment x: 2 pods would be stopped");
        assert_eq!(change("Service", None, None).pods(), None);
    }

    #[test]
    fn values_of_secrets_are_not_shown() {
        let secret = |value: &str| {
            Some(json!({ "kind": "Secret", "data": { "tls.key": value, "ca.crt": "c2FtZQ==" } }))
        };
        let text = change("Secret", secret("b25l"), secret("dHdv")).difference().unwrap();
        assert!(
            text.contains("+  tls.key: '*** (changed)'") || text.contains("+  tls.key: \"*** (changed)\""),
            "{text}"
        );
        assert!(!text.contains("b25l") && !text.contains("dHdv") && !text.contains("+  ca.crt"), "{text}");
        assert!(!change("Secret", None, secret("dHdv")).difference().unwrap().contains("dHdv"));
    }
}
