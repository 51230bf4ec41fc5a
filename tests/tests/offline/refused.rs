//! What is refused without a cluster, beside what a cluster refuses.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use crds::{ControlPlane, DataPlane, GatewayConfiguration, WatchNamespaceGrant};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};
use tests::install;
use tests::world::Scenario;

use crate::silverback;

/// What the API server adds without a field, or of its subresource `scale`.
const ADDED: [&str; 2] = ["<nil>", ".spec"];

/// One cause: field, reason and words.
type Cause = (String, String, String);

/// Field, reason and words of every cause are those of the API server and of the webhook behind it.
pub async fn what_is_refused_is_refused_there_in_the_same_words(s: Scenario) -> Result<()> {
    install::strict(&s.world.client).await?;
    let object = |(number, (resource, spec)): (usize, &(ApiResource, Value))| {
        let metadata = json!({ "name": format!("bad-{number}") });
        json!({ "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec })
    };
    let bad = bad();
    let objects: Vec<_> = bad.iter().enumerate().map(object).collect();
    let here = here(&s, &objects).await?;
    ensure!(here.len() == bad.len(), "{} of {} were looked at", here.len(), bad.len());
    let mut differences = Vec::new();
    for (((resource, spec), object), here) in bad.iter().zip(&objects).zip(here) {
        let there = there(&s, resource, object).await?;
        if there.is_empty() || here != there {
            differences.push(format!("{spec}\nhere  {here:#?}\nthere {there:#?}"));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

async fn there(s: &Scenario, resource: &ApiResource, object: &Value) -> Result<BTreeSet<Cause>> {
    let api: Api<DynamicObject> = Api::namespaced_with(s.world.client.clone(), &s.namespace, resource);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let status = match api.create(&params, &serde_json::from_value(object.clone())?).await {
        Ok(_) => return Ok(BTreeSet::new()),
        Err(kube::Error::Api(status)) => status,
        Err(error) => return Err(error.into()),
    };
    let causes = status.details.clone().map(|details| details.causes).unwrap_or_default();
    let causes: BTreeSet<_> = causes
        .into_iter()
        .filter(|cause| !ADDED.iter().any(|field| cause.field.starts_with(field)))
        .map(|cause| (cause.field, cause.reason, cause.message))
        .collect();
    ensure!(!causes.is_empty(), "no causes: {status:?}");
    Ok(causes)
}

/// The causes of each object, in one look.
async fn here(s: &Scenario, objects: &[Value]) -> Result<Vec<BTreeSet<Cause>>> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let said = silverback(s, &["validate", "--output=json"], &list).await?;
    let report: Value = serde_json::from_str(&said.out).context(said.err)?;
    let text = |problem: &Value, field: &str| problem[field].as_str().unwrap_or_default().to_owned();
    let cause = |problem: &Value| (text(problem, "field"), text(problem, "cause"), text(problem, "message"));
    let causes = |object: &Value| object["problems"].as_array().into_iter().flatten().map(cause).collect();
    Ok(report["objects"].as_array().context("no objects")?.iter().map(causes).collect())
}

/// Each breaks something else; none breaks both the schema and a rule or the webhook's, because there the first of them
/// ends it.
fn bad() -> Vec<(ApiResource, Value)> {
    let dataplane = ApiResource::erase::<DataPlane>(&());
    let ingress = |fields: Value| json!({ "network": { "services": { "ingress": fields } } });
    let deployment = |fields: Value| json!({ "deployment": fields });
    let env = |value: Value| {
        let proxy = json!({ "name": "proxy", "env": [{ "name": "KONG_DATABASE", "value": value }] });
        deployment(json!({ "podTemplateSpec": { "spec": { "containers": [proxy] } } }))
    };
    let specs = [
        deployment(json!({ "replicas": "two" })),
        deployment(json!({ "replicas": true })),
        deployment(json!({ "replicas": 1.5 })),
        deployment(json!({ "replicas": -1 })),
        deployment(json!({ "podTemplateSpec": [] })),
        deployment(json!({ "scaling": { "horizontal": {} } })),
        deployment(json!({ "scaling": { "horizontal": { "maxReplicas": 0 } } })),
        deployment(json!({ "replicas": 1, "scaling": { "horizontal": { "maxReplicas": 1 } } })),
        deployment(json!({ "scaling": { "horizontal": { "minReplicas": 3, "maxReplicas": 1 } } })),
        ingress(json!({ "type": "Loadbalancer" })),
        ingress(json!({ "type": 5 })),
        ingress(json!("ClusterIP")),
        ingress(json!({ "ports": [{}] })),
        ingress(json!({ "ports": [{ "port": 0 }, { "port": 70_000 }] })),
        ingress(json!({ "ports": [{ "port": 80, "targetPort": true }] })),
        ingress(json!({ "ports": {} })),
        // Words that are composed from values.
        ingress(json!({ "ports": [{ "name": "a", "port": 80 }, { "name": "a", "port": 81 }] })),
        ingress(json!({ "name": "" })),
        ingress(json!({ "annotations": { "a": 1 } })),
        ingress(json!({ "type": "ClusterIP", "externalTrafficPolicy": "Local" })),
        json!({ "extensions": [{ "name": "x" }], "pluginsToInstall": [{ "name": "x" }] }),
        env(json!("postgres")),
    ];
    let more = [
        (ApiResource::erase::<ControlPlane>(&()), json!({ "watchNamespaces": { "type": "list" } })),
        (ApiResource::erase::<ControlPlane>(&()), json!({ "watchNamespaces": {} })),
        (ApiResource::erase::<ControlPlane>(&()), json!({ "gatewayClass": "x".repeat(254) })),
        (
            ApiResource::erase::<GatewayConfiguration>(&()),
            json!({ "dataPlaneOptions": { "deployment": { "replicas": -1 } } }),
        ),
        (ApiResource::erase::<WatchNamespaceGrant>(&()), json!({ "from": [] })),
        (
            ApiResource::erase::<WatchNamespaceGrant>(&()),
            json!({ "from": [{ "group": "x", "kind": "y", "namespace": "z" }] }),
        ),
    ];
    specs.into_iter().map(|spec| (dataplane.clone(), spec)).chain(more).collect()
}
