//! One namespace with Kong, KIC and a backend.
//!
//! In: a scenario. Out: ways to change and to ask. Everything waits with a deadline.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use crds::k8s::{Deployment, Namespace, Pod, Service};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, LogParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tests::{http, wait};

use crate::manifests;

/// Between two looks at what has no watch that fits.
const LOOK: Duration = Duration::from_millis(200);

/// A namespace.
pub struct Stage {
    pub scenario: Scenario,
    /// The authority of all certificates.
    pub authority: String,
}

impl Stage {
    /// Makes everything but Kong and KIC.
    pub async fn begin(scenario: Scenario) -> Result<Self> {
        let namespace = scenario.namespace.clone();
        let (secrets, authority) = manifests::secrets(&namespace)?;
        let stage = Self { scenario, authority };
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "kic" } });
        let made =
            [account, manifests::role(&namespace), manifests::binding(&namespace), manifests::echo("echo")];
        for object in made.into_iter().chain(secrets).chain(manifests::services()) {
            stage.apply(&object).await?;
        }
        Ok(stage)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.scenario.namespace
    }

    fn api(&self, object: &Value) -> Result<(Api<DynamicObject>, String)> {
        let version = object["apiVersion"].as_str().context("no version")?;
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let kind = object["kind"].as_str().context("no kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let client = self.scenario.world.client.clone();
        let wide = kind.starts_with("Cluster")
            || kind.ends_with("Configuration")
            || kind == "GatewayClass"
            || kind == "CustomResourceDefinition";
        let api = if wide {
            Api::all_with(client, &resource)
        } else {
            Api::namespaced_with(client, self.namespace(), &resource)
        };
        Ok((api, object["metadata"]["name"].as_str().context("no name")?.to_owned()))
    }

    /// Applies an object.
    pub async fn apply(&self, object: &Value) -> Result<DynamicObject> {
        let (api, name) = self.api(object)?;
        Ok(api.patch(&name, &PatchParams::apply("tests").force(), &Patch::Apply(object)).await?)
    }

    /// An object as it is.
    pub async fn get(&self, object: &Value) -> Result<Value> {
        let (api, name) = self.api(object)?;
        Ok(serde_json::to_value(api.get(&name).await?)?)
    }

    /// Changes an object by a JSON patch.
    pub async fn patch(&self, object: &Value, change: &Value) -> Result<()> {
        let (api, name) = self.api(object)?;
        let change: Patch<Value> = Patch::Json(serde_json::from_value(change.clone())?);
        api.patch(&name, &PatchParams::default(), &change).await?;
        Ok(())
    }

    /// Removes an object.
    pub async fn delete(&self, object: &Value) -> Result<()> {
        let (api, name) = self.api(object)?;
        api.delete(&name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Writes a status, as the operator would.
    pub async fn status(&self, object: &Value, status: &Value) -> Result<()> {
        let (api, name) = self.api(object)?;
        let change = Patch::Merge(json!({ "status": status }));
        api.patch_status(&name, &PatchParams::default(), &change).await?;
        Ok(())
    }

    /// Waits until the object is as `good` says.
    pub async fn until(&self, object: &Value, good: impl Fn(&Value) -> bool) -> Result<Value> {
        let (api, name) = self.api(object)?;
        let mut last = Value::Null;
        let seen = async {
            loop {
                let now = api.get(&name).await?;
                last = serde_json::to_value(now)?;
                if good(&last) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(SOON, seen).await {
            Ok(done) => done.map(|()| last),
            Err(_) => anyhow::bail!("{name} is not as awaited: {}", last["status"]),
        }
    }

    /// Waits until all replicas of a Deployment are available.
    pub async fn available(&self, name: &str) -> Result<()> {
        let all = |d: &Deployment| {
            let (wanted, status) =
                (d.spec.as_ref().and_then(|s| s.replicas), d.status.clone().unwrap_or_default());
            status.observed_generation == d.metadata.generation
                && [status.replicas, status.updated_replicas, status.available_replicas] == [wanted; 3]
        };
        let waited = wait::until(&self.scenario.api::<Deployment>(), name, SOON, all).await;
        let log = if waited.is_err() { self.log().await.unwrap_or_default() } else { String::new() };
        waited.map(drop).with_context(|| format!("KIC's log:\n{log}"))
    }

    async fn log(&self) -> Result<String> {
        let name = self.kic().await?.metadata.name.unwrap_or_default();
        let parameters = LogParams { tail_lines: Some(40), ..LogParams::default() };
        Ok(self.scenario.api::<Pod>().logs(&name, &parameters).await?)
    }

    /// Makes Kong and KIC and waits for both.
    pub async fn serve(&self, replicas: u32, more: &[(&str, &str)]) -> Result<()> {
        self.apply(&manifests::kong(replicas)).await?;
        self.apply(&manifests::kic(self.namespace(), more)).await?;
        for name in ["kong", "kic", "echo"] {
            self.available(name).await?;
        }
        Ok(())
    }

    /// Where Kong is asked.
    pub async fn proxy(&self) -> Result<SocketAddr> {
        let service: Service = self.scenario.api::<Service>().get("kong-proxy").await?;
        let address: IpAddr = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?.parse()?;
        Ok(SocketAddr::new(address, 80))
    }

    /// Asks Kong until it answers with that status.
    pub async fn answers(&self, path: &str, status: u16) -> Result<http::Answer> {
        let cluster = &self.scenario.world.cluster;
        http::until(cluster, self.proxy().await?, path, SOON, |answer| answer.status == status).await
    }

    /// What Kong answers now.
    pub async fn asked(&self, path: &str) -> Result<u16> {
        let answer = http::get(&self.scenario.world.cluster, self.proxy().await?, "any", path).await?;
        Ok(answer.status.as_u16())
    }

    /// Waits for an Event of an object with that reason.
    pub async fn event(&self, kind: &str, name: &str, reason: &str) -> Result<Event> {
        let of = |event: &Event| {
            let object = &event.involved_object;
            object.kind.as_deref() == Some(kind)
                && object.name.as_deref() == Some(name)
                && event.reason.as_deref() == Some(reason)
        };
        wait::any(&self.scenario.api::<Event>(), SOON, of).await
    }

    /// Where the pods of a Deployment that do not end are asked.
    pub async fn pods(&self, name: &str) -> Result<Vec<SocketAddr>> {
        let pods =
            self.scenario.api::<Pod>().list(&ListParams::default().labels(&format!("app={name}"))).await?;
        let living = pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let address = |pod: Pod| -> Result<SocketAddr> {
            let address = pod.status.and_then(|status| status.pod_ip).context("a pod without an address")?;
            Ok(SocketAddr::new(address.parse()?, 8000))
        };
        living.map(address).collect()
    }

    /// KIC's pod.
    pub async fn kic(&self) -> Result<Pod> {
        let pods = self.scenario.api::<Pod>().list(&ListParams::default().labels("app=kic")).await?;
        let living = pods.items.into_iter().find(|pod| pod.metadata.deletion_timestamp.is_none());
        living.context("there is no pod of KIC")
    }

    /// Removes the namespace and what has none.
    pub async fn end(self) -> Result<()> {
        let namespace = self.namespace().to_owned();
        for object in [manifests::role(&namespace), manifests::binding(&namespace)] {
            self.delete(&object).await?;
        }
        let namespaces: Api<Namespace> = Api::all(self.scenario.world.client.clone());
        namespaces.delete(&namespace, &DeleteParams::background()).await?;
        Ok(())
    }
}

/// Whether a list of conditions has one of that type, status and reason.
pub fn holds(conditions: &Value, type_: &str, status: &str, reason: &str) -> bool {
    let mut all = conditions.as_array().into_iter().flatten();
    all.any(|one| one["type"] == type_ && one["status"] == status && one["reason"] == reason)
}
