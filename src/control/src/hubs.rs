//! The watch stores of the process: one watch per kind, of what we own only.

use crds::DataPlane;
use crds::k8s::{Deployment, HorizontalPodAutoscaler, Pod, PodDisruptionBudget, Secret, Service};
use crds::names::{labels, values};
use kube::Client;
use kube::runtime::watcher;
use runtime::Hub;
use runtime::hub::Watched;
use runtime::metrics::Metrics;
use tokio::task::JoinSet;

/// A store for each kind that is read.
#[derive(Clone)]
pub struct Hubs {
    /// All of them, as users wrote them.
    pub dataplanes: Hub<DataPlane>,
    /// Those of a `DataPlane`.
    pub deployments: Hub<Deployment>,
    /// Those of a `DataPlane`.
    pub services: Hub<Service>,
    /// Those of a `DataPlane`.
    pub autoscalers: Hub<HorizontalPodAutoscaler>,
    /// Those of a `DataPlane`.
    pub budgets: Hub<PodDisruptionBudget>,
    /// Certificates of a `DataPlane`.
    pub secrets: Hub<Secret>,
    /// Those of a `DataPlane`; read only, to say why they do not run.
    pub pods: Hub<Pod>,
}

impl Hubs {
    /// Starts the watches in `tasks`.
    pub fn start(client: &Client, metrics: &Metrics, tasks: &mut JoinSet<()>) -> Self {
        let ours =
            watcher::Config::default().labels(&format!("{}={}", labels::MANAGED_BY, values::DATAPLANE));
        Self {
            dataplanes: start(client, watcher::Config::default(), metrics, tasks),
            deployments: start(client, ours.clone(), metrics, tasks),
            services: start(client, ours.clone(), metrics, tasks),
            autoscalers: start(client, ours.clone(), metrics, tasks),
            budgets: start(client, ours.clone(), metrics, tasks),
            secrets: start(client, ours.clone(), metrics, tasks),
            pods: start(client, ours, metrics, tasks),
        }
    }

    /// Waits until every store holds its first list.
    pub async fn synced(&self) {
        let Self { dataplanes, deployments, services, autoscalers, budgets, secrets, pods } = self;
        tokio::join!(
            dataplanes.synced(),
            deployments.synced(),
            services.synced(),
            autoscalers.synced(),
            budgets.synced(),
            secrets.synced(),
            pods.synced(),
        );
    }
}

fn start<K: Watched>(
    client: &Client,
    config: watcher::Config,
    metrics: &Metrics,
    tasks: &mut JoinSet<()>,
) -> Hub<K> {
    let (hub, drive) = Hub::watch(client.clone(), config, metrics.clone());
    tasks.spawn(drive);
    hub
}
