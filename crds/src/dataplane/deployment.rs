//! The `deployment` stanza: replicas, autoscaling, pod template.
//!
//! In: manifests. Out: types with the rules that one stanza can tell by itself. Never: a default;
//! those are in `defaults`.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::rollout::Rollout;
use crate::pod_template::PodTemplatePatch;

/// How the pods of a `DataPlane` are made, scaled and upgraded.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!(has(self.replicas) && has(self.scaling))")
        .message("replicas and scaling exclude each other: remove replicas to let the autoscaler decide, or remove scaling to fix the number")
)]
pub struct DeploymentOptions {
    /// Number of pods. Absent and without `scaling`, one pod runs. 0 stops serving but keeps Services and certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,

    /// Lets an autoscaler choose the number of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,

    /// A core/v1 `PodTemplateSpec`, whole or in part, merged onto the generated one as Kubernetes merges:
    /// containers, volumes, env and ports by their keys. The Kong container is named `proxy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_spec: Option<PodTemplatePatch>,

    /// How a change of `podTemplateSpec` reaches the traffic. Absent, the Deployment updates in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// Which autoscaler chooses the number of pods.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// A HorizontalPodAutoscaler (autoscaling/v2) for the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizontal: Option<HorizontalScaling>,
}

/// The HorizontalPodAutoscaler of a `DataPlane`.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!has(self.minReplicas) || self.minReplicas <= self.maxReplicas")
        .message("minReplicas must not be greater than maxReplicas: lower minReplicas, or raise maxReplicas")
)]
pub struct HorizontalScaling {
    /// Fewest pods. Absent, Kubernetes takes 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_replicas: Option<i32>,

    /// Most pods.
    #[schemars(range(min = 1))]
    pub max_replicas: i32,

    /// What to scale by, as in autoscaling/v2. Absent, Kubernetes takes 80 % of the CPU requested.
    #[serde(default, deserialize_with = "metrics", skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub metrics: Option<Vec<MetricSpec>>,

    /// How fast to scale up and down, as in autoscaling/v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
}

/// Metrics whose quantities may be numbers: the schema takes them, so reading must.
fn metrics<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<MetricSpec>>, D::Error> {
    let Some(mut metrics) = Option::<Value>::deserialize(from)? else { return Ok(None) };
    crate::quantity::spell(&mut metrics);
    serde_json::from_value(metrics).map(Some).map_err(D::Error::custom)
}
