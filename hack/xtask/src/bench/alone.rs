//! The same objects, written by a plain client: what the API server alone needs for them.
//!
//! In: a fleet that the operator has provisioned, and how many writes that took. Out: how long it takes when the
//! bodies are there already and nothing is to be decided. It writes as many at a time as the operator reconciles,
//! in the same order, and ends as that does: with a status for each DataPlane whose Deployment is available and
//! whose Service has its address. It reads only by two watches.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crds::DataPlane;
use crds::k8s::{Deployment, Service};
use crds::names::managers;
use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::applied;
use super::fleet::{AT_A_TIME, DEADLINE, Fleet};

/// Kinds of children, in the order in which the operator writes them.
const CHILDREN: &[(&str, &str, &str)] = &[
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("apps", "v1", "Deployment"),
];

/// What is written for one DataPlane.
struct Bodies {
    uid: String,
    children: Vec<Value>,
    status: Value,
    events: Vec<Value>,
}

/// How often the operator wrote a status, for all DataPlanes together.
pub struct Writes {
    /// Patches of the status.
    pub statuses: u32,
}

/// Writes the objects of a fleet again, in another namespace; the operator must not run.
pub async fn write(client: &Client, like: &Fleet, counted: &Writes) -> Result<Duration> {
    let bodies = bodies(client, like).await?;
    let fleet = Fleet::prepare(client, "bench-alone", like.count).await?;
    let early = counted.statuses / u32::try_from(like.count)?.max(1);
    let plain = Writer { client, fleet: &fleet, bodies: &bodies, early: early.saturating_sub(1) };
    let began = Instant::now();
    let written = async { tokio::try_join!(plain.children(), plain.endings()).map(drop) };
    tokio::time::timeout(DEADLINE, written).await.context("the plain client came to no end")??;
    Ok(began.elapsed())
}

/// The bodies of everything that the operator wrote, by the name of the DataPlane.
async fn bodies(client: &Client, fleet: &Fleet) -> Result<HashMap<String, Bodies>> {
    let mut all = HashMap::new();
    for dataplane in fleet.api.list(&ListParams::default()).await? {
        let (name, uid) = (dataplane.name_any(), dataplane.uid().context("no uid")?);
        let status = applied::body(&serde_json::to_value(dataplane)?, managers::STATUS, Some("status"))?;
        all.insert(name, Bodies { uid, children: Vec::new(), status, events: Vec::new() });
    }
    for kind in CHILDREN {
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &fleet.namespace, &resource(*kind));
        for object in api.list(&ListParams::default()).await? {
            let owner = object.owner_references().iter().find(|owner| owner.controller == Some(true));
            let Some(bodies) = owner.and_then(|owner| all.get_mut(&owner.name)) else { continue };
            let mut object = serde_json::to_value(&object)?;
            complete(&mut object, *kind);
            let managers = [managers::DATAPLANE, managers::CERTIFICATES];
            let body = managers.iter().find_map(|manager| applied::body(&object, manager, None).ok());
            bodies.children.push(body.context("a child that the operator did not apply")?);
        }
    }
    let events: Api<Event> = Api::namespaced(client.clone(), &fleet.namespace);
    for event in events.list(&ListParams::default()).await? {
        let about = event.regarding.as_ref().and_then(|regarding| regarding.name.clone()).unwrap_or_default();
        let ours = event.reporting_controller.as_deref().is_some_and(|by| by.contains("silverback"));
        if let (true, Some(bodies)) = (ours, all.get_mut(&about)) {
            let mut body = serde_json::to_value(&event)?;
            if let Some(metadata) = body.get_mut("metadata") {
                *metadata = json!({ "name": event.name_any() });
            }
            bodies.events.push(body);
        }
    }
    Ok(all)
}

/// Items of a list have no kind of their own.
fn complete(object: &mut Value, (group, version, kind): (&str, &str, &str)) {
    let api = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".into(), json!(api));
        map.insert("kind".into(), json!(kind));
    }
}

fn resource((group, version, kind): (&str, &str, &str)) -> ApiResource {
    ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind))
}

struct Writer<'a> {
    client: &'a Client,
    fleet: &'a Fleet,
    bodies: &'a HashMap<String, Bodies>,
    /// Statuses that each DataPlane gets before it is Ready.
    early: u32,
}

impl Writer<'_> {
    /// Makes the DataPlanes, and for each that is there its children and the statuses of the way.
    async fn children(&self) -> Result<()> {
        let made = self.fleet.make().map_ok(|(name, _)| name);
        made.try_for_each_concurrent(AT_A_TIME, async |name| {
            let (bodies, uid) = (self.of(&name)?, self.uid(&name).await?);
            for child in &bodies.children {
                self.apply(&bodies.owned(child, &uid)?).await?;
            }
            for _ in 0..self.early {
                self.status(&name, bodies).await?;
            }
            Ok(())
        })
        .await
    }

    /// Writes the last status and the events of each DataPlane whose children are as they should be.
    async fn endings(&self) -> Result<()> {
        let complete = self.complete().take(self.fleet.count).map(Ok);
        complete.try_for_each_concurrent(AT_A_TIME, async |name: String| self.end(&name).await).await
    }

    async fn end(&self, name: &str) -> Result<()> {
        let bodies = self.of(name)?;
        self.status(name, bodies).await?;
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.fleet.namespace);
        for event in &bodies.events {
            let text = event.to_string().replace("\"bench\"", &format!("{:?}", self.fleet.namespace));
            events.create(&PostParams::default(), &serde_json::from_str(&text)?).await?;
        }
        Ok(())
    }

    /// The names of the DataPlanes whose Deployment is available and whose Service has its address, as they come.
    fn complete(&self) -> impl Stream<Item = String> {
        let namespace = &self.fleet.namespace;
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let available = watcher(deployments, watcher::Config::default()).default_backoff().applied_objects();
        let available = available.try_filter_map(|object| {
            let count = object.status.as_ref().and_then(|status| status.available_replicas);
            future::ok((count >= Some(1)).then(|| ("Deployment", owner(&object))))
        });
        let addressed = watcher(services, watcher::Config::default()).default_backoff().applied_objects();
        let addressed = addressed.try_filter_map(|object| {
            let balancer = object.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let given = balancer.is_some_and(|balancer| balancer.ingress.is_some());
            future::ok(given.then(|| ("Service", owner(&object))))
        });
        let mut seen: HashMap<String, HashSet<&str>> = HashMap::new();
        // A watch that is lost is begun again by itself.
        stream::select(available.boxed(), addressed.boxed()).filter_map(move |event| {
            let complete = event.ok().and_then(|(kind, name)| {
                let kinds = seen.entry(name.clone()).or_default();
                (kinds.insert(kind) && kinds.len() == 2).then_some(name)
            });
            future::ready(complete)
        })
    }

    fn of(&self, name: &str) -> Result<&Bodies> {
        self.bodies.get(name).with_context(|| format!("no {name} was there before"))
    }

    async fn uid(&self, name: &str) -> Result<String> {
        // The answer to its making had it; asking costs less than a write, and is charged to this side.
        self.fleet.api.get_metadata(name).await?.uid().context("no uid")
    }

    async fn apply(&self, body: &Value) -> Result<()> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
        let resource = resource((group, version, text("kind")));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.fleet.namespace, &resource);
        let name = body.pointer("/metadata/name").and_then(Value::as_str).context("a body without a name")?;
        api.patch(name, &PatchParams::apply("bench").force(), &Patch::Apply(body)).await?;
        Ok(())
    }

    async fn status(&self, name: &str, bodies: &Bodies) -> Result<()> {
        let api: &Api<DataPlane> = &self.fleet.api;
        api.patch_status(name, &PatchParams::apply("bench").force(), &Patch::Apply(&bodies.status)).await?;
        Ok(())
    }
}

impl Bodies {
    /// A body whose owner is another object of the same name.
    fn owned(&self, body: &Value, uid: &str) -> Result<Value> {
        Ok(serde_json::from_str(&body.to_string().replace(&self.uid, uid))?)
    }
}

fn owner<K: kube::Resource>(object: &K) -> String {
    let owners = object.meta().owner_references.as_deref().unwrap_or_default();
    owners.first().map(|owner| owner.name.clone()).unwrap_or_default()
}
