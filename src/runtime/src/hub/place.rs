//! Where a kind is watched: everywhere, or in one namespace.

use std::fmt;
use std::sync::Arc;

use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// One part of the cluster that is watched by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// All namespaces.
    Everywhere,
    /// One namespace, and nothing outside it.
    Namespace(Arc<str>),
}

impl Place {
    /// The parts that a list of namespaces asks for; an empty one asks for all.
    pub fn all(namespaces: &[String]) -> Vec<Self> {
        let named = namespaces.iter().filter(|name| !name.is_empty());
        let mut places: Vec<_> = named.map(|name| Self::Namespace(name.as_str().into())).collect();
        if places.is_empty() {
            places.push(Self::Everywhere);
        }
        places.sort();
        places.dedup();
        places
    }

    /// Whether an object of that namespace is part of it.
    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Namespace(own) => own.as_ref() == namespace,
        }
    }

    /// Objects of a kind in it.
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Everywhere => Api::all(client.clone()),
            Self::Namespace(name) => Api::namespaced(client.clone(), name),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => f.write_str("all namespaces"),
            Self::Namespace(name) => write!(f, "namespace {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_means_all_and_none_is_watched_twice() {
        assert_eq!(Place::all(&[]), [Place::Everywhere]);
        assert_eq!(Place::all(&[String::new()]), [Place::Everywhere], "an empty variable");
        let places = Place::all(&["b".into(), "a".into(), "b".into()]);
        assert_eq!(places, [Place::Namespace("a".into()), Place::Namespace("b".into())]);
        assert!(Place::Everywhere.holds("x") && places[0].holds("a") && !places[0].holds("b"));
    }
}
