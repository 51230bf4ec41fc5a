//! How Argo CD and Flux look for drift.
//!
//! In: what a repository would hold. Out: neither sees a difference that nobody made. Facts of Argo CD 3 and of
//! Flux' kustomize-controller 1; neither of them runs here, but their questions to the API server are asked.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tests::world::Scenario;

use crate::kubectl;
use crate::live::{self, How};

/// Where client-side apply keeps what it applied last.
const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a repository would hold: nothing said, lists, and stanzas that are filled in.
fn repository() -> Vec<Value> {
    let dataplane = |name: &str, mut spec: Value| {
        spec["deployment"]["replicas"] = json!(0);
        object("DataPlane", name, &spec)
    };
    let sidecar = json!([{ "name": "proxy", "resources": { "limits": { "cpu": 2 } } }, { "name": "side", "image": "example.com/side:1" }]);
    vec![
        dataplane("minimal", json!({ "deployment": {} })),
        dataplane(
            "ports",
            json!({ "deployment": {}, "network": { "services": { "ingress": { "ports": [{ "name": "http", "port": 80 }, { "name": "https", "port": 443 }] } } } }),
        ),
        dataplane("rollout", json!({ "deployment": { "rollout": { "strategy": { "blueGreen": {} } } } })),
        dataplane(
            "template",
            json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": sidecar } } } }),
        ),
        object("ControlPlane", "minimal", &json!({})),
        object(
            "ControlPlane",
            "classes",
            &json!({ "gatewayClass": "kong", "watchNamespaces": { "type": "own" } }),
        ),
        object(
            "GatewayConfiguration",
            "rollout",
            &json!({ "dataPlaneOptions": { "deployment": { "rollout": { "strategy": { "blueGreen": {} } } } } }),
        ),
    ]
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let version = "gateway-operator.konghq.com/v1beta1";
    json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

pub async fn argo_cd_sees_no_drift(s: Scenario) -> Result<()> {
    live::reviewed(&s).await?;
    let manifests = repository();
    let arguments =
        ["apply", "--field-manager=argocd-controller", "--namespace", &s.namespace, "--filename", "-"];
    kubectl::run(&s.world.cluster, &arguments, &manifests).await?.well()?;
    for manifest in &manifests {
        ensure!(!drifted(&s, manifest).await?, "{manifest} has drifted");
    }
    let scale = ["scale", "dataplane", "minimal", "--replicas=1", "--namespace", &s.namespace];
    kubectl::run(&s.world.cluster, &scale, &[]).await?.well()?;
    ensure!(drifted(&s, &manifests[0]).await?, "what somebody changed is not seen");
    Ok(())
}

/// Whether any of its three ways of looking finds a difference: the patch that it would send, and its server-side diff
/// with `IncludeMutationWebhook=true` and without. All of them have to agree.
async fn drifted(s: &Scenario, manifest: &Value) -> Result<bool> {
    let stored = live::stored(s, manifest).await?;
    let last = stored["metadata"]["annotations"][LAST].as_str().context("nothing was kept")?;
    let patch = three_ways(&serde_json::from_str::<Value>(last)?["spec"], &manifest["spec"], &stored["spec"]);
    let predicted = live::applied(s, manifest, "argocd-controller", How::Dry).await?;
    let whole = live::bare(&predicted) != live::bare(&stored);
    let spoken = only(&predicted["spec"], &manifest["spec"]) != only(&stored["spec"], &manifest["spec"]);
    let ways = [!patch.is_empty(), whole, spoken];
    ensure!(ways.iter().all(|way| *way == ways[0]), "{ways:?}: {patch:?}\n{predicted}\n{stored}");
    Ok(spoken)
}

/// The JSON merge patch of client-side apply to a kind that `kubectl` has no types of: what was applied last and is no
/// longer wanted goes, what is wanted and not there is set; lists are whole.
fn three_ways(last: &Value, wanted: &Value, stored: &Value) -> Map<String, Value> {
    let none = Map::new();
    let [last, wanted, stored] = [last, wanted, stored].map(|value| value.as_object().unwrap_or(&none));
    let gone = last.keys().filter(|field| !wanted.contains_key(*field) && stored.contains_key(*field));
    let mut patch: Map<String, Value> = gone.map(|field| (field.clone(), Value::Null)).collect();
    for (field, value) in wanted {
        let below = |fields: &Map<String, Value>| fields.get(field).cloned().unwrap_or_default();
        if value.is_object() && below(stored).is_object() {
            let inner = three_ways(&below(last), value, &below(stored));
            if !inner.is_empty() {
                patch.insert(field.clone(), inner.into());
            }
        } else if below(stored) != *value {
            patch.insert(field.clone(), value.clone());
        }
    }
    patch
}

/// What of an object a manifest speaks of.
fn only(object: &Value, manifest: &Value) -> Value {
    match (object, manifest) {
        (Value::Object(object), Value::Object(manifest)) => {
            let spoken =
                object.iter().filter_map(|(field, value)| Some((field, value, manifest.get(field)?)));
            spoken.map(|(field, value, of)| (field.clone(), only(value, of))).collect()
        }
        (object, _) => object.clone(),
    }
}

pub async fn flux_sees_no_drift_and_corrects_what_drifted(s: Scenario) -> Result<()> {
    live::reviewed(&s).await?;
    let manager = "kustomize-controller";
    for manifest in &repository() {
        live::applied(&s, manifest, manager, How::Meant).await?;
        let stored = no_drift(&s, manifest, manager).await?;
        live::applied(&s, manifest, manager, How::Meant).await?;
        let again = live::stored(&s, manifest).await?;
        ensure!(live::managers(&again) == live::managers(&stored), "applied twice:\n{stored}\n{again}");
    }
    let manifest = repository().swap_remove(0);
    let by_hand =
        r#"{"spec":{"deployment":{"replicas":1},"network":{"services":{"ingress":{"type":"ClusterIP"}}}}}"#;
    let arguments = [
        "patch",
        "dataplane",
        "minimal",
        "--field-manager=kubectl-edit",
        "--type=merge",
        "--patch",
        by_hand,
        "--namespace",
        &s.namespace,
    ];
    kubectl::run(&s.world.cluster, &arguments, &[]).await?.well()?;
    let predicted = live::applied(&s, &manifest, manager, How::Dry).await?;
    let drifted = live::stored(&s, &manifest).await?;
    ensure!(
        predicted["spec"]["deployment"]["replicas"] == 0 && drifted["spec"]["deployment"]["replicas"] == 1
    );
    let mut corrected = drifted.clone();
    corrected["spec"]["deployment"]["replicas"] = json!(0);
    ensure!(
        live::bare(&predicted) == live::bare(&corrected),
        "more than what drifted:\n{predicted}\n{drifted}"
    );
    live::applied(&s, &manifest, manager, How::Meant).await?;
    no_drift(&s, &manifest, manager).await.map(drop)
}

/// What would be applied is what is stored, which is returned.
async fn no_drift(s: &Scenario, manifest: &Value, manager: &str) -> Result<Value> {
    let predicted = live::applied(s, manifest, manager, How::Dry).await?;
    let stored = live::stored(s, manifest).await?;
    ensure!(live::bare(&predicted) == live::bare(&stored), "drift:\n{predicted}\n{stored}");
    ensure!(predicted["metadata"]["generation"] == stored["metadata"]["generation"]);
    Ok(stored)
}
