//! What becomes of the configurations that are pushed: asked of Kong Ingress Controller, which has figures of it.
//!
//! In: the pods of each `ControlPlane`, asked in turn. Out: a verdict for each, and word of those that changed. Nobody is
//! asked of Kubernetes, and a pod that does not answer changes nothing that is known.

mod watched;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crds::ControlPlane;
use crds::defaults::CONTROLLER_METRICS_PORT;
use crds::k8s::Pod;
use crds::names::annotations;
use futures::{StreamExt, stream};
use kong::controller::Pushes as Figures;
use kong::scrape::Scraper;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use plan::controlplane::Verdict;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::Context;
use watched::Watched;

/// How often all are asked, at least.
const PERIOD: Duration = Duration::from_secs(10);

/// For each `ControlPlane` the period is so long at least: twenty a second, however many there are.
const EACH: Duration = Duration::from_millis(50);

/// How many are asked at the same time.
const AT_ONCE: usize = 16;

/// How much news may wait for its reader.
const DEPTH: usize = 256;

/// Namespace and name.
type Key = (String, String);

/// Pods that can be asked, and addresses of pods that are pushed to, by namespace and name of what they belong to.
#[derive(Default)]
struct Pods {
    controllers: HashMap<Key, Vec<IpAddr>>,
    kongs: HashMap<Key, Vec<String>>,
}

/// What is known of a `ControlPlane`.
#[derive(Default)]
struct Known {
    watched: Watched,
    verdict: Option<Verdict>,
}

/// What is known of each `ControlPlane`. Cloning shares it.
#[derive(Clone)]
pub struct Pushes {
    known: Arc<Mutex<HashMap<Key, Known>>>,
    news: broadcast::Sender<ObjectRef<ControlPlane>>,
}

impl Default for Pushes {
    fn default() -> Self {
        Self { known: Arc::default(), news: broadcast::channel(DEPTH).0 }
    }
}

impl Pushes {
    /// What became of the last configuration, where that is known.
    pub fn verdict(&self, namespace: &str, controlplane: &str) -> Option<Verdict> {
        self.known().get(&(namespace.to_owned(), controlplane.to_owned()))?.verdict
    }

    /// Those of which something else is known from now on.
    pub fn touched(&self) -> broadcast::Receiver<ObjectRef<ControlPlane>> {
        self.news.subscribe()
    }

    fn note(&self, key: Key, (said, kongs): (&[Figures], &[String]), now: Instant) {
        let name = ObjectRef::new(&key.1).within(&key.0);
        let mut all = self.known();
        let known = all.entry(key).or_default();
        let Some(verdict) = known.watched.look(said, kongs, now) else { return };
        let before = known.verdict.replace(verdict);
        drop(all);
        if before != Some(verdict) {
            // Without a reader there is nobody to tell.
            let _ = self.news.send(name);
        }
    }

    fn keep_only(&self, there: &HashSet<Key>) {
        self.known().retain(|key, _| there.contains(key));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks them all, again and again, until it is to stop.
pub async fn keep(cx: &Context, stop: CancellationToken) {
    let scraper = Scraper::default();
    let asking = async {
        loop {
            let count = u32::try_from(cx.planes.controlplanes.all().len()).unwrap_or(u32::MAX);
            tokio::time::sleep(PERIOD.max(EACH.saturating_mul(count))).await;
            round(cx, &scraper).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = asking => {}
    }
}

async fn round(cx: &Context, scraper: &Scraper) {
    let all = cx.planes.controlplanes.select(|object| object.metadata.deletion_timestamp.is_none());
    let pods = Pods::of(&cx.hubs.pods.select(|pod| address(pod).is_some()));
    let pods = &pods;
    stream::iter(&all)
        .for_each_concurrent(AT_ONCE, |object| async move {
            let key = key(object.as_ref(), object.name_any());
            if let Some((said, kongs)) = ask(scraper, pods, object).await {
                cx.planes.pushes.note(key, (&said, &kongs), Instant::now());
            }
        })
        .await;
    cx.planes.pushes.keep_only(&all.iter().map(|object| key(object.as_ref(), object.name_any())).collect());
}

fn key(object: &impl ResourceExt, name: String) -> Key {
    (object.namespace().unwrap_or_default(), name)
}

impl Pods {
    fn of(pods: &[Arc<Pod>]) -> Self {
        let mut found = Self::default();
        for pod in pods {
            let Some(at) = address(pod) else { continue };
            let notes = pod.annotations();
            if let Some(name) = notes.get(annotations::CONTROLPLANE) {
                let asked: Option<IpAddr> = at.parse().ok();
                found.controllers.entry(key(pod.as_ref(), name.clone())).or_default().extend(asked);
            } else if let Some(name) = notes.get(annotations::DATAPLANE) {
                found.kongs.entry(key(pod.as_ref(), name.clone())).or_default().push(at.to_owned());
            }
        }
        found
    }
}

/// The address of a pod that runs.
fn address(pod: &Pod) -> Option<&str> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?;
    status.pod_ip.as_deref().filter(|_| pod.metadata.deletion_timestamp.is_none())
}

/// What the one that leads says, or all where none is known to, and the addresses of the pods that it is about.
async fn ask(scraper: &Scraper, pods: &Pods, object: &ControlPlane) -> Option<(Vec<Figures>, Vec<String>)> {
    let controllers = pods.controllers.get(&key(object, object.name_any()))?;
    let dataplane = object.spec.dataplane.clone().filter(|name| !name.is_empty())?;
    let kongs = pods.kongs.get(&key(object, dataplane))?;
    let mut said = Vec::new();
    for controller in controllers {
        match scraper.get(*controller, CONTROLLER_METRICS_PORT.number(), "/metrics").await {
            Ok(text) => said.push(Figures::read(&text)),
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a pod of Kong Ingress Controller does not say what became of its pushes"
                );
            }
        }
    }
    if said.iter().any(|figures| figures.leads) {
        said.retain(|figures| figures.leads);
    }
    Some((said, kongs.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changes_is_news() {
        let pushes = Pushes::default();
        let mut news = pushes.touched();
        let kongs = ["10.0.0.1".to_owned()];
        let note = |untranslated: u32| {
            let text = format!(
                "ingress_controller_configuration_push_broken_resource_count{{dataplane=\"https://10.0.0.1:8444\"}} 0\ningress_controller_translation_broken_resource_count {untranslated}\n"
            );
            pushes.note(("team".into(), "edge".into()), (&[Figures::read(&text)], &kongs), Instant::now());
        };
        note(1);
        assert_eq!(news.try_recv().unwrap().name, "edge");
        note(1);
        assert!(news.try_recv().is_err());
        note(0);
        assert_eq!(pushes.verdict("team", "edge"), Some(Verdict::default()));
        assert!(news.try_recv().is_ok());
        pushes.keep_only(&HashSet::new());
        assert_eq!(pushes.verdict("team", "edge"), None);
    }

    #[test]
    fn running_pods_are_told_apart_by_whose_they_are() {
        let pod = |phase: &str, owner: &str, at: &str| -> Arc<Pod> {
            let pod = json!({
                "metadata": { "namespace": "team", "annotations": { owner: "edge" } },
                "status": { "phase": phase, "podIP": at },
            });
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let pods = Pods::of(&[
            pod("Running", annotations::CONTROLPLANE, "10.0.0.1"),
            pod("Succeeded", annotations::CONTROLPLANE, "10.0.0.2"),
            pod("Running", annotations::DATAPLANE, "10.0.0.3"),
        ]);
        let key = ("team".to_owned(), "edge".to_owned());
        assert_eq!(pods.controllers[&key], ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(pods.kongs[&key], ["10.0.0.3"]);
    }
}
