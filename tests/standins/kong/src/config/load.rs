//! A declarative configuration becomes a set of entities.
//! In: the parsed text. Out: entities by kind and id, complete with defaults; or Kong's messages. Never keeps state.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::schema::{self, Entity};
use super::{ids, validate};

/// Versions of the format that Kong reads.
const FORMATS: [&str; 3] = ["1.1", "2.1", "3.0"];

/// Entities by kind, then by id.
pub type Entities = BTreeMap<String, BTreeMap<String, Value>>;

/// Reads JSON, else YAML.
///
/// # Errors
/// Where it is neither.
pub fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).or_else(|_| serde_saphyr::from_str(text).map_err(|error| error.to_string()))
}

/// Loads a configuration.
///
/// # Errors
/// The table `fields` of Kong's answer: messages by kind, index and field.
pub fn load(input: &Value, plugins: &[String], now: u64) -> Result<Entities, Value> {
    let Some(top) = input.as_object() else {
        return Err(json!({"error": "expected an object"}));
    };
    let errors = judge(top, plugins);
    if !errors.is_empty() {
        return Err(Value::Object(errors));
    }
    let mut found = Found { now, ..Found::default() };
    for entity in schema::all() {
        for (at, item) in list(top.get(&entity.name)).iter().enumerate() {
            found.collect(entity, item, None, at);
        }
    }
    if !found.duplicates.is_empty() {
        return Err(Value::Object(found.duplicates));
    }
    found.resolve()
}

/// Whether there is no entity at all, which Kong counts as no configuration.
pub fn is_empty(entities: &Entities) -> bool {
    entities.values().all(BTreeMap::is_empty)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn judge(top: &Map<String, Value>, plugins: &[String]) -> Map<String, Value> {
    let mut errors = Map::new();
    let format = match top.get("_format_version") {
        None | Some(Value::Null) => Some("required field missing".to_owned()),
        Some(Value::String(version)) if FORMATS.contains(&version.as_str()) => None,
        Some(Value::String(_)) => Some(format!("expected one of: {}", FORMATS.join(", "))),
        Some(_) => Some("expected a string".to_owned()),
    };
    if let Some(message) = format {
        errors.insert("_format_version".into(), json!(message));
    }
    for (name, value) in top.iter().filter(|(name, _)| !name.starts_with('_')) {
        let problem = match (schema::entity(name), value) {
            (None, _) => Some(json!("unknown field")),
            (Some(entity), Value::Array(items)) => judge_all(entity, items, plugins),
            (Some(_), Value::Null) => None,
            (Some(_), Value::Object(map)) if map.is_empty() => None,
            (Some(_), _) => Some(json!("expected an array")),
        };
        if let Some(problem) = problem {
            errors.insert(name.clone(), problem);
        }
    }
    errors
}

/// Messages by index, null where an item is fine; nothing where all are.
fn judge_all(entity: &Entity, items: &[Value], plugins: &[String]) -> Option<Value> {
    let results: Vec<Value> = items.iter().map(|item| judge_one(entity, item, plugins)).collect();
    let last = results.iter().rposition(|result| !result.is_null())?;
    Some(Value::Array(results.into_iter().take(last + 1).collect()))
}

fn judge_one(entity: &Entity, item: &Value, plugins: &[String]) -> Value {
    let nested: Vec<&Entity> = nested(entity).map(|(child, _)| child).collect();
    let names: Vec<&str> = nested.iter().map(|child| child.name.as_str()).collect();
    let mut errors = validate::item(entity, item, &names, plugins).err().unwrap_or_default();
    for child in nested {
        if let Some(problem) = judge_all(child, list(item.get(&child.name)), plugins) {
            errors.insert(child.name.clone(), problem);
        }
    }
    if errors.is_empty() { Value::Null } else { Value::Object(errors) }
}

/// Kinds that may be written inside this one.
pub fn nested(entity: &Entity) -> impl Iterator<Item = (&'static Entity, &'static str)> + '_ {
    schema::children(&entity.name).filter(|(child, _)| !entity.fields.contains_key(&child.name))
}

#[derive(Default)]
struct Found {
    entities: Entities,
    by_key: HashMap<(String, String), String>,
    duplicates: Map<String, Value>,
    now: u64,
}

impl Found {
    fn collect(&mut self, entity: &Entity, item: &Value, parent: Option<(&str, &str)>, at: usize) {
        let Some(mut object) = item.as_object().cloned() else {
            return;
        };
        object.retain(|name, _| !name.starts_with('_'));
        if let Some((field, id)) = parent {
            object.insert(field.to_owned(), json!({ "id": id }));
        }
        let children: Vec<_> = nested(entity)
            .filter_map(|(child, field)| Some((child, field, object.remove(&child.name)?)))
            .collect();
        expand_url(&mut object);
        let given = object.get("id").and_then(Value::as_str).map(str::to_owned);
        let owner =
            object.values().find_map(|value| value.get("id")).and_then(Value::as_str).map(str::to_owned);
        let value = Value::Object(object);
        let id = given.unwrap_or_else(|| ids::of(entity, &value, owner.as_deref()));
        let Value::Object(mut object) = value else { return };
        object.insert("id".into(), json!(id));
        validate::complete(&mut object, &entity.fields, self.now);
        self.remember(entity, &object, &id, at);
        self.entities.entry(entity.name.clone()).or_default().insert(id.clone(), Value::Object(object));
        for (child, field, items) in children {
            for (at, item) in list(Some(&items)).iter().enumerate() {
                self.collect(child, item, Some((field, &id)), at);
            }
        }
    }

    /// Notes what names an entity, and whether it was declared before.
    fn remember(&mut self, entity: &Entity, object: &Map<String, Value>, id: &str, at: usize) {
        let known = self.entities.get(&entity.name).is_some_and(|all| all.contains_key(id));
        let mut clash = known.then(|| format!("primary key set to '{id}'"));
        for (field, rules) in &entity.fields {
            let Some(key) = object.get(field).and_then(Value::as_str) else {
                continue;
            };
            if rules.get("unique") != Some(&Value::Bool(true)) {
                continue;
            }
            let slot = (format!("{}.{field}", entity.name), key.to_owned());
            if self.by_key.insert(slot, id.to_owned()).is_some() && clash.is_none() {
                clash = Some(format!("{field} set to '{key}'"));
            }
        }
        if let Some(clash) = clash {
            let message =
                format!("uniqueness violation: '{}' entity with {clash} already declared", entity.name);
            let slot = self.duplicates.entry(entity.name.clone()).or_insert_with(|| json!([]));
            if let Some(list) = slot.as_array_mut() {
                list.resize(list.len().max(at + 1), Value::Null);
                if let Some(place) = list.get_mut(at) {
                    *place = json!(message);
                }
            }
        }
    }

    /// Turns references by name into references by id.
    fn resolve(mut self) -> Result<Entities, Value> {
        let mut errors = Map::new();
        let mut all = std::mem::take(&mut self.entities);
        for entity in schema::all() {
            let items: Vec<(String, Value)> =
                all.get(&entity.name).cloned().unwrap_or_default().into_iter().collect();
            for (id, mut item) in items {
                for (field, to) in entity.foreign() {
                    let required = entity.fields.get(field).and_then(|rules| rules.get("required"))
                        == Some(&Value::Bool(true));
                    match self.target(item.get(field), to, &all) {
                        Ok(None) if required => {
                            note(&mut errors, entity, &item, &json!({field: "required field missing"}));
                        }
                        Ok(None) => {}
                        Ok(Some(target)) => put(&mut item, field, json!({ "id": target })),
                        Err(shown) => {
                            let message =
                                format!("invalid reference '{field}: {shown}' (no such entry in '{to}')");
                            note(&mut errors, entity, &item, &json!([message]));
                        }
                    }
                }
                all.entry(entity.name.clone()).or_default().insert(id, item);
            }
        }
        if errors.is_empty() { Ok(all) } else { Err(Value::Object(errors)) }
    }

    fn target(&self, value: Option<&Value>, to: &str, all: &Entities) -> Result<Option<String>, String> {
        let key = match value {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(other) => match other.get("id").or_else(|| other.get("name")) {
                Some(Value::String(text)) => text,
                _ => return Err(other.to_string()),
            },
        };
        if all.get(to).is_some_and(|items| items.contains_key(key)) {
            return Ok(Some(key.clone()));
        }
        let field = schema::entity(to).and_then(|entity| entity.endpoint_key.clone()).unwrap_or_default();
        self.by_key.get(&(format!("{to}.{field}"), key.clone())).cloned().map(Some).ok_or_else(|| key.clone())
    }
}

fn note(errors: &mut Map<String, Value>, entity: &Entity, item: &Value, problem: &Value) {
    let name = entity.endpoint_key.as_ref().and_then(|field| item[field].as_str());
    let at = name.or_else(|| item["id"].as_str()).unwrap_or_default().to_owned();
    put(errors.entry(entity.name.clone()).or_insert_with(|| json!({})), &at, problem.clone());
}

fn put(object: &mut Value, field: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(field.to_owned(), value);
    }
}

/// `url` stands for protocol, host, port and path of a service.
fn expand_url(object: &mut Map<String, Value>) {
    let Some(Value::String(url)) = object.remove("url") else {
        return;
    };
    let (protocol, rest) = url.split_once("://").unwrap_or(("http", &url));
    let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
    let default_port = if protocol == "https" { 443 } else { 80 };
    let port = authority.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = port.unwrap_or((authority, default_port));
    object.insert("protocol".into(), json!(protocol));
    object.insert("host".into(), json!(host));
    object.insert("port".into(), json!(port));
    if !path.is_empty() {
        object.insert("path".into(), json!(path));
    }
}
