//! `DataPlane` v1beta1: a set of Kong Gateway pods, the Services in front of them and how they scale.
//!
//! In: manifests written for Kong Gateway Operator 1.6 or for Silverback. Out: typed specification
//! and status. Never: a rule that needs another object, or one about `podTemplateSpec`; those are
//! checked where objects are planned.

mod deployment;
mod hook;
mod network;
mod refused;
mod resources;
mod rollout;
mod status;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use deployment::{DeploymentOptions, HorizontalScaling, Scaling};
pub use hook::{CanaryHook, HookJob, HookWhen};
pub use network::{
    ExternalTrafficPolicy, IngressPort, IngressService, IpFamily, IpFamilyPolicy, Network, Protocol,
    ServiceType, Services,
};
pub use refused::{CertificateIssuer, ExtensionRef, KonnectCertificate, NamespacedName};
pub use resources::{DisruptionBudget, DisruptionBudgetSpec, Resources, UnhealthyPodEvictionPolicy};
pub use rollout::{
    AnalysisProfile, Approval, BlueGreen, Canary, CanaryAnalysis, CanaryControlPlane, CanaryDeadlines,
    CanaryPromotion, CanaryStep, Capacity, Gate, OnFailure, OnInconclusive, Preflight, Promotion,
    PromotionStrategy, RollbackWindow, Rollout, RolloutPlan, RolloutPlanDeployment, RolloutResources,
    RolloutStrategy, RouteParity,
};
pub use status::{
    Address, AddressSource, AddressType, DataPlaneStatus, RolloutDeployment, RolloutServices, RolloutStatus,
    ServiceStatus,
};

/// What a `DataPlane` should be. Everything is optional: `spec: {}` gives one replica of the default
/// Kong image behind a Service of type `LoadBalancer` that offers HTTP on 80 and HTTPS on 443.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "gateway-operator.konghq.com",
    version = "v1beta1",
    kind = "DataPlane",
    plural = "dataplanes",
    namespaced,
    status = "DataPlaneStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "DataPlane is a set of Kong Gateway pods with the Services, certificates and scaling that belong to them.",
    shortname = "kodp",
    category = "kong",
    category = "all",
    scale(
        spec_replicas_path = ".spec.deployment.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the pods serve and every object of the DataPlane is in place",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn = r#"{"name":"Rollout","type":"string","description":"Where a rollout under way is","jsonPath":".status.rollout.phase"}"#,
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn = r#"{"name":"Stable","type":"string","description":"Revision of the pods that serve","jsonPath":".status.revision","priority":1}"#,
    printcolumn = r#"{"name":"Canary","type":"string","description":"Revision that a rollout under way brings","jsonPath":".status.rollout.revision","priority":1}"#,
    printcolumn = r#"{"name":"Reason","type":"string","description":"Why Ready is what it is","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","priority":1}"#,
    printcolumn = r#"{"name":"Replicas","type":"integer","description":"Pods that are ready","jsonPath":".status.readyReplicas","priority":1}"#,
    printcolumn = r#"{"name":"Address","type":"string","description":"First address of the ingress Service","jsonPath":".status.addresses[0].value","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.extensions) || size(self.extensions) == 0")
        .message("extensions are not supported by Silverback: they attach Konnect, which is outside this product; remove spec.extensions")
        .reason(Reason::FieldValueForbidden)
        .field_path(".extensions"),
    validation = Rule::new("!has(self.pluginsToInstall) || size(self.pluginsToInstall) == 0")
        .message("pluginsToInstall is not supported by Silverback: put custom plugins into the image of the proxy container, or mount them by podTemplateSpec, and remove spec.pluginsToInstall")
        .reason(Reason::FieldValueForbidden)
        .field_path(".pluginsToInstall"),
)]
pub struct DataPlaneSpec {
    /// How the pods are made, scaled and upgraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentOptions>,

    /// How the pods are reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,

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

impl DataPlane {
    /// The ingress Service as written, when anything of it is written.
    pub fn ingress(&self) -> Option<&IngressService> {
        self.spec.network.as_ref()?.services.as_ref()?.ingress.as_ref()
    }

    /// The conditions of the status; none before the first reconcile.
    pub fn conditions(&self) -> &[Condition] {
        self.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
    }
}
