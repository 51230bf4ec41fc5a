//! Where a field stands.
//!
//! In: a tree and the path of a field, as the API server, the rules and the plan write it: `a.b[0].c`, items also by
//! their names, `containers[proxy]`, keys also in brackets, `annotations[a.b/c]`. Out: the node, or the nearest one
//! above it that is there.

use super::tree::{Entry, Held, Mark, Node};

/// Where the field of that path stands: at its key, or at the item.
pub fn mark(root: &Node, path: &str) -> Mark {
    follow(root, path).0
}

/// The same, where the field is there.
pub fn exact(root: &Node, path: &str) -> Option<Mark> {
    let (at, rest) = follow(root, path);
    rest.is_empty().then_some(at)
}

/// As far as a path leads, and what is left of it.
fn follow<'p>(root: &Node, path: &'p str) -> (Mark, &'p str) {
    let (mut node, mut at, mut rest) = (root, first(root), path);
    while let Some((next, place, left)) = step(node, rest) {
        (node, at, rest) = (next, place, left);
    }
    (at, rest)
}

fn first(root: &Node) -> Mark {
    match &root.held {
        Held::Map(entries) => entries.first().map_or(root.at, |entry| entry.at),
        _ => root.at,
    }
}

/// One step along a path: the node, where it stands, and what is left of the path.
fn step<'a, 'p>(node: &'a Node, path: &'p str) -> Option<(&'a Node, Mark, &'p str)> {
    if path.is_empty() {
        return None;
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (inner, left) = rest.split_once(']')?;
        return match &node.held {
            Held::List(items) => {
                let item = item(items, inner)?;
                Some((item, first(item), left))
            }
            Held::Map(entries) => {
                let entry = entries.iter().find(|entry| entry.key == inner)?;
                Some((&entry.value, entry.at, left))
            }
            Held::Scalar(_) => None,
        };
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    let Held::Map(entries) = &node.held else { return None };
    // Keys may have dots themselves: the longest that fits is meant.
    let fitting = entries.iter().filter_map(|entry| Some((entry, after(entry, path)?)));
    let (entry, left) = fitting.max_by_key(|(entry, _)| entry.key.len())?;
    Some((&entry.value, entry.at, left))
}

/// What is left of a path that begins with the key of an entry.
fn after<'p>(entry: &Entry, path: &'p str) -> Option<&'p str> {
    let left = path.strip_prefix(entry.key.as_str())?;
    (left.is_empty() || left.starts_with(['.', '['])).then_some(left)
}

fn item<'a>(items: &'a [Node], inner: &str) -> Option<&'a Node> {
    if let Some(item) = inner.parse().ok().and_then(|index: usize| items.get(index)) {
        return Some(item);
    }
    let is_named = |item: &&Node| {
        let name = item.get("name").map(|entry| &entry.value.held);
        matches!(name, Some(Held::Scalar(serde_json::Value::String(name))) if name == inner)
    };
    items.iter().find(is_named)
}

/// Whether a place is in a node: one of its keys stands there.
pub fn holds(node: &Node, at: Mark) -> bool {
    match &node.held {
        Held::Map(entries) => entries.iter().any(|entry| entry.at == at || holds(&entry.value, at)),
        Held::List(items) => items.iter().any(|item| holds(item, at)),
        Held::Scalar(_) => false,
    }
}
