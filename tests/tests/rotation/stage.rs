//! Operators whose authority changes fast, in the place of the one that the box came with.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use crds::k8s::{MutatingWebhookConfiguration, Secret, ValidatingWebhookConfiguration};
use crds::names::{NAMESPACE, WEBHOOK_CONFIGURATION, WEBHOOK_SECRET, annotations};
use futures::TryStreamExt;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tests::operator::Webhooks;
use tests::world::{SOON, Scenario, World};
use tests::{Operator, Setup, artifacts, endpoints, install, wait};
use tokio::sync::MutexGuard;

/// How long a new authority is published before it signs; the old one stays ten times as long.
pub const GRACE: Duration = Duration::from_millis(200);

/// The box, for one scenario at a time.
pub struct Stage<'a> {
    pub world: &'a World,
    pub operators: Vec<Operator>,
    pub secrets: Api<Secret>,
    pub mutating: Api<MutatingWebhookConfiguration>,
    pub validating: Api<ValidatingWebhookConfiguration>,
    folders: Vec<tempfile::TempDir>,
    running: MutexGuard<'a, Option<Operator>>,
}

impl<'a> Stage<'a> {
    /// Waits for its turn; nothing runs then.
    pub async fn take(s: &'a Scenario) -> Result<Self> {
        let world = s.world.as_ref();
        let mut running = world.operator.lock().await;
        if let Some(operator) = running.take() {
            operator.kill().await?;
        }
        // What a scenario that failed has left; there is mostly nothing.
        for number in 0..2 {
            endpoints::withdraw(&world.client, number).await.ok();
        }
        let client = || world.client.clone();
        Ok(Self {
            world,
            operators: Vec::new(),
            secrets: Api::namespaced(client(), NAMESPACE),
            mutating: Api::all(client()),
            validating: Api::all(client()),
            folders: Vec::new(),
            running,
        })
    }

    /// Starts an operator that leads at once, by way of `server` where that is given, and waits until it is ready.
    pub async fn alone(&mut self, server: Option<String>) -> Result<()> {
        self.start(vec!["--no-leader-election".to_owned()], server).await
    }

    /// Starts one more operator beside others, and waits until it is ready.
    pub async fn beside(&mut self) -> Result<()> {
        self.start(Vec::new(), None).await
    }

    async fn start(&mut self, arguments: Vec<String>, server: Option<String>) -> Result<()> {
        let operator = self.begin(arguments, server).await?;
        self.operators.push(operator);
        let last = self.operators.last_mut().context("none")?;
        last.ready(&self.world.cluster).await
    }

    async fn begin(&mut self, mut arguments: Vec<String>, server: Option<String>) -> Result<Operator> {
        arguments.push(format!("--webhook-authority-grace={}ms", GRACE.as_millis()));
        let setup = Setup {
            arguments,
            server,
            number: u16::try_from(self.operators.len())?,
            webhooks: Webhooks::Served,
            ..Setup::default()
        };
        let folder = tempfile::tempdir()?;
        let operator =
            Operator::begin(&setup, &self.world.cluster, &artifacts::operator()?, folder.path()).await?;
        self.folders.push(folder);
        Ok(operator)
    }

    /// Waits until the webhooks refuse what nobody answers.
    pub async fn strict(&self) -> Result<()> {
        let told = install::strict(&self.world.client).await.map(drop);
        told.with_context(|| self.last_words())
    }

    /// Asks for rotations one after the other; each has begun before the next is asked for. All of it by one watch: to
    /// begin one for each would take longer than the rotation.
    pub async fn rotate(&self, all: &[&str]) -> Result<()> {
        let one = watcher::Config::default().fields(&format!("metadata.name={WEBHOOK_SECRET}"));
        let mut seen = std::pin::pin!(watcher(self.secrets.clone(), one).applied_objects());
        for what in all {
            let asked = version(&self.ask(what).await?);
            let begun = async {
                while let Some(secret) = seen.try_next().await? {
                    if version(&secret) > asked && !secret.annotations().contains_key(annotations::ROTATE) {
                        return Ok(());
                    }
                }
                bail!("the watch ended")
            };
            let begun = tokio::time::timeout(SOON, begun).await;
            begun.with_context(|| format!("{what} is not rotated; {}", self.last_words()))??;
        }
        Ok(())
    }

    /// Asks for a rotation.
    pub async fn ask(&self, what: &str) -> Result<Secret> {
        let asked = json!({ "metadata": { "annotations": { annotations::ROTATE: what } } });
        Ok(self.secrets.patch(WEBHOOK_SECRET, &PatchParams::default(), &Patch::Merge(asked)).await?)
    }

    /// Waits until the Secret is so.
    pub async fn secret(&self, good: impl Fn(&Secret) -> bool) -> Result<Secret> {
        let found = wait::until(&self.secrets, WEBHOOK_SECRET, SOON, good).await;
        found.with_context(|| self.last_words())
    }

    /// What the operators said last, for whoever wonders why they did something.
    pub fn last_words(&self) -> String {
        let words: Vec<_> = self.operators.iter().map(Operator::last_words).collect();
        format!("the operators' last words: {}", words.join("\n---\n"))
    }

    /// Waits until no rotation is under way and every webhook trusts the authority in use, and no other.
    pub async fn at_rest(&self) -> Result<Secret> {
        let secret = self.secret(is_settled).await?;
        let wanted = text(&secret, "ca.crt");
        let published = |found: Value| bundles(&found).iter().all(|bundle| bundle.trim() == wanted.trim());
        let name = WEBHOOK_CONFIGURATION;
        wait::until(&self.mutating, name, SOON, |found| published(json!(found))).await?;
        wait::until(&self.validating, name, SOON, |found| published(json!(found))).await?;
        Ok(secret)
    }

    /// Ends all operators at once.
    pub async fn kill(&mut self) -> Result<()> {
        for (number, operator) in self.operators.drain(..).enumerate() {
            operator.kill().await?;
            endpoints::withdraw(&self.world.client, u16::try_from(number)?).await?;
        }
        Ok(())
    }

    /// Leaves the box to the next scenario.
    pub async fn end(mut self) -> Result<()> {
        self.kill().await?;
        *self.running = None;
        Ok(())
    }
}

/// Whether no rotation is under way, and none is asked for.
pub fn is_settled(secret: &Secret) -> bool {
    let absent = |key: &str| text(secret, key).is_empty();
    let asked = secret.annotations().contains_key(annotations::ROTATE);
    !asked && absent("next-ca.crt") && absent("old-ca.crt") && !absent("tls.crt") && !absent("ca.crt")
}

/// Versions of one kind can be compared as numbers (KEP-5504).
fn version(secret: &Secret) -> u64 {
    secret.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// What is in a Secret under a key; nothing, where there is nothing.
pub fn text(secret: &Secret, key: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.clone());
    String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
}

/// The authorities that each webhook of a configuration trusts; one empty text where there is no webhook.
pub fn bundles(configuration: &Value) -> Vec<String> {
    let webhooks =
        configuration.get("webhooks").and_then(Value::as_array).filter(|webhooks| !webhooks.is_empty());
    let bundle = |webhook: &Value| {
        let encoded = webhook.pointer("/clientConfig/caBundle").cloned().unwrap_or_default();
        let bytes: crds::k8s::ByteString = serde_json::from_value(encoded).unwrap_or_default();
        String::from_utf8(bytes.0).unwrap_or_default()
    };
    webhooks.map_or_else(|| vec![String::new()], |webhooks| webhooks.iter().map(bundle).collect())
}
