//! `--watch-namespaces`: a Role in each of them is all that the operator has.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use crds::DataPlane;
use crds::names::NAMESPACE;
use kube::api::Api;
use serde_json::Value;
use tests::world::Scenario;

use crate::{alone, begin, beside, kubectl, log_since, logged, manifest, small};

/// What the log says of a namespace that is refused.
const SAID: &str = "nothing in this namespace is looked after";

pub async fn only_named_namespaces_are_read(s: Scenario) -> Result<()> {
    let mut running = alone(&s.world).await?;
    let (late, outside) = (beside(&s, "late").await?, beside(&s, "outside").await?);
    let missing = late.namespace.replace("late", "missing");
    kubectl(&s.world, &["delete", "clusterrolebinding", "silverback"]).await?;
    grant(&s, &s.namespace).await?;

    let (log, audit) = (logged(&s.world), std::fs::metadata(s.world.cluster.audit_log())?.len());
    let watched = format!("--watch-namespaces={},{},{missing}", s.namespace, late.namespace);
    let operator = begin(&s.world, &[&watched]).await?;
    for scenario in [&s, &late, &outside] {
        scenario.dataplane("edge", small()).await?;
    }
    s.ready("edge").await?;
    operator
        .says(&s.world.cluster, |said| [&late.namespace, &missing].iter().all(|name| said.contains(*name)))
        .await?;
    for name in [&late.namespace, &missing] {
        let said = log_since(&operator, log)?;
        let count = said.lines().filter(|line| line.contains(SAID) && line.contains(name.as_str())).count();
        ensure!(count == 1, "the log says it {count} times of {name}:\n{said}");
    }
    ensure!(late.api::<DataPlane>().get("edge").await?.status.is_none(), "it read what it may not");

    grant(&s, &late.namespace).await?;
    late.ready("edge").await?;
    kubectl(&s.world, &["create", "namespace", &missing]).await?;
    grant(&s, &missing).await?;
    operator.says(&s.world.cluster, |said| said == "ok").await?;

    let untouched: DataPlane =
        Api::namespaced(s.world.client.clone(), &outside.namespace).get("edge").await?;
    ensure!(untouched.status.is_none(), "a DataPlane outside was looked after");
    let read = places(&s.world.cluster, audit)?;
    let own = [s.namespace.as_str(), &late.namespace, &missing, NAMESPACE].map(str::to_owned);
    ensure!(read == BTreeSet::from(own), "it asked for something in {read:?}");
    operator.kill().await?;

    kubectl(&s.world, &["apply", "--server-side", "--filename", &manifest("manifests/rbac/cluster.yaml")?])
        .await?;
    let operator = running.insert(begin(&s.world, &[]).await?);
    operator.ready(&s.world.cluster).await?;
    outside.ready("edge").await.map(drop)
}

/// Gives the operator its rights in a namespace, as docs/install-namespaced.md says.
async fn grant(s: &Scenario, namespace: &str) -> Result<()> {
    let role = manifest("manifests/rbac/namespaced/role.yaml")?;
    let applied = ["apply", "--server-side", "--namespace", namespace, "--filename", &role];
    kubectl(&s.world, &applied).await.map(drop)
}

/// Namespaces in which the operator has asked for something since the audit log was that long; all of them are
/// the empty name, where it asked for a kind that has namespaces.
fn places(cluster: &Cluster, from: u64) -> Result<BTreeSet<String>> {
    let user = format!("system:serviceaccount:{NAMESPACE}:silverback");
    let mut log = File::open(cluster.audit_log()).context("no audit log")?;
    log.seek(SeekFrom::Start(from))?;
    let mut places = BTreeSet::new();
    for line in BufReader::new(log).lines() {
        // The first and the last line may be halves.
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let has_namespace = !matches!(
            text("/objectRef/resource"),
            "" | "clusterrolebindings"
                | "clusterroles"
                | "customresourcedefinitions"
                | "gatewayclasses"
                | "namespaces"
                | "subjectaccessreviews"
                | "tokenreviews"
                | "validatingwebhookconfigurations"
        );
        if text("/user/username") == user && has_namespace {
            places.insert(text("/objectRef/namespace").to_owned());
        }
    }
    Ok(places)
}
