//! cert-manager issues the certificate of the webhooks and renews it, and its injector tells the API server of the
//! authority: the operator only reads files.

mod issued;

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Options;
use crds::names::{NAMESPACE, WEBHOOK_CONFIGURATION};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tests::install::{self, Deploy};
use tests::reviews::Reviews;
use tests::world::{self, Scenario};
use tests::{artifacts, endpoints, scenarios, wait};

use issued::{Issued, SECRET};

/// Reviews a second.
const RATE: u32 = 100;
/// Long enough for a controller to see a change and act on it.
const SOON: Duration = Duration::from_secs(30);
/// Where the pods see the Secret: the default of `--webhook-certificate-directory`.
const FOLDER: &str = "/etc/silverback/webhook";

fn main() -> ExitCode {
    let options = Options { cert_manager: true, ..Options::default() };
    world::run(options, scenarios![cert_manager_issues_injects_and_renews])
}

async fn cert_manager_issues_injects_and_renews(s: Scenario) -> Result<()> {
    if let Some(operator) = s.world.operator.lock().await.take() {
        endpoints::withdraw(&s.world.client, 0).await?;
        operator.terminate()?;
        operator.ended().await?;
    }
    let issued = Issued::order(&s.world.client).await?;
    let first = issued.certificate(|_| true).await?;
    annotate(&s).await?;
    s.world.cluster.import(&artifacts::image("silverback")?).await?;
    let deploy = Deploy {
        arguments: vec!["--webhook-certificates=files".to_owned()],
        secret: Some((SECRET.to_owned(), FOLDER.to_owned())),
        ..Deploy::default()
    };
    install::deploy(&s.world.cluster, &s.world.client, &deploy).await?;
    injected(&s, &first.authority).await?;
    install::explained(&s.world.cluster, install::strict(&s.world.client).await).await?;
    Reviews::answered(&s.world.cluster, &s.namespace).await?;

    let reviews = Reviews::begin(&s.world.cluster, &s.namespace, RATE).await?;
    let pods = addresses(&s).await?;
    for pod in &pods {
        first.served(&s.world.cluster, *pod, SOON).await?;
    }
    issued.renew().await?;
    let second = issued.certificate(|now| now.leaf != first.leaf).await?;
    ensure!(second.authority == first.authority, "only the leaf is renewed");
    touch(&s).await?;
    for pod in &pods {
        second.served(&s.world.cluster, *pod, SOON).await?;
    }
    let answers = reviews.end().await?;
    eprintln!("renewal by cert-manager: {}", answers.text());
    answers.all_good()
}

/// Has cert-manager put the authority into both configurations, as its documentation says.
async fn annotate(s: &Scenario) -> Result<()> {
    let annotation = format!("cert-manager.io/inject-ca-from={NAMESPACE}/{SECRET}");
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        let mut kubectl = s.world.cluster.kubectl()?;
        install::run(kubectl.args(["annotate", "--overwrite", kind, WEBHOOK_CONFIGURATION, &annotation]))
            .await?;
    }
    Ok(())
}

/// Waits until every webhook has the authority, and it was cert-manager that put it there.
async fn injected(s: &Scenario, authority: &[u8]) -> Result<()> {
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(s.world.client.clone());
    let of = |found: &MutatingWebhookConfiguration| {
        found.webhooks.iter().flatten().map(|one| one.client_config.ca_bundle.clone()).collect()
    };
    told(&mutating, authority, of).await?;
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(s.world.client.clone());
    let of = |found: &ValidatingWebhookConfiguration| {
        found.webhooks.iter().flatten().map(|one| one.client_config.ca_bundle.clone()).collect()
    };
    told(&validating, authority, of).await
}

async fn told<K>(api: &Api<K>, authority: &[u8], of: impl Fn(&K) -> Vec<Option<ByteString>>) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    // cert-manager keeps the authorities that were trusted before, here the operator's own, until they end.
    let has = |bundle: &ByteString| bundle.0.windows(authority.len()).any(|part| part == authority);
    let all = |found: &K| {
        let bundles = of(found);
        !bundles.is_empty() && bundles.iter().flatten().filter(|one| has(one)).count() == bundles.len()
    };
    let found = wait::until(api, WEBHOOK_CONFIGURATION, SOON, all).await?;
    let managers: Vec<_> =
        found.managed_fields().iter().filter_map(|entry| entry.manager.as_deref()).collect();
    ensure!(managers.contains(&"cert-manager-cainjector"), "put there by one of {managers:?}");
    Ok(())
}

/// Where the pods answer reviews.
async fn addresses(s: &Scenario) -> Result<Vec<SocketAddr>> {
    let pods = install::pods(&s.world.client).await?;
    let address = |pod: &Pod| {
        let ip =
            pod.status.as_ref().and_then(|status| status.pod_ip.clone()).context("a pod has no address")?;
        Ok(SocketAddr::new(ip.parse::<IpAddr>()?, 9443))
    };
    pods.iter().map(address).collect()
}

/// Changes the pods, whereupon the kubelet writes their volumes anew: else it does so about every minute.
async fn touch(s: &Scenario) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(s.world.client.clone(), NAMESPACE);
    let change = json!({ "metadata": { "annotations": { "silverback.dev/touched": "renewed" } } });
    for pod in install::pods(&s.world.client).await? {
        pods.patch(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&change)).await?;
    }
    Ok(())
}
