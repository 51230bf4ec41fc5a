//! Listeners for TCP, and one with TLS; kinds whose definitions come later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use certs::client::{Trusts, client};
use certs::{Authority, Request};
use serde_json::{Value, json};
use tests::world::{SOON, Scenario};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::manifests::{class, gateway, prefix, route};
use crate::stage::{Stage, holds};

/// Between two tries.
const LOOK: Duration = Duration::from_millis(200);
/// The definition that KIC 3.5 knows in a version which is no longer served.
const DEFINITION: &str = "tcproutes.gateway.networking.k8s.io";

/// Has the API server serve the old version too.
async fn serve_old(stage: &Stage) -> Result<()> {
    let name = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": DEFINITION } });
    let found = stage.get(&name).await?;
    let versions = found["spec"]["versions"].as_array().context("no versions")?;
    let at = versions.iter().position(|version| version["name"] == "v1alpha2").context("no v1alpha2")?;
    stage
        .patch(
            &name,
            &json!([{ "op": "replace", "path": format!("/spec/versions/{at}/served"), "value": true }]),
        )
        .await
}

pub async fn streams_and_certificates_are_served(scenario: Scenario) -> Result<()> {
    let stage = Stage::begin(scenario).await?;
    let own = stage.namespace().to_owned();
    stage.serve(1, &[("CONTROLLER_FEATURE_GATES", "GatewayAlpha=true")]).await?;
    let class = class(&own, true);
    let mut gateway = gateway(&own);
    gateway["spec"]["listeners"] = json!([
        { "name": "tcp", "port": 9000, "protocol": "TCP" },
        { "name": "https", "port": 443, "protocol": "HTTPS", "hostname": "a.test",
            "tls": { "certificateRefs": [{ "name": "site" }] } },
    ]);
    let first = site(&stage).await?;
    for object in [&class, &gateway, &route("r", &prefix("/"))] {
        stage.apply(object).await?;
    }
    secured(&stage, &first).await?;
    // A renewed certificate is shown without anybody being asked.
    let second = site(&stage).await?;
    secured(&stage, &second).await?;
    let tcp = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": { "name": "t" },
        "spec": { "parentRefs": [{ "name": "gw", "sectionName": "tcp" }],
            "rules": [{ "backendRefs": [{ "name": "echo", "port": 80 }] }] } });
    stage.apply(&tcp).await?;
    serve_old(&stage).await?;
    let done = |r: &Value| {
        holds(&r["status"]["parents"][0]["conditions"], "Programmed", "True", "ConfiguredInGateway")
    };
    stage.until(&tcp, done).await?;
    let to = SocketAddr::new(stage.proxy().await?.ip(), 9000);
    let cluster = &stage.scenario.world.cluster;
    let answer = tests::http::until(cluster, to, "/tcp", SOON, |answer| answer.status == 200).await?;
    ensure!(answer.body.contains("/tcp"), "{}", answer.body);
    stage.delete(&class).await?;
    stage.end().await
}

/// Writes a new certificate for the listener, and gives the authority that signed it.
async fn site(stage: &Stage) -> Result<String> {
    let now = SystemTime::now();
    let authority = Authority::make("site", now)?;
    let pair = authority.issue(&Request::server(["a.test"]), now)?;
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": { "name": "site" },
        "stringData": { "tls.crt": pair.certificate, "tls.key": pair.key } });
    stage.apply(&secret).await?;
    Ok(authority.certificate().to_owned())
}

/// Asks by TLS until that authority's certificate is shown, and the backend answers.
async fn secured(stage: &Stage, authority: &str) -> Result<()> {
    let to = SocketAddr::new(stage.proxy().await?.ip(), 443);
    let mut last = String::new();
    let asked = async {
        loop {
            match secure(stage, to, authority).await {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => return,
                Ok(answer) => last = answer,
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let asked = tokio::time::timeout(SOON, asked).await;
    asked.with_context(|| format!("https://{to} was not answered as it should: {last}"))
}

async fn secure(stage: &Stage, to: SocketAddr, authority: &str) -> Result<String> {
    let stream = stage.scenario.world.cluster.connect(to).await?;
    let config = client(Trusts::Authorities(authority), SystemTime::now())?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect("a.test".try_into()?, stream).await?;
    stream.write_all(b"GET /secure HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    // The end without a TLS close is an error that does not matter.
    let _ = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
