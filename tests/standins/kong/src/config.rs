//! The declarative configuration in force, compiled for serving.
//! In: entities. Out: one immutable snapshot. Never swaps itself; the node does.

pub mod agreements;
pub mod checks;
pub mod faults;
pub mod ids;
pub mod load;
pub mod lua;
pub mod schema;
pub mod service;
pub mod validate;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::balancer::Upstream;
use crate::router::Router;
use crate::stream::Streams;
use crate::tls::certs;
use crate::tls::resolver::Names;
use load::Entities;
use service::{Plugins, Service};

/// Hash of a node without a configuration.
pub const NO_HASH: &str = "00000000000000000000000000000000";

/// One configuration, ready to serve.
#[derive(Debug)]
pub struct Snapshot {
    /// Entities as they were accepted.
    pub entities: Entities,
    /// `configuration_hash`.
    pub hash: String,
    /// Certificates by SNI.
    pub names: Names,
    /// Routes of HTTP.
    pub router: Router,
    /// Routes of TCP, TLS and UDP.
    pub streams: Streams,
    /// Services by id.
    pub services: HashMap<String, Arc<Service>>,
    /// Upstreams by name.
    pub upstreams: HashMap<String, Arc<Upstream>>,
    /// Plugins that this stand-in acts on.
    pub plugins: Plugins,
}

impl Snapshot {
    /// A node without a configuration.
    pub fn empty() -> Self {
        Self::new(Entities::new(), NO_HASH.to_owned())
    }

    /// Compiles entities; an empty set has the hash of a node without a configuration.
    pub fn new(entities: Entities, hash: String) -> Self {
        let hash = if load::is_empty(&entities) { NO_HASH.to_owned() } else { hash };
        Self {
            names: names(&entities),
            router: Router::new(&entities),
            streams: Streams::new(&entities),
            services: service::all(&entities),
            upstreams: Upstream::all(&entities),
            plugins: Plugins::new(&entities),
            entities,
            hash,
        }
    }

    /// Whether this counts as a configuration.
    pub fn is_empty(&self) -> bool {
        self.hash == NO_HASH
    }

    /// The body of the 201 answer: entities by kind and id.
    pub fn to_json(&self) -> Value {
        let kinds = self.entities.iter().map(|(kind, items)| {
            let items: Map<String, Value> =
                items.iter().map(|(id, item)| (id.clone(), item.clone())).collect();
            (kind.clone(), Value::Object(items))
        });
        Value::Object(kinds.filter(|(_, items)| items != &json!({})).collect())
    }

    /// The configuration as a declarative text, without what is null.
    pub fn to_yaml(&self) -> Result<String, String> {
        let mut all = Map::new();
        all.insert("_format_version".into(), json!("3.0"));
        all.insert("_transform".into(), json!(false));
        for (kind, items) in self.entities.iter().filter(|(_, items)| !items.is_empty()) {
            all.insert(kind.clone(), items.values().map(export).collect());
        }
        serde_saphyr::to_string(&all).map_err(|error| error.to_string())
    }
}

fn export(item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let short = |value: &Value| match value.as_object() {
        Some(map) if map.len() == 1 => map.get("id").cloned().unwrap_or_else(|| value.clone()),
        _ => value.clone(),
    };
    Value::Object(fields.map(|(name, value)| (name.clone(), short(value))).collect())
}

/// Items of a kind.
pub fn items<'a>(entities: &'a Entities, kind: &str) -> impl Iterator<Item = &'a Value> {
    entities.get(kind).into_iter().flat_map(|items| items.values())
}

/// The id that a field refers to.
pub fn reference<'a>(item: &'a Value, field: &str) -> Option<&'a str> {
    item.get(field)?.get("id")?.as_str()
}

fn names(entities: &Entities) -> Names {
    let pair = |item: &Value| {
        let chain = certs::chain(item["cert"].as_str()?).ok()?;
        certs::pair(chain, certs::key(item["key"].as_str()?).ok()?).ok().map(Arc::new)
    };
    let pairs: HashMap<&str, _> = items(entities, "certificates")
        .filter_map(|item| Some((item["id"].as_str()?, pair(item)?)))
        .collect();
    let mut names = Names::default();
    for sni in items(entities, "snis") {
        let found = reference(sni, "certificate").and_then(|id| pairs.get(id));
        if let (Some(name), Some(pair)) = (sni["name"].as_str(), found) {
            names.add(name, pair.clone());
        }
    }
    names
}
