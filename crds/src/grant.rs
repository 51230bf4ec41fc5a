//! `WatchNamespaceGrant` v1alpha1: a namespace lets ControlPlanes of other namespaces read it.
//!
//! In: manifests. Out: typed specification. Never: a status; whether a grant is used shows on the ControlPlane.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may read the namespace of the grant.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "gateway-operator.konghq.com",
    version = "v1alpha1",
    kind = "WatchNamespaceGrant",
    plural = "watchnamespacegrants",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    doc = "WatchNamespaceGrant lets ControlPlanes of other namespaces read the namespace that it is in.",
    category = "kong",
    category = "all"
)]
#[serde(rename_all = "camelCase")]
pub struct WatchNamespaceGrantSpec {
    /// Those who may.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub from: Vec<GrantFrom>,
}

/// One of those who may read the namespace.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantFrom {
    /// API group of the reader.
    pub group: GrantGroup,
    /// Kind of the reader.
    pub kind: GrantKind,
    /// Namespace of the readers.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
}

/// API group of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum GrantGroup {
    /// That of `ControlPlane`.
    #[serde(rename = "gateway-operator.konghq.com")]
    GatewayOperator,
}

/// Kind of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum GrantKind {
    /// A `ControlPlane`.
    ControlPlane,
}
