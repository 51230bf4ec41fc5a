//! The `network` stanza: the ingress Service and its ports.
//!
//! In: manifests. Out: types with the rules that one Service can tell by itself. Never: a default;
//! those are in `defaults`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::refused::KonnectCertificate;
use crate::port::Port;

/// How the pods of a `DataPlane` are reached.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!has(self.konnectCertificate)")
        .message("konnectCertificate is not supported by Silverback: Konnect is outside this product; remove spec.network.konnectCertificate")
        .reason(Reason::FieldValueForbidden)
        .field_path(".konnectCertificate")
)]
pub struct Network {
    /// The Services in front of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,

    /// Not supported by Silverback: refused. Known so that it is never dropped in silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub konnect_certificate: Option<KonnectCertificate>,
}

/// The Services in front of the pods.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// The Service that takes the traffic of clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressService>,
}

/// The Service that takes the traffic of clients.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!(has(self.externalTrafficPolicy) && has(self.type) && self.type == 'ClusterIP')")
        .message("externalTrafficPolicy needs a Service of type LoadBalancer or NodePort: remove it, or change type")
        .field_path(".externalTrafficPolicy"),
    validation = Rule::new("!(has(self.ports) && has(self.type) && self.type == 'ClusterIP') || self.ports.all(p, !has(p.nodePort))")
        .message("nodePort needs a Service of type LoadBalancer or NodePort: remove it from ports, or change type")
        .field_path(".ports"),
    validation = Rule::new("!has(self.ports) || self.ports.all(p, self.ports.exists_one(q, q.port == p.port && (has(q.protocol) && q.protocol == 'UDP') == (has(p.protocol) && p.protocol == 'UDP')))")
        .message("a port number stands in ports more than once: use each number once, or once for UDP and once for the rest")
        .field_path(".ports"),
    validation = Rule::new("!has(self.ipFamilies) || size(self.ipFamilies) == 1 || (has(self.ipFamilyPolicy) && self.ipFamilyPolicy != 'SingleStack')")
        .message("SingleStack takes one entry of ipFamilies, and is what an absent ipFamilyPolicy means: remove the other, or set ipFamilyPolicy to PreferDualStack or RequireDualStack")
        .field_path(".ipFamilies"),
    validation = Rule::new("!has(self.ports) || self.ports.all(p, !has(p.name) || self.ports.exists_one(q, has(q.name) && q.name == p.name))")
        .message(kube::core::Message::Expression("'the name \"' + self.ports.filter(p, has(p.name) && !self.ports.exists_one(q, has(q.name) && q.name == p.name))[0].name + '\" stands in ports more than once: give each port a name of its own'".into()))
        .field_path(".ports"),
)]
pub struct IngressService {
    /// Type of the Service. Absent, `LoadBalancer`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,

    /// Name of the Service. Absent, `dataplane-ingress-` and the name of the DataPlane.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,

    /// Annotations for the Service, such as those a cloud's load balancer reads. Others that the Service has are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,

    /// Labels for the Service. Those that the operator sets stay as they are, and others that the Service has are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,

    /// Whether traffic from outside goes to pods of all nodes, or of the node where it arrives only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,

    /// Whether the Service has addresses of one IP family or of two. Absent, Kubernetes takes `SingleStack`. Kong listens
    /// on the families that the Service got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,

    /// Families of the Service's addresses, the first one first. Absent, those of the cluster. The first one of an
    /// existing Service cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ip_families: Option<Vec<IpFamily>>,

    /// Ports of the Service. Absent, `http` 80 to 8000 and `https` 443 to 8443.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub ports: Option<Vec<IngressPort>>,
}

/// Type of the ingress Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum ServiceType {
    /// Reached from outside by a load balancer's address.
    LoadBalancer,
    /// Reached from outside by a port of every node.
    NodePort,
    /// Reached from inside the cluster only.
    #[serde(rename = "ClusterIP")]
    ClusterIp,
}

impl ServiceType {
    /// The word that Kubernetes uses in `Service.spec.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoadBalancer => "LoadBalancer",
            Self::NodePort => "NodePort",
            Self::ClusterIp => "ClusterIP",
        }
    }
}

/// Where traffic from outside may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum ExternalTrafficPolicy {
    /// To pods of all nodes; the client's address is hidden.
    Cluster,
    /// To pods of the node where it arrives; the client's address is kept.
    Local,
}

impl ExternalTrafficPolicy {
    /// The word that Kubernetes uses in `Service.spec.externalTrafficPolicy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// How many IP families a Service has, as in `Service.spec.ipFamilyPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Two where the cluster has two, else one.
    PreferDualStack,
    /// Two; refused where the cluster has one.
    RequireDualStack,
}

/// An IP family, as in `Service.spec.ipFamilies`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum IpFamily {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

/// What a port speaks, in the words of Gateway API's listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum Protocol {
    /// HTTP without TLS.
    #[serde(rename = "HTTP")]
    Http,
    /// HTTP over TLS, which Kong terminates.
    #[serde(rename = "HTTPS")]
    Https,
    /// A TLS stream, which Kong terminates or passes through by its server name.
    #[serde(rename = "TLS")]
    Tls,
    /// A TCP stream.
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP datagrams.
    #[serde(rename = "UDP")]
    Udp,
}

/// One port of the ingress Service.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressPort {
    /// Name of the port in the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,

    /// Port that clients connect to.
    pub port: Port,

    /// What the port speaks. Absent, `HTTPS` where the port is 443, is named after TLS or goes to 8443, else `HTTP`.
    /// `TCP`, `TLS` and `UDP` open a listener of Kong's stream proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,

    /// Port of the pod that takes the traffic: a number, or the name of a container port. Where it is no port of
    /// another container, Kong listens on it. Absent, 8000 for `HTTP`, 8443 for `HTTPS`, and for streams the same
    /// number as `port`, or 10000 more where that is below 1024.
    // The limits hold for numbers and for strings respectively. CEL could say the same, but the cost of
    // matching a string of unknown length 64 times is more than an API server grants to a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "minimum" = 1, "maximum" = 65535, "maxLength" = 15, "pattern" = "^[a-z0-9-]*[a-z][a-z0-9-]*$"
    ))]
    pub target_port: Option<IntOrString>,

    /// Port of every node, for the types `NodePort` and `LoadBalancer`. Absent, Kubernetes chooses one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_port: Option<Port>,
}
