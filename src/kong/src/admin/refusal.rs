//! Why Kong refused a configuration.
//!
//! In: the body of its 400. Out: the Kubernetes objects that are to blame, as far as their entities say whose they are, and
//! Kong's words, short enough for a condition and an event. Never: the entities themselves, in which secrets may be.
//! (Kong 3.9.3, `flatten_errors=1`; Kong Ingress Controller 3.x writes the tags `k8s-kind`, `k8s-namespace` and `k8s-name`.)

use std::fmt;

use serde_json::Value;

/// The most problems that are named.
const MOST: usize = 5;

/// The longest text of one problem, in characters.
const LONGEST: usize = 160;

/// The longest text of all problems, in characters; that of an event has 1,024 bytes.
const SHOWN: usize = 800;

/// The longest name of anything, in characters: that of a Kubernetes object.
const NAME: usize = 253;

/// An object in Kubernetes, as tags name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Its kind.
    pub kind: String,
    /// Its namespace; none where it has none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{} {namespace}/{}", self.kind, self.name),
            None => write!(formatter, "{} {}", self.kind, self.name),
        }
    }
}

/// What is wrong with one entity, or with none in particular.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object that the entity was made of, where it says so.
    pub object: Option<Object>,
    /// The entity's type and name, or its id.
    pub entity: Option<String>,
    /// Kong's words.
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.object, &self.entity) {
            (Some(object), Some(entity)) => write!(formatter, "{object} ({entity}): {}", self.words),
            (Some(object), None) => write!(formatter, "{object}: {}", self.words),
            (None, Some(entity)) => write!(formatter, "{entity}: {}", self.words),
            (None, None) => formatter.write_str(&self.words),
        }
    }
}

/// A refusal; shown, it is all problems in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The first problems, by object.
    pub problems: Vec<Problem>,
    /// How many there are beside them.
    pub left_off: usize,
}

impl Refusal {
    /// Reads Kong's answer; nothing where it is no verdict on a configuration.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        body.get("fields")?;
        let mut problems: Vec<_> = body
            .get("flattened_errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(problem)
            .collect();
        let mut left = Vec::new();
        words(body.get("fields").unwrap_or(&Value::Null), "", &mut left);
        problems.extend(left.into_iter().map(|words| Problem { object: None, entity: None, words }));
        if problems.is_empty() {
            let message = body.get("message").and_then(Value::as_str).unwrap_or("no reason was given");
            problems.push(Problem { object: None, entity: None, words: short(message, LONGEST) });
        }
        // Kong's own order is none that anybody could rely on.
        problems.sort_by_cached_key(|problem| (problem.object.is_none(), problem.to_string()));
        let left_off = problems.len().saturating_sub(MOST);
        problems.truncate(MOST);
        Some(Self { problems, left_off })
    }

    /// That of a configuration that Kong did not even read.
    pub(super) fn too_large() -> Self {
        let words = "the configuration is larger than the admin API takes (nginx_admin_client_max_body_size)";
        let problem = Problem { object: None, entity: None, words: words.to_owned() };
        Self { problems: vec![problem], left_off: 0 }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut text, mut left_off) = (String::new(), self.left_off);
        for problem in &self.problems {
            let more = short(&problem.to_string(), SHOWN / 2);
            if text.chars().count() + more.chars().count() > SHOWN {
                left_off += 1;
                continue;
            }
            text.extend([if text.is_empty() { "" } else { "; " }, &more]);
        }
        formatter.write_str(&text)?;
        if left_off > 0 { write!(formatter, "; and {left_off} more") } else { Ok(()) }
    }
}

fn problem(entry: &Value) -> Problem {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let kind = text("entity_type").unwrap_or("entity");
    let name = text("entity_name").or_else(|| text("entity_id"));
    let entity = name.map_or_else(|| kind.to_owned(), |name| format!("{kind} {name}"));
    let said: Vec<_> =
        entry.get("errors").and_then(Value::as_array).into_iter().flatten().map(said).collect();
    let words = short(&said.join(", "), LONGEST);
    Problem { object: object(entry), entity: Some(short(&entity, NAME)), words }
}

/// One error of an entity: with its field, or of the entity as a whole.
fn said(error: &Value) -> String {
    let one = error.get("message").into_iter();
    let all = one.chain(error.get("messages").and_then(Value::as_array).into_iter().flatten());
    let words = all.filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    match error.get("field").and_then(Value::as_str) {
        Some(field) => format!("{field}: {words}"),
        None => words,
    }
}

fn object(entry: &Value) -> Option<Object> {
    let tags = entry.get("entity_tags").and_then(Value::as_array)?;
    let tag = |name: &str| {
        let mut found = tags.iter().filter_map(Value::as_str).filter_map(|tag| tag.split_once(':'));
        found.find(|(own, value)| *own == name && !value.is_empty()).map(|(_, value)| short(value, NAME))
    };
    Some(Object { kind: tag("k8s-kind")?, namespace: tag("k8s-namespace"), name: tag("k8s-name")? })
}

/// What is wrong with no entity: messages at the leaves of a tree, with the way to each.
fn words(tree: &Value, path: &str, found: &mut Vec<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match tree {
        Value::Object(map) => map.iter().for_each(|(name, inner)| words(inner, &below(name), found)),
        // Kong counts from 1; where nothing is wrong, there is null.
        Value::Array(list) => {
            (1..).zip(list).for_each(|(at, inner): (u32, _)| words(inner, &below(&at.to_string()), found));
        }
        Value::String(message) => found.push(short(&format!("{path}: {message}"), LONGEST)),
        _ => {}
    }
}

/// One line, cut where it becomes too long.
fn short(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(fields: &Value, flattened: &Value) -> Refusal {
        let body = json!({ "code": 14, "name": "invalid declarative configuration", "fields": fields,
            "message": "declarative config is invalid: {}", "flattened_errors": flattened });
        Refusal::read(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn entities_are_traced_to_the_objects_they_were_made_of() {
        let tags = ["k8s-name:shop", "k8s-namespace:team", "k8s-kind:HTTPRoute", "k8s-uid:1", "odd"];
        let route = json!({ "entity_type": "route", "entity_name": "httproute.team.shop.0.0", "entity_tags": tags,
            "entity": { "secret": "hidden" },
            "errors": [{ "type": "field", "field": "methods.1", "message": "invalid\n  value: get" },
                { "type": "entity", "messages": ["must set one of 'hosts'", "or 'paths'"] }] });
        let plugin = json!({ "entity_type": "plugin", "entity_id": "6f1d", "entity_tags": ["k8s-kind:KongClusterPlugin", "k8s-name:limit"],
            "errors": [{ "type": "field", "field": "config.minute", "message": "expected an integer" }] });
        let bare = json!({ "entity_type": "vault", "errors": [{ "type": "entity", "message": "no" }] });
        let refusal = of(&json!({}), &json!([bare, plugin, route]));
        let objects: Vec<_> =
            refusal.problems.iter().map(|problem| problem.object.as_ref().map(ToString::to_string)).collect();
        assert_eq!(
            objects,
            [Some("HTTPRoute team/shop".to_owned()), Some("KongClusterPlugin limit".to_owned()), None]
        );
        assert_eq!(
            refusal.to_string(),
            "HTTPRoute team/shop (route httproute.team.shop.0.0): methods.1: invalid value: get, must set one of 'hosts', or 'paths'; \
             KongClusterPlugin limit (plugin 6f1d): config.minute: expected an integer; vault: no"
        );
    }

    #[test]
    fn faults_of_no_entity_have_their_way() {
        let fields = json!({ "_format_version": "expected one of: 1.1, 2.1, 3.0", "routes": [null, { "service": "no such" }] });
        let refusal = of(&fields, &json!({}));
        assert_eq!(
            refusal.to_string(),
            "_format_version: expected one of: 1.1, 2.1, 3.0; routes.2.service: no such"
        );
        assert_eq!(of(&json!({}), &json!({})).to_string(), "declarative config is invalid: {}");
    }

    #[test]
    fn what_is_said_stays_short() {
        let entry = |number: usize| {
            json!({ "entity_type": "service", "entity_name": format!("s{number:03}"),
                "errors": [{ "field": "host", "message": "\u{e4}".repeat(9000) }] })
        };
        let refusal = of(&json!({}), &Value::Array((0..400).rev().map(entry).collect()));
        assert_eq!((refusal.problems.len(), refusal.left_off), (MOST, 400 - MOST));
        let text = refusal.to_string();
        assert!(
            text.starts_with("service s000: host: \u{e4}") && text.ends_with("\u{e4}…; and 396 more"),
            "{text}"
        );
        assert!(text.chars().count() < 1024, "{text}");
    }

    #[test]
    fn long_names_leave_room_for_the_first_problems() {
        let entry = |number: usize| {
            let name = format!("s{number}{}", "n".repeat(250));
            let tags =
                [format!("k8s-name:{name}"), "k8s-kind:Service".to_owned(), format!("k8s-namespace:{name}")];
            json!({ "entity_type": "service", "entity_name": name, "entity_tags": tags, "errors": [{ "message": "no" }] })
        };
        let refusal = of(&json!({}), &Value::Array((0..9).map(entry).collect()));
        assert_eq!(refusal.problems[0].object.as_ref().map(|object| object.name.len()), Some(252));
        let text = refusal.to_string();
        assert!(text.starts_with("Service s0n") && text.ends_with("…; and 8 more"), "{text}");
        assert!(text.chars().count() < SHOWN, "{text}");
    }

    #[test]
    fn other_answers_are_no_verdict() {
        for body in [
            "<html>No required SSL certificate was sent</html>",
            "{\"message\":\"Cannot parse JSON body\"}",
            "[]",
            "",
        ] {
            assert_eq!(Refusal::read(body.as_bytes()), None, "{body}");
        }
    }
}
