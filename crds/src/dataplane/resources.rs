//! The `resources` stanza: the PodDisruptionBudget.
//!
//! In: manifests. Out: types with the rules of policy/v1 that concern a `DataPlane`. Never: the
//! budget's selector, which the operator sets.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kubernetes objects besides the Deployment and the Services.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// A PodDisruptionBudget for the pods. Absent, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<DisruptionBudget>,
}

/// A PodDisruptionBudget for the pods.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisruptionBudget {
    /// The budget, without its selector.
    pub spec: DisruptionBudgetSpec,
}

/// How many pods may be away at once. Exactly one of `minAvailable` and `maxUnavailable` is set.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!(has(self.minAvailable) && has(self.maxUnavailable))")
        .message("minAvailable and maxUnavailable exclude each other: remove one of them"),
    validation = Rule::new("has(self.minAvailable) || has(self.maxUnavailable)")
        .message("minAvailable and maxUnavailable are missing: set one of them, or remove podDisruptionBudget")
)]
pub struct DisruptionBudgetSpec {
    /// Pods that must stay, as a number or a percentage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_available: Option<IntOrString>,

    /// Pods that may be away, as a number or a percentage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,

    /// Whether pods that are not ready may be evicted when the budget is spent. Absent, `IfHealthyBudget`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_pod_eviction_policy: Option<UnhealthyPodEvictionPolicy>,
}

/// Whether pods that are not ready may be evicted when the budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum UnhealthyPodEvictionPolicy {
    /// Only while enough pods are healthy.
    IfHealthyBudget,
    /// Always.
    AlwaysAllow,
}

impl UnhealthyPodEvictionPolicy {
    /// The word that Kubernetes uses in `PodDisruptionBudget.spec.unhealthyPodEvictionPolicy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IfHealthyBudget => "IfHealthyBudget",
            Self::AlwaysAllow => "AlwaysAllow",
        }
    }
}
