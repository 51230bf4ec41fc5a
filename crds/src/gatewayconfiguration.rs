//! `GatewayConfiguration` v1beta1: how the data plane and the control plane of Gateways are made.
//!
//! In: manifests written for Kong Gateway Operator 1.6 or for Silverback. Out: typed specification and status. Never: a
//! rule about the Gateways that use it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::controlplane::ControlPlaneOptions;
use crate::dataplane::{
    DeploymentOptions, ExtensionRef, ExternalTrafficPolicy, IpFamily, IpFamilyPolicy, NamespacedName,
    Resources, ServiceType,
};
use crate::port::Port;

/// How the data plane and the control plane of Gateways are made.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "gateway-operator.konghq.com",
    version = "v1beta1",
    kind = "GatewayConfiguration",
    plural = "gatewayconfigurations",
    namespaced,
    status = "GatewayConfigurationStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "GatewayConfiguration says how the data plane and the control plane of the Gateways that refer to it are made.",
    shortname = "kogc",
    category = "kong",
    category = "all",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.extensions) || size(self.extensions) == 0")
        .message("extensions are not supported by Silverback: they attach Konnect, which is outside this product; remove spec.extensions")
        .reason(Reason::FieldValueForbidden)
        .field_path(".extensions"),
    validation = Rule::new("!has(self.controlPlaneOptions) || !has(self.controlPlaneOptions.extensions) || size(self.controlPlaneOptions.extensions) == 0")
        .message("extensions are not supported by Silverback: they attach Konnect, which is outside this product; remove spec.controlPlaneOptions.extensions")
        .reason(Reason::FieldValueForbidden)
        .field_path(".controlPlaneOptions.extensions"),
    validation = Rule::new("!has(self.listenersOptions) || !has(self.dataPlaneOptions) || !has(self.dataPlaneOptions.network) || !has(self.dataPlaneOptions.network.services) || !has(self.dataPlaneOptions.network.services.ingress) || !has(self.dataPlaneOptions.network.services.ingress.type) || self.dataPlaneOptions.network.services.ingress.type != 'ClusterIP' || self.listenersOptions.all(l, !has(l.nodePort))")
        .message("nodePort needs a Service of type LoadBalancer or NodePort: remove it from listenersOptions, or change spec.dataPlaneOptions.network.services.ingress.type")
        .field_path(".listenersOptions"),
)]
pub struct GatewayConfigurationSpec {
    /// How the DataPlanes are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_plane_options: Option<DataPlaneOptions>,

    /// How the ControlPlanes are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane_options: Option<ControlPlaneOptions>,

    /// What single listeners get beyond what a Gateway can say, by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub listeners_options: Option<Vec<ListenerOptions>>,

    /// Not supported by Silverback: refused unless empty. Known so that it is never dropped in silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<ExtensionRef>>,
}

/// What a listener gets beyond what a Gateway can say.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerOptions {
    /// Name of the listener.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,

    /// Port of every node for the listener's port of the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_port: Option<Port>,
}

/// How the DataPlanes of Gateways are made. Their ports come from the listeners.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!has(self.extensions) || size(self.extensions) == 0")
        .message("extensions are not supported by Silverback: they attach Konnect, which is outside this product; remove spec.dataPlaneOptions.extensions")
        .reason(Reason::FieldValueForbidden)
        .field_path(".extensions"),
    validation = Rule::new("!has(self.pluginsToInstall) || size(self.pluginsToInstall) == 0")
        .message("pluginsToInstall is not supported by Silverback: put custom plugins into the image of the proxy container, or mount them by podTemplateSpec, and remove spec.dataPlaneOptions.pluginsToInstall")
        .reason(Reason::FieldValueForbidden)
        .field_path(".pluginsToInstall"),
)]
pub struct DataPlaneOptions {
    /// How the pods are made, scaled and upgraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentOptions>,

    /// How the pods are reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<GatewayNetwork>,

    /// Kubernetes objects besides the Deployment and the Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Not supported by Silverback: refused unless empty. Known so that it is never dropped in silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<ExtensionRef>>,

    /// Not supported by Silverback: refused unless empty. Known so that it is never dropped in silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugins_to_install: Option<Vec<NamespacedName>>,
}

/// How the pods of a Gateway are reached.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayNetwork {
    /// The Services in front of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<GatewayServices>,
}

/// The Services in front of the pods of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayServices {
    /// The Service that takes the traffic of clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<GatewayService>,
}

/// The Service that takes the traffic of clients; its ports are the Gateway's listeners.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!(has(self.externalTrafficPolicy) && has(self.type) && self.type == 'ClusterIP')")
        .message("externalTrafficPolicy needs a Service of type LoadBalancer or NodePort: remove it, or change type")
        .field_path(".externalTrafficPolicy"),
    validation = Rule::new("!has(self.ipFamilies) || size(self.ipFamilies) == 1 || (has(self.ipFamilyPolicy) && self.ipFamilyPolicy != 'SingleStack')")
        .message("SingleStack takes one entry of ipFamilies, and is what an absent ipFamilyPolicy means: remove the other, or set ipFamilyPolicy to PreferDualStack or RequireDualStack")
        .field_path(".ipFamilies"),
)]
pub struct GatewayService {
    /// Type of the Service. Absent, `LoadBalancer`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,

    /// Name of the Service. Absent, it follows from the Gateway's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,

    /// Annotations for the Service, such as those a cloud's load balancer reads. Others that the Service has are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,

    /// Whether traffic from outside goes to pods of all nodes, or of the node where it arrives only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,

    /// Whether the Service has addresses of one IP family or of two. Absent, Kubernetes takes `SingleStack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,

    /// Families of the Service's addresses, the first one first. Absent, those of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ip_families: Option<Vec<IpFamily>>,
}

/// What was observed of a `GatewayConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConfigurationStatus {
    /// The generation of the specification that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Conditions, one of each type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}
