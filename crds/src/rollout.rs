//! `GatewayRollout` v1alpha1: one attempt to bring a change of a `DataPlane`'s pods to its traffic.
//!
//! In: what the operator writes when an attempt begins, and verbs of people. Out: the types. Never: anything that an attempt
//! would have to look up later: both revisions and the plan are frozen here, and its status has all that a restarted
//! operator goes on from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataplane::RolloutStrategy;
use crate::pod_template::PodTemplatePatch;

/// One attempt. Made by the operator; of it, people change `action` alone.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "gateway-operator.konghq.com",
    version = "v1alpha1",
    kind = "GatewayRollout",
    plural = "gatewayrollouts",
    namespaced,
    status = "GatewayRolloutStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "GatewayRollout is one attempt to bring a change of a DataPlane's pods to its traffic.",
    category = "kong",
    category = "all",
    printcolumn = r#"{"name":"Target","type":"string","description":"Whose pods change","jsonPath":".spec.target.name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","description":"Where it is","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Step","type":"string","description":"The step that it is in","jsonPath":".status.step.name"}"#,
    printcolumn = r#"{"name":"Weight","type":"string","description":"What the canary gets of new connections","jsonPath":".status.weights.effective"}"#,
    printcolumn = r#"{"name":"Verdict","type":"string","description":"What is thought of the canary","jsonPath":".status.analysis.verdict"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","description":"Why it ended as it did","jsonPath":".status.completion.reason"}"#,
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.target == oldSelf.target && self.from.revision == oldSelf.from.revision && self.from.track == oldSelf.from.track && self.to.revision == oldSelf.to.revision && self.to.track == oldSelf.to.track && self.strategy == oldSelf.strategy")
        .message("a rollout is fixed when it begins: change spec.action alone, or the DataPlane for another rollout")
)]
pub struct GatewayRolloutSpec {
    /// Whose pods change.
    pub target: RolloutTarget,

    /// What serves.
    pub from: RolloutRevision,

    /// What is to serve.
    pub to: RolloutRevision,

    /// The strategy as it was when the attempt began.
    pub strategy: RolloutStrategy,

    /// What somebody wants. The operator takes it away when it has seen it, and tells in `status.lastAction` what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<RolloutAction>,
}

/// Whose pods change.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutTarget {
    /// The kind: `DataPlane`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A revision of the pods, and the track that they are on.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRevision {
    /// Tells it from others: the hash of `spec.deployment.podTemplateSpec`.
    #[schemars(length(min = 1, max = 63))]
    pub revision: String,
    /// The track: value of the label `gateway-operator.konghq.com/track`.
    #[schemars(length(min = 1, max = 63))]
    pub track: String,
    /// `spec.deployment.podTemplateSpec` of the `DataPlane` at that revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_spec: Option<PodTemplatePatch>,
}

/// What somebody wants of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutAction {
    /// What is wanted.
    pub verb: RolloutVerb,
    /// The revision that it is meant for: `spec.to.revision`. For another one it is refused.
    #[schemars(length(min = 1, max = 63))]
    pub revision: String,
    /// The step that it is meant for. In another one it is refused. Absent, in any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub step: Option<String>,
    /// Who wants it, for people who read the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub by: Option<String>,
}

/// What can be wanted of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum RolloutVerb {
    /// On to what follows the current step: its end, the next step, the promotion.
    Promote,
    /// On to the promotion; what is looked at before the first request is not skipped.
    PromoteFull,
    /// Stay.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Back to stable.
    Abort,
    /// The same again, after it failed.
    Retry,
    /// Back to stable, while the old pods are not gone for good.
    Rollback,
}

/// What the operator observed and decided.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRolloutStatus {
    /// The generation of the specification that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where it is, in a word: `Pending`, `Preflight`, `Preview`, `Progressing`, `Paused`, `Promoting`, `Draining`, `Succeeded`,
    /// `RollingBack`, `RolledBack` or `Superseded`. Programs read the conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// What it waits for, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// The step that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepStatus>,

    /// What the canary gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsStatus>,

    /// Pods of both revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<TracksStatus>,

    /// What was seen before the first request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<PreflightStatus>,

    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStatus>,

    /// Hooks that were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 128))]
    pub hooks: Option<Vec<HookStatus>>,

    /// What became of the last verb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_action: Option<LastAction>,

    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<Completion>,

    /// What the operator makes of the `DataPlane` by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<WantedStatus>,

    /// All that a restarted operator goes on from. For the operator alone; its form may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Memory>,

    /// Conditions, one of each type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}

/// An object whose fields are for the operator alone.
pub type Memory = PodTemplatePatch;

/// The step that a rollout is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Its number, from 0.
    pub index: i32,
    /// Its name.
    pub name: String,
    /// Seconds for which it was as it should be and was observed.
    pub held_seconds: i64,
    /// Seconds for which it is to be.
    pub hold_seconds: i64,
}

/// What a canary gets of new connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightsStatus {
    /// What the step asks for.
    pub requested: String,
    /// What the pods behind the Service give it.
    pub effective: String,
    /// What it got of the requests that were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

/// Pods of both revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TracksStatus {
    /// Those of the old one.
    pub stable: TrackStatus,
    /// Those of the new one.
    pub canary: TrackStatus,
}

/// Pods of one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackStatus {
    /// How many there are to be.
    pub desired: i32,
    /// How many are ready.
    pub ready: i32,
    /// How many get new connections.
    pub serving: i32,
}

/// What was seen before the first request.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreflightStatus {
    /// Whether the canary took stable's configuration: `Unknown`, `Accepted` or `Rejected`.
    pub config: String,
    /// Kong's words, where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Routes that were asked of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parity: Option<ParityStatus>,
}

/// Routes that were asked of both revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParityStatus {
    /// How many.
    pub checked: i32,
    /// How many were answered differently.
    pub mismatched: i32,
    /// The first few of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub words: Option<Vec<String>>,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisStatus {
    /// `Pass`, `Fail`, `Insufficient`, `NoData` or `Noisy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Windows of this step in which something was measured.
    pub windows_observed: i32,
    /// Each metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 32))]
    pub metrics: Option<Vec<MetricStatus>>,
}

/// One metric of both revisions.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// Its name.
    pub name: String,
    /// Whether it decides.
    pub critical: bool,
    /// Of the canary.
    pub canary: CountsStatus,
    /// Of what it is compared with.
    pub stable: CountsStatus,
    /// The evidence that the canary is worse: a natural logarithm, with one digit after the point.
    pub evidence: String,
    /// The evidence from which on it is beyond doubt.
    pub threshold: String,
}

/// Counts of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountsStatus {
    /// How many were counted.
    pub n: i64,
    /// How many of them were bad.
    pub x: i64,
}

/// A hook that was asked.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookStatus {
    /// Names of its step and of the hook, with a stroke between.
    #[schemars(length(min = 1, max = 127))]
    pub name: String,
    /// When it was first asked.
    pub asked_at: Time,
    /// `Waiting`, `Passed` or `Refused`.
    pub answer: String,
}

/// What became of a verb.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastAction {
    /// The verb.
    pub verb: RolloutVerb,
    /// The revision that it was meant for.
    pub revision: String,
    /// When it was seen.
    pub observed_at: Time,
    /// `Applied`; `Stale` where it was meant for another revision or step; `Refused` where it made no sense.
    pub result: String,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// The reason of the condition `Completed`.
    pub status: String,
    /// Why, in a word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// When.
    pub finished_at: Time,
    /// The `DataPlane`'s generation then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// What the operator makes of a `DataPlane` by a rollout.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedStatus {
    /// Pods of the old revision.
    pub stable: i32,
    /// Pods of the new revision; without any, its Deployment goes.
    pub canary: i32,
    /// What the ingress Service selects.
    pub ingress: Selection,
    /// What the Service of the admin API selects, and so whom Kong Ingress Controller feeds.
    pub admin: Selection,
    /// Whether there is a Service of the new revision alone.
    pub preview: bool,
    /// Whether an autoscaler may take pods away.
    pub shrinks: bool,
}

/// Which revisions a Service selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum Selection {
    /// The old one.
    Stable,
    /// Both.
    Both,
    /// The new one.
    Canary,
}
