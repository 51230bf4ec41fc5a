//! Routes are counted; what Kong Ingress Controller would say of them, the scenario says.

use crds::k8s::Namespace;
use gateway_api::httproutes::HttpRoute;
use kube::api::DeleteParams;

use super::{CONTROLLER, class, gateway, http, listener, until};
use anyhow::Result;
use gateway_api::gateways::Gateway;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::world::Scenario;

/// Makes a route and accepts it, as Kong Ingress Controller would.
async fn route(s: &Scenario, namespace: &str, name: &str, parent: Value) -> Result<()> {
    let api: Api<HttpRoute> = Api::namespaced(s.world.client.clone(), namespace);
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": name }, "spec": { "parentRefs": [parent] },
    });
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    accept(&api, name, &parent, "True").await
}

async fn accept(api: &Api<HttpRoute>, name: &str, parent: &Value, status: &str) -> Result<()> {
    let condition = json!({
        "type": "Accepted", "status": status, "reason": "Accepted", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    });
    let entry = json!({ "parentRef": parent, "controllerName": CONTROLLER, "conditions": [condition] });
    let status = json!({ "status": { "parents": [entry] } });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

fn counted(object: &Gateway, name: &str) -> Option<i32> {
    listener(object, name).map(|found| found.attached_routes)
}

pub async fn routes_are_counted_as_they_are_accepted(s: Scenario) -> Result<()> {
    class(&s).await?;
    gateway(&s, "edge", json!({ "listeners": [http("a", 80), http("b", 8080)] })).await?;
    let here = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "namespace": s.namespace });
    let mut section = here.clone();
    section["sectionName"] = json!("a");
    route(&s, &s.namespace, "both", here.clone()).await?;
    route(&s, &s.namespace, "one", section.clone()).await?;
    let counts = |a: i32, b: i32| {
        move |object: &Gateway| (counted(object, "a"), counted(object, "b")) == (Some(a), Some(b))
    };
    until(&s, "edge", counts(2, 1)).await?;
    let api: Api<HttpRoute> = s.api();
    accept(&api, "one", &section, "False").await?;
    until(&s, "edge", counts(1, 1)).await?;
    accept(&api, "one", &section, "True").await?;
    until(&s, "edge", counts(2, 1)).await?;
    // Another parent.
    let moved = json!({ "spec": { "parentRefs": [{ "name": "elsewhere" }] } });
    api.patch("both", &PatchParams::default(), &Patch::Merge(moved)).await?;
    until(&s, "edge", counts(1, 0)).await?;
    api.delete("one", &DeleteParams::default()).await?;
    until(&s, "edge", counts(0, 0)).await?;
    Ok(())
}

pub async fn namespaces_are_followed_by_their_labels(s: Scenario) -> Result<()> {
    class(&s).await?;
    let selector = json!({ "from": "Selector", "selector": { "matchLabels": { "expose": s.namespace } } });
    let mut listener = http("a", 80);
    listener["allowedRoutes"] = json!({ "namespaces": selector });
    gateway(&s, "edge", json!({ "listeners": [listener] })).await?;
    let namespaces: Api<Namespace> = Api::all(s.world.client.clone());
    let parent = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "namespace": s.namespace });
    let names = ["x", "y"].map(|end| format!("{}-{end}", s.namespace));
    for name in &names {
        let object = json!({ "metadata": { "name": name, "labels": { "expose": s.namespace } } });
        namespaces.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        route(&s, name, "r", parent.clone()).await?;
    }
    until(&s, "edge", |object| counted(object, "a") == Some(2)).await?;
    let none = json!({ "metadata": { "labels": { "expose": null } } });
    namespaces.patch(&names[1], &PatchParams::default(), &Patch::Merge(none)).await?;
    until(&s, "edge", |object| counted(object, "a") == Some(1)).await?;
    Ok(())
}
