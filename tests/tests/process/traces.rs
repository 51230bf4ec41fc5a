//! Traces of reconciles, as a collector gets them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tests::world::Scenario;

use crate::collector::{Collector, Sent, attributes};
use crate::{alone, replaced, restore, small};

/// Batches are sent every 5 s.
const SOON: Duration = Duration::from_secs(20);

pub async fn each_reconcile_is_a_trace_with_its_requests(s: Scenario) -> Result<()> {
    let collector = Collector::start(&s.world.cluster)?;
    let mut running = alone(&s.world).await?;
    let operator = replaced(&s.world, &[format!("--otlp-endpoint=http://{}", collector.address)]).await?;
    s.dataplane("traced", small()).await?;
    s.ready("traced").await?;
    let sent = until(&collector, |sent| writer(sent, &s.namespace, "traced").is_some()).await?;
    is_whole(&sent, &s.namespace)?;

    // What was not sent yet is sent when it ends.
    s.dataplane("last", small()).await?;
    s.ready("last").await?;
    operator.terminate()?;
    let (status, log) = operator.exited().await?;
    ensure!(status.success() && !log.contains("were not delivered"), "{status}: {log}");
    let sent = collector.sent();
    ensure!(writer(&sent, &s.namespace, "last").is_some(), "the last spans are lost");
    println!("{} spans in {} batches", sent.spans.len(), sent.requests.len());
    restore(&s.world, &mut running).await
}

/// The reconcile that made an object's Deployment, with the request for it.
fn writer<'a>(sent: &'a Sent, namespace: &str, name: &str) -> Option<(&'a Span, &'a Span)> {
    let of = |span: &&Span| {
        let found = attributes(&span.attributes);
        let is = |key: &str, value: &str| found.get(key).is_some_and(|found| found == value);
        span.name == "reconcile" && is("kind", "DataPlane") && is("namespace", namespace) && is("name", name)
    };
    sent.spans.iter().filter(of).find_map(|reconcile| {
        let inside =
            |span: &&Span| span.parent_span_id == reconcile.span_id && span.name == "patch deployments";
        Some((reconcile, sent.spans.iter().find(inside)?))
    })
}

fn is_whole(sent: &Sent, namespace: &str) -> Result<()> {
    let (path, kind) = sent.requests.first().context("nothing was sent")?;
    ensure!(path == "/v1/traces" && kind == "application/x-protobuf", "{path} {kind}");
    let resource = sent.resources.first().context("nobody sent it")?;
    ensure!(resource.get("service.name").is_some_and(|name| name == "silverback"), "{resource:?}");
    ensure!(resource.contains_key("service.version"), "{resource:?}");

    let (reconcile, request) = writer(sent, namespace, "traced").context("no reconcile")?;
    ensure!(reconcile.trace_id.len() == 16 && reconcile.span_id.len() == 8, "no ids of W3C: {reconcile:?}");
    ensure!(reconcile.parent_span_id.is_empty(), "a reconcile begins its trace: {reconcile:?}");
    let found = attributes(&reconcile.attributes);
    ensure!(found.contains_key("id") && found.contains_key("result"), "{found:?}");
    // It asked for names that were still free: those requests failed, and it did not.
    let free =
        sent.spans.iter().find(|span| span.name == "get deployments").context("no look for a free name")?;
    ensure!(failed(free) && !failed(reconcile), "{free:?} {reconcile:?}");
    ensure!(request.trace_id == reconcile.trace_id && request.kind() == SpanKind::Client, "{request:?}");
    let found = attributes(&request.attributes);
    let is = |key: &str, value: &str| found.get(key).is_some_and(|found| found == value);
    ensure!(
        is("k8s.verb", "patch") && is("k8s.group", "apps") && is("k8s.resource", "deployments"),
        "{found:?}"
    );
    ensure!(is("http.response.status_code", "201") || is("http.response.status_code", "200"), "{found:?}");
    ensure!(
        reconcile.start_time_unix_nano <= request.start_time_unix_nano
            && request.end_time_unix_nano <= reconcile.end_time_unix_nano,
        "the request is not within its reconcile"
    );
    let foreign = sent.spans.iter().find(|span| span.parent_span_id.is_empty() && span.name != "reconcile");
    ensure!(foreign.is_none(), "something else begins a trace: {foreign:?}");
    Ok(())
}

fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

async fn until(collector: &Collector, good: impl Fn(&Sent) -> bool) -> Result<Sent> {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let came = async {
        loop {
            ticks.tick().await;
            let sent = collector.sent();
            if good(&sent) {
                return sent;
            }
        }
    };
    let late = || format!("not in {SOON:?}, but: {:#?}", collector.sent());
    tokio::time::timeout(SOON, came).await.with_context(late)
}
