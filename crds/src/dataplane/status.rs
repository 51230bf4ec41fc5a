//! The status of a `DataPlane`.
//!
//! In: what the operator observed. Out: the types that carry it. Never: a wish, or anything needed
//! to find our own objects again; those are found by name and label.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator observed.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataPlaneStatus {
    /// The generation of the specification that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Conditions, one of each type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,

    /// Name of the ingress Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,

    /// Addresses of the ingress Service, sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Address>>,

    /// Label selector, in its text form, of the pods that serve; the scale subresource offers it to autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,

    /// Pods that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,

    /// Pods that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// The revision of the pods that serve: that of the annotation `gateway-operator.konghq.com/revision` of their Deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub revision: Option<String>,

    /// State of a rollout; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
}

/// An address by which the ingress Service is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// Whether `value` is an IP address or a host name. Absent, `IPAddress`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<AddressType>,

    /// The address.
    #[schemars(length(min = 1, max = 253))]
    pub value: String,

    /// Where the address comes from and who can reach it.
    pub source_type: AddressSource,
}

/// Whether an address is an IP address or a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum AddressType {
    /// An IPv4 or IPv6 address.
    #[serde(rename = "IPAddress")]
    IpAddress,
    /// A DNS name.
    Hostname,
}

/// Where an address comes from and who can reach it. In the order in which addresses are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum AddressSource {
    /// A load balancer's address that the internet can reach.
    PublicLoadBalancer,
    /// A load balancer's address of a private network.
    PrivateLoadBalancer,
    /// Another address that the internet can reach.
    #[serde(rename = "PublicIP")]
    PublicIp,
    /// An address of the cluster's own network.
    #[serde(rename = "PrivateIP")]
    PrivateIp,
}

/// State of a rollout.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Name of the `GatewayRollout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,

    /// Where it is, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub phase: Option<String>,

    /// The revision of the new pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub revision: Option<String>,

    /// The Services of the new pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<RolloutServices>,

    /// The Deployment of the new pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<RolloutDeployment>,

    /// Conditions of the rollout, one of each type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}

/// The Services of the new pods.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
pub struct RolloutServices {
    /// The Service for traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<ServiceStatus>,

    /// The Service of the admin API.
    #[serde(rename = "adminAPI", skip_serializing_if = "Option::is_none")]
    pub admin_api: Option<ServiceStatus>,
}

/// A Service of the new pods.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Name of the Service.
    pub name: String,

    /// Its addresses, sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub addresses: Option<Vec<Address>>,
}

/// The Deployment of the new pods.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDeployment {
    /// Label selector, in its text form, of the new pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}
