//! How soon a child is back after somebody deleted or edited it.
//!
//! In: a fleet that is Ready. Out: a time for each repair: from before the request that did the damage until a
//! watch of our own shows the child as it was. The way to the API server and back is part of it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crds::names::{self, values};
use futures::TryStreamExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::figures::Spread;
use super::fleet::{self, Fleet};

/// How long a repair may take at most; much more than the goal.
const DEADLINE: Duration = Duration::from_secs(30);

/// A way to damage a child.
struct Damage {
    api: (&'static str, &'static str, &'static str),
    name: fn(&str) -> String,
    /// The field that is edited, and to what; nothing deletes the object.
    edit: Option<(&'static str, Value)>,
}

/// Whose children are damaged, and how.
pub struct Owners {
    namespace: String,
    names: Vec<String>,
    ways: Vec<Damage>,
}

/// Children of `DataPlane`s.
pub fn of_dataplanes(fleet: &Fleet) -> Owners {
    let names = (0..fleet.count).map(fleet::name).collect();
    Owners { namespace: fleet.namespace.clone(), names, ways: of_dataplane() }
}

/// Children of Gateways, and of the control planes of Gateways.
pub fn of_gateways(namespace: &str, names: Vec<String>) -> Owners {
    Owners { namespace: namespace.to_owned(), names, ways: of_gateway() }
}

/// How long repairs took, by what was damaged.
#[derive(Default)]
pub struct Repairs(BTreeMap<String, Vec<Duration>>);

impl Repairs {
    /// All of them.
    pub fn all(&self) -> Option<Spread> {
        Spread::of(self.0.values().flatten().copied().collect())
    }

    /// The slowest of each, in milliseconds.
    pub fn slowest(&self) -> BTreeMap<String, f64> {
        let slowest =
            |took: &Vec<Duration>| took.iter().max().map_or(0.0, |most| most.as_secs_f64() * 1000.0);
        self.0.iter().map(|(what, took)| (what.clone(), slowest(took))).collect()
    }
}

/// Damages children one after the other, each of another owner, and times each repair.
pub async fn repairs(client: &Client, owners: &Owners, count: usize) -> Result<Repairs> {
    let mut took = Repairs::default();
    let each = owners.ways.iter().cycle().zip(owners.names.iter().cycle());
    for (damage, owner) in each.take(count) {
        let (group, version, kind) = damage.api;
        let resource = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind));
        let api = Api::namespaced_with(client.clone(), &owners.namespace, &resource);
        let name = (damage.name)(owner);
        let repaired = tokio::time::timeout(DEADLINE, repair(&api, &name, damage)).await;
        let repaired =
            repaired.with_context(|| format!("{kind} {name} did not come back in {DEADLINE:?}"))??;
        let done = if damage.edit.is_some() { "edited" } else { "deleted" };
        took.0.entry(format!("{kind} {done}")).or_default().push(repaired);
    }
    Ok(took)
}

const SERVICE: (&str, &str, &str) = ("", "v1", "Service");
const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");

fn of_dataplane() -> Vec<Damage> {
    let deployment = |owner: &str| names::deployment(owner, values::FIRST_TRACK);
    vec![
        Damage { api: SERVICE, name: names::ingress_service, edit: None },
        Damage {
            api: SERVICE,
            name: names::ingress_service,
            edit: Some(("/spec/selector/app", json!("nobody"))),
        },
        Damage { api: DEPLOYMENT, name: deployment, edit: None },
        Damage { api: SERVICE, name: names::admin_service, edit: None },
        Damage {
            api: DEPLOYMENT,
            name: deployment,
            edit: Some(("/spec/template/spec/terminationGracePeriodSeconds", json!(70))),
        },
    ]
}

fn of_gateway() -> Vec<Damage> {
    let same = |owner: &str| owner.to_owned();
    let group = "gateway-operator.konghq.com";
    let rights = "rbac.authorization.k8s.io";
    vec![
        Damage { api: ("networking.k8s.io", "v1", "NetworkPolicy"), name: names::network_policy, edit: None },
        Damage {
            api: (group, "v1beta1", "ControlPlane"),
            name: same,
            edit: Some(("/spec/dataplane", json!("another"))),
        },
        Damage { api: SERVICE, name: names::controller_webhook, edit: None },
        Damage { api: (rights, "v1", "Role"), name: names::controller, edit: Some(("/rules", json!([]))) },
        Damage { api: (rights, "v1", "RoleBinding"), name: names::controller, edit: None },
        Damage {
            api: DEPLOYMENT,
            name: names::controller,
            edit: Some(("/spec/template/spec/securityContext/seccompProfile/type", json!("Unconfined"))),
        },
        Damage {
            api: (group, "v1beta1", "DataPlane"),
            name: same,
            edit: Some(("/spec/deployment/podTemplateSpec/spec/containers", json!([]))),
        },
    ]
}

/// An object with nothing but a value at a pointer.
fn at(pointer: &str, value: &Value) -> Value {
    pointer.rsplit('/').filter(|key| !key.is_empty()).fold(value.clone(), |inner, key| json!({ key: inner }))
}

async fn repair(api: &Api<DynamicObject>, name: &str, damage: &Damage) -> Result<Duration> {
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut seen = pin!(watcher(api.clone(), only).default_backoff().applied_objects());
    let before = seen.try_next().await?.with_context(|| format!("the watch of {name} ended"))?;
    let began = Instant::now();
    let back = damage.inflict(api, name, before).await?;
    loop {
        let object = seen.try_next().await?.with_context(|| format!("the watch of {name} ended"))?;
        if back.is(&object) {
            return Ok(began.elapsed());
        }
    }
}

/// How to tell that a child is back.
enum Back {
    /// It is another object than this one.
    Another(Option<String>),
    /// A field is as it was, in a version after this one.
    Restored { pointer: &'static str, value: Value, after: u64 },
}

impl Damage {
    /// Deletes or edits the object.
    async fn inflict(&self, api: &Api<DynamicObject>, name: &str, before: DynamicObject) -> Result<Back> {
        let Some((pointer, wrong)) = &self.edit else {
            api.delete(name, &DeleteParams::background()).await?;
            return Ok(Back::Another(before.uid()));
        };
        let value = before.data.pointer(pointer).cloned();
        let value = value.with_context(|| format!("{name} has no {pointer}"))?;
        let edited = api.patch(name, &PatchParams::default(), &Patch::Merge(at(pointer, wrong))).await?;
        let after = version(&edited).with_context(|| format!("{name} has no version"))?;
        Ok(Back::Restored { pointer, value, after })
    }
}

impl Back {
    fn is(&self, object: &DynamicObject) -> bool {
        match self {
            Self::Another(uid) => object.uid() != *uid,
            Self::Restored { pointer, value, after } => {
                version(object) > Some(*after) && object.data.pointer(pointer) == Some(value)
            }
        }
    }
}

/// The version of an object; those of one resource are numbers that grow.
fn version(object: &DynamicObject) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_becomes_an_object() {
        assert_eq!(at("/spec/selector/app", &json!("x")), json!({ "spec": { "selector": { "app": "x" } } }));
    }
}
