//! What an operator left: a `DataPlane`, its status and its children, without what differs from run to run.
//!
//! In: the name of a `DataPlane`. Out: its spec and status and all its children, each with the fields that the operator
//! owns by field manager. Uids, versions, times, generations, assigned addresses and ports, and the bytes of keys
//! and certificates are left out; whether the pods have the certificate that is there is kept.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use crds::DataPlane;
use crds::k8s::{Deployment, Event, HorizontalPodAutoscaler, PodDisruptionBudget, Secret, Service};
use crds::names::{self, annotations};
use crds::wanted::APPLIED;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::world::{SOON, Scenario};

/// Which revision of its template a Deployment is at; counted by Kubernetes.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// All field managers of the operator begin with it.
const OURS: &str = "silverback/";
/// How often to look again, where no single watch tells.
const STEP: Duration = Duration::from_millis(200);

/// The state of one `DataPlane`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    objects: BTreeMap<String, Value>,
}

impl State {
    /// As it is now; empty where nothing is.
    ///
    /// # Errors
    /// The API server's.
    pub async fn of(s: &Scenario, dataplane: &str) -> Result<Self> {
        Everything::of(s).await?.state(dataplane)
    }

    /// Waits until a `DataPlane` is in this state.
    ///
    /// # Errors
    /// When it is not in time; the error says where it differs.
    pub async fn reached(&self, s: &Scenario, dataplane: &str) -> Result<()> {
        Self::reached_one_of(&[self], s, &[dataplane]).await
    }

    /// Waits until each of several `DataPlane`s is in one of these states.
    ///
    /// # Errors
    /// When one is not in time; the error says where it differs from the last state.
    pub async fn reached_one_of(states: &[&Self], s: &Scenario, dataplanes: &[&str]) -> Result<()> {
        let deadline = tokio::time::Instant::now() + SOON;
        let mut ticks = tokio::time::interval(STEP);
        loop {
            ticks.tick().await;
            let now = Everything::of(s).await?;
            let mut different = None;
            for dataplane in dataplanes {
                let state = now.state(dataplane)?;
                if !states.contains(&&state) {
                    different = Some((dataplane, state));
                    break;
                }
            }
            let Some((dataplane, state)) = different else { return Ok(()) };
            if tokio::time::Instant::now() > deadline {
                let lines =
                    states.last().map(|undisturbed| undisturbed.differences(&state)).unwrap_or_default();
                bail!("{dataplane} is not as undisturbed after {SOON:?}:\n{}", lines.join("\n"));
            }
        }
    }

    /// Where another state is another, a line for each place.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        compare("", &json!(self.objects), &json!(other.objects), &mut lines);
        lines
    }

    /// Names of the objects, as in `Service/dataplane-ingress-NAME`.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.objects.keys().map(String::as_str)
    }
}

/// How often each reason was told in an event of a `DataPlane`.
pub type Told = BTreeMap<String, u32>;

/// What events told of each `DataPlane`.
///
/// # Errors
/// The API server's.
pub async fn events(s: &Scenario) -> Result<BTreeMap<String, Told>> {
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    for event in all::<Event>(s).await? {
        // Others tell of children, some of which have the same name.
        let ours = event.regarding.filter(|about| about.kind.as_deref() == Some("DataPlane"));
        let Some(about) = ours.and_then(|about| about.name) else { continue };
        let key = format!("{} {}", event.type_.unwrap_or_default(), event.reason.unwrap_or_default());
        *told.entry(about).or_default().entry(key).or_default() += 1;
    }
    Ok(told)
}

/// How often a `DataPlane`'s pods were given another template, the first one counted.
///
/// # Errors
/// The API server's.
pub async fn revision(s: &Scenario, dataplane: &str) -> Result<u32> {
    let name = names::deployment(dataplane, names::values::FIRST_TRACK);
    let deployment = s.api::<Deployment>().get(&name).await?;
    Ok(deployment.annotations().get(REVISION).map_or(Ok(0), |revision| revision.parse())?)
}

/// All that is in a scenario's namespace and may belong to a `DataPlane`.
struct Everything {
    dataplanes: Vec<DataPlane>,
    secrets: Vec<Secret>,
    deployments: Vec<Deployment>,
    services: Vec<Service>,
    autoscalers: Vec<HorizontalPodAutoscaler>,
    budgets: Vec<PodDisruptionBudget>,
}

impl Everything {
    async fn of(s: &Scenario) -> Result<Self> {
        Ok(Self {
            dataplanes: all(s).await?,
            secrets: all(s).await?,
            deployments: all(s).await?,
            services: all(s).await?,
            autoscalers: all(s).await?,
            budgets: all(s).await?,
        })
    }

    fn state(&self, dataplane: &str) -> Result<State> {
        let mut found = Found { dataplane, uid: String::new(), hash: String::new(), state: State::default() };
        if let Some(owner) = self.dataplanes.iter().find(|object| object.name_any() == dataplane) {
            found.uid = owner.uid().unwrap_or_default();
            found.add(owner)?;
        }
        // First, because what the pods have is compared with it.
        for secret in self.secrets.iter().filter(|secret| found.owns(*secret)).collect::<Vec<_>>() {
            if secret.name_any() == names::admin_certificate(dataplane) {
                found.hash = names::digest(&(text(secret, "tls.crt") + &text(secret, "client-ca.crt")));
            }
            found.add(secret)?;
        }
        found.add_children(&self.deployments)?;
        found.add_children(&self.services)?;
        found.add_children(&self.autoscalers)?;
        found.add_children(&self.budgets)?;
        Ok(found.state)
    }
}

async fn all<K>(s: &Scenario) -> Result<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = s.api();
    Ok(api.list(&ListParams::default()).await?.items)
}

/// What a Secret has there; nothing where it has nothing.
fn text(secret: &Secret, key: &str) -> String {
    let found = secret.data.as_ref().and_then(|data| data.get(key)).cloned();
    String::from_utf8(found.unwrap_or_default().0).unwrap_or_default()
}

struct Found<'a> {
    dataplane: &'a str,
    uid: String,
    /// Of the certificate that is there, and of the clients that it lets in.
    hash: String,
    state: State,
}

impl Found<'_> {
    fn owns<K: Resource>(&self, child: &K) -> bool {
        child.name_any().contains(self.dataplane)
            || child.owner_references().iter().any(|owner| owner.uid == self.uid)
    }

    fn add_children<K: Resource<DynamicType = ()> + Serialize>(&mut self, all: &[K]) -> Result<()> {
        all.iter()
            .filter(|child| self.owns(*child))
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|child| self.add(child))
    }

    fn add<K: Resource<DynamicType = ()> + Serialize>(&mut self, object: &K) -> Result<()> {
        let mut value = json!(object);
        let Some(fields) = value.as_object_mut() else { bail!("{value} is no object") };
        fields.insert("metadata".into(), metadata(object));
        let status = fields.remove("status");
        if let (true, Some(status)) = (K::kind(&()) == "DataPlane", status) {
            fields.insert("status".into(), status);
        }
        self.normalise("", &mut value);
        let name = object.name_any().replace(self.dataplane, "NAME");
        let mut text = value.to_string().replace(self.dataplane, "NAME");
        if !self.uid.is_empty() {
            text = text.replace(&self.uid, "UID");
        }
        self.state.objects.insert(format!("{}/{name}", K::kind(&())), serde_json::from_str(&text)?);
        Ok(())
    }

    /// Puts a word where a value differs from run to run.
    fn normalise(&self, key: &str, value: &mut Value) {
        let word = match (key, &*value) {
            (
                "lastTransitionTime"
                | "observedGeneration"
                | "nodePort"
                | "healthCheckNodePort"
                | APPLIED
                | REVISION,
                _,
            ) => json!("some"),
            ("clusterIP" | "value", Value::String(ip)) if ip.parse::<IpAddr>().is_ok() => json!("some"),
            ("clusterIPs", Value::Array(ips)) => json!(ips.len()),
            (annotations::CERTIFICATE_HASH, Value::String(hash)) if *hash == self.hash => json!("current"),
            // Below the fields of managers the same names are keys without a value.
            ("data", Value::Object(data)) if data.values().all(Value::is_string) => {
                data.iter().map(|(key, value)| (key.clone(), json!(value != ""))).collect()
            }
            _ => return self.normalise_within(value),
        };
        *value = word;
    }

    fn normalise_within(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(key, value)| self.normalise(key, value));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.normalise("", item)),
            _ => {}
        }
    }
}

/// Labels, annotations, owners, finalizers, and which fields are whose.
fn metadata<K: Resource>(object: &K) -> Value {
    let mut owned = Map::new();
    for entry in object.managed_fields() {
        let manager = entry.manager.as_deref().unwrap_or_default();
        let subresource = entry.subresource.as_deref().unwrap_or_default();
        if manager.starts_with(OURS) {
            let fields = entry.fields_v1.as_ref().map(|fields| fields.0.clone());
            owned.insert(format!("{manager} {subresource}"), json!(fields));
        }
    }
    json!({
        "labels": object.labels(),
        "annotations": object.annotations(),
        "owners": object.owner_references(),
        "finalizers": object.finalizers(),
        "deleted": object.meta().deletion_timestamp.is_some(),
        "owned": owned,
    })
}

fn compare(path: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                compare(&format!("{path}.{key}"), value, found.get(key).unwrap_or(&Value::Null), lines);
            }
            for (key, value) in found.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
                compare(&format!("{path}.{key}"), &Value::Null, value, lines);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{path}[{index}]"), wanted, found, lines);
            }
        }
        _ if wanted != found => lines.push(format!("{path}: undisturbed {wanted:.200}, now {found:.200}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, uid: &str, port: i32, address: &str) -> State {
        let mut found =
            Found { dataplane: name, uid: uid.into(), hash: String::new(), state: State::default() };
        let service: Service = serde_json::from_value(json!({
            "metadata": {
                "name": format!("dataplane-ingress-{name}"),
                "resourceVersion": uid,
                "ownerReferences": [{ "apiVersion": "v1", "kind": "DataPlane", "name": name, "uid": uid }],
                "managedFields": [
                    { "manager": "silverback/dataplane", "operation": "Apply", "fieldsV1": { "f:spec": { "f:clusterIP": {} } } },
                    { "manager": "kube-controller-manager", "operation": "Update", "fieldsV1": { "f:status": {} } },
                ],
            },
            "spec": { "clusterIP": address, "ports": [{ "port": port, "nodePort": 30_000 + port }] },
        }))
        .unwrap();
        found.add(&service).unwrap();
        found.state
    }

    #[test]
    fn what_differs_from_run_to_run_is_no_difference() {
        let (one, other) = (state("a1", "u-1", 80, "10.0.0.1"), state("b2", "u-2", 80, "10.0.0.2"));
        assert_eq!(one.differences(&other), Vec::<String>::new());
        assert_eq!(one.objects().collect::<Vec<_>>(), ["Service/dataplane-ingress-NAME"]);
    }

    #[test]
    fn what_was_asked_for_and_who_owns_it_is() {
        let (one, other) = (state("a1", "u-1", 80, "10.0.0.1"), state("a1", "u-1", 81, "None"));
        let told = one.differences(&other).join("\n");
        assert!(told.contains("spec.clusterIP") && told.contains("spec.ports"), "{told}");
        let mut disowned = one.clone();
        let service = disowned.objects.values_mut().next().unwrap();
        service["metadata"]["owned"] = json!({});
        assert_eq!(one.differences(&disowned).len(), 1);
        assert_eq!(one.differences(&State::default()).len(), 1);
    }
}
