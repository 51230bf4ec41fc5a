//! Hooks of a rollout: tests of the users' own that have a say in it.
//!
//! In: manifests. Out: types with the rules that one field can tell by itself. Never: what a hook is asked with, or what its
//! answer means; that is where it is asked.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rollout::DURATION;
use crate::pod_template::PodTemplatePatch;

/// Something that is asked once in a step, and may say no.
#[derive(Clone, Debug, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, x_kube(cel))]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.job)")
        .message("a hook is either a url or a job: set one of them")
)]
pub struct CanaryHook {
    /// Its name, unique among the hooks of the step.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// When it is asked. Absent, `Enter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<HookWhen>,

    /// After how long without an answer the answer is no. Absent, `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub timeout: Option<String>,

    /// What the operator posts to. An answer of 200 to 299 is a yes; 202, 408, 425, 429 and 500 to 599 mean that it is asked
    /// again after five seconds; everything else is a no.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s/@]+(/\S*)?$"))]
    pub url: Option<String>,

    /// A Job in the namespace of the `DataPlane`. That it completes is a yes, that it fails a no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<HookJob>,
}

/// When a hook is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(description = "")]
pub enum HookWhen {
    /// As soon as the step has its weight.
    Enter,
    /// When everything else of the step is done, before an approval is asked for.
    Exit,
}

/// A Job that is made for a hook.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookJob {
    /// The `batch/v1` `JobSpec`. Its containers are told by environment variables what they are to test.
    pub spec: PodTemplatePatch,
}
