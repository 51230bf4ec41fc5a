//! Failures that a user can cause, each told by its own reason, and healed by what the message says.

use std::time::Instant;

use anyhow::{Result, ensure};
use crds::conditions::{reasons, types};
use crds::k8s::{ConfigMap, Deployment, Namespace, Secret, Service};
use crds::names;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::wait;
use tests::world::{SOON, Scenario};

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
    // Nobody configures Kong here, so it never is by this measure.
    let probe = json!({ "httpGet": { "path": "/status/ready", "port": 8100 } });
    s.dataplane("slow", with(&json!({ "readinessProbe": probe }))).await?;
    let told = s.reason("slow", types::READY, reasons::WAITING_TO_BECOME_READY).await?;
    ensure!(told.message.contains("0 of 1 replicas"), "{}", told.message);
    // Kubernetes' own deadline is ten minutes, and nobody's but the user's to change.
    let deployments: Api<Deployment> = s.api();
    let soon = json!({ "spec": { "progressDeadlineSeconds": 2, "minReadySeconds": 1 } });
    let name = names::deployment("slow", names::values::FIRST_TRACK);
    deployments.patch(&name, &PatchParams::default(), &Patch::Merge(soon)).await?;
    let told = s.reason("slow", types::READY, reasons::PROGRESS_DEADLINE_EXCEEDED).await?;
    ensure!(
        told.message.contains("kubectl describe pods") && told.message.contains("kubectl logs"),
        "{}",
        told.message
    );
    Ok(())
}

/// A root user where root is not allowed is not a missing reference.
pub async fn a_user_that_a_pod_may_not_have_is_told(s: Scenario) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let open = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "privileged" } } });
    namespaces.patch(&s.namespace, &PatchParams::default(), &Patch::Merge(open)).await?;
    let context = json!({ "securityContext": { "runAsUser": 0, "runAsNonRoot": true } });
    s.dataplane("root", with(&context)).await?;
    let told = s.reason("root", types::READY, reasons::CONTAINER_START_FAILED).await?;
    ensure!(told.message.contains("runAsUser"), "{}", told.message);
    patch(
        &s,
        "root",
        json!({ "spec": with(&json!({ "securityContext": { "runAsUser": 0, "runAsNonRoot": null } })) }),
    )
    .await?;
    patch(&s, "root", json!({ "spec": clustered() })).await?;
    s.ready("root").await.map(drop)
}

/// A Service that cannot be had does not keep the pods from their changes.
pub async fn a_refused_service_does_not_hold_up_the_pods(s: Scenario) -> Result<()> {
    s.dataplane("both", clustered()).await?;
    s.ready("both").await?;
    let holder = json!({ "metadata": { "name": "holder" }, "spec": { "type": "NodePort",
        "ports": [{ "port": 80, "nodePort": 31888 }] } });
    s.api::<Service>().create(&PostParams::default(), &serde_json::from_value(holder)?).await?;
    let mut spec = with(&json!({ "env": [{ "name": "KONG_LOG_LEVEL", "value": "info" }] }));
    spec["network"]["services"]["ingress"] =
        json!({ "type": "NodePort", "ports": [{ "name": "http", "port": 80, "nodePort": 31888 }] });
    patch(&s, "both", json!({ "spec": spec })).await?;
    s.reason("both", types::READY, reasons::PORT_CONFLICT).await?;
    let name = names::deployment("both", names::values::FIRST_TRACK);
    let changed = |d: &Deployment| {
        let pod = d.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let variables = pod.into_iter().flat_map(|pod| &pod.containers).flat_map(|c| c.env.iter().flatten());
        variables.into_iter().any(|variable| variable.name == "KONG_LOG_LEVEL")
    };
    wait::until(&s.api(), &name, SOON, changed).await.map(drop)
}
