//! Secrets and `ConfigMaps` of others: the operator knows their names, and nothing more.

use anyhow::{Context, Result, ensure};
use crds::k8s::{ByteString, ConfigMap, ObjectMeta, Secret};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, PostParams};
use tests::operator::Operator;
use tests::world::{SOON, Scenario, World};

use crate::{alone, begin};

/// Of each kind.
const COUNT: usize = 30;
/// Bytes of data of each: near the most that the API server takes.
const SIZE: usize = 1_000_000;
/// Bytes of annotations of each: near the most that the API server takes (256 KiB).
const NOTES: usize = 200_000;
/// What all of them may add to the operator's memory, in bytes.
const GROWTH: f64 = 2e6;

pub async fn secrets_and_config_maps_of_others_cost_their_names(s: Scenario) -> Result<()> {
    let mut running = alone(&s.world).await?;
    let operator = fresh(&s.world).await?;
    let (before, known) = (operator.heap()?, known_to(&operator, &s.world).await?);
    fill(&s).await?;
    let all = async {
        while known_to(&operator, &s.world).await? < known + 2 * COUNT {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(SOON, all).await.context("it does not learn of all of them")??;
    println!("{before} bytes before, {} when all had come", operator.heap()?);
    operator.kill().await?;
    let operator = running.insert(fresh(&s.world).await?);
    let after = operator.heap()?;
    println!("{after} bytes after a start with all of them");
    ensure!(after - before < GROWTH, "{COUNT} large objects of each kind cost {} bytes", after - before);
    Ok(())
}

async fn fresh(world: &World) -> Result<Operator> {
    let mut operator = begin(world, &[]).await?;
    operator.ready(&world.cluster).await?;
    Ok(operator)
}

async fn fill(s: &Scenario) -> Result<()> {
    let notes = [("example.com/notes".to_owned(), "x".repeat(NOTES))];
    let meta = |number: usize| ObjectMeta {
        name: Some(format!("large-{number}")),
        annotations: Some(notes.clone().into()),
        ..ObjectMeta::default()
    };
    let (secrets, maps): (Api<Secret>, Api<ConfigMap>) = (s.api(), s.api());
    let params = PostParams::default();
    let made = stream::iter(0..COUNT).map(anyhow::Ok).try_for_each_concurrent(4, async |number| {
        let data = [("data".to_owned(), ByteString(vec![b'x'; SIZE]))].into();
        secrets
            .create(&params, &Secret { metadata: meta(number), data: Some(data), ..Secret::default() })
            .await?;
        let data = [("data".to_owned(), "x".repeat(SIZE))].into();
        maps.create(&params, &ConfigMap { metadata: meta(number), data: Some(data), ..ConfigMap::default() })
            .await?;
        Ok(())
    });
    made.await
}

async fn known_to(operator: &Operator, world: &World) -> Result<usize> {
    count(&operator.metrics(&world.cluster).await?)
}

/// Names of both kinds that the operator knows.
fn count(metrics: &str) -> Result<usize> {
    let of = |kind: &str| value(metrics, &format!("silverback_store_objects{{kind=\"{kind} metadata\"}} "));
    let all = of("Secret")? + of("ConfigMap")?;
    format!("{all:.0}").parse().context("a count is a number")
}

fn value(metrics: &str, name: &str) -> Result<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.with_context(|| format!("no metric {name}in:\n{metrics}"))?.parse().context("a value is a number")
}
