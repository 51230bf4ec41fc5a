//! `DataPlane` on a real cluster: from a manifest to an answered request, and what happens when things go wrong.

#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod children;
mod compat;
mod network;
mod refusals;
mod scaling;
mod shared;
mod trouble;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::DataPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{Deployment, Namespace, Secret, Service};
use crds::names;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::world::{self, SOON, Scenario};
use tests::{artifacts, http, install, scenarios, wait};

/// How long a child may be missing. It takes milliseconds; the rest is for a busy machine.
const BACK: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let scenarios: &[world::Named] = scenarios![
        the_sample_becomes_ready_and_answers,
        an_empty_specification_is_enough,
        refusals::an_image_that_cannot_be_pulled_shows_and_heals,
        children::deleted_children_come_back,
        children::edited_children_come_back,
        children::edited_budgets_autoscalers_and_secrets_come_back,
        children::an_unlabelled_secret_keeps_its_certificate,
        children::a_recreated_dataplane_waits_for_its_predecessor_to_go,
        children::what_others_add_stays,
        children::deleting_leaves_nothing,
        refusals::a_name_that_is_taken_is_left_alone,
        children::a_renamed_service_replaces_the_old_one,
        refusals::a_wrong_specification_is_named_and_what_runs_goes_on,
        refusals::the_api_server_refuses_what_one_object_can_tell,
        refusals::a_quota_is_named,
        scaling::an_autoscaler_takes_over_what_runs_and_gives_it_back,
        scaling::kubectl_scale_and_the_scale_subresource_tell_the_truth,
        scaling::a_disruption_budget_is_kept_and_removed,
        network::another_type_of_service_keeps_its_address,
        network::a_renamed_service_takes_its_node_port_along,
        network::a_selector_can_be_overridden,
        network::listens_of_ones_own_are_left_alone,
        network::a_sidecar_keeps_its_port,
        network::a_conflict_with_what_is_needed_is_named,
        scaling::every_kind_of_metric_is_passed_on,
        refusals::a_secret_of_somebody_elses_is_left_alone,
        shared::what_a_user_removes_is_gone,
        compat::a_sidecar_of_the_peers_kind_is_fine,
        compat::blue_green_and_a_service_of_the_peers_kind_are_fine,
        shared::what_admission_injects_is_not_fought,
        shared::a_certificate_near_its_end_is_renewed,
        trouble::a_missing_reference_is_told_and_heals_when_it_appears,
        trouble::a_crash_loop_is_told,
        trouble::a_command_that_does_not_exist_is_told,
        trouble::pods_that_no_node_takes_are_told,
        trouble::a_policy_that_refuses_pods_is_told,
        trouble::a_missing_service_account_is_told,
        trouble::a_node_port_that_is_taken_is_told,
        trouble::pods_that_never_become_ready_are_told,
        trouble::a_user_that_a_pod_may_not_have_is_told,
        trouble::a_refused_service_does_not_hold_up_the_pods,
    ];
    world::run_without_webhooks(Options { dns: true, ..Options::default() }, scenarios)
}

fn quick() -> Value {
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    json!({ "spec": { "containers": [proxy] } })
}

fn clustered() -> Value {
    json!({ "deployment": { "podTemplateSpec": quick() }, "network": { "services": { "ingress": { "type": "ClusterIP" } } } })
}

async fn patch(scenario: &Scenario, name: &str, change: Value) -> Result<()> {
    let api: Api<DataPlane> = scenario.api();
    api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.map(drop).map_err(Into::into)
}

async fn the_sample_becomes_ready_and_answers(s: Scenario) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let restricted =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    namespaces.patch("default", &PatchParams::default(), &Patch::Merge(restricted)).await?;
    let sample = artifacts::root().join("manifests/samples/dataplane-declarative-config.yaml");
    install::file(s.world.cluster.kubectl()?, &sample).await?;
    let default = Scenario { namespace: "default".into(), ..s };
    let assigned =
        default.reason("declarative-config", types::ADDRESS_ASSIGNED, reasons::ADDRESS_ASSIGNED).await?;
    ensure!(assigned.status == "True", "{assigned:?}");
    let dataplane = default.ready("declarative-config").await?;
    let available = |d: &Deployment| d.status.as_ref().is_some_and(|s| s.available_replicas == Some(1));
    wait::until(&default.api::<Deployment>(), "echo", SOON, available).await?;

    let addresses = dataplane.status.and_then(|status| status.addresses).context("no addresses")?;
    let first: IpAddr = addresses.first().context("no address")?.value.parse()?;
    let answer = http::until(&default.world.cluster, SocketAddr::new(first, 80), "/echo", BACK, |answer| {
        answer.status.is_success()
    })
    .await?;
    let body: Value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
    ensure!(body["namespace"] == "default" && body["path"].is_string(), "{body}");
    let via = answer.headers.get("via").and_then(|via| via.to_str().ok()).unwrap_or_default();
    ensure!(via.contains("kong/3.9"), "it did not come through Kong: {:?}", answer.headers);
    kong_answers_in_its_pod(&default).await?;
    let missing = http::get(&default.world.cluster, SocketAddr::new(first, 80), "any", "/nowhere").await?;
    ensure!(missing.status == 404 && missing.body.contains("no Route matched"), "{missing:?}");
    Ok(())
}

/// Probes and hooks of users call these, in a container without a writable root.
async fn kong_answers_in_its_pod(s: &Scenario) -> Result<()> {
    let pod = format!("deployment/{}", names::deployment("declarative-config", names::values::FIRST_TRACK));
    for (command, words) in [("health", "Kong is healthy at /kong_prefix"), ("version", "3.9")] {
        let mut kubectl = s.world.cluster.kubectl()?;
        kubectl.args(["exec", &pod, "--container", "proxy", "--", "kong", command]);
        let said = install::run(&mut kubectl).await?;
        ensure!(said.contains(words), "kong {command}: {said}");
    }
    Ok(())
}

/// Waits until an address answers with these words.
async fn answered_with(s: &Scenario, to: SocketAddr, path: &str, words: &str) -> Result<()> {
    http::until(&s.world.cluster, to, path, BACK, |answer| answer.body.contains(words)).await.map(drop)
}

async fn an_empty_specification_is_enough(s: Scenario) -> Result<()> {
    // Not even `spec` has to be written.
    let manifest = json!({ "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane", "metadata": { "name": "bare" } });
    let made: DataPlane = {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bare.json");
        std::fs::write(&file, manifest.to_string())?;
        let mut kubectl = s.world.cluster.kubectl()?;
        kubectl.args(["--namespace", &s.namespace]);
        install::file(kubectl, &file).await?;
        s.ready("bare").await?
    };
    let owner = made.uid().context("no uid")?;
    let deployment: Deployment = s.api().get(&names::deployment("bare", "1")).await?;
    let ingress: Service = s.api().get(&names::ingress_service("bare")).await?;
    let admin: Service = s.api().get(&names::admin_service("bare")).await?;
    let certificate: Secret = s.api().get(&names::admin_certificate("bare")).await?;
    for owners in [
        deployment.owner_references(),
        ingress.owner_references(),
        admin.owner_references(),
        certificate.owner_references(),
    ] {
        ensure!(owners.iter().any(|o| o.uid == owner && o.controller == Some(true)), "{owners:?}");
    }
    let admin = admin.spec.context("no spec")?;
    ensure!(
        admin.cluster_ip.as_deref() == Some("None") && admin.publish_not_ready_addresses == Some(true),
        "{admin:?}"
    );
    ensure!(
        admin.ports.iter().flatten().any(|port| port.name.as_deref() == Some("admin")),
        "{:?}",
        admin.ports
    );
    let selector = made.status.and_then(|status| status.selector).context("no selector")?;
    let pods: Api<crds::k8s::Pod> = s.api();
    let selected = pods.list(&ListParams::default().labels(&selector)).await?;
    ensure!(selected.items.len() == 1, "status.selector {selector:?} selects {} pods", selected.items.len());
    Ok(())
}
