//! `KONG_DATABASE` that comes from a `ConfigMap` or a Secret.
//!
//! In: a `DataPlane`, and answers about what `ConfigMap`s and Secrets hold. Out: the same with the value in the place of
//! its source, where it is known: then it is judged as if it stood there. An empty one stays where it is: only one that
//! stands in the template is written as `off`. Never: the content of a Secret.

use crds::names::PROXY_CONTAINER;
use serde_json::{Value, json};
use webhooks::world::Found;

const NAME: &str = "KONG_DATABASE";
const SPEC: &str = "spec.deployment.podTemplateSpec.spec";

/// A key of an object: its kind, its name, the key.
type Entry<'a> = (&'a str, &'a str, &'a str);

/// Puts in what is known, and tells of each where it is now and where it came from. `held` answers nothing for an object
/// that is not known, and that a key of a known one is absent.
pub fn resolve(object: &mut Value, held: &impl Fn(Entry<'_>) -> Found<String>) -> Vec<(String, String)> {
    let mut moved = Vec::new();
    let Some(spec) = object.pointer_mut("/spec/deployment/podTemplateSpec/spec") else { return moved };
    for list in ["containers", "initContainers"] {
        let all = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (index, container) in all.enumerate() {
            // What the operator sets in the container that serves comes before envFrom.
            let serves = list == "containers" && container.get("name") == Some(&json!(PROXY_CONTAINER));
            let places = match given(container, held) {
                None if !serves => inherited(container, held),
                places => places,
            };
            let at = format!("{SPEC}.{list}[{index}]");
            moved.extend(places.map(|(to, from)| (format!("{at}.{to}"), format!("{at}.{from}"))));
        }
    }
    moved
}

/// One that the container has by name; of two the last one counts.
fn given(container: &mut Value, held: &impl Fn(Entry<'_>) -> Found<String>) -> Option<(String, String)> {
    let variables = container.get_mut("env")?.as_array_mut()?;
    let index = position(variables)?;
    let variable = variables.get_mut(index)?;
    let from = variable.get("valueFrom")?;
    let (kind, reference) = one_of(from, [("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")])?;
    let (name, key) = (text(reference, "name")?, text(reference, "key")?);
    let Found::Here(value) = held((kind, name, key)) else { return None };
    let value = shown(kind, name, value)?;
    *variable = json!({ "name": NAME, "value": value });
    Some((format!("env[{index}].value"), format!("env[{index}].valueFrom")))
}

/// One that comes with others, by `envFrom`; of several sources the last one counts that has it.
fn inherited(container: &mut Value, held: &impl Fn(Entry<'_>) -> Found<String>) -> Option<(String, String)> {
    let variables = container.get("env").and_then(Value::as_array);
    let number = variables.map_or(0, Vec::len);
    if variables.is_some_and(|variables| position(variables).is_some()) {
        return None;
    }
    let sources = container.get("envFrom")?.as_array()?;
    let (value, index) = sources.iter().enumerate().rev().find_map(|(index, source)| {
        let key = NAME.strip_prefix(text(source, "prefix").unwrap_or_default())?;
        let Some((kind, reference)) =
            one_of(source, [("ConfigMap", "configMapRef"), ("Secret", "secretRef")])
        else {
            return Some((None, index));
        };
        let name = text(reference, "name").unwrap_or_default();
        match held((kind, name, key)) {
            // It may have it, and then it counts.
            Found::Unknown => Some((None, index)),
            Found::Absent => None,
            Found::Here(value) => Some((shown(kind, name, value), index)),
        }
    })?;
    let variable = json!({ "name": NAME, "value": value? });
    match container.get_mut("env").and_then(Value::as_array_mut) {
        Some(variables) => variables.push(variable),
        None => container
            .as_object_mut()?
            .insert("env".to_owned(), json!([variable]))
            .map(drop)
            .unwrap_or_default(),
    }
    Some((format!("env[{number}].value"), format!("envFrom[{index}]")))
}

fn position(variables: &[Value]) -> Option<usize> {
    variables.iter().rposition(|variable| text(variable, "name") == Some(NAME))
}

fn one_of<'a, 'k>(of: &'a Value, fields: [(&'k str, &str); 2]) -> Option<(&'k str, &'a Value)> {
    fields
        .into_iter()
        .find_map(|(kind, field)| Some((kind, of.get(field).filter(|found| found.is_object())?)))
}

/// What is said of a value: that of a Secret only where it is the right one.
fn shown(kind: &str, name: &str, value: String) -> Option<String> {
    match value.as_str() {
        "" => None,
        "off" => Some(value),
        _ if kind == "Secret" => Some(format!("what Secret {name} holds")),
        _ => Some(value),
    }
}

fn text<'a>(of: &'a Value, field: &str) -> Option<&'a str> {
    of.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variable as it is afterwards in the first container of the list, and where it came from.
    fn resolved(list: &str, container: &Value) -> (Value, Vec<(String, String)>) {
        let held = |(kind, name, key): Entry<'_>| -> Found<String> {
            let found = match (kind, name, key) {
                ("ConfigMap", "known", "mode") => "postgres",
                ("ConfigMap", "known", "DATABASE") | ("Secret", "known", "mode") => "off",
                ("Secret", "bad", "KONG_DATABASE") => "hidden",
                ("ConfigMap", "empty", "mode") => "",
                (_, "known" | "bad" | "empty", _) => return Found::Absent,
                _ => return Found::Unknown,
            };
            Found::Here(found.to_owned())
        };
        let mut object =
            json!({ "spec": { "deployment": { "podTemplateSpec": { "spec": { list: [container] } } } } });
        let moved = resolve(&mut object, &held);
        let env = object.pointer(&format!("/spec/deployment/podTemplateSpec/spec/{list}/0/env"));
        let variable = env.and_then(|env| env.as_array()?.last().cloned()).unwrap_or_default();
        (variable["value"].clone(), moved)
    }

    fn by_name(kind: &str, name: &str, key: &str) -> Value {
        let from = json!({ kind: { "name": name, "key": key } });
        json!({ "name": "proxy", "env": [{ "name": NAME, "valueFrom": from }] })
    }

    #[test]
    fn what_is_known_stands_in_the_place_of_its_source() {
        let (value, moved) = resolved("containers", &by_name("configMapKeyRef", "known", "mode"));
        assert_eq!(value, "postgres");
        let at = format!("{SPEC}.containers[0].env[0]");
        assert_eq!(moved, [(format!("{at}.value"), format!("{at}.valueFrom"))]);
        assert_eq!(resolved("containers", &by_name("secretKeyRef", "known", "mode")).0, "off");
        for (name, key) in [("absent", "mode"), ("known", "other"), ("empty", "mode")] {
            let (value, moved) = resolved("containers", &by_name("configMapKeyRef", name, key));
            assert!(value.is_null() && moved.is_empty(), "{name} {key}: {value}");
        }
    }

    #[test]
    fn of_several_sources_the_last_one_counts_that_has_it() {
        let from = |kind: &str, name: &str, prefix: &str| json!({ kind: { "name": name }, "prefix": prefix });
        let good = from("configMapRef", "known", "KONG_");
        let bad = from("secretRef", "bad", "");
        let other = from("configMapRef", "known", "");
        let unknown = from("configMapRef", "absent", "KONG_");
        for (sources, wanted) in [
            (json!([bad, good]), json!("off")),
            (json!([good, bad, other]), json!("what Secret bad holds")),
            (json!([bad, unknown]), Value::Null),
            (json!([from("secretRef", "bad", "APP_")]), Value::Null),
        ] {
            let container = json!({ "name": "check", "envFrom": sources });
            let (value, moved) = resolved("initContainers", &container);
            assert_eq!(value, wanted, "{sources}");
            assert_eq!(moved.is_empty(), wanted.is_null(), "{moved:?}");
        }
        let serves = json!({ "name": "proxy", "envFrom": [bad] });
        assert!(resolved("containers", &serves).0.is_null(), "the operator's own variable comes first");
        let both = json!({ "name": "check", "env": [{ "name": NAME, "value": "off" }], "envFrom": [bad] });
        assert!(resolved("containers", &both).1.is_empty(), "its own variable comes first");
    }
}
