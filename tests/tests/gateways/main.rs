//! Gateway API on a real cluster: classes, Gateways, sets of listeners and configurations, and what is said of each.

#![allow(clippy::indexing_slicing, reason = "JSON is indexed, and gives null where nothing is")]

mod abroad;
mod attached;
mod certificates;
mod classes;
mod datagrams;
mod objects;
mod releases;
mod rights;
mod routed;
mod served;
mod sets;
mod several;
mod steady;
mod streams;
mod upgraded;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::k8s::Condition;
use crds::{GatewayConfiguration, conditions};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::{Gateway, GatewayStatusListeners};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::{self, SOON, Scenario};
use tests::{artifacts, scenarios, wait};

/// How long what the operator does at once may take. It takes milliseconds; the rest is for a busy machine.
const BACK: Duration = Duration::from_secs(15);
const CONTROLLER: &str = "konghq.com/gateway-operator";

fn main() -> ExitCode {
    // Without it the suite still lists its scenarios; whoever runs one is told what is missing.
    let archives = artifacts::image("kic").into_iter().collect();
    world::run(
        // Releases of Kong Ingress Controller before 3.4.3 find Kong by names.
        Options { gateway_api: true, dns: true, archives, ..Options::default() },
        scenarios![
            // The longest first.
            steady::settled_nothing_is_written_by_anybody,
            steady::a_data_plane_is_scaled_while_its_routes_answer,
            upgraded::a_canary_takes_its_configuration_before_it_serves,
            upgraded::a_canary_while_routes_change_and_the_controller_dies,
            several::one_control_plane_serves_three_gateways,
            several::a_control_plane_without_a_class_serves_no_gateway,
            abroad::a_route_from_abroad_is_let_in_and_divides_by_weight,
            streams::streams_reach_their_backends,
            releases::older_releases_configure_a_gateway,
            datagrams::datagrams_reach_their_backend,
            classes::a_class_is_accepted_and_broken_parameters_heal,
            classes::a_class_of_somebody_elses_and_its_gateways_are_left_alone,
            classes::a_configuration_reaches_its_gateways_and_names_them,
            classes::an_autoscaler_of_a_configuration_scales_its_gateways,
            rights::the_operator_holds_what_it_uses_and_no_more,
            routed::a_route_reaches_its_backend_through_kic,
            routed::a_listener_serves_its_certificate_and_the_next_one,
            routed::a_class_that_breaks_is_not_fought_over,
            routed::two_gateways_of_a_namespace_serve_their_own_routes_only,
            served::a_gateway_is_served_and_leaves_nothing,
            served::a_new_listener_opens_its_port_and_the_others_stay_programmed,
            served::a_gateway_without_a_load_balancer_says_so_and_heals,
            served::at_rest_nothing_is_written,
            certificates::certificates_are_judged_and_followed,
            certificates::certificates_are_judged_by_the_clock,
            certificates::a_grant_gives_leave_and_takes_it_back,
            attached::routes_are_counted_as_they_are_accepted,
            attached::namespaces_are_followed_by_their_labels,
            sets::sets_are_let_in_and_told_apart,
            objects::what_is_changed_by_hand_comes_back,
            objects::one_bad_listener_hurts_only_itself,
            objects::infrastructure_reaches_everything,
        ],
    )
}

/// The name of the scenario's class, which has no namespace.
fn class_of(s: &Scenario) -> String {
    s.namespace.clone()
}

/// Makes the scenario's class, and a configuration by which its data planes serve by themselves: without Kong Ingress
/// Controller a data plane is ready only where it has a configuration of its own.
async fn class(s: &Scenario) -> Result<()> {
    configure(s, "quick", quick("ClusterIP")).await?;
    let parameters = json!({
        "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration",
        "name": "quick", "namespace": s.namespace,
    });
    make_class(s, CONTROLLER, Some(parameters)).await
}

async fn make_class(s: &Scenario, controller: &str, parameters: Option<Value>) -> Result<()> {
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": class_of(s) },
        "spec": { "controllerName": controller, "parametersRef": parameters },
    });
    let all: Api<GatewayClass> = Api::all(s.world.client.clone());
    all.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Options of small pods that serve by themselves, behind a Service of that type.
fn quick(type_: &str) -> Value {
    let proxy = json!({
        "name": "proxy",
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
        "env": [{ "name": "KONG_DECLARATIVE_CONFIG_STRING", "value": "{\"_format_version\":\"3.0\",\"services\":[{\"name\":\"s\",\"url\":\"http://127.0.0.1:9\"}]}" }],
    });
    // Nobody needs Kong Ingress Controller then, and the machine has other work.
    let control = json!({ "deployment": { "replicas": 0 } });
    let ingress = json!({ "type": type_ });
    json!({
        "controlPlaneOptions": control,
        "dataPlaneOptions": {
            "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } },
            "network": { "services": { "ingress": ingress } },
        },
    })
}

async fn configure(s: &Scenario, name: &str, spec: Value) -> Result<()> {
    let object = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "GatewayConfiguration",
        "metadata": { "name": name }, "spec": spec,
    });
    let api: Api<GatewayConfiguration> = s.api();
    api.patch(name, &PatchParams::apply("tests").force(), &Patch::Apply(object))
        .await
        .map(drop)
        .map_err(Into::into)
}

/// Makes a Gateway of the scenario's class.
async fn gateway(s: &Scenario, name: &str, spec: Value) -> Result<Gateway> {
    let mut spec = spec;
    spec["gatewayClassName"] = json!(class_of(s));
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": name }, "spec": spec,
    });
    Ok(s.api().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
}

async fn change(s: &Scenario, name: &str, spec: Value) -> Result<()> {
    let api: Api<Gateway> = s.api();
    let change = json!({ "spec": spec });
    api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.map(drop).map_err(Into::into)
}

fn http(name: &str, port: u16) -> Value {
    json!({ "name": name, "port": port, "protocol": "HTTP" })
}

/// What a condition of the Gateway's says of its current generation.
fn said<'a>(object: &'a Gateway, type_: &str) -> Option<(&'a str, &'a str)> {
    let all = object.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    current(all, type_, object.metadata.generation)
}

fn current<'a>(all: &'a [Condition], type_: &str, generation: Option<i64>) -> Option<(&'a str, &'a str)> {
    let found = conditions::get(all, type_).filter(|found| found.observed_generation == generation)?;
    Some((&found.status, &found.reason))
}

fn listener<'a>(object: &'a Gateway, name: &str) -> Option<&'a GatewayStatusListeners> {
    let all = object.status.as_ref().and_then(|status| status.listeners.as_deref()).unwrap_or_default();
    all.iter().find(|listener| listener.name == name)
}

/// What a condition of a listener says of the current generation.
fn of_listener<'a>(object: &'a Gateway, name: &str, type_: &str) -> Option<(&'a str, &'a str)> {
    current(&listener(object, name)?.conditions, type_, object.metadata.generation)
}

/// Waits until a Gateway is as `done` says.
async fn until(s: &Scenario, name: &str, done: impl Fn(&Gateway) -> bool) -> Result<Gateway> {
    wait::until(&s.api(), name, SOON, done).await
}

async fn programmed(s: &Scenario, name: &str) -> Result<Gateway> {
    until(s, name, |object| said(object, "Programmed") == Some(("True", "Programmed"))).await
}

/// The first address of a Gateway.
fn address(object: &Gateway) -> Result<std::net::IpAddr> {
    let status = object.status.as_ref().context("no status")?;
    let first = status.addresses.iter().flatten().next().context("no address")?;
    ensure!(first.r#type.as_deref() == Some("IPAddress"), "{first:?}");
    Ok(first.value.parse()?)
}
