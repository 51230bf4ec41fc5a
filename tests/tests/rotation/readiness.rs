//! What a replica says of its certificate: whether clients can trust it, and when it ends.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use certs::{Authority, Request};
use crds::names::{NAMESPACE, WEBHOOK_SERVICE};
use tests::operator::Webhooks;
use tests::world::{SOON, Scenario};
use tests::{Operator, Setup, artifacts};

use crate::stage::{Stage, text};

/// Between two looks at the metrics.
const PAUSE: Duration = Duration::from_millis(200);

pub async fn a_replica_is_ready_while_its_certificate_is_trusted(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    let cluster = &s.world.cluster;
    let (mounted, folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (own, other) =
        (Authority::make("own", SystemTime::now())?, Authority::make("other", SystemTime::now())?);
    let names = [format!("{WEBHOOK_SERVICE}.{NAMESPACE}.svc")];
    let pair = own.issue(&Request::server(&names), SystemTime::now())?;
    write(mounted.path(), "tls.crt", &pair.certificate)?;
    write(mounted.path(), "tls.key", &pair.key)?;
    write(mounted.path(), "ca.crt", other.certificate())?;
    let setup = Setup {
        arguments: vec![
            "--no-leader-election".to_owned(),
            "--webhook-certificates=files".to_owned(),
            format!("--webhook-certificate-directory={}", mounted.path().display()),
        ],
        webhooks: Webhooks::Served,
        ..Setup::default()
    };
    let operator = Operator::begin(&setup, cluster, &artifacts::operator()?, folder.path()).await?;
    operator.says(cluster, |said| said.contains("no handshake with the own listener")).await?;
    ensure!(operator.probe(cluster, "/readyz").await?.status.as_u16() == 503, "it is ready all the same");
    write(mounted.path(), "ca.crt", own.certificate())?;
    stage.operators.push(operator);
    let operator = stage.operators.last_mut().context("none")?;
    operator.ready(cluster).await?;
    ends(&stage, "webhook", &pair.certificate).await?;
    stage.end().await
}

pub async fn metrics_tell_when_certificates_end(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    stage.alone(None).await?;
    stage.strict().await?;
    for what in ["leaf", "authority"] {
        stage.rotate(&[what]).await?;
        let secret = stage.at_rest().await?;
        ends(&stage, "webhook", &text(&secret, "tls.crt")).await?;
        ends(&stage, "webhook-authority", &text(&secret, "ca.crt")).await?;
    }
    stage.end().await
}

/// Waits until the metrics say of a use that it ends when this certificate does.
async fn ends(stage: &Stage<'_>, use_: &str, certificate: &str) -> Result<()> {
    let end = certs::ends(certificate).context("no certificate")?.duration_since(SystemTime::UNIX_EPOCH)?;
    let name = format!("silverback_certificate_expiry_timestamp_seconds{{use=\"{use_}\"}} ");
    let operator = stage.operators.last().context("none")?;
    let mut last = None;
    let told = async {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            let metrics = operator.metrics(&stage.world.cluster).await.unwrap_or_default();
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            last = line.and_then(|seconds| seconds.parse::<f64>().ok());
            if last.is_some_and(|seconds| (seconds - end.as_secs_f64()).abs() < 1.0) {
                return;
            }
        }
    };
    let late = tokio::time::timeout(SOON, told).await.is_err();
    ensure!(!late, "{use_} ends at {last:?} by the metrics, and at {end:?} by itself");
    Ok(())
}

/// Exchanges a file at once.
fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let new = folder.join(format!(".{name}"));
    std::fs::write(&new, text)?;
    Ok(std::fs::rename(new, folder.join(name))?)
}
