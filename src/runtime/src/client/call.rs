//! What a request asks of the API server, in the API server's words.
//!
//! In: method and address. Out: verb, group and resource, as in its audit log. Never: the name of an object, of
//! which there are too many for a label.

use http::{Method, Uri};

/// The resource of a request for something else than objects, such as the API server's version.
const NO_RESOURCE: &str = "none";

/// A request without the objects' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// As in rules: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: String,
    /// Plural of the kind, with the subresource where there is one.
    pub resource: String,
}

impl Call {
    /// Reads a request.
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
        let group = match parts.next() {
            Some("api") => Some(""),
            Some("apis") => parts.next(),
            _ => None,
        };
        let _version = parts.next();
        let mut rest: Vec<_> = parts.collect();
        // A namespace in the path, unless the namespace itself is meant.
        if let ["namespaces", _, after, ..] = rest.as_slice()
            && !["status", "finalize"].contains(after)
        {
            rest.drain(..2);
        }
        let (resource, named) = match rest.as_slice() {
            [] => return Self { verb: "get", group: String::new(), resource: NO_RESOURCE.to_owned() },
            [resource] => ((*resource).to_owned(), false),
            [resource, _] => ((*resource).to_owned(), true),
            [resource, _, subresource, ..] => (format!("{resource}/{subresource}"), true),
        };
        Self { verb: verb(method, named, uri.query()), group: group.unwrap_or_default().to_owned(), resource }
    }

    /// Whether it keeps or asks for the lease.
    pub fn is_of_lease(&self) -> bool {
        self.resource == "leases" && self.group == "coordination.k8s.io"
    }

    /// Whether it asks to evict a pod: there 429 speaks of a `PodDisruptionBudget` and not of the API server.
    pub fn is_eviction(&self) -> bool {
        self.resource == "pods/eviction"
    }
}

fn verb(method: &Method, named: bool, query: Option<&str>) -> &'static str {
    let watches =
        query.is_some_and(|query| query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1")));
    match (method.as_str(), named) {
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        (_, true) => "get",
        _ if watches => "watch",
        _ => "list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_as_the_api_server_names_them() {
        for (method, address, named) in [
            ("GET", "/api/v1/namespaces/a/pods/b", "get  pods"),
            ("GET", "/api/v1/pods?labelSelector=a%3Db&watch=true&x=1", "watch  pods"),
            ("GET", "/api/v1/namespaces/a/pods?watch=false", "list  pods"),
            ("GET", "https://10.0.0.1:6443/apis/apps/v1/deployments?limit=500", "list apps deployments"),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b?force=true", "patch apps deployments"),
            (
                "PATCH",
                "/apis/g.example/v1/namespaces/a/dataplanes/b/status",
                "patch g.example dataplanes/status",
            ),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
                "update coordination.k8s.io leases",
            ),
            ("POST", "/apis/events.k8s.io/v1/namespaces/a/events", "create events.k8s.io events"),
            (
                "POST",
                "/apis/authentication.k8s.io/v1/tokenreviews",
                "create authentication.k8s.io tokenreviews",
            ),
            ("DELETE", "/api/v1/namespaces/a/services/b", "delete  services"),
            ("DELETE", "/api/v1/namespaces/a/services", "deletecollection  services"),
            ("GET", "/api/v1/namespaces/a", "get  namespaces"),
            ("GET", "/api/v1/namespaces", "list  namespaces"),
            ("PUT", "/api/v1/namespaces/a/finalize", "update  namespaces/finalize"),
            ("POST", "/api/v1/namespaces/a/pods/b/eviction", "create  pods/eviction"),
            ("GET", "/version", "get  none"),
            ("GET", "/apis/apps/v1", "get  none"),
        ] {
            let call = Call::of(&method.parse().unwrap(), &address.parse().unwrap());
            assert_eq!(
                format!("{} {} {}", call.verb, call.group, call.resource),
                named,
                "{method} {address}"
            );
        }
    }
}
