//! Verdicts of the webhook.
//! In: a review. Out: whether the object is let in, or why not. What Kong must know is asked of a ready instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use kube::api::Api;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::cluster::cache::{Entry, Kept};
use crate::cluster::caches::Snapshot;
use crate::cluster::kinds::{self, GATEWAY};
use crate::cluster::route::{ParentRef, Route};
use crate::shared::Shared;
use crate::translate::content::Content;
use crate::translate::view::{Admitted, LetIn, View};
use crate::translate::{http, ingress};

/// Whether an object is let in, or why not.
type Verdict = Result<(), String>;

/// Kinds that are known and not looked into.
const LET_THROUGH: [&str; 10] = [
    "Gateway",
    "Service",
    "Secret",
    "KongIngress",
    "KongConsumerGroup",
    "KongVault",
    "KongCustomEntity",
    "KongUpstreamPolicy",
    "TCPIngress",
    "UDPIngress",
];

/// Judges a review.
///
/// # Errors
/// Where the kind is not known.
pub async fn judge(shared: &Shared, review: &Value) -> Result<Verdict, String> {
    let kind = review.pointer("/request/kind/kind").and_then(Value::as_str).unwrap_or_default();
    let object = review.pointer("/request/object").cloned().unwrap_or_default();
    match kind {
        "HTTPRoute" => Ok(http_route(shared, &object).await),
        "Ingress" => Ok(of_ingress(shared, &object).await),
        "KongPlugin" | "KongClusterPlugin" => {
            let plugin = json!({"name": object.get("plugin"), "config": object.get("config")});
            Ok(asked(shared, "plugins", &plugin, "plugin failed schema validation").await)
        }
        "KongConsumer" => Ok(consumer(shared, &object).await),
        known if LET_THROUGH.contains(&known) => Ok(Ok(())),
        other => Err(format!("unknown resource type to validate: {other}")),
    }
}

async fn http_route(shared: &Shared, object: &Value) -> Verdict {
    let Ok(raw) = serde_json::from_value::<DynamicObject>(object.clone()) else { return Ok(()) };
    let Some(read) = Route::read(&raw) else { return Ok(()) };
    if !ours(shared, &read).await {
        return Ok(());
    }
    let hostnames = read.hostnames.clone();
    let route = Arc::new(Entry { raw, read });
    let let_in = LetIn { route, hostnames, listeners: BTreeSet::new() };
    let (snapshot, admitted, without) = (Snapshot::default(), Admitted::default(), BTreeSet::new());
    let view = View { snapshot: &snapshot, admitted: &admitted, options: &shared.options, without: &without };
    let mut content = Content::default();
    http::add(view, &let_in, &mut content)
        .map_err(|error| format!("HTTPRoute spec did not pass validation: {error}"))?;
    routes(shared, content, "HTTPRoute failed schema validation").await
}

async fn of_ingress(shared: &Shared, object: &Value) -> Verdict {
    let Ok(read) = serde_json::from_value::<Ingress>(object.clone()) else { return Ok(()) };
    let (snapshot, admitted, without) = (shared.caches.snapshot(), Admitted::default(), BTreeSet::new());
    let view = View { snapshot: &snapshot, admitted: &admitted, options: &shared.options, without: &without };
    if !ingress::serves(view, &read) {
        return Ok(());
    }
    let mut content = Content::default();
    ingress::add(view, &read, &mut content);
    routes(shared, content, "Ingress failed schema validation").await
}

/// Whether a parent of a route is a Gateway of a class of ours; asked of the API server, for only a leader has caches.
async fn ours(shared: &Shared, route: &Route) -> bool {
    for parent in &route.parents {
        if let Some(class) = class(shared, route, parent).await
            && class.data.pointer("/spec/controllerName") == Some(&json!(shared.options.controller))
        {
            return true;
        }
    }
    false
}

async fn class(shared: &Shared, route: &Route, parent: &ParentRef) -> Option<DynamicObject> {
    if parent.group.as_deref().unwrap_or(GATEWAY) != GATEWAY {
        return None;
    }
    let namespace = parent.namespace.as_ref().unwrap_or(&route.object.namespace);
    let gateways = kinds::GATEWAY_KIND.resource();
    let gateways: Api<DynamicObject> = Api::namespaced_with(shared.client.clone(), namespace, &gateways);
    let gateway = gateways.get_opt(&parent.name).await.ok()??;
    let name = gateway.data.pointer("/spec/gatewayClassName")?.as_str()?.to_owned();
    let classes: Api<DynamicObject> = Api::all_with(shared.client.clone(), &kinds::GATEWAY_CLASS.resource());
    classes.get_opt(&name).await.ok()?
}

/// Tries each route of a configuration.
async fn routes(shared: &Shared, content: Content, failed: &str) -> Verdict {
    for mut route in content.routes() {
        if let Some(object) = route.as_object_mut() {
            object.remove("plugins");
        }
        asked(shared, "routes", &route, failed).await?;
    }
    Ok(())
}

/// Has a ready instance judge an entity; whatever is not a good answer is a refusal.
async fn asked(shared: &Shared, kind: &str, entity: &Value, failed: &str) -> Verdict {
    let Some(node) = shared.nodes.ready().into_iter().next() else { return Ok(()) };
    let answer = node.client.post(&format!("/schemas/{kind}/validate"), entity.to_string()).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let body = answer.json();
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
    Err(format!("{failed}: {} {message}", answer.status.as_u16()))
}

/// A consumer needs a name that Kong does not have from elsewhere.
async fn consumer(shared: &Shared, object: &Value) -> Verdict {
    let fields: BTreeMap<&str, &str> = ["username", "custom_id"]
        .into_iter()
        .filter_map(|field| Some((field, object.get(field)?.as_str()?)))
        .collect();
    let Some(name) = fields.get("username") else {
        return if fields.is_empty() {
            Err("consumer failed validation: username cannot be empty".into())
        } else {
            Ok(())
        };
    };
    let Some(node) = shared.nodes.ready().into_iter().next() else { return Ok(()) };
    // In DB-less mode a consumer that is there came from here.
    node.client.get(&format!("/consumers/{name}")).await.map(drop)
}
