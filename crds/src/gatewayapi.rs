//! What is read of Gateway API's kinds that this product does not write: routes, by what attaches them, and grants.
//!
//! In: objects as the API server has them. Out: types with the few fields that are read. Never: a rule of a route; those
//! are Kong Ingress Controller's.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Serialize};

/// Group of Gateway API's kinds.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// A kind of route, or another kind that has a namespace.
pub trait Read: Send + Sync + 'static {
    /// Its name.
    const KIND: &'static str;
    /// Its plural, in lower case.
    const PLURAL: &'static str;
    /// The version in which it is read.
    const VERSION: &'static str;
}

/// Declares kinds that are read.
macro_rules! kinds {
    ($( $(#[doc = $meaning:literal])+ $name:ident $kind:literal $plural:literal $version:literal; )+) => { $(
        $(#[doc = $meaning])+
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Read for $name {
            const KIND: &'static str = $kind;
            const PLURAL: &'static str = $plural;
            const VERSION: &'static str = $version;
        }
    )+ };
}

// Kong Ingress Controller 3 reads routes of streams, and grants, in these versions alone.
kinds! {
    /// Routes of HTTP requests.
    Http "HTTPRoute" "httproutes" "v1";
    /// Routes of gRPC requests.
    Grpc "GRPCRoute" "grpcroutes" "v1";
    /// Routes of TLS streams.
    Tls "TLSRoute" "tlsroutes" "v1alpha2";
    /// Routes of TCP streams.
    Tcp "TCPRoute" "tcproutes" "v1alpha2";
    /// Routes of UDP datagrams.
    Udp "UDPRoute" "udproutes" "v1alpha2";
    /// Leaves to refer to objects of another namespace.
    Grants "ReferenceGrant" "referencegrants" "v1beta1";
}

/// An object of a kind of which only some fields are read.
#[derive(Serialize, Deserialize)]
#[serde(bound(
    serialize = "S: Serialize, T: Serialize",
    deserialize = "S: Deserialize<'de>, T: Deserialize<'de>"
))]
pub struct Part<K, S, T = ()> {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What is read of its specification.
    pub spec: S,
    /// What is read of its status.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub status: Option<T>,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

const fn none<T>() -> Option<T> {
    None
}

/// A route.
pub type Route<K> = Part<K, RouteSpec, RouteStatus>;
/// A leave to refer to objects of its namespace.
pub type ReferenceGrant = Part<Grants, ReferenceGrantSpec>;

impl<K, S: Clone, T: Clone> Clone for Part<K, S, T> {
    fn clone(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            spec: self.spec.clone(),
            status: self.status.clone(),
            kind: PhantomData,
        }
    }
}

impl<K: Read, S, T> fmt::Debug for Part<K, S, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}/{:?}", K::KIND, self.metadata.namespace, self.metadata.name)
    }
}

impl<K: Read, S, T> Resource for Part<K, S, T> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        K::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What attaches a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteSpec {
    /// What it wants to be attached to.
    pub parent_refs: Vec<ParentRef>,
    /// Names that it answers to; none means all.
    pub hostnames: Vec<String>,
}

/// What a route wants to be attached to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// Group of the parent. Absent, Gateway API's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind of the parent. Absent, `Gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of the parent. Absent, that of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the parent.
    pub name: String,
    /// Name of one listener. Absent, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Port of listeners. Absent, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
}

/// What became of the attachments of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteStatus {
    /// One entry per parent and controller.
    pub parents: Vec<RouteParent>,
}

/// What became of one attachment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteParent {
    /// The parent.
    pub parent_ref: ParentRef,
    /// Who says so.
    pub controller_name: String,
    /// What is said.
    pub conditions: Vec<Condition>,
}

/// Who may refer to what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceGrantSpec {
    /// Who may.
    pub from: Vec<GrantFrom>,
    /// To what.
    pub to: Vec<GrantTo>,
}

/// Objects that may refer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantFrom {
    /// Their group.
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// Their namespace.
    pub namespace: String,
}

/// Objects that may be referred to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantTo {
    /// Their group; empty for the core group.
    pub group: String,
    /// Their kind.
    pub kind: String,
    /// The name of the only one. Absent, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_route_only_what_attaches_it_is_read() {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": { "name": "a", "namespace": "team" },
            "spec": { "parentRefs": [{ "name": "edge", "sectionName": "http" }], "rules": [{ "matches": [] }] },
            "status": { "parents": [{ "parentRef": { "name": "edge" }, "controllerName": "x/y", "conditions": [] }] },
        });
        let read: Route<Http> = serde_json::from_value(route).unwrap();
        assert_eq!(read.spec.parent_refs[0].section_name.as_deref(), Some("http"));
        assert!(read.spec.hostnames.is_empty());
        assert_eq!(read.status.unwrap().parents[0].controller_name, "x/y");
        assert_eq!(
            (Route::<Http>::api_version(&()), Route::<Http>::plural(&())),
            ("gateway.networking.k8s.io/v1".into(), "httproutes".into())
        );
    }

    #[test]
    fn a_grant_has_no_status() {
        let grant = json!({
            "metadata": { "name": "a", "namespace": "team" },
            "spec": { "from": [{ "group": GROUP, "kind": "Gateway", "namespace": "edge" }], "to": [{ "group": "", "kind": "Secret" }] },
        });
        let read: ReferenceGrant = serde_json::from_value(grant).unwrap();
        assert!(read.spec.to[0].name.is_none() && read.spec.from[0].namespace == "edge");
    }
}
