//! A backend, `DataPlane`s in front of it, and traffic through their Services while something happens.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use crds::DataPlane;
use crds::k8s::{ConfigMap, Deployment, Namespace, Pod, Service};
use crds::names::{self, values};
use futures::FutureExt;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tests::traffic::report::{self, Row};
use tests::traffic::{Kind, Target, Traffic};
use tests::world::{SOON, Scenario};
use tests::{http, wait};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Traffic on both sides of an event.
pub const CALM: Duration = Duration::from_secs(2);
/// How long a pod may take to end: its grace period, and some seconds for a busy machine.
const ENDED: Duration = Duration::from_secs(100);
/// Edges at a time, so that a machine of two cores keeps up with their traffic.
static EDGES: Semaphore = Semaphore::const_new(4);
/// What was measured, for the table at the end.
static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// All that was measured so far.
pub fn rows() -> Vec<Row> {
    ROWS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A scenario with a backend.
pub struct Stage {
    pub scenario: Scenario,
    kinds: &'static [Kind],
    _room: SemaphorePermit<'static>,
}

/// A `DataPlane` with traffic through it.
pub struct Edge {
    pub name: String,
    /// Its number of replicas, in the table's words.
    pub replicas: String,
    /// The track that serves.
    pub track: &'static str,
    traffic: Traffic,
    before: BTreeSet<String>,
}

/// The pods of an edge.
pub struct Pods {
    pub before: BTreeSet<String>,
    pub after: BTreeSet<String>,
}

impl Edge {
    /// How long its traffic flows.
    pub fn elapsed(&self) -> Duration {
        self.traffic.elapsed()
    }

    /// Waits for answers as in so much time.
    pub async fn steady(&self, time: Duration) -> Result<()> {
        self.traffic.steady(time).await
    }
}

impl Stage {
    /// Makes the backend and Kong's configuration, once there is room for so many edges with traffic of those kinds.
    pub async fn begin(scenario: Scenario, edges: u32, kinds: &'static [Kind]) -> Result<Self> {
        let stage = Self { scenario, kinds, _room: EDGES.acquire_many(edges).await? };
        let service = json!({ "metadata": { "name": "echo" },
            "spec": { "selector": { "app": "echo" }, "ports": [{ "port": 80, "targetPort": 3000 }] } });
        let service: Service = stage.create(service).await?;
        let backend = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?;
        stage.create::<Deployment>(echo()).await?;
        let config = format!(
            "_format_version: \"3.0\"\nplugins: [{{ name: prometheus, config: {{ status_code_metrics: true, \
             latency_metrics: true }} }}]\nservices: [{{ name: echo, url: \"http://{backend}:80\", \
             routes: [{{ name: all, paths: [\"/\"], strip_path: false }}] }}]"
        );
        let config = json!({ "metadata": { "name": "kong" }, "data": { "kong.yaml": config } });
        stage.create::<ConfigMap>(config).await?;
        let available = |d: &Deployment| d.status.as_ref().is_some_and(|s| s.available_replicas == Some(1));
        wait::until(&stage.scenario.api::<Deployment>(), "echo", SOON, available).await?;
        Ok(stage)
    }

    async fn create<K>(&self, object: Value) -> Result<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + serde::Serialize
            + std::fmt::Debug,
    {
        let object = serde_json::from_value(object)?;
        Ok(self.scenario.api::<K>().create(&PostParams::default(), &object).await?)
    }

    /// Makes a `DataPlane`, waits until its addresses answer, and begins traffic. `more` is merged into its
    /// specification, which without it is on the first node.
    pub async fn edge(&self, name: &str, replicas: i32, more: &Value) -> Result<Edge> {
        let mut spec = edge(replicas);
        merge(&mut spec, more);
        self.scenario.dataplane(name, spec).await?;
        self.scenario.ready(name).await?;
        self.rolled_out(&first_track(name), replicas).await?;
        let target = self.target(name).await?;
        for address in &target.plain {
            self.answers(*address).await?;
        }
        let (before, traffic) = (self.pods(name).await?, Traffic::start(&target, self.kinds)?);
        traffic.steady(CALM).await.with_context(|| format!("{name}, before anything happened"))?;
        Ok(Edge {
            name: name.to_owned(),
            replicas: replicas.to_string(),
            track: values::FIRST_TRACK,
            traffic,
            before,
        })
    }

    /// The Service's cluster address and that of its load balancer.
    async fn target(&self, name: &str) -> Result<Target> {
        let given = |service: &Service| balancer(service).is_some();
        let service =
            wait::until(&self.scenario.api::<Service>(), &names::ingress_service(name), SOON, given).await?;
        let balancer: IpAddr = balancer(&service).context("no load balancer")?.parse()?;
        let own: IpAddr = service.spec.and_then(|spec| spec.cluster_ip).context("no address")?.parse()?;
        let at = |port| [own, balancer].map(|address| SocketAddr::new(address, port)).to_vec();
        let world = Arc::clone(&self.scenario.world);
        let dial = Arc::new(move |to| {
            let world = Arc::clone(&world);
            async move { world.cluster.connect(to).await }.boxed()
        });
        Ok(Target { dial, plain: at(80), secure: at(443) })
    }

    /// The rules of a node may lag behind a ready endpoint by a second.
    async fn answers(&self, address: SocketAddr) -> Result<()> {
        let asked = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                let answer = http::get(&self.scenario.world.cluster, address, "any", "/").await;
                if answer.is_ok_and(|answer| answer.status.is_success()) {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, asked).await.with_context(|| format!("{address} does not answer"))
    }

    /// Changes a `DataPlane` and waits until its Deployment is changed too.
    pub async fn change(&self, name: &str, change: &Value) -> Result<()> {
        let before = self.deployment(name).await?;
        let api: Api<DataPlane> = self.scenario.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
        self.changed(name, &before).await
    }

    /// The Deployment of a `DataPlane`.
    pub async fn deployment(&self, name: &str) -> Result<Deployment> {
        Ok(self.scenario.api().get(&first_track(name)).await?)
    }

    /// Waits until the Deployment of a `DataPlane` is another than before.
    pub async fn changed(&self, name: &str, before: &Deployment) -> Result<()> {
        let later = |d: &Deployment| d.metadata.generation > before.metadata.generation;
        wait::until(&self.scenario.api(), &first_track(name), SOON, later).await.map(drop)
    }

    /// Waits until so many pods of a Deployment are available, all of them as now wanted, and no other is left but those
    /// that end.
    pub async fn rolled_out(&self, deployment: &str, replicas: i32) -> Result<()> {
        let all = Some(replicas);
        let there = |d: &Deployment| {
            let wanted = d.spec.as_ref().and_then(|spec| spec.replicas) == all;
            let status = d.status.clone().unwrap_or_default();
            wanted
                && status.observed_generation == d.metadata.generation
                && [status.replicas, status.updated_replicas, status.available_replicas] == [all; 3]
        };
        wait::until(&self.scenario.api::<Deployment>(), deployment, SOON, there).await.map(drop)
    }

    /// Waits until those pods are gone that are ending.
    async fn ended(&self, name: &str) -> Result<()> {
        let pods: Api<Pod> = self.scenario.api();
        let all = pods.list(&ListParams::default().labels(&format!("app={name}"))).await?;
        for pod in all.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some()) {
            wait::gone(&pods, &pod.name_any(), ENDED).await?;
        }
        Ok(())
    }

    /// The names of the pods that are not ending.
    pub async fn pods(&self, name: &str) -> Result<BTreeSet<String>> {
        let pods: Api<Pod> = self.scenario.api();
        let all = pods.list(&ListParams::default().labels(&format!("app={name}"))).await?;
        let there = all.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(there.map(ResourceExt::name_any).collect())
    }

    /// Waits until what happened to an edge is over, finishes its traffic, and fails if any of it did. It ends with
    /// so many replicas.
    pub async fn conclude(&self, event: &str, edge: Edge, replicas: i32) -> Result<Pods> {
        let (before, name) = (edge.before.clone(), edge.name.clone());
        let rows = self.rows(event, edge, replicas).await?;
        if rows.iter().any(|row| !row.tally.failures.is_empty()) {
            bail!("requests failed:\n{}", report::table(&rows));
        }
        let after = self.pods(&name).await?;
        ensure!(after.len() == usize::try_from(replicas)?, "{name} has the pods {after:?}");
        Ok(Pods { before, after })
    }

    /// Waits until what happened to an edge is over, finishes its traffic, and tells what became of it.
    pub async fn rows(&self, event: &str, edge: Edge, replicas: i32) -> Result<Vec<Row>> {
        let over = self.over(&edge, replicas).await;
        let tallies = edge.traffic.finish().await?;
        let row =
            |(kind, tally)| Row { event: event.to_owned(), replicas: edge.replicas.clone(), kind, tally };
        let rows: Vec<_> = tallies.into_iter().map(row).collect();
        ROWS.lock().unwrap_or_else(PoisonError::into_inner).extend(rows.iter().cloned());
        over.map(|()| rows)
    }

    /// Removes everything, so that it takes nothing from the scenarios that follow.
    pub async fn end(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.scenario.world.client.clone());
        namespaces.delete(&self.scenario.namespace, &DeleteParams::background()).await?;
        Ok(())
    }

    async fn over(&self, edge: &Edge, replicas: i32) -> Result<()> {
        self.rolled_out(&names::deployment(&edge.name, edge.track), replicas).await?;
        self.ended(&edge.name).await?;
        self.scenario.ready(&edge.name).await?;
        edge.traffic.steady(CALM).await.with_context(|| format!("{}, after the event", edge.name))
    }
}

/// The name of that Deployment.
pub fn first_track(name: &str) -> String {
    names::deployment(name, values::FIRST_TRACK)
}

fn balancer(service: &Service) -> Option<String> {
    let status = service.status.as_ref()?.load_balancer.as_ref()?;
    status.ingress.as_ref()?.first()?.ip.clone()
}

fn echo() -> Value {
    let container = json!({ "name": "echo", "image": "registry.k8s.io/gateway-api/echo-basic:v1.5.1",
        "readinessProbe": { "tcpSocket": { "port": 3000 }, "periodSeconds": 1 },
        "resources": { "requests": { "cpu": "600m" } },
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } } });
    let security =
        json!({ "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } });
    let pod = json!({ "containers": [container], "nodeSelector": first_node(), "securityContext": security });
    let template = json!({ "metadata": { "labels": { "app": "echo" } }, "spec": pod });
    json!({ "metadata": { "name": "echo" },
        "spec": { "selector": { "matchLabels": { "app": "echo" } }, "template": template } })
}

fn edge(replicas: i32) -> Value {
    let volume = json!({ "name": "configuration", "configMap": { "name": "kong" } });
    let pod = json!({ "containers": [proxy(replicas, &json!({}))], "nodeSelector": first_node(), "volumes": [volume] });
    json!({ "deployment": { "replicas": replicas, "podTemplateSpec": { "spec": pod } } })
}

/// Kong's container in one of so many replicas, with more merged into it. A merge patch replaces lists, so a change
/// names all of it.
pub fn proxy(replicas: i32, more: &Value) -> Value {
    // On a busy machine a pod's share follows its request, and a single one has the work of three.
    let requests = json!({ "cpu": format!("{}m", 1200 / replicas), "memory": "32Mi" });
    let mut container = json!({ "name": "proxy",
        "env": [{ "name": "KONG_DECLARATIVE_CONFIG", "value": "/kong-configuration/kong.yaml" }],
        "resources": { "requests": requests },
        "volumeMounts": [{ "mountPath": "/kong-configuration", "name": "configuration", "readOnly": true }] });
    merge(&mut container, more);
    container
}

/// Scenarios run side by side, and one of them drains the other node.
fn first_node() -> Value {
    json!({ "kubernetes.io/hostname": "node-1" })
}

/// As a JSON merge patch.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}
