//! The instances of Kong: ready ones, and those that are waited for.
//! In: endpoints and answers to `GET /status`. Out: whom to push to. Never pushes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::client::Client;
use super::endpoints::Endpoint;
use super::root;
use crate::log;
use crate::settings::Settings;

/// An instance that answers.
pub struct Node {
    /// Its admin API.
    pub client: Client,
    /// The configuration that it took last.
    pub taken: Mutex<Option<Arc<str>>>,
}

/// All instances.
pub struct Nodes {
    settings: Arc<Settings>,
    known: Mutex<Known>,
    /// One check at a time.
    checking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    ready: BTreeMap<Endpoint, Arc<Node>>,
    /// Endpoints without a client, and whether they had one before.
    pending: BTreeMap<Endpoint, bool>,
}

/// Makes a client of an endpoint: `GET /status` must be good, and `GET /` must name a version.
///
/// # Errors
/// Where the instance is not ready, or KIC would not take it.
pub async fn meet(settings: &Settings, endpoint: &Endpoint) -> Result<Arc<Node>, String> {
    let client = Client::new(settings, endpoint)?;
    good(&client).await?;
    root::version(&client.get("/").await?.json())?;
    Ok(Arc::new(Node { client, taken: Mutex::default() }))
}

async fn good(client: &Client) -> Result<(), String> {
    let answer = client.get("/status").await?;
    if answer.status.is_success() { Ok(()) } else { Err(format!("GET /status: {}", answer.status)) }
}

impl Nodes {
    /// Instances that were met.
    pub fn new(settings: Arc<Settings>, met: Vec<(Endpoint, Arc<Node>)>) -> Self {
        let known = Known { ready: met.into_iter().collect(), pending: BTreeMap::new() };
        Self { settings, known: Mutex::new(known), checking: tokio::sync::Mutex::default() }
    }

    /// Those that are ready.
    pub fn ready(&self) -> Vec<Arc<Node>> {
        self.lock().ready.values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the endpoints that there are now: what is gone is forgotten, what is new is met.
    pub async fn discovered(&self, now: &BTreeSet<Endpoint>) {
        {
            let mut known = self.lock();
            known.ready.retain(|endpoint, _| now.contains(endpoint));
            known.pending.retain(|endpoint, _| now.contains(endpoint));
            for endpoint in now {
                if !known.ready.contains_key(endpoint) {
                    known.pending.entry(endpoint.clone()).or_insert(false);
                }
            }
        }
        self.check().await;
    }

    /// Asks every instance whether it is ready.
    pub async fn check(&self) {
        let _one = self.checking.lock().await;
        let [_, timeout] = self.settings.readiness();
        let (ready, pending) = {
            let known = self.lock();
            (known.ready.clone(), known.pending.clone())
        };
        let lost = ready.into_iter().map(|(endpoint, node)| async move {
            let answer = tokio::time::timeout(timeout, good(&node.client)).await;
            match answer.unwrap_or_else(|_| Err("context deadline exceeded".to_owned())) {
                Ok(()) => None,
                Err(error) => {
                    log::info(&format!(
                        "AdminAPI client {} is no longer ready, moving it to pending: {error}",
                        endpoint.base
                    ));
                    Some(endpoint)
                }
            }
        });
        let met = pending.into_iter().map(|(endpoint, before)| async move {
            let wanted = self.wanted(&endpoint, before);
            let answer = tokio::time::timeout(timeout, meet(&self.settings, &wanted)).await;
            match answer.unwrap_or_else(|_| Err("context deadline exceeded".to_owned())) {
                Ok(node) => Some((endpoint, node)),
                Err(error) => {
                    log::debug(&format!("AdminAPI client {} is not ready yet: {error}", endpoint.base));
                    None
                }
            }
        });
        let (lost, met) = futures::join!(futures::future::join_all(lost), futures::future::join_all(met));
        self.settle(lost.into_iter().flatten().collect(), met.into_iter().flatten().collect());
    }

    /// How a client of an endpoint is made again. Releases from 3.4.3 on forgot the name of the certificate then, until
    /// 3.4.16 and 3.5.9: such a client never verifies.
    fn wanted(&self, endpoint: &Endpoint, before: bool) -> Endpoint {
        let release = self.settings.release;
        let forgets = before && release.since(4, 3) && !release.carries(16, 9);
        Endpoint { name: endpoint.name.clone().filter(|_| !forgets), ..endpoint.clone() }
    }

    fn settle(&self, lost: Vec<Endpoint>, met: Vec<(Endpoint, Arc<Node>)>) {
        let mut known = self.lock();
        for endpoint in lost {
            if known.ready.remove(&endpoint).is_some() {
                known.pending.insert(endpoint, true);
            }
        }
        for (endpoint, node) in met {
            // It may be gone from the slices meanwhile.
            if known.pending.remove(&endpoint).is_some() {
                log::info(&format!("AdminAPI client {} is ready", endpoint.base));
                known.ready.insert(endpoint, node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_releases_forget_the_name_of_a_certificate() {
        let endpoint = Endpoint { base: "https://10.0.0.1:8444".into(), name: Some("pod.a.b.svc".into()) };
        let kept = |release: &str, before: bool| {
            let service = ("CONTROLLER_PUBLISH_SERVICE".to_owned(), "a/b".to_owned());
            let settings = Settings::read(release, &[], &[service]).unwrap();
            Nodes::new(Arc::new(settings), vec![]).wanted(&endpoint, before).name.is_some()
        };
        assert_eq!(
            ["3.4.2", "3.4.8", "3.4.16", "3.5.8", "3.5.9"].map(|release| kept(release, true)),
            [true, false, true, false, true]
        );
        assert!(kept("3.5.8", false));
    }
}
