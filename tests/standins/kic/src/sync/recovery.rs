//! The last valid configuration, read back from an instance of Kong.
//! In: lists of entities. Out: a configuration that can be pushed, if an instance has one. Only until a push was good.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::push;
use crate::admin::client::Client;
use crate::admin::nodes::Node;
use crate::log;

/// The entities that are read, all at a time; what Kong does not know is only logged.
const ENTITIES: [&str; 21] = [
    "services",
    "routes",
    "upstreams",
    "certificates",
    "snis",
    "ca_certificates",
    "plugins",
    "consumers",
    "consumer_groups",
    "basic-auths",
    "key-auths",
    "hmac-auths",
    "jwts",
    "acls",
    "oauth2",
    "mtls-auths",
    "keys",
    "key-sets",
    "vaults",
    "partials",
    "filter-chains",
];
/// Where the admin API's name of an entity is not that of the configuration.
const RENAMED: [(&str, &str); 7] = [
    ("basic-auths", "basicauth_credentials"),
    ("key-auths", "keyauth_credentials"),
    ("hmac-auths", "hmacauth_credentials"),
    ("jwts", "jwt_secrets"),
    ("mtls-auths", "mtls_auth_credentials"),
    ("key-sets", "key_sets"),
    ("filter-chains", "filter_chains"),
];

/// Reads what the first configured instance has.
pub async fn recover(nodes: &[Arc<Node>]) -> Option<Arc<str>> {
    for node in nodes {
        let lists = join_all(ENTITIES.map(|kind| list(&node.client, kind))).await;
        // The root tells the version that decides how entities are read.
        let _ = node.client.get("/").await;
        match push::configured(node).await {
            Ok(true) => return Some(render(node, lists).await.to_string().into()),
            Ok(false) => {}
            Err(error) => log::error(&format!("Failed to fetch last good configuration: {error}")),
        }
    }
    None
}

async fn list(client: &Client, kind: &str) -> Vec<Value> {
    read(client, &format!("/{kind}?size=1000")).await
}

async fn read(client: &Client, first: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let body = match client.get(&path).await {
            Ok(answer) if answer.status.is_success() => answer.json(),
            Ok(answer) => {
                log::debug(&format!("GET {path}: {}", answer.status));
                return all;
            }
            Err(error) => {
                log::error(&error);
                return all;
            }
        };
        all.extend(body.get("data").and_then(Value::as_array).into_iter().flatten().cloned());
        next = body.get("next").and_then(Value::as_str).map(str::to_owned);
    }
    all
}

/// Lists as a configuration. Targets are read of each upstream, for they have no list of their own.
async fn render(node: &Node, lists: Vec<Vec<Value>>) -> Value {
    let mut all = Map::from_iter([("_format_version".to_owned(), json!("3.0"))]);
    for (kind, mut list) in ENTITIES.into_iter().zip(lists) {
        if kind == "upstreams" {
            for upstream in &mut list {
                let id = upstream.get("id").and_then(Value::as_str).unwrap_or_default();
                let targets = read(&node.client, &format!("/upstreams/{id}/targets?size=1000")).await;
                let targets: Vec<Value> = targets.into_iter().map(without_owner).collect();
                if let Some(object) = upstream.as_object_mut() {
                    object.insert("targets".to_owned(), json!(targets));
                }
            }
        }
        if !list.is_empty() {
            let name = RENAMED.iter().find(|(admin, _)| *admin == kind).map_or(kind, |(_, name)| *name);
            all.insert(name.to_owned(), Value::Array(list));
        }
    }
    Value::Object(all)
}

fn without_owner(mut target: Value) -> Value {
    if let Some(object) = target.as_object_mut() {
        object.remove("upstream");
    }
    target
}
