//! The `rollout` stanza: how a change of the pods reaches the traffic.
//!
//! In: manifests. Out: types with the rules that one field can tell by itself. Never: a default: what is absent is decided
//! when a rollout begins, and noted in its `GatewayRollout`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hook::CanaryHook;

/// A duration as Go writes it: `90s`, `15m`, `1h30m`.
pub(super) const DURATION: &str = r"^([0-9]+(h|m|s|ms))+$";
/// A percentage from 1 to 100.
const PERCENT: &str = r"^([1-9][0-9]?|100)%$";
/// A share in percent, neither nothing nor everything.
const SHARE: &str = r"^[0-9]{1,2}(\.[0-9]{1,6})?%$";

/// How a change of the pods reaches the traffic.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The strategy. Absent, the Deployment updates in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RolloutStrategy>,
}

/// One of the strategies.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("!(has(self.blueGreen) && has(self.canary))")
        .message("blueGreen and canary exclude each other: remove one of them")
)]
pub struct RolloutStrategy {
    /// New pods stand beside the old ones until somebody promotes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,

    /// New pods get a part of the traffic, step by step, and are judged by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// New pods stand beside the old ones until somebody promotes them.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreen {
    /// When the new pods take over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,

    /// What happens to the Kubernetes objects of a rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<RolloutResources>,
}

/// When the new pods take over.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// Absent, `BreakBeforePromotion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<PromotionStrategy>,
}

/// When the new pods take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum PromotionStrategy {
    /// Wait for the annotation `gateway-operator.konghq.com/promote-when-ready: "true"`.
    BreakBeforePromotion,
}

/// What happens to the Kubernetes objects of a rollout.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutResources {
    /// The plan, per kind of object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<RolloutPlan>,
}

/// What happens to each kind of object of a rollout.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlan {
    /// Absent, `ScaleDownOnPromotionScaleUpOnRollout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<RolloutPlanDeployment>,
}

/// What happens to the Deployments of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum RolloutPlanDeployment {
    /// The old Deployment is scaled down on promotion, the new one up when a rollout begins.
    ScaleDownOnPromotionScaleUpOnRollout,
}

/// New pods get a part of the traffic, step by step, and are judged by it.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// Where the pods of the canary come from. Absent, `PreserveStable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,

    /// Most pods of the canary before promotion, in percent of those of stable. Absent, 100 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = PERCENT))]
    pub max_surge: Option<String>,

    /// Which Kong Ingress Controller configures the canary. Absent, `Auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<CanaryControlPlane>,

    /// What is looked at before the first request of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,

    /// The steps, from little traffic to much; after the last one follows the promotion.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub steps: Vec<CanaryStep>,

    /// Who starts the promotion. Absent, `Automatic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<CanaryPromotion>,

    /// What a failure leads to before promotion. Absent, `Rollback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,

    /// What follows when nothing can be said about a step after twice its hold. Absent, `Pause`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<OnInconclusive>,

    /// After which times a rollout gives up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadlines: Option<CanaryDeadlines>,

    /// How long pods that get no new connections stay for those that they have. Absent, `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub scale_down_delay: Option<String>,

    /// How long one pod of a failed canary stays to be looked at. Absent, `15m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub keep_failed_canary: Option<String>,

    /// Which earlier revisions come back without steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,

    /// How long the new pods are judged after promotion; they may still be rolled back. Absent, `30m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub watch_after_promotion: Option<String>,

    /// How the canary is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<CanaryAnalysis>,
}

/// Where the pods of a canary come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum Capacity {
    /// Beside those of stable, which keeps all of its own: an abort is instant.
    PreserveStable,
}

/// Which Kong Ingress Controller configures a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum CanaryControlPlane {
    /// That of stable.
    Auto,
    /// That of stable.
    Shared,
}

/// What is looked at before the first request of a user.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// Whether the canary has to take the configuration of stable before Kong Ingress Controller feeds it. Absent, `Enforce`,
    /// and `Warn` where the image has another minor version of Kong: what one version exports, another may not take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_acceptance: Option<Gate>,

    /// Whether the canary has to answer as stable does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_parity: Option<RouteParity>,
}

/// Whether the canary has to answer as stable does.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteParity {
    /// What a difference leads to. Absent, `Warn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Gate>,

    /// Routes that may be answered differently. Absent, 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub allowed_status_drift: Option<i32>,
}

/// What a gate does when it finds something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum Gate {
    /// The rollout fails.
    Enforce,
    /// An event says so, and the rollout goes on.
    Warn,
    /// Nobody looks.
    Off,
}

/// One step of a canary.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// Its name, unique among the steps.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// What the canary gets of new connections, in percent; never less than the step before. More than half would need more
    /// pods than stable has.
    #[schemars(range(min = 0, max = 50))]
    pub weight: i32,

    /// How long at least, counting only time in which the step had its weight. Absent, no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub hold: Option<String>,

    /// Whether a person has to approve the step's end. Absent, nobody has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,

    /// Tests that have a say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub hooks: Option<Vec<CanaryHook>>,
}

/// Whether a person has to approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum Approval {
    /// Somebody has to.
    Required,
}

/// Who starts a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum CanaryPromotion {
    /// The operator, after the last step.
    Automatic,
    /// A person.
    Manual,
}

/// What a failure leads to before promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum OnFailure {
    /// Stable gets all traffic, and the canary goes.
    Rollback,
    /// Stable gets all traffic, and the canary stays for somebody to look at.
    Pause,
}

/// What follows when nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum OnInconclusive {
    /// Somebody decides; the canary keeps its weight.
    Pause,
    /// Stable gets all traffic, and the canary goes.
    Rollback,
    /// The next step follows.
    Promote,
}

/// After which times a rollout gives up.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryDeadlines {
    /// For the pods of a step to be ready, in sum: pods that are ready now and then do not begin anew. Absent, `10m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub ready: Option<String>,

    /// For somebody to approve, once somebody has to. Absent, `72h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub approval: Option<String>,

    /// For everything but waiting for people. Absent, `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub total: Option<String>,
}

/// Which earlier revisions come back without steps.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// The last so many. Absent, 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub revisions: Option<i32>,

    /// If they served within this time. Absent, `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub max_age: Option<String>,
}

/// How a canary is judged.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnalysis {
    /// How strictly. Absent, `Standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<AnalysisProfile>,

    /// Requests that the canary must have had in a step. Absent, 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_requests: Option<i64>,

    /// The probability that a good canary is ever found worse. Absent, that of the profile: 1 % in `Standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12), regex(pattern = SHARE))]
    pub alpha: Option<String>,

    /// The share of failures that is fine whatever stable has. Absent, that of the profile: 1 % in `Standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 12), regex(pattern = SHARE))]
    pub error_budget: Option<String>,

    /// How many times as many failures must not pass. Absent, that of the profile: 2 in `Standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100))]
    pub max_ratio: Option<i32>,
}

/// How strictly a canary is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum AnalysisProfile {
    /// Found worse sooner: 5 % of good canaries may be, and half a percent of failures is fine.
    Strict,
    /// One of a hundred good canaries may be found worse, and one percent of failures is fine.
    Standard,
    /// One of a thousand good canaries may be found worse, and five percent of failures are fine.
    Lenient,
    /// Nobody judges: gates, deadlines and people decide.
    Off,
}
