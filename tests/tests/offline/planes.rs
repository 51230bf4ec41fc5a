//! `silverback render --diff` of Gateways and control planes beside what then happens.

use anyhow::{Result, bail, ensure};
use crds::k8s::{Deployment, RoleBinding, Service};
use crds::names::{self, values};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tokio::time::{Duration, Instant, interval};

use crate::rendered::api;
use crate::{Said, silverback};

/// How often to look again at objects of many kinds.
const STEP: Duration = Duration::from_millis(500);
const GROUP: &str = "gateway-operator.konghq.com";

async fn diff(s: &Scenario, manifests: &[&Value]) -> Result<Said> {
    silverback(s, &["render", "--diff"], &json!({ "kind": "List", "items": manifests })).await
}

fn told(said: &Said, words: &[&str]) -> Result<()> {
    let missing: Vec<_> = words.iter().filter(|words| !said.out.contains(**words)).collect();
    ensure!(said.code == 1 && missing.is_empty(), "{missing:?}: {}: {}{}", said.code, said.out, said.err);
    Ok(())
}

async fn apply(s: &Scenario, manifests: &[&Value]) -> Result<()> {
    for manifest in manifests {
        let mut manifest = (*manifest).clone();
        let everywhere = ["GatewayClass", "Namespace"].iter().any(|kind| manifest["kind"] == *kind);
        if !everywhere && manifest["metadata"]["namespace"].is_null() {
            manifest["metadata"]["namespace"] = json!(s.namespace);
        }
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        api(s, &manifest)?.patch(&name, &PatchParams::apply("tests"), &Patch::Apply(&manifest)).await?;
    }
    Ok(())
}

/// Applies the manifests and waits until nothing would change: then the cluster holds what was told.
async fn holds(s: &Scenario, manifests: &[&Value]) -> Result<()> {
    apply(s, manifests).await?;
    let (deadline, mut ticks) = (Instant::now() + SOON, interval(STEP));
    loop {
        ticks.tick().await;
        let said = diff(s, manifests).await?;
        match said.code {
            0 => return Ok(()),
            1 if Instant::now() < deadline => {}
            _ => bail!("{}: {}{}", said.code, said.out, said.err),
        }
    }
}

fn ours(kind: &str, name: &str, spec: &Value) -> Value {
    let version = if kind == "WatchNamespaceGrant" { "v1alpha1" } else { "v1beta1" };
    json!({
        "apiVersion": format!("{GROUP}/{version}"), "kind": kind, "metadata": { "name": name }, "spec": spec,
    })
}

fn class(s: &Scenario) -> Value {
    let parameters = json!({ "group": GROUP, "kind": "GatewayConfiguration", "name": "of-class", "namespace": s.namespace });
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": s.namespace },
        "spec": { "controllerName": "konghq.com/gateway-operator", "parametersRef": parameters },
    })
}

/// The image that is there; others are wanted only without pods.
const KONG: &str = crds::defaults::IMAGE;

/// As many pods of Kong's as of Kong Ingress Controller's, without which none of Kong's gets ready.
fn configuration(kong: &str, replicas: u32) -> Value {
    let resources = json!({ "requests": { "cpu": "10m", "memory": "32Mi" } });
    let proxy = json!({ "name": "proxy", "image": kong, "resources": resources });
    let controller = json!({ "name": "controller", "resources": resources });
    let deployment =
        json!({ "replicas": replicas, "podTemplateSpec": { "spec": { "containers": [proxy] } } });
    ours(
        "GatewayConfiguration",
        "of-class",
        &json!({
            "controlPlaneOptions": {
                "deployment": { "replicas": replicas, "podTemplateSpec": { "spec": { "containers": [controller] } } },
                "watchNamespaces": { "type": "own" },
            },
            "dataPlaneOptions": {
                "deployment": deployment,
                "network": { "services": { "ingress": { "type": "ClusterIP" } } },
            },
        }),
    )
}

fn gateway(s: &Scenario, ports: &[u16]) -> Value {
    let listener = |port: &u16| json!({ "name": format!("http-{port}"), "port": port, "protocol": "HTTP" });
    let listeners: Vec<_> = ports.iter().map(listener).collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "edge" },
        "spec": { "gatewayClassName": s.namespace, "listeners": listeners },
    })
}

pub async fn what_is_told_of_a_gateway_is_what_changes(s: Scenario) -> Result<()> {
    let (class, first, one) = (class(&s), configuration("kong:3.9.0", 0), gateway(&s, &[80]));
    let said = diff(&s, &[&class, &first, &one]).await?;
    let kinds =
        ["NetworkPolicy gateway-edge", "DataPlane edge", "ControlPlane edge", "Lease edge.konghq.com"];
    let roles = ["ServiceAccount", "Role", "RoleBinding", "Deployment"]
        .map(|kind| format!("{kind} controlplane-edge"));
    let far = ["ClusterRole", "ClusterRoleBinding", "ValidatingWebhookConfiguration"];
    let far = far.map(|kind| format!("{kind} controlplane.{}.edge", s.namespace));
    let all = kinds.iter().map(|kind| (*kind).to_owned()).chain(roles).chain(far);
    for kind in all {
        told(&said, &[&format!("+++ planned/{kind}\n")])?;
    }
    told(&said, &["# DataPlane of Gateway edge (stdin:1)\n", "# ControlPlane of Gateway edge (stdin:1)\n"])?;
    ensure!(!said.out.contains("BEGIN"), "{}", said.out);
    let deployments: Api<Deployment> = s.api();
    ensure!(deployments.list(&ListParams::default()).await?.items.is_empty(), "a dry run made something");
    holds(&s, &[&class, &first, &one]).await?;

    // The configuration alone: what uses it is found in the cluster.
    let second = configuration(KONG, 1);
    let title = format!("# DataPlane of Gateway {}/edge (in the cluster)\n", s.namespace);
    let image = format!("-        image: kong:3.9.0\n+        image: {KONG}\n");
    let pods = "# Deployment dataplane-edge-1: 0 pods would be replaced, 1 pod afterwards\n";
    let said = diff(&s, &[&second]).await?;
    // What asks Kong for its version once is replaced with it.
    let controller = "# Deployment controlplane-edge: 0 pods would be replaced, 1 pod afterwards\n";
    told(&said, &[&title, &image, pods, controller, "+++ planned/DataPlane edge\n"])?;
    ensure!(!said.out.contains("planned/NetworkPolicy"), "{}", said.out);
    holds(&s, &[&class, &second, &one]).await?;
    let name = names::deployment("edge", values::FIRST_TRACK);
    let live = serde_json::to_value(deployments.get(&name).await?)?;
    ensure!(live["spec"]["replicas"] == 1, "{live:#}");
    ensure!(live["spec"]["template"]["spec"]["containers"][0]["image"] == KONG, "{live:#}");

    // The Gateway alone: its class and its configuration are found in the cluster.
    let two = gateway(&s, &[80, 8080]);
    let said = diff(&s, &[&two]).await?;
    told(&said, &["+  - name: http-8080\n", "# Deployment dataplane-edge-1: 1 pod would be replaced\n"])?;
    told(&said, &["# Deployment controlplane-edge: no pod would be replaced\n"])?;
    holds(&s, &[&two]).await?;
    let service = s.api::<Service>().get(&names::ingress_service("edge")).await?;
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ensure!(ports.map(|port| port.port).collect::<Vec<_>>() == [80, 8080], "{service:?}");
    a_gateway_that_leaves(&s).await
}

/// A class of somebody else's: what was made would go.
async fn a_gateway_that_leaves(s: &Scenario) -> Result<()> {
    let mut others = class(s);
    others["metadata"]["name"] = json!(format!("{}-other", s.namespace));
    others["spec"] = json!({ "controllerName": "example.com/other" });
    let mut left = gateway(s, &[80, 8080]);
    left["spec"]["gatewayClassName"] = others["metadata"]["name"].clone();
    let said = diff(s, &[&others, &left]).await?;
    told(
        &said,
        &["its class is another controller's", "--- live/DataPlane edge\n", "--- live/ControlPlane edge\n"],
    )?;
    holds(s, &[&others, &left]).await?;
    let left = s.api::<crds::DataPlane>().get_opt("edge").await?;
    ensure!(left.is_none_or(|left| left.metadata.deletion_timestamp.is_some()), "it is there");
    Ok(())
}

fn controlplane(watched: &Value, log: &str) -> Value {
    let controller =
        json!({ "name": "controller", "env": [{ "name": "CONTROLLER_LOG_LEVEL", "value": log }] });
    let template = json!({ "spec": { "containers": [controller] } });
    let deployment = json!({ "replicas": 0, "podTemplateSpec": template });
    ours(
        "ControlPlane",
        "edge",
        &json!({ "dataplane": "kong", "watchNamespaces": watched, "deployment": deployment }),
    )
}

pub async fn what_is_told_of_a_control_plane_is_what_changes(s: Scenario) -> Result<()> {
    let network = json!({ "services": { "ingress": { "type": "ClusterIP" } } });
    let deployed = |name: &str, image: &str| {
        let proxy = json!({ "name": "proxy", "image": image });
        let template = json!({ "spec": { "containers": [proxy] } });
        let deployment = json!({ "replicas": 0, "podTemplateSpec": template });
        ours("DataPlane", name, &json!({ "deployment": deployment, "network": network }))
    };
    let (kong, more) = (deployed("kong", "kong:3.9.0"), deployed("more", "kong:3.9.0"));
    holds(&s, &[&kong, &more]).await?;
    let other = format!("{}-other", s.namespace);
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": other } });
    apply(&s, &[&namespace]).await?;
    let mut grant = ours(
        "WatchNamespaceGrant",
        "edge",
        &json!({ "from": [{ "group": GROUP, "kind": "ControlPlane", "namespace": s.namespace }] }),
    );
    grant["metadata"]["namespace"] = json!(other);
    let listed = json!({ "type": "list", "list": [other] });
    let first = controlplane(&listed, "info");

    // A DataPlane waits for the first control plane that names it.
    let said = diff(&s, &[&first]).await?;
    let title = format!("# DataPlane {}/kong (in the cluster)\n", s.namespace);
    told(&said, &["+++ planned/ClusterRole ", &title, "dataplane-kong-1: 0 pods would be replaced\n"])?;
    ensure!(!said.out.contains("/more"), "{}", said.out);
    holds(&s, &[&first, &kong]).await?;
    let far = format!("planned/RoleBinding {other}/controlplane.{}.edge\n", s.namespace);
    let said = diff(&s, &[&grant]).await?;
    told(
        &said,
        &[&format!("# ControlPlane {}/edge (in the cluster)\n", s.namespace), &format!("+++ {far}")],
    )?;
    holds(&s, &[&first, &grant]).await?;

    let mut second = controlplane(&listed, "debug");
    second["spec"]["dataplanes"] = json!(["more"]);
    let said = diff(&s, &[&second]).await?;
    let env = "-          value: info\n+          value: debug\n";
    let beside = "# ControlPlane edge-more of ControlPlane edge (stdin:1)\n";
    told(&said, &[env, beside, "+++ planned/ControlPlane edge-more\n"])?;
    told(&said, &["# Deployment controlplane-edge: 0 pods would be replaced\n"])?;
    holds(&s, &[&second, &kong, &more]).await?;

    // What it is replaced with counts where the control plane is not among the files.
    let said = diff(&s, &[&deployed("kong", "kong:3.9.1")]).await?;
    told(&said, &["# Deployment controlplane-edge: 0 pods would be replaced\n"])?;

    let third = controlplane(&json!({ "type": "own" }), "debug");
    let said = diff(&s, &[&third]).await?;
    told(&said, &[&format!("--- live/RoleBinding {other}/"), "--- live/ControlPlane edge-more\n"])?;
    holds(&s, &[&third]).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(s.world.client.clone(), &other);
    let left = bindings.list(&ListParams::default()).await?;
    ensure!(left.items.iter().all(|binding| !binding.name_any().starts_with("controlplane.")), "{left:?}");
    a_control_plane_with_nothing_to_configure(&s, &third).await
}

/// Nothing runs for a `DataPlane` that is not there.
async fn a_control_plane_with_nothing_to_configure(s: &Scenario, third: &Value) -> Result<()> {
    let mut idle = third.clone();
    idle["spec"]["dataplane"] = json!("absent");
    let said = diff(s, &[&idle]).await?;
    told(
        &said,
        &[
            "# Deployment controlplane-edge: 0 pods would be stopped\n",
            "--- live/ValidatingWebhookConfiguration",
        ],
    )?;
    holds(s, &[&idle]).await
}
