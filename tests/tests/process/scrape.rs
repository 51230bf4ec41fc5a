//! Who may read `/metrics`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crds::k8s::ServiceAccount;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use kube::api::PostParams;
use serde_json::json;
use tests::world::{Scenario, World};
use tests::{http, install};

use crate::secure::Trusting;
use crate::start;

const AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
/// How long a refusal may be remembered, and a busy machine may take.
const HEARD: Duration = Duration::from_secs(30);

pub async fn metrics_beyond_this_machine_are_for_those_who_may_read_them(s: Scenario) -> Result<()> {
    let cluster = &s.world.cluster;
    let standby = start(&s, 2, "--metrics-bind-address=[::]:8443").await?;
    let client = Trusting::new(&s.world.client, &s.namespace).await?;
    // The name of the Service that a scraper would go through.
    let service = format!("silverback-metrics.{}.svc", s.namespace);
    let get = async |token: Option<&str>| client.get(cluster, (AT, &service), "/metrics", token).await;

    let (status, words) = get(None).await?;
    ensure!(status == 401 && words.contains("a bearer token is needed"), "{status} {words}");
    let (status, words) = get(Some("rubbish")).await?;
    ensure!(status == 401 && words.contains("does not know this token"), "{status} {words}");

    let (poor, reader) = (token(&s, "poor").await?, token(&s, "reader").await?);
    let (status, words) = get(Some(&poor)).await?;
    let who = format!("system:serviceaccount:{}:poor", s.namespace);
    ensure!(status == 403 && words.contains(&who) && words.contains("/metrics"), "{status} {words}");

    bind(&s, "reader").await?;
    let (status, numbers) = get(Some(&reader)).await?;
    ensure!(status == 200 && numbers.contains("silverback_build_info{"), "{status} {numbers}");
    ensure!(numbers.lines().any(|line| line == "silverback_leader 0"), "it leads: {numbers}");
    for name in ["localhost", "127.0.0.1"] {
        let (status, _) = client.get(cluster, (AT, name), "/metrics", Some(&reader)).await?;
        ensure!(status == 200, "{status} for {name}");
    }

    // The right comes to who was refused before, without a restart.
    bind(&s, "poor").await?;
    let heard = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        while get(Some(&poor)).await?.0 != 200 {
            ticks.tick().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(HEARD, heard).await.context("the right does not come")??;

    let stranger = client.get(cluster, (AT, "example.org"), "/metrics", Some(&reader)).await;
    let refused = format!("{:#}", stranger.err().context("any name will do")?);
    ensure!(refused.contains("certificate"), "{refused}");
    let plain = http::get(cluster, AT, &service, "/metrics").await;
    ensure!(plain.is_err(), "it answers without TLS: {plain:?}");
    standby.terminate()?;
    standby.ended().await.map(drop)
}

/// Makes a service account and gets a token of it.
async fn token(s: &Scenario, name: &str) -> Result<String> {
    let accounts = s.api::<ServiceAccount>();
    let account = json!({ "metadata": { "name": name } });
    accounts.create(&PostParams::default(), &serde_json::from_value(account)?).await?;
    let request = TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
    answer.status.and_then(|status| status.token).context("the API server gave no token")
}

/// Gives a service account the role of `manifests/rbac`.
async fn bind(s: &Scenario, name: &str) -> Result<()> {
    let World { cluster, .. } = &*s.world;
    let account = format!("--serviceaccount={}:{name}", s.namespace);
    let role = ["create", "clusterrolebinding", name, "--clusterrole=silverback-metrics-reader", &account];
    install::run(cluster.kubectl()?.args(role)).await.map(drop)
}
