//! Apply, diff, apply: what is stored once is what was asked for, and stays so.
//!
//! In: samples and the good manifests of the table. Out: `kubectl diff` finds nothing after the first apply, and the
//! second one changes nothing.

use anyhow::{Context, Result, bail, ensure};
use cluster::Cluster;
use crds::names::GROUP;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tests::artifacts;
use tests::world::Scenario;

use crate::case::{self, Case};
use crate::{kubectl, live};

/// Of a name, in characters.
const LONGEST: usize = 100;

pub async fn applied_twice_every_good_manifest_is_unchanged(s: Scenario) -> Result<()> {
    live::reviewed(&s).await?;
    let mut manifests = Vec::new();
    for topic in case::all()? {
        let namespace = format!("good-{}", topic.name);
        without_children(&s, &namespace).await?;
        let good = topic.cases.into_iter().filter(is_comparable);
        manifests.extend(good.map(|case| {
            let mut object = case.object;
            object["metadata"]["namespace"] = json!(namespace);
            object
        }));
    }
    ensure!(manifests.len() >= 60, "only {} manifests", manifests.len());
    println!("{} manifests applied", manifests.len());
    twice(&s, &manifests).await
}

pub async fn applied_twice_a_sample_is_unchanged(s: Scenario) -> Result<()> {
    live::reviewed(&s).await?;
    let quota = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
    s.api::<ResourceQuota>().create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    let mut manifests = Vec::new();
    for file in std::fs::read_dir(artifacts::root().join("manifests/samples"))? {
        let file = file?;
        // Here only what the table speaks of of Gateway API's kinds is served.
        if file.file_name().to_string_lossy().starts_with("gateway-") {
            continue;
        }
        let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(file.path())?)?;
        manifests.extend(documents.into_iter().map(|mut object| {
            object["metadata"]["namespace"] = json!(s.namespace);
            object
        }));
    }
    ensure!(!manifests.is_empty());
    println!("{} objects of samples applied", manifests.len());
    twice(&s, &manifests).await
}

/// Whether it can be applied and compared by itself. `kubectl diff` names a file after each object, which not every name
/// leaves room for; and client-side apply does not send a `null` of a list, whichever kind it applies.
fn is_comparable(case: &Case) -> bool {
    let is_short = case.object["metadata"]["name"].as_str().is_some_and(|name| name.len() <= LONGEST);
    case.is_good()
        && case.is_ours()
        && !case.has_past()
        && is_short
        && !case.object.to_string().contains(":null")
}

/// A namespace in which objects are stored and nothing is made of them: the operator begins with a Secret.
async fn without_children(s: &Scenario, name: &str) -> Result<()> {
    live::namespace(s, name).await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(s.world.client.clone(), name);
    let quota = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "secrets": "0" } } });
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    Ok(())
}

async fn twice(s: &Scenario, manifests: &[Value]) -> Result<()> {
    let cluster = &s.world.cluster;
    let apply = async || kubectl::run(cluster, &["apply", "--filename", "-"], manifests).await;
    let first = apply().await?.well()?;
    ensure!(first.out.lines().count() == manifests.len(), "{}", first.out);
    let before = written(cluster, manifests).await?;
    let diff = kubectl::run(cluster, &["diff", "--filename", "-"], manifests).await?;
    ensure!(diff.code == Some(0) && diff.out.is_empty(), "{diff:?}");
    let mut other = manifests.to_vec();
    other[0]["metadata"]["labels"]["changed"] = json!("yes");
    let differs = kubectl::run(cluster, &["diff", "--filename", "-"], &other).await?;
    ensure!(differs.code == Some(1) && differs.out.contains("+    changed: \"yes\""), "{differs:?}");
    let second = apply().await?.well()?;
    let changed: Vec<_> = second.out.lines().filter(|line| !line.ends_with(" unchanged")).collect();
    ensure!(changed.is_empty(), "the second apply changed {changed:?}");
    let after = written(cluster, manifests).await?;
    if let Some((before, after)) = before.iter().zip(&after).find(|(before, after)| before != after) {
        bail!("the second apply wrote:\n{before}\n{after}");
    }
    ensure!(before.len() == after.len());
    Ok(())
}

/// What people wrote of objects of ours, and when: the status, which is the operator's, and what it changes are left out.
async fn written(cluster: &Cluster, manifests: &[Value]) -> Result<Vec<Value>> {
    let ours: Vec<Value> = manifests
        .iter()
        .filter(|manifest| manifest["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP)))
        .cloned()
        .collect();
    let found =
        kubectl::run(cluster, &["get", "--show-managed-fields", "--output=json", "--filename", "-"], &ours)
            .await?;
    let found: Value = serde_json::from_str(&found.well()?.out)?;
    let items = found["items"].as_array().context("no list")?;
    ensure!(items.len() == ours.len(), "{} of {} are there", items.len(), ours.len());
    let one = |item: &Value| json!([live::bare(item), item["metadata"]["generation"], live::managers(item)]);
    Ok(items.iter().map(one).collect())
}
