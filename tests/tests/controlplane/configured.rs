//! Kong configured by the Kong Ingress Controller of a `ControlPlane`, up to an answered request.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::ControlPlane;
use crds::conditions::{reasons, types};
use crds::k8s::{Deployment, Pod, Service};
use crds::names::{self, annotations, labels, values};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tests::{audit, http, wait};

use crate::{DEFINITIONS, small, told};

/// Longer than a lease that was not released: how late a change may be after the controller that led was replaced.
const TAKEN_OVER: Duration = Duration::from_mins(1);

pub async fn an_ingress_is_served_and_goes_on_being_served(s: Scenario) -> Result<()> {
    echo(&s).await?;
    let _held = DEFINITIONS.read().await;
    pair(&s, "edge").await?;
    told(&s, "edge", types::READY, reasons::READY).await?;
    told(&s, "edge", types::PROVISIONED, reasons::PODS_READY).await?;
    told(&s, "edge", types::PROGRAMMED, reasons::PROGRAMMED).await?;
    s.ready("edge").await?;
    ingress(&s, "first", "inside", "/first").await?;
    ingress(&s, "strange", "outside", "/strange").await?;
    let to = front(&s, "edge").await?;
    let answered = |answer: &http::Answer| answer.status == 200;
    http::until(&s.world.cluster, to, "/first", SOON, answered).await?;
    let stranger = http::get(&s.world.cluster, to, "any", "/strange").await?;
    ensure!(stranger.status == 404, "an Ingress of another class is served: {}", stranger.status);

    // The controller is replaced: Kong serves on, and what changes is served once the lease has run out.
    let pods: Api<Pod> = s.api();
    let of = format!("{}=edge,{}={}", labels::APP, labels::MANAGED_BY, values::CONTROLPLANE);
    let before = pods.list(&ListParams::default().labels(&of)).await?;
    ensure!(before.items.len() == 1, "{} pods", before.items.len());
    for pod in &before.items {
        pods.delete(&pod.name_any(), &DeleteParams::default()).await?;
    }
    ingress(&s, "second", "inside", "/second").await?;
    let again = http::get(&s.world.cluster, to, "any", "/first").await?;
    ensure!(again.status == 200, "Kong stopped serving with its controller: {}", again.status);
    let began = std::time::Instant::now();
    http::until(&s.world.cluster, to, "/second", TAKEN_OVER, answered).await?;
    println!("a change was served {:.1?} after the controller was deleted", began.elapsed());
    Ok(())
}

/// Makes a `DataPlane` and a `ControlPlane` that runs for it, both of that name.
async fn pair(s: &Scenario, name: &str) -> Result<()> {
    s.dataplane(name, small()).await?;
    crate::make(s, name, json!({ "dataplane": name, "ingressClass": "inside" })).await.map(drop)
}

/// Another image of Kong's: its controller has asked for the version of the old one, and is rolled after that.
pub async fn another_kong_rolls_the_controller_once(s: Scenario) -> Result<()> {
    let _held = DEFINITIONS.read().await;
    pair(&s, "newer").await?;
    told(&s, "newer", types::PROGRAMMED, reasons::PROGRAMMED).await?;
    s.reason("newer", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    let deployments: Api<Deployment> = s.api();
    let name = names::controller("newer");
    let first = deployments.get(&name).await?;
    ensure!(revision(&first) == "1", "it was rolled while it started: {}", revision(&first));
    let mut spec = small();
    spec["deployment"]["podTemplateSpec"]["spec"]["containers"][0]["env"] =
        json!([{ "name": "KONG_ROUTER_FLAVOR", "value": "traditional" }]);
    let planes: Api<crds::DataPlane> = s.api();
    planes.patch("newer", &PatchParams::default(), &Patch::Merge(&json!({ "spec": spec }))).await?;
    let rolled = |found: &Deployment| kong(found) != kong(&first) && revision(found) == "2";
    wait::until(&deployments, &name, SOON * 2, rolled).await?;
    s.reason("newer", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    told(&s, "newer", types::PROGRAMMED, reasons::PROGRAMMED).await?;
    ensure!(revision(&deployments.get(&name).await?) == "2", "it was rolled again");
    Ok(())
}

fn revision(deployment: &Deployment) -> String {
    deployment.annotations().get("deployment.kubernetes.io/revision").cloned().unwrap_or_default()
}

fn kong(deployment: &Deployment) -> Option<String> {
    let template = &deployment.spec.as_ref()?.template;
    template.metadata.as_ref()?.annotations.as_ref()?.get(annotations::KONG).cloned()
}

/// An Ingress that Kong cannot take, and that nobody looked at before it was stored.
pub async fn what_kong_refuses_is_told_and_heals(s: Scenario) -> Result<()> {
    let _held = DEFINITIONS.read().await;
    s.dataplane("picky", small()).await?;
    let unchecked = json!([{ "name": "CONTROLLER_ADMISSION_WEBHOOK_LISTEN", "value": "off" }]);
    let template = json!({ "spec": { "containers": [{ "name": "controller", "env": unchecked }] } });
    let spec = json!({
        "dataplane": "picky", "ingressClass": "picky", "deployment": { "podTemplateSpec": template },
    });
    crate::make(&s, "picky", spec).await?;
    told(&s, "picky", types::READY, reasons::READY).await?;
    told(&s, "picky", types::PROGRAMMED, reasons::PROGRAMMED).await?;
    told(&s, "picky", types::CONFIGURATION_ACCEPTED, reasons::CONFIGURATION_ACCEPTED).await?;
    ingress(&s, "broken", "picky", "/~/(").await?;
    let refused = told(&s, "picky", types::CONFIGURATION_ACCEPTED, reasons::CONFIGURATION_REFUSED).await?;
    ensure!(refused.status == "False" && refused.message.contains("on 1 pods"), "{}", refused.message);
    s.reason("picky", types::CONFIGURATION_ACCEPTED, reasons::CONFIGURATION_REFUSED).await?;
    for type_ in [types::READY, types::PROGRAMMED] {
        let object = s.api::<ControlPlane>().get("picky").await?;
        let holds = crate::condition(&object, type_).is_some_and(|found| found.status == "True");
        ensure!(holds, "{type_} moved: what is served is served on");
    }
    let ingresses: Api<Ingress> = s.api();
    ingresses.delete("broken", &DeleteParams::default()).await?;
    told(&s, "picky", types::CONFIGURATION_ACCEPTED, reasons::CONFIGURATION_ACCEPTED).await?;
    s.reason("picky", types::CONFIGURATION_ACCEPTED, reasons::CONFIGURATION_ACCEPTED).await.map(drop)
}

/// What is settled costs no write, with a controller that configures, renews its lease and writes status.
pub async fn nothing_is_written_while_nothing_happens(s: Scenario) -> Result<()> {
    let _held = DEFINITIONS.read().await;
    pair(&s, "calm").await?;
    told(&s, "calm", types::PROGRAMMED, reasons::PROGRAMMED).await?;
    s.reason("calm", types::ROLLED_OUT, reasons::ROLLED_OUT).await?;
    told(&s, "calm", types::READY, reasons::READY).await?;
    let made = writes(&s)?;
    println!("{} writes for a DataPlane and its ControlPlane: {made:?}", made.len());
    // Ten syncs of the controller, five renewals of its lease.
    let version = |object: ControlPlane| object.metadata.resource_version;
    let before = version(s.api::<ControlPlane>().get("calm").await?);
    let leases: Api<crds::k8s::Lease> = s.api();
    let renewed = leases.get(&names::election("calm")).await?.resource_version();
    let mut renewals = 0;
    let mut last = renewed;
    while renewals < 5 {
        let next =
            wait::until(&leases, &names::election("calm"), SOON, |l| l.resource_version() != last).await?;
        last = next.resource_version();
        renewals += 1;
    }
    let after = writes(&s)?;
    ensure!(after.len() == made.len(), "written while nothing happened: {:?}", &after[made.len()..]);
    ensure!(version(s.api::<ControlPlane>().get("calm").await?) == before, "its status was written");
    Ok(())
}

/// The operator's writes in the namespace.
fn writes(s: &Scenario) -> Result<Vec<String>> {
    let all = audit::within(&s.world.cluster, &s.namespace)?;
    let is_write = |request: &String| audit::WRITES.iter().any(|verb| request.starts_with(verb));
    Ok(all.into_iter().filter(is_write).collect())
}

pub async fn front(s: &Scenario, dataplane: &str) -> Result<SocketAddr> {
    let service: Service = s.api().get(&names::ingress_service(dataplane)).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?;
    Ok(SocketAddr::new(address.parse::<IpAddr>()?, 80))
}

pub async fn ingress(s: &Scenario, name: &str, class: &str, path: &str) -> Result<()> {
    let backend = json!({ "service": { "name": "echo", "port": { "number": 80 } } });
    let kind = if path.starts_with("/~") { "ImplementationSpecific" } else { "Prefix" };
    let paths = json!([{ "path": path, "pathType": kind, "backend": backend }]);
    let object = json!({
        "metadata": { "name": name },
        "spec": { "ingressClassName": class, "rules": [{ "http": { "paths": paths } }] },
    });
    s.api::<Ingress>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

pub async fn echo(s: &Scenario) -> Result<()> {
    let field =
        |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let container = json!({
        "name": "echo",
        "image": "registry.k8s.io/gateway-api/echo-basic:v1.5.1",
        "env": [field("POD_NAME", "metadata.name"), field("NAMESPACE", "metadata.namespace")],
        "readinessProbe": { "httpGet": { "path": "/", "port": 3000 }, "periodSeconds": 1 },
        "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } },
        "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
    });
    let template =
        json!({ "metadata": { "labels": { "app": "echo" } }, "spec": { "containers": [container] } });
    let spec = json!({ "selector": { "matchLabels": { "app": "echo" } }, "template": template });
    make::<Deployment>(s, json!({ "metadata": { "name": "echo" }, "spec": spec })).await?;
    let ports = json!([{ "port": 80, "targetPort": 3000 }]);
    let spec = json!({ "selector": { "app": "echo" }, "ports": ports });
    make::<Service>(s, json!({ "metadata": { "name": "echo" }, "spec": spec })).await
}

async fn make<K>(s: &Scenario, object: Value) -> Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    s.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await.map(drop)?;
    Ok(())
}
