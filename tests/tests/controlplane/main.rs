//! `ControlPlane` on a real cluster: what is made for it, what it may do, whom it can reach, and what is left of it.

#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod access;
mod admin;
mod beside;
mod children;
mod configured;
mod elected;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Options;
use crds::ControlPlane;
use crds::conditions;
use crds::k8s::Condition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::{self, SOON, Scenario};
use tests::{artifacts, scenarios, wait};
use tokio::sync::RwLock;

/// How long what the operator does at once may take. It takes milliseconds; the rest is for a busy machine.
const BACK: Duration = Duration::from_secs(20);
/// Definitions of Kong's own kinds concern every `ControlPlane` of the box: whoever runs pods holds it with others, and
/// whoever brings a definition alone.
static DEFINITIONS: RwLock<()> = RwLock::const_new(());

fn main() -> ExitCode {
    let archives = artifacts::image("kic").into_iter().collect();
    world::run(
        Options { gateway_api: true, archives, ..Options::default() },
        scenarios![
            elected::the_next_pod_leads_as_soon_as_the_one_before_has_ended,
            configured::an_ingress_is_served_and_goes_on_being_served,
            configured::another_kong_rolls_the_controller_once,
            configured::what_kong_refuses_is_told_and_heals,
            beside::several_data_planes_are_configured_alike,
            configured::nothing_is_written_while_nothing_happens,
            children::everything_is_made_and_nothing_is_left,
            children::what_is_changed_by_hand_comes_back,
            children::without_a_data_plane_nothing_is_started,
            children::a_webhook_that_is_turned_off_goes,
            children::a_renewed_certificate_rolls_the_controller,
            children::a_name_that_is_taken_is_left_alone,
            children::definitions_of_kong_turn_their_controllers_on,
            access::rights_follow_the_list_and_its_grants,
            access::a_version_gets_the_rights_that_it_needs,
            admin::a_certificate_opens_its_own_data_plane_and_no_other,
        ],
    )
}

/// A small `DataPlane`, of which the admin API can be reached.
fn small() -> Value {
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    json!({
        "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } },
        "network": { "services": { "ingress": { "type": "ClusterIP" } } },
    })
}

/// Makes a `ControlPlane` of that specification.
async fn make(s: &Scenario, name: &str, spec: Value) -> Result<ControlPlane> {
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "ControlPlane",
        "metadata": { "name": name },
        "spec": spec,
    });
    Ok(s.api().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
}

/// Makes a `DataPlane` and a `ControlPlane` for it, both of that name, without a pod of the latter.
async fn pair(s: &Scenario, name: &str, mut spec: Value) -> Result<ControlPlane> {
    s.dataplane(name, small()).await?;
    spec["deployment"]["replicas"] = json!(0);
    spec["dataplane"] = json!(name);
    make(s, name, spec).await
}

async fn change(s: &Scenario, name: &str, spec: Value) -> Result<()> {
    let api: Api<ControlPlane> = s.api();
    let change = json!({ "spec": spec });
    api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.map(drop).map_err(Into::into)
}

/// Deletes it and waits until it is gone.
async fn delete(s: &Scenario, name: &str) -> Result<()> {
    let api: Api<ControlPlane> = s.api();
    api.delete(name, &DeleteParams::default()).await?;
    wait::gone(&api, name, SOON).await
}

/// Waits until a condition has a reason, for the specification as it is now, and returns it.
async fn told(s: &Scenario, name: &str, type_: &'static str, reason: &'static str) -> Result<Condition> {
    let has = |object: &ControlPlane| {
        condition(object, type_).is_some_and(|found| {
            found.reason == reason && found.observed_generation == object.metadata.generation
        })
    };
    let object = wait::until(&s.api::<ControlPlane>(), name, SOON, has).await?;
    condition(&object, type_).cloned().context("it lost it")
}

fn condition<'a>(object: &'a ControlPlane, type_: &str) -> Option<&'a Condition> {
    conditions::get(object.status.as_ref()?.conditions.as_deref()?, type_)
}
