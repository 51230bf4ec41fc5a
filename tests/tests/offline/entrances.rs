//! What is printed of a Gateway without a cluster, beside what a cluster holds.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tokio::time::{Duration, Instant, interval};

use crate::rendered::{api, missing};
use crate::silverback;

/// How often to look again at objects of many kinds.
const STEP: Duration = Duration::from_millis(200);
/// All that is made of a Gateway, in this order.
const KINDS: [&str; 19] = [
    "NetworkPolicy",
    "DataPlane",
    "ControlPlane",
    "Secret",
    "Secret",
    "Service",
    "Service",
    "Deployment",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "Secret",
    "Secret",
    "Service",
    "Lease",
    "Deployment",
    "ValidatingWebhookConfiguration",
];

/// Every rendered object comes to be there as it was rendered, and nothing besides.
pub async fn what_is_rendered_of_a_gateway_is_what_the_operator_makes(s: Scenario) -> Result<()> {
    let given = given(&s);
    let said = silverback(&s, &["render"], &json!({ "kind": "List", "items": given })).await?;
    ensure!(said.code == 0, "{}{}", said.out, said.err);
    let documents: Vec<Value> =
        said.out.split("---\n").skip(1).map(serde_saphyr::from_str).collect::<Result<_, _>>()?;
    let objects: Vec<_> = documents.into_iter().filter(Value::is_object).collect();
    let kinds: Vec<_> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    ensure!(kinds == KINDS, "{kinds:?}");
    for mut manifest in given {
        if manifest["kind"] != "GatewayClass" {
            manifest["metadata"]["namespace"] = json!(s.namespace);
        }
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        api(&s, &manifest)?.patch(&name, &PatchParams::apply("tests"), &Patch::Apply(&manifest)).await?;
    }
    for rendered in &objects {
        comes(&s, rendered).await?;
    }
    nothing_besides(&s, &objects).await
}

/// A class with a configuration, a Gateway with its own over it, listeners that are valid, that wait, and that are not,
/// and one of a set.
fn given(s: &Scenario) -> Vec<Value> {
    let (group, version) = ("gateway-operator.konghq.com", "gateway.networking.k8s.io/v1");
    let configuration = |name: &str, spec: Value| {
        json!({
            "apiVersion": format!("{group}/v1beta1"), "kind": "GatewayConfiguration",
            "metadata": { "name": name }, "spec": spec,
        })
    };
    let parameters = json!({ "group": group, "kind": "GatewayConfiguration", "name": "of-class", "namespace": s.namespace });
    let infrastructure = json!({
        "labels": { "team": "edge" },
        "annotations": { "example.com/note": "yes" },
        "parametersRef": { "group": group, "kind": "GatewayConfiguration", "name": "own" },
    });
    let listeners = json!([
        { "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": { "namespaces": { "from": "All" } } },
        { "name": "https", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "absent" }] } },
        { "name": "tcp", "port": 9000, "protocol": "TCP" },
        { "name": "odd", "port": 9001, "protocol": "example.com/odd" },
    ]);
    let idle = json!({ "deployment": { "replicas": 0 } });
    let service = json!({ "type": "ClusterIP" });
    vec![
        json!({
            "apiVersion": version, "kind": "GatewayClass", "metadata": { "name": s.namespace },
            "spec": { "controllerName": "konghq.com/gateway-operator", "parametersRef": parameters },
        }),
        configuration(
            "of-class",
            json!({ "controlPlaneOptions": idle, "dataPlaneOptions": { "network": { "services": { "ingress": service } } } }),
        ),
        configuration(
            "own",
            json!({
                "controlPlaneOptions": { "ingressClass": "edge", "watchNamespaces": { "type": "own" } },
                "dataPlaneOptions": idle,
            }),
        ),
        json!({
            "apiVersion": version, "kind": "ListenerSet", "metadata": { "name": "more" },
            "spec": {
                "parentRef": { "name": "edge" },
                "listeners": [{ "name": "more", "port": 8080, "protocol": "HTTP" }],
            },
        }),
        json!({
            "apiVersion": version, "kind": "Gateway", "metadata": { "name": "edge" },
            "spec": {
                "gatewayClassName": s.namespace,
                "infrastructure": infrastructure,
                "allowedListeners": { "namespaces": { "from": "Same" } },
                "listeners": listeners,
            },
        }),
    ]
}

/// Waits until an object is there as it was rendered.
async fn comes(s: &Scenario, rendered: &Value) -> Result<()> {
    let (kind, name) = (&rendered["kind"], rendered["metadata"]["name"].as_str().unwrap_or_default());
    let (api, deadline, mut ticks) = (api(s, rendered)?, Instant::now() + SOON, interval(STEP));
    loop {
        ticks.tick().await;
        let live = serde_json::to_value(api.get_opt(name).await?)?;
        let Some(path) = missing(rendered, &live, "") else { return Ok(()) };
        if Instant::now() > deadline {
            bail!("{path} of {kind} {name} is not as it was rendered:\n{live:#}");
        }
    }
}

/// Whether all that the operator has in the namespace was rendered.
async fn nothing_besides(s: &Scenario, objects: &[Value]) -> Result<()> {
    let namespaced = |object: &&Value| object["metadata"]["namespace"].is_string();
    let named = |object: &Value| {
        format!(
            "{}/{}",
            object["kind"].as_str().unwrap_or_default(),
            object["metadata"]["name"].as_str().unwrap_or_default()
        )
    };
    let rendered: BTreeSet<_> = objects.iter().map(named).collect();
    for object in objects.iter().filter(namespaced) {
        let kind = object["kind"].as_str().unwrap_or_default();
        for found in api(s, object)?.list(&ListParams::default()).await? {
            let manager = |entry: &crds::k8s::ManagedFieldsEntry| {
                entry.manager.as_deref().unwrap_or_default().starts_with("silverback/")
                    && entry.subresource.is_none()
            };
            let name = format!("{kind}/{}", found.name_any());
            let ours = found.managed_fields().iter().any(manager);
            ensure!(!ours || rendered.contains(&name), "{name} was not rendered");
        }
    }
    Ok(())
}
