//! What a request asks of the API server.
//!
//! In: method, path and body of a request. Out: verb, resource and name as the API server's audit log gives
//! them. Never changes the request.

use std::fmt;

use hyper::{Method, Uri};
use serde_json::Value;

use crate::audit::WRITES;

/// Kinds without a namespace that the operator reads.
const CLUSTER_SCOPED: &[&str] = &[
    "clusterrolebindings",
    "clusterroles",
    "customresourcedefinitions",
    "gatewayclasses",
    "mutatingwebhookconfigurations",
    "namespaces",
    "nodes",
    "validatingwebhookconfigurations",
];

/// One request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
    /// Plural name of the kind, as in `deployments`.
    pub resource: String,
    /// As in `status`; empty without one.
    pub subresource: String,
    /// Empty for all, and for what has none.
    pub namespace: String,
    /// Name of the object; of an event, that of the object it tells of; empty for many.
    pub name: String,
    /// Whether it is a watch that begins with a list.
    pub streams_list: bool,
}

impl Asked {
    /// Reads a request.
    pub fn of(method: &Method, uri: &Uri, body: &[u8]) -> Self {
        let segments: Vec<_> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let rest = match segments.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        let query = uri.query().unwrap_or_default();
        let mut asked = Self {
            verb: "",
            resource: part(0),
            subresource: part(2),
            namespace: namespace.to_owned(),
            name: part(1),
            streams_list: query.split('&').any(|pair| pair == "sendInitialEvents=true"),
        };
        asked.verb = asked.verb_of(method, query);
        if asked.name.is_empty() && asked.verb == "create" {
            asked.name = name_in(body);
        }
        asked
    }

    fn verb_of(&self, method: &Method, query: &str) -> &'static str {
        let watches = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
        match *method {
            Method::GET if watches => "watch",
            Method::GET if self.name.is_empty() => "list",
            Method::GET => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if self.name.is_empty() => "deletecollection",
            Method::DELETE => "delete",
            _ => "other",
        }
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.verb)
    }

    /// Whether it is about an object of that name or a child of it: those have it in their names.
    pub fn concerns(&self, name: &str) -> bool {
        self.name.contains(name)
    }

    /// The path of the same request for one namespace, where it asks for all of them.
    pub(super) fn narrowed(&self, uri: &Uri, namespace: &str) -> String {
        let whole = uri.path_and_query().map_or(uri.path(), |whole| whole.as_str());
        let all = matches!(self.verb, "list" | "watch") && self.namespace.is_empty();
        if !all || self.resource.is_empty() || CLUSTER_SCOPED.contains(&self.resource.as_str()) {
            return whole.to_owned();
        }
        let scoped = format!("/namespaces/{namespace}/{}", self.resource);
        whole.replacen(&format!("/{}", self.resource), &scoped, 1)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        write!(f, "{} {}{slash}{} {}", self.verb, self.resource, self.subresource, self.name)
    }
}

fn name_in(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let name =
        text("/regarding/name").or_else(|| text("/metadata/name")).or_else(|| text("/metadata/generateName"));
    name.unwrap_or_default().to_owned()
}

/// The address of a list as it was at a version, whatever version was asked for.
pub(super) fn dated(uri: &Uri, version: u64) -> String {
    let query = uri.query().unwrap_or_default();
    // A page that is not the first is of the version of the first.
    if query.contains("continue=") {
        return uri.to_string();
    }
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("resourceVersion"));
    let kept: Vec<_> = kept.collect();
    let dated = format!("resourceVersion={version}&resourceVersionMatch=Exact");
    format!("{}?{dated}&{}", uri.path(), kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, path: &str, body: &str) -> Asked {
        Asked::of(method, &path.parse().unwrap(), body.as_bytes())
    }

    #[test]
    fn requests_are_told_apart_as_the_audit_log_does() {
        for (method, path, expected) in [
            (Method::GET, "/apis/apps/v1/deployments?labelSelector=a%3Db", "list deployments "),
            (Method::GET, "/apis/apps/v1/deployments?watch=true&resourceVersion=1", "watch deployments "),
            (Method::GET, "/api/v1/namespaces/team/secrets/key", "get secrets key"),
            (Method::GET, "/api/v1/namespaces", "list namespaces "),
            (Method::GET, "/api/v1/namespaces/team", "get namespaces team"),
            (
                Method::PATCH,
                "/apis/g/v1/namespaces/team/dataplanes/edge/status?force=true",
                "patch dataplanes/status edge",
            ),
            (Method::DELETE, "/api/v1/namespaces/team/services/edge", "delete services edge"),
            (Method::GET, "/version", "list  "),
        ] {
            assert_eq!(asked(&method, path, "").to_string(), expected, "{method} {path}");
        }
    }

    #[test]
    fn an_event_is_about_what_it_tells_of() {
        let body = r#"{"metadata":{"generateName":"edge-"},"regarding":{"name":"edge"}}"#;
        let event = asked(&Method::POST, "/apis/events.k8s.io/v1/namespaces/team/events", body);
        assert_eq!((event.verb, event.name.as_str(), event.is_write()), ("create", "edge", true));
        let body = r#"{"metadata":{"name":"authority"}}"#;
        assert_eq!(asked(&Method::POST, "/api/v1/namespaces/team/secrets", body).name, "authority");
    }

    #[test]
    fn a_list_can_be_dated_and_its_further_pages_follow() {
        for (path, dated) in [
            (
                "/api/v1/pods?limit=5&resourceVersion=0",
                "/api/v1/pods?resourceVersion=7&resourceVersionMatch=Exact&limit=5",
            ),
            ("/api/v1/pods?limit=5&continue=x", "/api/v1/pods?limit=5&continue=x"),
        ] {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(super::dated(&uri, 7), dated);
        }
    }

    #[test]
    fn only_what_asks_for_all_namespaces_is_narrowed() {
        for (path, narrowed) in [
            ("/apis/apps/v1/deployments?limit=5", "/apis/apps/v1/namespaces/team/deployments?limit=5"),
            ("/api/v1/pods?watch=true", "/api/v1/namespaces/team/pods?watch=true"),
            ("/api/v1/namespaces/own/secrets/key", "/api/v1/namespaces/own/secrets/key"),
            ("/api/v1/namespaces", "/api/v1/namespaces"),
            ("/version", "/version"),
        ] {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(Asked::of(&Method::GET, &uri, b"").narrowed(&uri, "team"), narrowed);
        }
    }
}
