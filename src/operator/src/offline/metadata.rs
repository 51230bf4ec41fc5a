//! `apiVersion`, `kind` and `metadata`, which no definition describes.
//!
//! In: an object. Out: what the API server would refuse about them, in its words where it has any.

use crds::k8s::ObjectMeta;
use serde_json::Value;
use webhooks::Kind;

use super::schema::Fault;

/// Longest name of an object (RFC 1123 subdomain).
const NAME: usize = 253;
/// Longest name part of a label's key, and longest value (Kubernetes, "Labels and Selectors").
const LABEL: usize = 63;

/// Everything that is wrong.
pub fn faults(kind: Kind, object: &Value) -> Vec<Fault> {
    let mut faults: Vec<_> = version(kind, object).into_iter().collect();
    let Some(metadata) = object.get("metadata").filter(|metadata| !metadata.is_null()) else {
        faults.push(nameless());
        return faults;
    };
    if let Err(error) = serde_json::from_value::<ObjectMeta>(metadata.clone()) {
        faults.push(invalid("metadata", &error.to_string()));
        return faults;
    }
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("name"), text("generateName")) {
        (Some(name), _) => faults.extend(named("metadata.name", name)),
        (None, Some(_)) => {}
        (None, None) => faults.push(nameless()),
    }
    faults.extend(labels(metadata));
    faults
}

/// The version that is served, and the group with it.
fn version(kind: Kind, object: &Value) -> Option<Fault> {
    let resource = kind.resource();
    let served = format!("{}/{}", resource.group, resource.version);
    let given = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    // Gateway API serves more than one version of its kinds.
    if given == served || (resource.group != crds::names::GROUP && !given.is_empty()) {
        return None;
    }
    let message =
        format!("Invalid value: {given:?}: no kind {:?} in this version: use {served:?}", kind.name());
    Some(Fault { cause: "FieldValueNotSupported", path: "apiVersion".to_owned(), message })
}

fn nameless() -> Fault {
    let message = "Required value: name or generateName is required".to_owned();
    Fault { cause: "FieldValueRequired", path: "metadata.name".to_owned(), message }
}

fn named(path: &str, name: &str) -> Option<Fault> {
    let good = name.len() <= NAME && name.split('.').all(is_label_of_a_name);
    let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', must start and end with an alphanumeric character, and have at most 253 characters";
    (!good).then(|| invalid(path, &format!("{name:?}: {words}")))
}

fn is_label_of_a_name(label: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    label.starts_with(letter) && label.ends_with(letter) && label.chars().all(|l| letter(l) || l == '-')
}

fn labels(metadata: &Value) -> Vec<Fault> {
    let of = |field: &str| metadata.get(field).and_then(Value::as_object).into_iter().flatten();
    let keys =
        ["labels", "annotations"].into_iter().flat_map(|field| of(field).map(move |(key, _)| (field, key)));
    let keys = keys.filter(|(field, key)| {
        !is_key(&if *field == "labels" { (*key).clone() } else { key.to_lowercase() })
    });
    let keys = keys.map(|(field, key)| {
        let words = "a key is a name of at most 63 alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain and '/' before it";
        invalid(&format!("metadata.{field}[{key}]"), &format!("{key:?}: {words}"))
    });
    let values = of("labels").filter_map(|(key, value)| {
        let value = value.as_str().filter(|value| !value.is_empty() && !is_word(value))?;
        let words = "a label's value has at most 63 alphanumeric characters, '-', '_' or '.', and starts and ends with an alphanumeric one";
        Some(invalid(&format!("metadata.labels[{key}]"), &format!("{value:?}: {words}")))
    });
    keys.chain(values).collect()
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => named("", prefix).is_none() && is_word(name),
        None => is_word(key),
    }
}

fn is_word(word: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric();
    let inner = |inner: char| letter(inner) || "-_.".contains(inner);
    word.len() <= LABEL && word.starts_with(letter) && word.ends_with(letter) && word.chars().all(inner)
}

fn invalid(path: &str, words: &str) -> Fault {
    Fault { cause: "FieldValueInvalid", path: path.to_owned(), message: format!("Invalid value: {words}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(metadata: &Value) -> Vec<String> {
        let object = json!({ "apiVersion": "gateway-operator.konghq.com/v1beta1", "metadata": metadata });
        faults(Kind::DataPlane, &object).into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn names_labels_and_versions_are_checked() {
        let good = json!({ "name": "edge.eu-1", "labels": { "a.b/c": "x_y", "d": "" }, "annotations": { "Example.com/X": "any thing" } });
        assert_eq!(paths(&good), [] as [&str; 0]);
        assert_eq!(paths(&json!({ "generateName": "edge-" })), [] as [&str; 0]);
        let bad = [
            (json!({}), "metadata.name"),
            (json!(null), "metadata.name"),
            (json!({ "name": "Edge" }), "metadata.name"),
            (json!({ "name": "a..b" }), "metadata.name"),
            (json!({ "name": "a", "labels": { "a": "b c" } }), "metadata.labels[a]"),
            (json!({ "name": "a", "labels": { "a b": "c" } }), "metadata.labels[a b]"),
            (json!({ "name": "a", "annotations": { "/x": "c" } }), "metadata.annotations[/x]"),
            (json!({ "name": "a", "annotations": { "x": true } }), "metadata"),
        ];
        for (metadata, path) in bad {
            assert_eq!(paths(&metadata), [path], "{metadata}");
        }
        let old =
            json!({ "apiVersion": "gateway-operator.konghq.com/v1alpha1", "metadata": { "name": "a" } });
        let told = faults(Kind::DataPlane, &old);
        assert!(told[0].message.ends_with("use \"gateway-operator.konghq.com/v1beta1\""), "{told:?}");
        let gateway =
            json!({ "apiVersion": "gateway.networking.k8s.io/v1beta1", "metadata": { "name": "a" } });
        assert_eq!(faults(Kind::Gateway, &gateway), []);
    }
}
