//! Many DataPlanes: made at once, watched until all are Ready.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crds::DataPlane;
use crds::conditions::{self, types};
use crds::k8s::Namespace;
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::figures::Spread;

/// Objects that are made at a time: as many as the operator reconciles at a time.
pub const AT_A_TIME: usize = 16;
/// The longest that all may take.
pub const DEADLINE: Duration = Duration::from_mins(15);

/// DataPlanes of one namespace.
pub struct Fleet {
    /// Where they are.
    pub api: Api<DataPlane>,
    /// Their namespace.
    pub namespace: String,
    /// How many.
    pub count: usize,
}

/// How long they took.
pub struct Took {
    /// From before the first was made until the last was Ready.
    pub all: Duration,
    /// Each from when it was made until it was Ready.
    pub each: Option<Spread>,
}

impl Fleet {
    /// Makes the namespace; no DataPlane yet.
    pub async fn prepare(client: &Client, namespace: &str, count: usize) -> Result<Self> {
        let object = serde_json::from_value(json!({ "metadata": { "name": namespace } }))?;
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
        Ok(Self { api: Api::namespaced(client.clone(), namespace), namespace: namespace.to_owned(), count })
    }

    /// Makes all, and waits until all are Ready.
    pub async fn provision(&self) -> Result<Took> {
        let began = Instant::now();
        let made = async {
            let made: Vec<(String, Instant)> = self.make().try_collect().await?;
            Ok(made.into_iter().collect::<HashMap<_, _>>())
        };
        let (made, ready) = tokio::try_join!(made, self.ready())?;
        let last = ready.values().max().copied().context("none was made")?;
        let each = ready.iter().filter_map(|(name, at)| Some(at.duration_since(*made.get(name)?)));
        Ok(Took { all: last.duration_since(began), each: Spread::of(each.collect()) })
    }

    /// Makes all, some at a time: their names, and when the API server had each.
    pub fn make(&self) -> impl futures::Stream<Item = Result<(String, Instant)>> {
        let made = stream::iter(0..self.count).map(async |number| {
            let name = name(number);
            let object = serde_json::from_value(dataplane(&name))?;
            self.api.create(&PostParams::default(), &object).await?;
            Ok((name, Instant::now()))
        });
        made.buffer_unordered(AT_A_TIME)
    }

    /// Waits until all are Ready: when each was seen to be so first.
    async fn ready(&self) -> Result<HashMap<String, Instant>> {
        let seen = async {
            let mut ready = HashMap::new();
            let events = watcher(self.api.clone(), watcher::Config::default()).default_backoff();
            let mut objects = std::pin::pin!(events.applied_objects());
            while ready.len() < self.count {
                let object = objects.try_next().await?.context("the watch ended")?;
                if is_ready(&object) {
                    ready.entry(object.name_any()).or_insert_with(Instant::now);
                }
            }
            Ok(ready)
        };
        match tokio::time::timeout(DEADLINE, seen).await {
            Ok(ready) => ready,
            Err(_) => bail!("not all of {} were Ready after {} min", self.count, DEADLINE.as_secs() / 60),
        }
    }
}

/// The name of a DataPlane, numbered from 0.
pub fn name(number: usize) -> String {
    format!("bench-{number}")
}

/// A DataPlane that asks for little, so that many fit.
pub fn dataplane(name: &str) -> Value {
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } } });
    json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
        "metadata": { "name": name },
        "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } },
    })
}

fn is_ready(dataplane: &DataPlane) -> bool {
    let all = dataplane.conditions();
    [types::READY, types::ROLLED_OUT, types::ADDRESS_ASSIGNED]
        .iter()
        .all(|type_| conditions::holds(all, type_))
}
