//! Kubernetes' objects as Kong's declarative configuration.
//! In: a view of the cluster. Out: the configuration, and what is in it. Never asks or writes anything; the same view
//! gives the same text.

pub mod backends;
pub mod certificates;
pub mod content;
pub mod expressions;
pub mod filters;
pub mod http;
pub mod ingress;
pub mod object;
pub mod paths;
pub mod streams;
pub mod view;

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::Ingress;
use serde_json::Value;

use crate::cluster::route::{Route, Rules};
use content::Content;
use object::Object;
use view::View;

/// What came of a translation.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The configuration.
    pub content: Value,
    /// Objects in it, with their generations.
    pub done: Vec<(Object, i64)>,
    /// Objects that are not, with their generations and the reason.
    pub failed: Vec<(Object, i64, String)>,
}

/// Translates everything that was let in.
pub fn translate(view: View<'_>) -> Translation {
    let mut content = Content::default();
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for let_in in view.admitted.routes.values() {
        let route = &let_in.route.read;
        if view.without.contains(&route.object) || depends(view.without, route) {
            continue;
        }
        let added = match &route.rules {
            Rules::Http(_) => http::add(view, let_in, &mut content),
            Rules::Stream(_) => {
                streams::add(view, let_in, &mut content);
                Ok(())
            }
        };
        match added {
            Ok(()) => done.push((route.object.clone(), route.generation)),
            Err(reason) => failed.push((route.object.clone(), route.generation, reason)),
        }
    }
    let ingresses: Vec<&Ingress> = view
        .snapshot
        .ingresses
        .values()
        .map(|entry| &entry.read)
        .filter(|ingress| ingress::serves(view, ingress) && !view.without.contains(&ingress::object(ingress)))
        .collect();
    for ingress in &ingresses {
        ingress::add(view, ingress, &mut content);
        done.push((ingress::object(ingress), ingress.metadata.generation.unwrap_or(0)));
    }
    content.certificates(certificates::of(view, &ingresses));
    Translation { content: content.render(), done, failed }
}

/// Whether a route has a backend that is left out.
fn depends(without: &BTreeSet<Object>, route: &Route) -> bool {
    let own = &route.object.namespace;
    let mut left = without.iter().filter(|object| object.kind == "Service");
    left.any(|service| {
        route.backends().iter().any(|backend| {
            backend.name == service.name && backend.namespace.as_ref().unwrap_or(own) == &service.namespace
        })
    })
}

#[cfg(test)]
mod tests;
