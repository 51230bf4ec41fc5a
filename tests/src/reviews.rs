//! Reviews without a pause, through the API server, as its clients bring them about.
//!
//! In: how many a second. Out: how many were answered as they should be, and what the others were answered. Nothing is
//! stored: every request is a dry run, and none is sent again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use crds::DataPlane;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Creations are defaulted and validated: two reviews each.
const PER_CREATION: u32 = 2;
/// How long until the first reviews may be answered, and between two questions.
const ANSWERED: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);
/// So many failures are told in full.
const SHOWN: usize = 5;

/// Reviews under way.
pub struct Reviews {
    stop: CancellationToken,
    running: JoinHandle<Answers>,
}

/// What became of them.
#[derive(Debug, Default)]
pub struct Answers {
    /// How many reviews were asked for.
    pub reviews: u32,
    /// From the request to its answer, in the order of the answers.
    pub took: Vec<Duration>,
    /// The wrong answers.
    pub failures: Vec<String>,
}

impl Reviews {
    /// Has objects of that namespace reviewed, so many times a second, until [`Reviews::end`]. Every other object is one
    /// that only the webhooks refuse.
    ///
    /// # Errors
    /// When there is no way to the API server.
    pub async fn begin(cluster: &Cluster, namespace: &str, per_second: u32) -> Result<Self> {
        let file = Kubeconfig::read_from(cluster.kubeconfig())?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        // What fails once has failed.
        config.default_retry = false;
        let api = Arc::new(Api::namespaced(Client::try_from(config)?, namespace));
        let stop = CancellationToken::new();
        let pace = Duration::from_secs(1) * PER_CREATION / per_second;
        let running = tokio::spawn(ask(api, pace, stop.clone()));
        Ok(Self { stop, running })
    }

    /// Waits until objects are reviewed: the API server hears of webhooks a moment after they are registered.
    ///
    /// # Errors
    /// When the deadline passes; with the last answer.
    pub async fn answered(cluster: &Cluster, namespace: &str) -> Result<()> {
        let api = Arc::new(Api::namespaced(cluster.client().await?, namespace));
        let mut last = Ok(Duration::ZERO);
        let asked = async {
            let mut ticks = tokio::time::interval(PAUSE);
            for good in [true, false] {
                loop {
                    ticks.tick().await;
                    last = one(Arc::clone(&api), good).await;
                    if last.is_ok() {
                        break;
                    }
                }
            }
        };
        let late = tokio::time::timeout(ANSWERED, asked).await.is_err();
        ensure!(!late, "nothing is reviewed after {ANSWERED:?}: {last:?}");
        Ok(())
    }

    /// Asks no more, and waits for the last answers.
    ///
    /// # Errors
    /// When the task that asks has failed.
    pub async fn end(self) -> Result<Answers> {
        self.stop.cancel();
        self.running.await.context("the reviews did not end")
    }
}

impl Answers {
    /// Fails unless every answer was as it should be, and there were some.
    ///
    /// # Errors
    /// The first wrong answers.
    pub fn all_good(&self) -> Result<()> {
        let shown: Vec<_> = self.failures.iter().take(SHOWN).collect();
        let (failed, all) = (self.failures.len(), self.failures.len() + self.took.len());
        ensure!(failed == 0, "{failed} of {all} creations failed: {shown:#?}");
        ensure!(!self.took.is_empty(), "nothing was reviewed");
        Ok(())
    }

    /// How many there were and how long they took, for people.
    pub fn text(&self) -> String {
        let mut took = self.took.clone();
        took.sort_unstable();
        let at = |percent: usize| {
            took.get(took.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
        };
        let (half, most, slowest) = (at(50), at(99), at(100));
        format!(
            "{} reviews by {} creations, {} of which failed; p50 {half:.0?}, p99 {most:.0?}, max {slowest:.0?}",
            self.reviews,
            took.len() + self.failures.len(),
            self.failures.len()
        )
    }
}

/// Asks at a steady pace, however long the answers take.
async fn ask(api: Arc<Api<DataPlane>>, pace: Duration, stop: CancellationToken) -> Answers {
    let (mut ticks, mut running, mut number) = (tokio::time::interval(pace), JoinSet::new(), 0u32);
    let mut answers = Answers::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {
                number += 1;
                running.spawn(one(Arc::clone(&api), number % 2 == 0));
            }
            Some(done) = running.join_next() => answers.add(done.unwrap_or_else(|error| Err(error.to_string()))),
        }
    }
    while let Some(done) = running.join_next().await {
        answers.add(done.unwrap_or_else(|error| Err(error.to_string())));
    }
    answers
}

impl Answers {
    fn add(&mut self, one: Result<Duration, String>) {
        self.reviews += PER_CREATION;
        match one {
            Ok(took) => self.took.push(took),
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// One creation: how long it took, or how it was answered instead of as it should be.
async fn one(api: Arc<Api<DataPlane>>, good: bool) -> Result<Duration, String> {
    let object = serde_json::from_value(object(good)).map_err(|error| error.to_string())?;
    let began = Instant::now();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    match (good, api.create(&dry, &object).await) {
        (true, Ok(stored)) if is_defaulted(&stored) => Ok(began.elapsed()),
        (false, Err(Error::Api(status))) if status.code == 422 && status.reason == "Invalid" => {
            Ok(began.elapsed())
        }
        (_, Ok(stored)) => Err(format!("not reviewed: {:?}", stored.spec)),
        (_, Err(error)) => Err(format!("{error:?}")),
    }
}

/// An object with something to default; and, when it is not good, with something that only the webhooks refuse.
fn object(good: bool) -> Value {
    let database = if good { "off" } else { "postgres" };
    let proxy = json!({ "name": "proxy", "image": "kong:3.9", "env": [{ "name": "KONG_DATABASE", "value": database }] });
    let ingress = json!({ "ports": [{ "name": "http", "port": 80, "targetPort": 8000 }] });
    json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1",
        "kind": "DataPlane",
        "metadata": { "generateName": "reviewed-" },
        "spec": {
            "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } },
            "network": { "services": { "ingress": ingress } },
        },
    })
}

/// Whether the type of the ingress Service, which nobody gave, was filled in.
fn is_defaulted(stored: &DataPlane) -> bool {
    let spec = serde_json::to_value(&stored.spec).unwrap_or_default();
    spec.pointer("/network/services/ingress/type").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_answer_is_a_failure_and_so_is_none_at_all() {
        let mut answers = Answers::default();
        assert!(answers.all_good().is_err());
        answers.add(Ok(Duration::from_millis(3)));
        assert!(answers.all_good().is_ok());
        answers.add(Err("no route to host".into()));
        let error = answers.all_good().unwrap_err().to_string();
        assert!(error.starts_with("1 of 2 creations failed") && error.contains("no route"), "{error}");
        assert!(
            answers.text().starts_with("4 reviews by 2 creations, 1 of which failed; p50 3ms"),
            "{}",
            answers.text()
        );
    }

    #[test]
    fn a_default_is_seen() {
        let mut stored: DataPlane = serde_json::from_value(object(true)).unwrap();
        assert!(!is_defaulted(&stored));
        stored.spec = crds::defaults::dataplane(stored.spec);
        assert!(is_defaulted(&stored));
    }
}
