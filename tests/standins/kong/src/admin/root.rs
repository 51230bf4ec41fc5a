//! `GET /` and `GET /endpoints`.
//! In: a node. Out: what it says of itself.

use serde_json::{Map, Value, json};

use crate::conf::checks::{BUNDLED, plugin_name};
use crate::config::{items, schema};
use crate::node::Node;

/// The body of `GET /`.
pub fn body(node: &Node) -> Value {
    let hostname =
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let snapshot = node.config.borrow().clone();
    let mut enabled: Vec<String> = items(&snapshot.entities, "plugins")
        .filter_map(|plugin| plugin["name"].as_str().map(str::to_owned))
        .collect();
    enabled.sort();
    enabled.dedup();
    let available: Map<String, Value> =
        node.conf.plugins.iter().map(|name| (name.clone(), describe(name))).collect();
    json!({
        "version": node.conf.version,
        "edition": "community",
        "tagline": "Welcome to kong",
        "hostname": hostname,
        "node_id": node.id,
        "lua_version": "LuaJIT 2.1.0-20231117",
        "pids": {"master": std::process::id(), "workers": [std::process::id()]},
        "timers": {"pending": 0, "running": 0},
        "plugins": {"enabled_in_cluster": enabled, "available_on_server": available},
        "configuration": node.conf.to_json(),
    })
}

fn describe(name: &str) -> Value {
    let line = BUNDLED.lines().find(|line| plugin_name(line) == name).unwrap_or_default();
    let mut words = line.split_whitespace().skip(1);
    let version = words.next().unwrap_or("0.0.1");
    let priority: i64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    json!({"version": version, "priority": priority})
}

/// The body of `GET /endpoints`.
pub fn endpoints() -> Value {
    let mut paths: Vec<String> =
        ["/", "/config", "/endpoints", "/status", "/timers"].map(str::to_owned).to_vec();
    for entity in schema::all() {
        paths.push(format!("/{}", entity.admin));
        paths.push(format!("/{}/{{{}}}", entity.admin, entity.name));
    }
    paths.sort();
    json!({"data": paths})
}
