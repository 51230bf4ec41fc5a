//! What people do to the Secret and to the configurations, and what becomes of it.

use anyhow::{Context, Result, ensure};
use crds::k8s::{Event, Secret, ValidatingWebhookConfiguration};
use crds::names::{NAMESPACE, WEBHOOK_CONFIGURATION, WEBHOOK_SECRET};
use futures::{StreamExt, TryStreamExt};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tests::{artifacts, endpoints, install, wait};

use crate::stage::{Stage, text};

pub async fn a_secret_that_is_deleted_or_spoilt_comes_back(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    stage.alone(None).await?;
    stage.strict().await?;
    let before = stage.at_rest().await?;
    let same = |secret: &Secret| {
        ["ca.crt", "ca.key", "tls.crt", "tls.key"].iter().all(|key| text(secret, key) == text(&before, key))
    };
    // While it runs, all is put back as it was.
    stage.secrets.delete(WEBHOOK_SECRET, &DeleteParams::default()).await?;
    stage.secret(|secret| same(secret) && secret.uid() != before.uid()).await?;
    for key in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
        spoil(&stage, key).await?;
        stage.secret(same).await.with_context(|| format!("{key} was spoilt"))?;
    }
    // Spoilt while nobody looks: made anew, and published.
    for (key, kept) in [("tls.key", true), ("ca.crt", false)] {
        stage.kill().await?;
        spoil(&stage, key).await?;
        stage.alone(None).await?;
        let after = stage.at_rest().await?;
        ensure!((text(&after, "ca.crt") == text(&before, "ca.crt")) == kept, "{key} was spoilt");
    }
    // Without its key the authority serves on until the next one has taken over.
    stage.kill().await?;
    let last = stage.secrets.get(WEBHOOK_SECRET).await?;
    spoil(&stage, "ca.key").await?;
    stage.alone(None).await?;
    let changed = stage.secret(|secret| text(secret, "ca.crt") != text(&last, "ca.crt")).await?;
    ensure!(
        text(&changed, "old-ca.crt") == text(&last, "ca.crt"),
        "the authority in use was not kept for a while"
    );
    stage.at_rest().await?;
    stage.end().await
}

pub async fn what_keeps_a_rotation_from_being_done_is_told(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    stage.alone(None).await?;
    stage.at_rest().await?;
    // What is not understood.
    stage.ask("everything").await?;
    told(&s, "Warning", "NotUnderstood").await?;
    stage.rotate(&["leaf"]).await?;
    told(&s, "Normal", "AsWanted").await?;
    // A Secret that nobody can change comes back as one that can be.
    let immutable = Patch::Merge(json!({ "immutable": true }));
    stage.secrets.patch(WEBHOOK_SECRET, &PatchParams::default(), &immutable).await?;
    stage.ask("leaf").await?;
    told(&s, "Warning", "NotRotated").await?;
    stage.secrets.delete(WEBHOOK_SECRET, &DeleteParams::default()).await?;
    stage.secret(|secret| secret.immutable.is_none()).await?;
    stage.rotate(&["leaf"]).await?;
    stage.end().await
}

/// Waits until the operator has told something of its Secret.
async fn told(s: &Scenario, severity: &str, reason: &str) -> Result<()> {
    let events: Api<Event> = Api::namespaced(s.world.client.clone(), NAMESPACE);
    let ours = |event: &Event| {
        let regarding = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
        let said = (event.type_.as_deref(), event.reason.as_deref());
        regarding == Some(WEBHOOK_SECRET) && said == (Some(severity), Some(reason))
    };
    wait::any(&events, SOON, ours).await.map(drop).context(reason.to_owned())
}

pub async fn what_people_change_in_the_configurations_is_put_back(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    stage.alone(None).await?;
    stage.strict().await?;
    stage.at_rest().await?;
    let wanted = webhooks(&stage.validating.get(WEBHOOK_CONFIGURATION).await?);
    for (what, edit) in edits() {
        let mut spoilt = Value::from(wanted.clone());
        edit(&mut spoilt).context(what)?;
        let fields = Patch::Merge(json!({ "webhooks": spoilt }));
        let edited = stage.validating.patch(WEBHOOK_CONFIGURATION, &PatchParams::default(), &fields).await?;
        ensure!(webhooks(&edited) != wanted, "{what}: the API server took no notice");
        let good = |found: &ValidatingWebhookConfiguration| webhooks(found) == wanted;
        wait::until(&stage.validating, WEBHOOK_CONFIGURATION, SOON, good).await.context(what)?;
    }
    // Deleted and applied again, as a GitOps controller would.
    stage.validating.delete(WEBHOOK_CONFIGURATION, &DeleteParams::default()).await?;
    stage.mutating.delete(WEBHOOK_CONFIGURATION, &DeleteParams::default()).await?;
    let manifests = artifacts::root().join("manifests/webhook");
    install::file(s.world.cluster.kubectl()?, &manifests).await?;
    stage.strict().await?;
    ensure!(webhooks(&stage.validating.get(WEBHOOK_CONFIGURATION).await?) == wanted, "not as it was");
    // Applying the manifests again changes nothing.
    let before = stage.validating.get(WEBHOOK_CONFIGURATION).await?.metadata.generation;
    install::file(s.world.cluster.kubectl()?, &manifests).await?;
    ensure!(
        stage.validating.get(WEBHOOK_CONFIGURATION).await?.metadata.generation == before,
        "manifests write in it"
    );
    stage.end().await
}

pub async fn nothing_is_refused_before_the_webhooks_are_reached(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    stage.alone(None).await?;
    stage.strict().await?;
    // A configuration that is new begins again; and nobody is behind the Service.
    endpoints::withdraw(&s.world.client, 0).await?;
    stage.validating.delete(WEBHOOK_CONFIGURATION, &DeleteParams::default()).await?;
    install::file(s.world.cluster.kubectl()?, &artifacts::root().join("manifests/webhook")).await?;
    let policies = |found: &ValidatingWebhookConfiguration| {
        let policy = |webhook: &Value| webhook.get("failurePolicy").and_then(Value::as_str) == Some("Fail");
        webhooks(found).iter().filter(|webhook| policy(webhook)).count()
    };
    let filled = |found: &ValidatingWebhookConfiguration| !webhooks(found).is_empty();
    wait::until(&stage.validating, WEBHOOK_CONFIGURATION, SOON, filled).await?;
    let events: Api<Event> = Api::namespaced(s.world.client.clone(), NAMESPACE);
    wait::any(&events, SOON, |event| event.reason.as_deref() == Some("NotReached")).await?;
    let found = stage.validating.get(WEBHOOK_CONFIGURATION).await?;
    ensure!(policies(&found) == 1, "only the self-test may refuse: {found:?}");
    // From here on it is reached, and refuses: never the other way round.
    let changes = watcher(stage.validating.clone(), watcher::Config::default()).applied_objects();
    endpoints::publish(&s.world.client, 0, 9443).await?;
    stage.strict().await?;
    let seen: Vec<_> = tokio::time::timeout(
        SOON,
        changes
            .take_while(|found| {
                let more = found.as_ref().is_ok_and(|found| policies(found) == 1);
                async move { more }
            })
            .try_collect(),
    )
    .await??;
    ensure!(seen.iter().all(|found| policies(found) == 1), "{seen:?}");
    // A restart takes nothing back.
    let before = stage.validating.get(WEBHOOK_CONFIGURATION).await?.metadata.generation;
    stage.kill().await?;
    stage.alone(None).await?;
    stage.rotate(&["leaf"]).await?;
    ensure!(
        stage.validating.get(WEBHOOK_CONFIGURATION).await?.metadata.generation == before,
        "a restart wrote in it"
    );
    stage.end().await
}

async fn spoil(stage: &Stage<'_>, key: &str) -> Result<()> {
    let data = json!({ "data": { key: "c3BvaWx0" } });
    stage.secrets.patch(WEBHOOK_SECRET, &PatchParams::default(), &Patch::Merge(data)).await?;
    Ok(())
}

fn webhooks(found: &ValidatingWebhookConfiguration) -> Vec<Value> {
    json!(found).get("webhooks").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What somebody does to the list of webhooks; nothing, where it cannot be done.
type Edit = fn(&mut Value) -> Option<Value>;

fn edits() -> [(&'static str, Edit); 7] {
    [
        ("no webhooks", |webhooks| Some(webhooks.take())),
        ("one fewer", |webhooks| webhooks.as_array_mut()?.pop()),
        ("one more", |webhooks| {
            let mut more = webhooks.get(0)?.clone();
            put(&mut more, "", "name", json!("more.gateway-operator.konghq.com"));
            webhooks.as_array_mut()?.push(more);
            Some(Value::Null)
        }),
        ("other authorities", |webhooks| put(webhooks, "/0/clientConfig", "caBundle", Value::Null)),
        ("another policy", |webhooks| put(webhooks, "/0", "failurePolicy", json!("Ignore"))),
        ("a condition that is never met", |webhooks| {
            put(webhooks, "/0", "matchConditions", json!([{ "name": "never", "expression": "false" }]))
        }),
        ("another selector", |webhooks| {
            put(webhooks, "/0", "objectSelector", json!({ "matchLabels": { "looked-at": "yes" } }))
        }),
    ]
}

/// Sets a field of what is found there.
fn put(value: &mut Value, at: &str, field: &str, to: Value) -> Option<Value> {
    value.pointer_mut(at)?.as_object_mut()?.insert(field.to_owned(), to);
    Some(Value::Null)
}
