//! Failures that a user can cause, each told by its own reason, and healed by what the message says.

use std::time::Instant;

use anyhow::{Result, ensure};
use crds::conditions::{reasons, types};
use crds::k8s::{ConfigMap, Secret, Service};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use tests::world::Scenario;

use crate::{clustered, patch, quick};

fn template(container: &Value) -> Value {
    let mut template = quick();
    let proxy = template["spec"]["containers"][0].as_object_mut().into_iter();
    for fields in proxy {
        fields.extend(container.as_object().cloned().unwrap_or_default());
    }
    template
}

fn with(container: &Value) -> Value {
    let mut spec = clustered();
    spec["deployment"]["podTemplateSpec"] = template(container);
    spec
}

/// A volume that cannot be mounted says nothing in the pod's status: the watch of names does.
pub async fn a_missing_reference_is_told_and_heals_when_it_appears(s: Scenario) -> Result<()> {
    let mut spec = with(&json!({
        "env": [{ "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "token", "key": "token" } } }],
        "volumeMounts": [{ "name": "pages", "mountPath": "/pages" }],
    }));
    spec["deployment"]["podTemplateSpec"]["spec"]["volumes"] =
        json!([{ "name": "pages", "configMap": { "name": "pages" } }]);
    s.dataplane("refers", spec).await?;
    for type_ in [types::RESOLVED_REFS, types::READY] {
        let told = s.reason("refers", type_, reasons::REFERENCED_RESOURCES_NOT_AVAILABLE).await?;
        for words in ["Secret \"token\"", "ConfigMap \"pages\"", "volumes[pages]", "env[TOKEN]", "Create"] {
            ensure!(told.message.contains(words), "{words} is not in: {}", told.message);
        }
    }
    let secret = json!({ "metadata": { "name": "token" }, "stringData": { "token": "x" } });
    let secrets: Api<Secret> = s.api();
    secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let pages = json!({ "metadata": { "name": "pages" }, "data": { "a": "b" } });
    let config_maps: Api<ConfigMap> = s.api();
    let began = Instant::now();
    config_maps.create(&PostParams::default(), &serde_json::from_value(pages)?).await?;
    s.reason("refers", types::RESOLVED_REFS, reasons::RESOLVED_REFS).await?;
    println!("the condition was true {:?} after the last object was made", began.elapsed());
    s.ready("refers").await?;
    // What runs goes on, and the next pod would not start.
    secrets.delete("token", &DeleteParams::default()).await?;
    s.reason("refers", types::RESOLVED_REFS, reasons::REFERENCED_RESOURCES_NOT_AVAILABLE).await?;
    s.ready("refers").await.map(drop)
}

pub async fn a_crash_loop_is_told(s: Scenario) -> Result<()> {
    s.dataplane("crashes", with(&json!({ "env": [{ "name": "KONG_LOG_LEVEL", "value": "nonsense" }] })))
        .await?;
    let told = s.reason("crashes", types::READY, reasons::CRASH_LOOP).await?;
    ensure!(
        told.message.contains("exit code 1") && told.message.contains("kubectl logs"),
        "{}",
        told.message
    );
    patch(&s, "crashes", json!({ "spec": clustered() })).await?;
    s.ready("crashes").await.map(drop)
}

pub async fn a_command_that_does_not_exist_is_told(s: Scenario) -> Result<()> {
    s.dataplane("nothing", with(&json!({ "command": ["/nothing-here"] }))).await?;
    let told = s.reason("nothing", types::READY, reasons::CONTAINER_START_FAILED).await?;
    ensure!(told.message.contains("nothing-here"), "{}", told.message);
    Ok(())
}

pub async fn pods_that_no_node_takes_are_told(s: Scenario) -> Result<()> {
    s.dataplane(
        "huge",
        with(&json!({ "resources": { "requests": { "cpu": "1000" }, "limits": { "cpu": "1000" } } })),
    )
    .await?;
    let told = s.reason("huge", types::READY, reasons::UNSCHEDULABLE).await?;
    ensure!(
        told.message.contains("Insufficient cpu") && told.message.contains("requests"),
        "{}",
        told.message
    );
    patch(&s, "huge", json!({ "spec": clustered() })).await?;
    s.ready("huge").await.map(drop)
}

pub async fn a_policy_that_refuses_pods_is_told(s: Scenario) -> Result<()> {
    let mut spec = clustered();
    spec["deployment"]["podTemplateSpec"]["spec"]["hostNetwork"] = json!(true);
    s.dataplane("loose", spec).await?;
    let told = s.reason("loose", types::READY, reasons::REFUSED_BY_POLICY).await?;
    ensure!(told.message.contains("PodSecurity"), "{}", told.message);
    Ok(())
}

pub async fn a_missing_service_account_is_told(s: Scenario) -> Result<()> {
    let mut spec = clustered();
    spec["deployment"]["podTemplateSpec"]["spec"]["serviceAccountName"] = json!("nobody");
    s.dataplane("alone", spec).await?;
    let told = s.reason("alone", types::READY, reasons::REFERENCED_RESOURCES_NOT_AVAILABLE).await?;
    ensure!(told.message.contains("\"nobody\" not found"), "{}", told.message);
    Ok(())
}

pub async fn a_node_port_that_is_taken_is_told(s: Scenario) -> Result<()> {
    let port = |name: &str| json!({ "name": name, "port": 80, "nodePort": 31999 });
    let taken =
        json!({ "metadata": { "name": "first" }, "spec": { "type": "NodePort", "ports": [port("a")] } });
    let services: Api<Service> = s.api();
    services.create(&PostParams::default(), &serde_json::from_value(taken)?).await?;
    let ingress = json!({ "type": "NodePort", "ports": [port("http")] });
    let mut spec = clustered();
    spec["network"]["services"]["ingress"] = ingress;
    s.dataplane("second", spec).await?;
    let told = s.reason("second", types::READY, reasons::PORT_CONFLICT).await?;
    ensure!(told.message.contains("31999") && told.message.contains("nodePort"), "{}", told.message);
    services.delete("first", &DeleteParams::default()).await?;
    s.ready("second").await.map(drop)
}

/// Without a reason of any pod's, the deadline of the Deployment tells, and where to look.
pub async fn pods_that_never_become_ready_are_told(s: Scenario) -> Result<()> {
    s.dataplane("slow", with(&json!({ "env": [{ "name": "STANDIN_NEVER_READY", "value": "true" }] })))
        .await?;
    let told = s.reason("slow", types::READY, reasons::WAITING_TO_BECOME_READY).await?;
    ensure!(told.message.contains("0 of 1 replicas"), "{}", told.message);
    Ok(())
}
