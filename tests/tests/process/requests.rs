//! The metrics of API requests against the API server's own record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cluster::Cluster;
use serde_json::Value;
use tests::world::Scenario;

use crate::{alone, replaced, restore, small};

/// Requests by verb, group, resource and code.
type Requests = BTreeMap<String, u64>;

/// How long both sides may take to agree: the lease is renewed every 3 s.
const AGREED: Duration = Duration::from_secs(20);

pub async fn the_metrics_count_what_the_api_server_recorded(s: Scenario) -> Result<()> {
    let cluster = &s.world.cluster;
    let mut running = alone(&s.world).await?;
    let operator = replaced(&s.world, &[]).await?;
    s.dataplane("counted", small()).await?;
    s.ready("counted").await?;
    let folder = operator.log().parent().context("no folder")?;
    let credential = credential(&folder.join("operator.kubeconfig"))?;
    let mut seen = (Requests::new(), Requests::new());
    let agreed = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticks.tick().await;
            seen = (counted(&operator.metrics(cluster).await?)?, recorded(cluster, &credential)?);
            if !seen.0.is_empty() && seen.0 == seen.1 {
                return anyhow::Ok(());
            }
        }
    };
    let agreed = tokio::time::timeout(AGREED, agreed).await;
    let (counted, recorded) = &seen;
    let differ = || format!("they do not agree; counted: {counted:#?}\nrecorded: {recorded:#?}");
    agreed.with_context(differ)??;
    for request in [
        "create events.k8s.io events 201",
        "patch apps deployments 201",
        "watch gateway-operator.konghq.com dataplanes 200",
    ] {
        ensure!(counted.contains_key(request), "{request} is not in {counted:#?}");
    }
    println!(
        "{} kinds of requests, {} in all: both sides agree",
        counted.len(),
        counted.values().sum::<u64>()
    );
    operator.terminate()?;
    operator.ended().await?;
    restore(&s.world, &mut running).await
}

/// What the API server calls the operator's token, which no other operator has.
fn credential(kubeconfig: &Path) -> Result<String> {
    let config: Value = serde_json::from_slice(&std::fs::read(kubeconfig)?)?;
    let token = config.pointer("/users/0/user/token").and_then(Value::as_str).context("no token")?;
    let claims = token.split('.').nth(1).context("the token is no JWT")?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
    let id = claims.get("jti").and_then(Value::as_str).context("the token has no id")?;
    Ok(format!("JTI={id}"))
}

fn counted(metrics: &str) -> Result<Requests> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("silverback_api_requests_total{"));
    let one = |line: &str| {
        let (labels, count) = line.split_once("} ").context("no number")?;
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\"")).with_context(|| labels.to_owned())?;
            anyhow::Ok(rest.split('"').next().unwrap_or_default())
        };
        let key = [label("verb")?, label("group")?, label("resource")?, label("code")?].join(" ");
        Ok((key, count.parse()?))
    };
    lines.map(one).collect()
}

/// A watch counts when it begins, everything else when it is answered.
fn recorded(cluster: &Cluster, credential: &str) -> Result<Requests> {
    let mut requests = Requests::new();
    for line in BufReader::new(File::open(cluster.audit_log())?).lines() {
        // The last line may be half written.
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let stage = if text("/verb") == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        let by = "/user/extra/authentication.kubernetes.io~1credential-id/0";
        if text("/stage") != stage || text(by) != credential {
            continue;
        }
        let code = entry.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default();
        let resource = [text("/objectRef/resource"), text("/objectRef/subresource")];
        let resource = resource.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let resource = if resource.is_empty() { "none" } else { &resource };
        let key = format!("{} {} {resource} {code}", text("/verb"), text("/objectRef/apiGroup"));
        *requests.entry(key).or_default() += 1;
    }
    Ok(requests)
}
