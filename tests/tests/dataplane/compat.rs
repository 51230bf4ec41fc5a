//! Manifests as users of Kong Gateway Operator have them: they apply unchanged and become Ready.

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{ConfigMap, Deployment, Namespace, PodDisruptionBudget};
use crds::names;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tests::{audit, install, wait};

async fn apply(s: &Scenario, name: &str, spec: Value) -> Result<DataPlane> {
    s.dataplane(name, spec).await?;
    s.ready(name).await
}

/// There, nothing was said about who runs the pods: a sidecar ran as its image says, root included.
async fn unrestricted(s: &Scenario) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let open = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "privileged" } } });
    namespaces.patch(&s.namespace, &PatchParams::default(), &Patch::Merge(open)).await?;
    Ok(())
}

/// A sidecar that reads Kong's log from a shared volume, first in the list, as root; volumes of the operator's
/// repeated by name as that operator wanted them; requests below our limits; a probe given in part.
pub async fn a_sidecar_of_the_peers_kind_is_fine(s: Scenario) -> Result<()> {
    unrestricted(&s).await?;
    let config = json!({ "metadata": { "name": "shipper" }, "data": { "shipper.toml": "source = 'file'" } });
    let config_maps: Api<ConfigMap> = s.api();
    config_maps.create(&PostParams::default(), &serde_json::from_value(config)?).await?;
    let sidecar = json!({
        "name": "sidecar",
        "image": "registry.k8s.io/gateway-api/echo-basic:v1.5.1",
        "env": [{ "name": "POD_NAME", "value": "x" }, { "name": "NAMESPACE", "value": "y" }],
        "securityContext": { "runAsUser": 0 },
        "volumeMounts": [
            { "name": "shipper", "mountPath": "/etc/shipper" },
            { "name": "proxy-logs", "mountPath": "/etc/kong/log/" },
        ],
    });
    let proxy = json!({
        "name": "proxy",
        "image": "docker.io/library/kong:3.9",
        "env": [
            { "name": "KONG_LOG_LEVEL", "value": "debug" },
            { "name": "KONG_PROXY_ACCESS_LOG", "value": "/etc/kong/log/proxy_access.log" },
        ],
        "volumeMounts": [
            { "name": "proxy-logs", "mountPath": "/etc/kong/log/" },
            { "name": "cluster-certificate", "mountPath": "/var/cluster-certificate" },
        ],
        "resources": {
            "requests": { "memory": "64Mi", "cpu": "25m" },
            "limits": { "memory": "1024Mi", "cpu": 1 },
        },
        "readinessProbe": { "initialDelaySeconds": 1, "periodSeconds": 1 },
    });
    let volumes = json!([
        { "name": "cluster-certificate" },
        { "name": "shipper", "configMap": { "name": "shipper" } },
        { "name": "proxy-logs", "emptyDir": { "sizeLimit": "128Mi" } },
    ]);
    let metadata = json!({ "labels": { "team": "edge" }, "annotations": { "note": "x" } });
    let template =
        json!({ "metadata": metadata, "spec": { "containers": [sidecar, proxy], "volumes": volumes } });
    apply(&s, "sidecar-example", json!({ "deployment": { "podTemplateSpec": template } })).await?;
    let made: Deployment = s.api().get(&names::deployment("sidecar-example", "1")).await?;
    let pod = made.spec.and_then(|spec| spec.template.spec).context("no pod")?;
    let certificate = pod.volumes.iter().flatten().find(|volume| volume.name == "cluster-certificate");
    ensure!(certificate.is_some_and(|volume| volume.secret.is_some()), "{certificate:?}");
    let proxy = pod.containers.iter().find(|container| container.name == "proxy").context("no proxy")?;
    let probe = proxy.readiness_probe.as_ref().context("no probe")?;
    ensure!(probe.http_get.is_some() && probe.period_seconds == Some(1), "{probe:?}");
    Ok(())
}

/// Its rollout stanza is taken; the Service's fields are as they were written.
pub async fn blue_green_and_a_service_of_the_peers_kind_are_fine(s: Scenario) -> Result<()> {
    let strategy = json!({ "blueGreen": { "promotion": { "strategy": "BreakBeforePromotion" } } });
    let proxy = json!({ "name": "proxy", "image": "docker.io/library/kong:3.9.3",
        "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } });
    let ingress = json!({
        "type": "LoadBalancer",
        "name": "edge-lb",
        "annotations": { "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal" },
        "externalTrafficPolicy": "Cluster",
        "ports": [
            { "name": "http", "port": 80, "targetPort": 8000 },
            { "name": "http-alt", "port": 8080, "targetPort": 8000 },
            { "name": "https", "port": 443, "targetPort": 8443 },
        ],
    });
    let spec = json!({
        "deployment": {
            "replicas": 1,
            "rollout": { "strategy": strategy },
            "podTemplateSpec": { "spec": { "terminationGracePeriodSeconds": 45, "containers": [proxy] } },
        },
        "network": { "services": { "ingress": ingress } },
        "resources": { "podDisruptionBudget": { "spec": { "maxUnavailable": 1 } } },
    });
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("blue-green.json");
    let manifest = json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
        "metadata": { "name": "blue-green", "namespace": s.namespace }, "spec": spec,
    });
    std::fs::write(&file, manifest.to_string())?;
    let kubectl = |verb: &str| -> Result<tokio::process::Command> {
        let mut kubectl = s.world.cluster.kubectl()?;
        kubectl.args([verb, "--filename"]).arg(&file);
        Ok(kubectl)
    };
    install::run(&mut kubectl("apply")?).await?;
    s.reason("blue-green", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    let ready = s.ready("blue-green").await?;
    ensure!(ready.status.and_then(|status| status.service).as_deref() == Some("edge-lb"));
    // Applied once more, nothing moves, and there is nothing to show a reviewer.
    let before = writes(&s)?;
    install::run(&mut kubectl("diff")?).await.context("kubectl diff shows a difference")?;
    install::run(&mut kubectl("apply")?).await?;
    // What makes the operator look at all of it once more.
    let budgets: Api<PodDisruptionBudget> = s.api();
    let old = budgets.get("blue-green").await?.uid();
    budgets.delete("blue-green", &DeleteParams::background()).await?;
    wait::until(&budgets, "blue-green", SOON, |budget| budget.uid() != old).await?;
    let more: Vec<_> = writes(&s)?.split_off(before.len());
    ensure!(more == ["patch poddisruptionbudgets/blue-green"], "{more:?}");
    Ok(())
}

/// What the operator wrote here, but for status and events.
fn writes(s: &Scenario) -> Result<Vec<String>> {
    let mut all = audit::within(&s.world.cluster, &s.namespace)?;
    all.retain(|request| request.starts_with("patch ") && !request.contains(" dataplanes/"));
    Ok(all)
}
