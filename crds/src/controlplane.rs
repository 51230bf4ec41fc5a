//! `ControlPlane` v1beta1: Kong Ingress Controller, the namespaces that it watches and the `DataPlane` that it configures.
//!
//! In: manifests written for Kong Gateway Operator 1.6 or for Silverback. Out: typed specification and status. Never: a
//! rule that needs another object, or one about `podTemplateSpec`; those are checked where objects are planned.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataplane::ExtensionRef;
use crate::pod_template::PodTemplatePatch;

/// What a `ControlPlane` should be.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "gateway-operator.konghq.com",
    version = "v1beta1",
    kind = "ControlPlane",
    plural = "controlplanes",
    namespaced,
    status = "ControlPlaneStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "ControlPlane is Kong Ingress Controller, which configures a DataPlane from Gateway API, Ingress and Kong's own resources.",
    shortname = "kocp",
    category = "kong",
    category = "all",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the controller runs",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn = r#"{"name":"Provisioned","type":"string","description":"Whether every object of the ControlPlane is in place","jsonPath":".status.conditions[?(@.type==\"Provisioned\")].status"}"#,
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.extensions) || size(self.extensions) == 0")
        .message("extensions are not supported by Silverback: they attach Konnect, which is outside this product; remove spec.extensions")
        .reason(Reason::FieldValueForbidden)
        .field_path(".extensions"),
    validation = Rule::new("!has(self.dataplanes) || self.dataplanes.all(one, self.dataplanes.exists_one(other, other == one) && (!has(self.dataplane) || one != self.dataplane))")
        .message("a DataPlane is named twice: name each once, in dataplane or in dataplanes")
        .field_path(".dataplanes"),
)]
pub struct ControlPlaneSpec {
    /// Name of the DataPlane, in the same namespace, that is configured. Absent or empty, the controller is not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 253),
        regex(pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$")
    )]
    pub dataplane: Option<String>,

    /// Names of further DataPlanes, in the same namespace, that are configured alike. Each gets a ControlPlane of its own
    /// with the same options, which goes when its name does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        )
    )]
    pub dataplanes: Option<Vec<String>>,

    /// How it runs, and what it watches.
    #[serde(flatten)]
    pub options: ControlPlaneOptions,
}

impl ControlPlaneSpec {
    /// Every DataPlane that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let first = self.dataplane.iter().filter(|name| !name.is_empty());
        first.chain(self.dataplanes.iter().flatten()).map(String::as_str)
    }
}

/// How Kong Ingress Controller runs, and what it watches.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneOptions {
    /// How the pods are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<ControlPlaneDeployment>,

    /// Namespaces whose resources are read. Absent, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_namespaces: Option<WatchNamespaces>,

    /// GatewayClass whose Gateways are configured. Empty, it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 253),
        regex(pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$")
    )]
    pub gateway_class: Option<String>,

    /// IngressClass whose Ingresses, and Kong resources, are configured. Empty, it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 253),
        regex(pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$")
    )]
    pub ingress_class: Option<String>,

    /// Not supported by Silverback: refused unless empty. Known so that it is never dropped in silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<ExtensionRef>>,
}

/// How the pods of Kong Ingress Controller are made.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneDeployment {
    /// Number of pods, of which one leads. Absent, one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,

    /// A core/v1 `PodTemplateSpec`, whole or in part, merged onto the generated one as Kubernetes merges. The container of
    /// Kong Ingress Controller is named `controller`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_spec: Option<PodTemplatePatch>,
}

/// Namespaces whose resources are read.
#[derive(Clone, Debug, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("self.type != 'list' || (has(self.list) && size(self.list) > 0)")
        .message("type list needs list: name the namespaces, or set type to all or own")
        .field_path(".list"),
    validation = Rule::new("self.type == 'list' || !has(self.list)")
        .message("list goes with type list only: remove it, or set type to list")
        .field_path(".list"),
)]
pub struct WatchNamespaces {
    /// Which namespaces.
    #[serde(rename = "type")]
    pub type_: WatchNamespacesType,

    /// The namespaces, for type `list`. Each needs a WatchNamespaceGrant, but for that of the ControlPlane itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    pub list: Option<Vec<String>>,
}

/// Which namespaces are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(description = "")]
pub enum WatchNamespacesType {
    /// All of them.
    All,
    /// Those in `list`.
    List,
    /// That of the ControlPlane.
    Own,
}

/// What was observed of a `ControlPlane`.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneStatus {
    /// The generation of the specification that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Conditions, one of each type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}
