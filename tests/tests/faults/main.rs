//! Faults: what goes wrong between the operator and the API server, and the operator killed after every write. Each
//! ends in the state of the undisturbed run.

#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod entrances;
mod kills;
mod parameters;
mod planes;
mod removal;
mod requests;
mod watches;

use std::process::ExitCode;

use anyhow::Result;
use cluster::Options;
use crds::DataPlane;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use tests::faults::{Lane, Told};
use tests::world::{self, SOON};
use tests::{scenarios, wait};

fn main() -> ExitCode {
    let scenarios: &[world::Named] = scenarios![
        // The longest first.
        kills::a_kill_after_each_write_of_an_update_ends_as_undisturbed,
        requests::each_fault_at_each_request,
        kills::an_update_interrupted_and_taken_back_leaves_nothing,
        kills::a_kill_after_each_write_of_a_create_ends_as_undisturbed,
        kills::a_delete_after_each_write_of_a_create_leaves_nothing,
        entrances::a_kill_after_writes_for_a_gateway_leaves_nothing,
        planes::a_kill_after_each_write_for_a_control_plane_leaves_nothing,
        requests::a_storm_over_creates_updates_and_deletes,
        requests::a_request_without_an_answer_holds_up_nobody_else,
        requests::a_fault_shows_when_it_lasts_and_is_told_once,
        parameters::a_configuration_that_breaks_takes_nothing_away,
        watches::an_api_server_that_is_away_is_waited_for,
        watches::broken_watches_lose_nothing,
        watches::silent_watches_are_caught_up_with,
        watches::a_dataplane_deleted_unseen_leaves_nothing,
        watches::an_operator_that_starts_from_old_lists_catches_up,
        // The last, because it waits for all others.
        removal::removing_the_operator_first_leaves_nothing_stuck,
    ];
    world::run_without_webhooks(Options { gateway_api: true, ..Options::default() }, scenarios)
}

/// A specification that asks for every kind of child but an autoscaler.
fn first() -> Value {
    json!({
        "deployment": { "replicas": 1, "podTemplateSpec": pods("docker.io/library/kong:3.9", "first") },
        "network": { "services": { "ingress": { "type": "LoadBalancer", "annotations": { "first": "yes" } } } },
        "resources": { "podDisruptionBudget": { "spec": { "maxUnavailable": 1 } } },
    })
}

/// A specification by which every child becomes another, but the certificate and the Service of the admin API.
fn second(name: &str) -> Value {
    let ports = json!([{ "name": "http", "port": 8080, "targetPort": 8000 }]);
    let ingress = json!({
        "type": "ClusterIP",
        "name": format!("front-{name}"),
        "annotations": { "second": "yes" },
        "ports": ports,
    });
    json!({
        "deployment": {
            "scaling": { "horizontal": { "minReplicas": 1, "maxReplicas": 2 } },
            "podTemplateSpec": pods("docker.io/library/kong:3.9.3", "second"),
        },
        "network": { "services": { "ingress": ingress } },
    })
}

/// The same, without pods: settled as soon as its children are written.
fn idle() -> Value {
    let mut spec = first();
    spec["deployment"]["replicas"] = json!(0);
    spec["network"]["services"]["ingress"]["type"] = json!("ClusterIP");
    spec
}

fn pods(image: &str, value: &str) -> Value {
    let proxy = json!({
        "name": "proxy",
        "image": image,
        "env": [{ "name": "SPECIFICATION", "value": value }],
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
    });
    json!({ "spec": { "containers": [proxy] } })
}

/// The same with another name, and without what else is optional.
fn other(name: &str) -> Value {
    let mut spec = second(name);
    spec["deployment"] =
        json!({ "replicas": 0, "podTemplateSpec": pods("docker.io/library/kong:3.9.3", "second") });
    spec
}

/// Whether events were told no more often than undisturbed.
fn no_more_than(told: &Told, again: &Told) -> bool {
    again.iter().all(|(reason, count)| told.get(reason) >= Some(count))
}

/// Deletes a `DataPlane` and waits until it is gone; its children may go later.
async fn delete(lane: &Lane, name: &str) -> Result<()> {
    let dataplanes: Api<DataPlane> = lane.scenario.api();
    dataplanes.delete(name, &DeleteParams::background()).await?;
    wait::gone(&dataplanes, name, SOON).await
}
