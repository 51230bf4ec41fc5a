//! Objects as they are stored, and how a `GitOps` controller looks at them.
//!
//! In: manifests as JSON. Out: what the API server has, or would have. It knows nothing of kinds.

use anyhow::{Context, Result};
use crds::names::managers;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tests::reviews::Reviews;
use tests::world::Scenario;

/// What the server says of an object beside what people do, and what the operator keeps it by.
const OTHERS: [&str; 6] =
    ["creationTimestamp", "finalizers", "generation", "managedFields", "resourceVersion", "uid"];

/// The objects of a manifest's kind, in its namespace.
pub fn api(s: &Scenario, manifest: &Value) -> Result<Api<DynamicObject>> {
    let text = |field: &str| manifest[field].as_str().context("a manifest has a kind and a version");
    let (group, version) = text("apiVersion")?.split_once('/').unwrap_or(("", text("apiVersion")?));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")?));
    let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or(&s.namespace);
    Ok(Api::namespaced_with(s.world.client.clone(), namespace, &resource))
}

/// A manifest's name.
pub fn name(manifest: &Value) -> Result<&str> {
    manifest["metadata"]["name"].as_str().context("a manifest has a name")
}

/// What is stored of a manifest.
pub async fn stored(s: &Scenario, manifest: &Value) -> Result<Value> {
    Ok(serde_json::to_value(api(s, manifest)?.get(name(manifest)?).await?)?)
}

/// What server-side apply makes of a manifest, or would make of it.
pub async fn applied(s: &Scenario, manifest: &Value, manager: &str, how: How) -> Result<Value> {
    let mut params = PatchParams::apply(manager);
    params.force = true;
    params.dry_run = how == How::Dry;
    let object = api(s, manifest)?.patch(name(manifest)?, &params, &Patch::Apply(manifest)).await?;
    Ok(serde_json::to_value(object)?)
}

/// Whether an apply is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is stored.
    Meant,
    /// It is not.
    Dry,
}

/// An object without what the server and the operator say about it.
pub fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| !OTHERS.contains(&field.as_str()));
    }
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    object
}

/// Who wrote which fields of an object, and when; the operator's status and finalizer besides.
pub fn managers(object: &Value) -> Vec<Value> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let is_ours = |entry: &Value| {
        let is_finalizer = entry.pointer("/fieldsV1/f:metadata/f:finalizers").is_some();
        entry.get("subresource").is_some() || (is_finalizer && entry["manager"] == managers::CONTROLPLANE)
    };
    entries.filter(|entry| !is_ours(entry)).cloned().collect()
}

/// Waits until the API server asks about objects.
pub async fn reviewed(s: &Scenario) -> Result<()> {
    Reviews::answered(&s.world.cluster, &s.namespace).await
}

/// Makes a namespace.
pub async fn namespace(s: &Scenario, name: &str) -> Result<()> {
    let all: Api<Namespace> = Api::all(s.world.client.clone());
    let namespace = json!({ "metadata": { "name": name } });
    all.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    Ok(())
}
