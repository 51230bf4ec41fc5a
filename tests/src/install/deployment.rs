//! The operator as its image in pods, as an administrator runs it.
//!
//! In: how many replicas, and how they are started. Out: `manifests/base` applied with that. Never: a Deployment of
//! the tests' own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use cluster::Cluster;
use crds::names::{NAMESPACE, WEBHOOK_CONFIGURATION};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::artifacts::root;
use crate::wait;

/// Name of the Deployment, of its container, and of the service account it runs under.
pub const NAME: &str = "silverback";
/// The label that the Service of the webhooks selects pods by.
pub const SELECTOR: &str = "app.kubernetes.io/name=silverback";

/// As long as a replica may take on a machine that is busy with other tests, twice: they come one after the other.
const ROLLED: Duration = Duration::from_mins(3);
/// As long as it may take the leader to get its lease and to reach itself through the API server.
const STRICT: Duration = Duration::from_mins(1);

/// How the operator is deployed.
#[derive(Clone, Debug)]
pub struct Deploy {
    /// How many pods.
    pub replicas: i32,
    /// More arguments of `silverback run`.
    pub arguments: Vec<String>,
    /// A Secret whose files the pods see, and where.
    pub secret: Option<(String, String)>,
}

impl Default for Deploy {
    fn default() -> Self {
        Self { replicas: 2, arguments: Vec::new(), secret: None }
    }
}

/// Installs the operator from `manifests/base` by kubectl, and waits until all pods are ready.
///
/// # Errors
/// kubectl's own words; or when the pods are not ready in time.
pub async fn deploy(cluster: &Cluster, client: &Client, how: &Deploy) -> Result<()> {
    let folder = tempfile::tempdir()?;
    how.overlay(folder.path())?;
    kustomized(cluster.kubectl()?, folder.path()).await?;
    rolled(client).await
}

/// Applies a kustomization by server-side apply.
///
/// # Errors
/// kubectl's own words.
pub async fn kustomized(mut kubectl: Command, folder: &Path) -> Result<String> {
    super::run(kubectl.args(["apply", "--server-side", "--kustomize"]).arg(folder)).await
}

/// Waits until every pod of the operator is of its latest template and ready.
///
/// # Errors
/// When they are not in time.
pub async fn rolled(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    wait::until(&deployments, NAME, ROLLED, is_rolled).await.map(drop)
}

/// The operator's pods, those that are going too.
///
/// # Errors
/// The API server's.
pub async fn pods(client: &Client) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(pods.list(&ListParams::default().labels(SELECTOR)).await?.items)
}

/// The same, or the failure with what the pods said last.
///
/// # Errors
/// That of the outcome.
pub async fn explained<T>(cluster: &Cluster, outcome: Result<T>) -> Result<T> {
    let Err(error) = outcome else { return outcome };
    let mut kubectl = cluster.kubectl()?;
    kubectl.args(["logs", "--selector", SELECTOR, "--namespace", NAMESPACE, "--prefix", "--tail=20"]);
    let said = super::run(&mut kubectl).await.unwrap_or_else(|error| error.to_string());
    Err(error.context(format!("the operator's pods said:\n{said}")))
}

/// Waits until the webhooks of our kinds are registered, and requests are refused while nobody answers. Returns the
/// generations of the two configurations, which tell of every change.
///
/// # Errors
/// When they are not in time.
pub async fn strict(client: &Client) -> Result<[Option<i64>; 2]> {
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let mutating = wait::until(&mutating, WEBHOOK_CONFIGURATION, STRICT, |found| {
        let policies = found.webhooks.iter().flatten().map(|one| (&one.name, &one.failure_policy));
        refuses(policies.collect())
    });
    let validating = wait::until(&validating, WEBHOOK_CONFIGURATION, STRICT, |found| {
        let policies = found.webhooks.iter().flatten().map(|one| (&one.name, &one.failure_policy));
        refuses(policies.collect())
    });
    let (mutating, validating) = tokio::try_join!(mutating, validating)?;
    Ok([mutating.metadata.generation, validating.metadata.generation])
}

/// Whether the webhook of `DataPlane`s is there, and refuses.
fn refuses(policies: Vec<(&String, &Option<String>)>) -> bool {
    let dataplanes = |name: &str| !name.starts_with("self-test") && name.contains(".dataplanes.");
    let mut ours = policies.into_iter().filter(|(name, _)| dataplanes(name)).peekable();
    ours.peek().is_some() && ours.all(|(_, policy)| policy.as_deref() == Some("Fail"))
}

/// What `kubectl rollout status` waits for.
fn is_rolled(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let status = deployment.status.clone().unwrap_or_default();
    let current = status.observed_generation == deployment.metadata.generation;
    current
        && [status.replicas, status.updated_replicas, status.available_replicas].iter().all(|n| *n == wanted)
}

impl Deploy {
    /// A kustomization over `manifests/base`, as an administrator keeps one in Git.
    fn overlay(&self, folder: &Path) -> Result<()> {
        let base = above(&folder.canonicalize()?).join(root().strip_prefix("/")?).join("manifests/base");
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": [base], "patches": [{ "path": "deployment.yaml" }],
        });
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string())?;
        fs::write(folder.join("deployment.yaml"), self.patch().to_string())?;
        Ok(())
    }

    fn patch(&self) -> Value {
        let mount =
            |(_, path): &(String, String)| json!({ "name": "pair", "mountPath": path, "readOnly": true });
        let volume =
            |(name, _): &(String, String)| json!({ "name": "pair", "secret": { "secretName": name } });
        let mounts: Vec<_> = self.secret.iter().map(mount).collect();
        let volumes: Vec<_> = self.secret.iter().map(volume).collect();
        let container = json!({ "name": NAME, "args": self.arguments, "volumeMounts": mounts });
        let pod = json!({ "containers": [container], "volumes": volumes });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": NAME, "namespace": NAMESPACE },
            "spec": { "replicas": self.replicas, "template": { "spec": pod } },
        })
    }
}

/// The way from a folder up to the root: kustomize takes no absolute paths.
fn above(folder: &Path) -> PathBuf {
    folder.components().skip(1).map(|_| "..").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(status: &Value) -> Deployment {
        let object = json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 2,
            "selector": {}, "template": {} }, "status": status });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn it_is_rolled_when_all_pods_are_new_and_no_old_one_is_left() {
        let all = |generation: i64, replicas: i32, updated: i32, available: i32| {
            is_rolled(&deployment(&json!({ "observedGeneration": generation, "replicas": replicas,
                "updatedReplicas": updated, "availableReplicas": available })))
        };
        assert!(all(2, 2, 2, 2));
        assert!(!all(1, 2, 2, 2) && !all(2, 3, 2, 2) && !all(2, 2, 1, 2) && !all(2, 2, 2, 1));
        assert!(!is_rolled(&deployment(&json!({}))));
    }

    #[test]
    fn an_overlay_mounts_a_secret_where_it_is_asked_for() {
        assert_eq!(Deploy::default().patch()["spec"]["template"]["spec"]["volumes"], json!([]));
        let with = Deploy { secret: Some(("pair".into(), "/certs".into())), ..Deploy::default() };
        let pod = &with.patch()["spec"]["template"]["spec"];
        assert_eq!(pod["volumes"][0]["secret"]["secretName"], "pair");
        assert_eq!(pod["containers"][0]["volumeMounts"][0]["mountPath"], "/certs");
    }

    #[test]
    fn the_way_up_has_a_step_for_each_folder() {
        assert_eq!(above(Path::new("/tmp/a")), Path::new("../.."));
    }
}
