//! What the targets share: what verdicts follow, and how an object is changed so that it is still JSON.
//!
//! In: bytes, and numbers that libFuzzer draws. Out: objects. Never: a panic; what is no JSON becomes an empty object.

use std::sync::LazyLock;

use plan::dataplane::Settings;
use serde_json::{Map, Value, json};
use webhooks::kinds::Judge;
use webhooks::world::Nothing;

pub mod seed;
mod words;

/// What the operator was told, where it was told nothing.
static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::default);

/// Most changes of one object at a time.
const CHANGES: u64 = 4;

/// Verdicts as they are where nothing is known of other objects.
pub fn judge() -> Judge<'static> {
    Judge { settings: &SETTINGS, controller: crds::names::CONTROLLER, world: &Nothing }
}

/// An object with the names that Kubernetes would give it, of the specification in these bytes.
pub fn object(data: &[u8]) -> Value {
    let given = serde_json::from_slice(data).unwrap_or_else(|_| json!({}));
    let mut object = if matches!(given, Value::Object(_)) { given } else { json!({ "spec": given }) };
    object["apiVersion"] = json!("gateway-operator.konghq.com/v1beta1");
    object["kind"] = json!("DataPlane");
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    for (field, value) in
        [("name", "fuzzed"), ("namespace", "fuzz"), ("uid", "00000000-0000-0000-0000-000000000000")]
    {
        object["metadata"][field] = json!(value);
    }
    object
}

/// Changes what is in `data` and returns how long it is then; what does not fit into `most` bytes is left as it was.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut draw = Draw(u64::from(seed) | 1 << 40);
    let mut value =
        serde_json::from_slice(data.get(..size).unwrap_or_default()).unwrap_or_else(|_| json!({}));
    for _ in 0..=draw.below(CHANGES) {
        change(&mut value, &mut draw);
    }
    let bytes = value.to_string().into_bytes();
    match data.get_mut(..bytes.len()) {
        Some(room) if bytes.len() <= most => {
            room.copy_from_slice(&bytes);
            bytes.len()
        }
        _ => size,
    }
}

/// A stream of numbers that follows from its beginning (xorshift64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.index(all.len())).cloned()
    }
}

/// Goes down to a place, and changes what is there.
fn change(value: &mut Value, draw: &mut Draw) {
    let down = draw.below(6) > 0;
    match value {
        Value::Object(members) if down && !members.is_empty() => {
            let at = draw.index(members.len());
            if let Some((_, member)) = members.iter_mut().nth(at) {
                change(member, draw);
            }
        }
        Value::Array(items) if down && !items.is_empty() => {
            let at = draw.index(items.len());
            if let Some(item) = items.get_mut(at) {
                change(item, draw);
            }
        }
        Value::Object(members) => fields(members, draw),
        Value::Array(items) => list(items, draw),
        other => *other = leaf(draw),
    }
}

fn fields(members: &mut Map<String, Value>, draw: &mut Draw) {
    let at = draw.index(members.len());
    let chosen = members.keys().nth(at).cloned();
    match (draw.below(4), chosen) {
        (0, Some(name)) => drop(members.remove(&name)),
        (1, Some(name)) => {
            let value = members.remove(&name).unwrap_or_default();
            members.insert(draw.of(words::fields()).unwrap_or_default(), value);
        }
        (2, Some(name)) => drop(members.insert(name, leaf(draw))),
        _ => {
            let name = draw.of(words::fields()).unwrap_or_default();
            let value = match draw.below(3) {
                0 => json!({}),
                1 => json!([{}]),
                _ => leaf(draw),
            };
            members.insert(name, value);
        }
    }
}

fn list(items: &mut Vec<Value>, draw: &mut Draw) {
    let at = draw.index(items.len());
    match (draw.below(3), items.get(at).cloned()) {
        (0, Some(_)) => drop(items.remove(at)),
        (1, Some(item)) => items.push(item),
        _ => items.push(if draw.below(2) == 0 { json!({}) } else { leaf(draw) }),
    }
}

fn leaf(draw: &mut Draw) -> Value {
    match draw.below(8) {
        0 => Value::Null,
        1 => json!(draw.below(2) == 0),
        2 => draw.of(words::NUMBERS).map_or(Value::Null, |number| json!(number)),
        3 => json!(draw.below(70_000)),
        4 => json!([]),
        5 => json!({}),
        6 => draw.of(words::fields()).unwrap_or_default().into(),
        _ => draw.of(words::VALUES).unwrap_or_default().into(),
    }
}
