//! Pods, Services, and programs in a box, for the suites beside this one.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::{Api, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{IMAGE, SOON};

/// A namespace that refuses pods which are not restricted.
pub(crate) async fn namespace(cluster: &Cluster, name: &str) -> Result<()> {
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    let object = serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } }))?;
    let namespaces: Api<Namespace> = Api::all(cluster.client().await?);
    namespaces.create(&PostParams::default(), &object).await?;
    Ok(())
}

fn pod(name: &str, node: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": "answer" } },
        "spec": {
            "nodeName": node,
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "answer",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "ports": [{ "containerPort": 8080 }],
                "resources": { "requests": { "cpu": "10m" }, "limits": { "memory": "64Mi" } },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "readOnlyRootFilesystem": true,
                },
                "readinessProbe": { "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 1 },
            }],
        },
    })
}

/// Starts pods, one a node, and waits until they are ready; their addresses.
pub(crate) async fn run_pods(
    cluster: &Cluster,
    namespace: &str,
    nodes: &[(&str, &str)],
) -> Result<Vec<IpAddr>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client().await?, namespace);
    for (name, node) in nodes {
        pods.create(&PostParams::default(), &serde_json::from_value(pod(name, node))?).await?;
    }
    let started = nodes.iter().map(async |(name, _)| {
        let ready = tokio::time::timeout(SOON, await_condition(pods.clone(), name, is_ready)).await;
        ready.with_context(|| format!("the pod {name} is not ready"))??;
        let address = pods.get(name).await?.status.and_then(|status| status.pod_ip);
        Ok(address.context("a ready pod has an address")?.parse()?)
    });
    try_join_all(started).await
}

pub(crate) fn is_ready(pod: Option<&Pod>) -> bool {
    let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// A Service of type `LoadBalancer` before the pods: its own address, and that of its balancer.
pub(crate) async fn expose(cluster: &Cluster, namespace: &str) -> Result<(IpAddr, IpAddr)> {
    let services: Api<Service> = Api::namespaced(cluster.client().await?, namespace);
    let object = json!({
        "metadata": { "name": "answer" },
        "spec": {
            "type": "LoadBalancer",
            "selector": { "app": "answer" },
            "ports": [{ "port": 80, "targetPort": 8080 }],
        },
    });
    services.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    let given = await_condition(services, "answer", |service: Option<&Service>| balancer(service).is_some());
    let service = tokio::time::timeout(SOON, given).await.context("the Service got no address")??;
    let own = service.as_ref().and_then(|service| service.spec.as_ref()?.cluster_ip.clone());
    let own = own.context("a Service has an address")?.parse()?;
    Ok((own, balancer(service.as_ref()).context("it was there")?))
}

pub(crate) fn balancer(service: Option<&Service>) -> Option<IpAddr> {
    let status = service?.status.as_ref()?.load_balancer.as_ref()?;
    status.ingress.as_ref()?.first()?.ip.as_ref()?.parse().ok()
}

/// Asks over a connection made by `connect`, again and again until there is an answer.
///
/// kube-proxy programs a Service's address a moment after its first endpoint is ready.
pub(crate) async fn ask(connect: impl AsyncFn() -> Result<TcpStream>, path: &str) -> Result<String> {
    let deadline = Instant::now() + SOON;
    loop {
        match tokio::time::timeout(Duration::from_secs(5), ask_once(connect().await, path)).await {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(error)) if Instant::now() > deadline => return Err(error),
            Err(_) if Instant::now() > deadline => anyhow::bail!("no answer to {path}"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

pub(crate) async fn ask_once(stream: Result<TcpStream>, path: &str) -> Result<String> {
    let mut stream = stream?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer has a head and a body")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {text}");
    Ok(body.to_owned())
}

/// What a program in the box says on its standard output.
pub(crate) async fn said(mut command: tokio::process::Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output().await?;
    ensure!(done.status.success(), "{:?}: {}", done.status, String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

pub(crate) async fn shell(cluster: &Cluster, script: &str) -> Result<String> {
    let mut command = cluster.command("sh")?;
    command.args(["-ec", script]);
    said(command).await
}
