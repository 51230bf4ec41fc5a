//! Listeners for streams: TCP, and TLS that is passed through to who ends it.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use crds::k8s::{CustomResourceDefinition, Secret};
use crds::{conditions, names};
use gateway_api::gateways::Gateway;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::http;
use tests::world::{SOON, Scenario};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::certificates::{pair, put};
use super::routed::{CONFIGURED, backend, class_of_kic, configured, shown};
use super::{address, change, gateway, http as plain, listener, of_listener, until};

/// The version in which Kong Ingress Controller 3.5 reads routes of streams.
const VERSION: &str = "v1alpha2";

pub async fn streams_reach_their_backends(s: Scenario) -> Result<()> {
    for plural in ["tcproutes", "tlsroutes"] {
        serve_old(&s, plural).await?;
    }
    class_of_kic(&s).await?;
    backend(&s, "echo").await?;
    let (certificate, key) = pair()?;
    put(&s.api::<Secret>(), "kubernetes.io/tls", &certificate, &key).await?;
    let tcp = json!({ "name": "tcp", "port": 9000, "protocol": "TCP" });
    let tls = json!({ "name": "tls", "port": 9443, "protocol": "TLS", "hostname": "a.example", "tls": { "mode": "Passthrough" } });
    let https = json!({ "name": "https", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "site" }] } });
    gateway(&s, "edge", json!({ "listeners": [tcp, tls, https] })).await?;
    stream(&s, "TCPRoute", json!({ "name": "edge", "sectionName": "tcp" }), ("echo", 80)).await?;
    // TLS that is not ended here arrives at the listener that ends it, and is answered with that one's certificate.
    let ends = names::ingress_service("edge");
    stream(&s, "TLSRoute", json!({ "name": "edge", "sectionName": "tls" }), (&ends, 443)).await?;
    let object = configured(&s, "edge").await?;
    let to = |port| Ok::<_, anyhow::Error>(SocketAddr::new(address(&object)?, port));
    http::until(&s.world.cluster, to(9000)?, "/tcp", CONFIGURED, |a| a.body.contains("\"path\":\"/tcp\""))
        .await?;
    let mut stream = shown(&s, to(9443)?, &certificate).await?;
    stream.write_all(b"GET /tls HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    // An end without a TLS close is an error that does not matter.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    // Ended on the way, it would arrive without TLS at a port that asks for it: 400.
    ensure!(answer.starts_with("HTTP/1.1 404") && answer.contains("no Route matched"), "{answer}");
    let counted = |object: &Gateway| {
        ["tcp", "tls"]
            .iter()
            .all(|name| listener(object, name).is_some_and(|found| found.attached_routes == 1))
    };
    let object = until(&s, "edge", counted).await?;
    let kinds = |name: &str| -> Vec<_> {
        let found = listener(&object, name).and_then(|found| found.supported_kinds.clone());
        found.unwrap_or_default().into_iter().map(|kind| kind.kind).collect()
    };
    ensure!((kinds("tcp"), kinds("tls")) == (vec!["TCPRoute".into()], vec!["TLSRoute".into()]));
    a_listener_that_goes_closes_its_port(&s, to(9000)?).await
}

/// Has the API server serve the version that the definitions of Gateway API 1.6 hold and no longer serve.
pub async fn serve_old(s: &Scenario, plural: &str) -> Result<()> {
    let all: Api<CustomResourceDefinition> = Api::all(s.world.client.clone());
    let name = format!("{plural}.gateway.networking.k8s.io");
    let versions = all.get(&name).await?.spec.versions;
    let at = versions.iter().position(|version| version.name == VERSION).context("no v1alpha2")?;
    let path = format!("/spec/versions/{at}/served");
    let change: Patch<Value> =
        Patch::Json(serde_json::from_value(json!([{ "op": "replace", "path": path, "value": true }]))?);
    all.patch(&name, &PatchParams::default(), &change).await?;
    Ok(())
}

/// Makes a route of that kind; the API server may need a moment until it serves the version.
pub async fn stream(s: &Scenario, kind: &str, parent: Value, (backend, port): (&str, u16)) -> Result<()> {
    let plural = format!("{}s", kind.to_lowercase());
    let api_version = format!("gateway.networking.k8s.io/{VERSION}");
    let resource = ApiResource {
        group: "gateway.networking.k8s.io".into(),
        version: VERSION.into(),
        api_version: api_version.clone(),
        kind: kind.into(),
        plural: plural.clone(),
    };
    let mut spec =
        json!({ "parentRefs": [parent], "rules": [{ "backendRefs": [{ "name": backend, "port": port }] }] });
    if kind == "TLSRoute" {
        spec["hostnames"] = json!(["a.example"]);
    }
    let object =
        json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "stream" }, "spec": spec });
    let api: Api<DynamicObject> = Api::namespaced_with(s.world.client.clone(), &s.namespace, &resource);
    let object = serde_json::from_value(object)?;
    let made = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
        loop {
            ticks.tick().await;
            match api.create(&PostParams::default(), &object).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
    };
    tokio::time::timeout(SOON, made).await.with_context(|| format!("{plural} are not served"))??;
    Ok(())
}

async fn a_listener_that_goes_closes_its_port(s: &Scenario, to: SocketAddr) -> Result<()> {
    change(s, "edge", json!({ "listeners": [plain("http", 80)] })).await?;
    until(s, "edge", |object| of_listener(object, "http", "Programmed") == Some(("True", "Programmed")))
        .await?;
    let dataplane: crds::DataPlane = s.api().get("edge").await?;
    ensure!(conditions::holds(dataplane.conditions(), "RolledOut"), "{:?}", dataplane.status);
    ensure!(http::get(&s.world.cluster, to, "any", "/tcp").await.is_err(), "the port of TCP is still open");
    Ok(())
}
