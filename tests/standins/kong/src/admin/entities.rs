//! Entities: lists, single ones, schemas and their validation.
//! In: paths of the admin API. Out: what the configuration in force says; writing is refused, as in DB-less mode.

use hyper::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::Asked;
use crate::answer::{Body, json as json_answer, message};
use crate::config::load::Entities;
use crate::config::schema::{self, Entity};
use crate::config::{items, reference, validate};
use crate::node::Node;

/// Answers `/<kind>`, `/<kind>/<id>` and `/<kind>/<id>/<kind>[/<id>]`.
pub fn answer(node: &Node, asked: &Asked, path: &[&str]) -> Response<Body> {
    let snapshot = node.config.borrow().clone();
    let (last, parent) = match path {
        [kind] => ((*kind, None), None),
        [kind, id] => ((*kind, Some(*id)), None),
        [kind, id, inner] => ((*inner, None), Some((*kind, *id))),
        [kind, id, inner, inner_id] => ((*inner, Some(*inner_id)), Some((*kind, *id))),
        _ => return not_found(),
    };
    let Some(entity) = schema::by_admin_path(last.0).or_else(|| by_field(parent, last.0)) else {
        return not_found();
    };
    if !matches!(asked.method, Method::GET | Method::HEAD) {
        return write(node, asked, entity, last.1);
    }
    let owner = match parent {
        None => None,
        Some((kind, id)) => match schema::by_admin_path(kind)
            .and_then(|kind| Some((kind, find(&snapshot.entities, kind, id)?)))
        {
            None => return not_found(),
            found => found,
        },
    };
    let fits = |item: &&Value| owner.as_ref().is_none_or(|(kind, owner)| belongs(item, entity, kind, owner));
    match last.1 {
        Some(id) => match find(&snapshot.entities, entity, id).filter(fits) {
            Some(item) => json_answer(StatusCode::OK, item),
            None => not_found(),
        },
        None if is_single(owner.as_ref().map(|(_, owner)| *owner), last.0) => {
            let mut all = items(&snapshot.entities, &entity.name).filter(fits);
            all.next().map_or_else(not_found, |item| json_answer(StatusCode::OK, item))
        }
        None => list(asked, &items(&snapshot.entities, &entity.name).filter(fits).collect::<Vec<_>>()),
    }
}

fn not_found() -> Response<Body> {
    message(StatusCode::NOT_FOUND, "Not found")
}

/// `/routes/<id>/service`: the last segment is a field rather than a kind.
fn by_field(parent: Option<(&str, &str)>, field: &str) -> Option<&'static Entity> {
    let kind = schema::by_admin_path(parent?.0)?;
    let to = kind.foreign().find(|(name, _)| *name == field)?.1;
    schema::entity(to)
}

fn is_single(owner: Option<&Value>, field: &str) -> bool {
    owner.is_some_and(|owner| owner.get(field).is_some())
}

fn belongs(item: &Value, entity: &Entity, kind: &Entity, owner: &Value) -> bool {
    let id = owner["id"].as_str();
    let down = entity.foreign().any(|(field, to)| to == kind.name && reference(item, field) == id);
    let up =
        kind.foreign().any(|(field, to)| to == entity.name && reference(owner, field) == item["id"].as_str());
    down || up
}

fn find<'a>(entities: &'a Entities, entity: &Entity, key: &str) -> Option<&'a Value> {
    let all = entities.get(&entity.name)?;
    all.get(key).or_else(|| {
        let field = entity.endpoint_key.as_ref()?;
        all.values().find(|item| item[field] == key)
    })
}

fn list(asked: &Asked, all: &[&Value]) -> Response<Body> {
    let argument =
        |name: &str| asked.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let size: usize = argument("size").and_then(|size| size.parse().ok()).unwrap_or(100);
    let offset: usize = argument("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let tag = argument("tags").map(super::decode);
    let tagged = |item: &&&Value| {
        tag.as_ref()
            .is_none_or(|tag| item["tags"].as_array().is_some_and(|tags| tags.iter().any(|own| own == tag)))
    };
    let matching: Vec<&Value> = all.iter().filter(tagged).copied().collect();
    let data: Vec<&Value> = matching.iter().skip(offset).take(size).copied().collect();
    let end = offset + data.len();
    let body = if end < matching.len() {
        let next = format!("/{}?offset={end}&size={size}", asked.path.join("/"));
        json!({"data": data, "next": next, "offset": end.to_string()})
    } else {
        json!({"data": data, "next": null})
    };
    json_answer(StatusCode::OK, &body)
}

/// Writing: 400 where the entity is wrong, else 405.
fn write(node: &Node, asked: &Asked, entity: &Entity, id: Option<&str>) -> Response<Body> {
    let verb = match asked.method {
        Method::POST if id.is_none() => "create",
        Method::PUT if id.is_some() => "create or update",
        Method::PATCH if id.is_some() => "update",
        Method::DELETE if id.is_some() => "remove",
        _ => return message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
    };
    if matches!(asked.method, Method::POST | Method::PUT) {
        let Ok(item) = serde_json::from_slice::<Value>(&asked.body) else {
            return message(StatusCode::BAD_REQUEST, "Cannot parse JSON body");
        };
        if let Err(errors) = validate::item(entity, &item, &[], &node.conf.plugins) {
            return violation(&errors);
        }
    }
    let text = format!("cannot {verb} '{}' entities when not using a database", entity.name);
    json_answer(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({"code": 12, "name": "operation unsupported", "message": text}),
    )
}

fn violation(errors: &Map<String, Value>) -> Response<Body> {
    let mut parts = Vec::new();
    for (field, problem) in errors.iter().filter(|(field, _)| *field == "@entity") {
        debug_assert_eq!(field, "@entity");
        parts.extend(problem.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    for (field, problem) in errors.iter().filter(|(field, _)| *field != "@entity") {
        describe(field, problem, &mut parts);
    }
    let text = match parts.as_slice() {
        [one] => format!("schema violation ({one})"),
        many => format!("{} schema violations ({})", many.len(), many.join("; ")),
    };
    let body = json!({"code": 2, "name": "schema violation", "message": text, "fields": errors});
    json_answer(StatusCode::BAD_REQUEST, &body)
}

fn describe(field: &str, problem: &Value, parts: &mut Vec<String>) {
    match problem {
        Value::String(text) => parts.push(format!("{field}: {text}")),
        Value::Object(map) => {
            map.iter().for_each(|(name, inner)| describe(&format!("{field}.{name}"), inner, parts));
        }
        Value::Array(list) => {
            let wrong = list.iter().enumerate().filter(|(_, entry)| !entry.is_null());
            wrong.for_each(|(at, inner)| describe(&format!("{field}.{}", at + 1), inner, parts));
        }
        _ => {}
    }
}

/// `/schemas/<kind>`, `/schemas/<kind>/validate`, `/schemas/plugins/<name>`, `/schemas/plugins/validate`.
pub fn schemas(node: &Node, asked: &Asked, path: &[&str]) -> Response<Body> {
    let get = matches!(asked.method, Method::GET | Method::HEAD);
    match path {
        [kind] if get => match schema::by_admin_path(kind) {
            Some(entity) => json_answer(StatusCode::OK, &entity.to_json()),
            None => message(StatusCode::NOT_FOUND, &format!("No entity named '{kind}'")),
        },
        ["plugins", name] if get => {
            if node.conf.plugins.iter().any(|known| known == name) {
                json_answer(StatusCode::OK, &json!({"fields": []}))
            } else {
                message(StatusCode::NOT_FOUND, &format!("No plugin named '{name}'"))
            }
        }
        [kind, "validate"] if asked.method == Method::POST => match schema::by_admin_path(kind) {
            Some(entity) => judge(node, asked, entity),
            None => message(StatusCode::NOT_FOUND, &format!("No entity named '{kind}'")),
        },
        _ => not_found(),
    }
}

fn judge(node: &Node, asked: &Asked, entity: &Entity) -> Response<Body> {
    let Ok(item) = serde_json::from_slice::<Value>(&asked.body) else {
        return message(StatusCode::BAD_REQUEST, "Cannot parse JSON body");
    };
    match validate::item(entity, &item, &[], &node.conf.plugins) {
        Ok(()) => message(StatusCode::OK, "schema validation successful"),
        Err(errors) => violation(&errors),
    }
}
