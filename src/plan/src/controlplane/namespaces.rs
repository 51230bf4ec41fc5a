//! Which namespaces are watched.
//!
//! In: what is asked for, and which namespaces let themselves be read. Out: those that are watched, and those that are
//! left out. It never falls back to all: what cannot be watched is left out.

use std::collections::BTreeSet;

use crds::controlplane::{ControlPlaneOptions, WatchNamespacesType};

/// Namespaces whose resources are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// All of them.
    Everywhere,
    /// These, that of the `ControlPlane` always among them: the Services of its `DataPlane` are there.
    Only {
        /// Those that are watched.
        namespaces: BTreeSet<String>,
        /// Those that are asked for and have no grant.
        closed: Vec<String>,
    },
}

impl Watched {
    /// Namespaces of others that are watched by name.
    pub fn abroad(&self, own: &str) -> Vec<&str> {
        match self {
            Self::Everywhere => Vec::new(),
            Self::Only { namespaces, .. } => {
                namespaces.iter().map(String::as_str).filter(|name| *name != own).collect()
            }
        }
    }
}

/// Namespaces of others that are asked for by name, and so need a grant.
pub fn listed<'a>(options: &'a ControlPlaneOptions, own: &'a str) -> impl Iterator<Item = &'a str> {
    let watched = options.watch_namespaces.as_ref();
    let watched = watched.filter(|watched| watched.type_ == WatchNamespacesType::List);
    let list = watched.and_then(|watched| watched.list.as_deref()).unwrap_or_default();
    list.iter().map(String::as_str).filter(move |name| *name != own)
}

/// Those that are watched.
pub fn watched(options: &ControlPlaneOptions, own: &str, granted: &BTreeSet<String>) -> Watched {
    let asked = options.watch_namespaces.as_ref().map_or(WatchNamespacesType::All, |watched| watched.type_);
    if asked == WatchNamespacesType::All {
        return Watched::Everywhere;
    }
    let (open, closed): (BTreeSet<_>, BTreeSet<_>) =
        listed(options, own).map(str::to_owned).partition(|name| granted.contains(name));
    let namespaces = open.into_iter().chain([own.to_owned()]).collect();
    Watched::Only { namespaces, closed: closed.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_granted_is_watched_and_never_all_instead() {
        let options = |watched| -> ControlPlaneOptions {
            serde_json::from_value(json!({ "watchNamespaces": watched })).unwrap()
        };
        let granted = BTreeSet::from(["b".to_owned(), "z".to_owned()]);
        let only = |namespaces: &[&str], closed: &[&str]| Watched::Only {
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            closed: closed.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (asked, want) in [
            (json!(null), Watched::Everywhere),
            (json!({ "type": "all" }), Watched::Everywhere),
            (json!({ "type": "own" }), only(&["team"], &[])),
            (json!({ "type": "list", "list": ["b", "a", "team", "a"] }), only(&["b", "team"], &["a"])),
            (json!({ "type": "list", "list": ["a"] }), only(&["team"], &["a"])),
            (json!({ "type": "list" }), only(&["team"], &[])),
        ] {
            assert_eq!(watched(&options(asked.clone()), "team", &granted), want, "{asked}");
        }
    }
}
