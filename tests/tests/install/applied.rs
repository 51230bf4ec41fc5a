//! What `kubectl` says of the manifests, and what comes of them.

use anyhow::{Context, Result, ensure};
use tests::artifacts;
use tests::install::{self, Deploy};
use tests::world::Scenario;

use crate::deployed;

/// Overlays that need no more than the base, or cert-manager.
const OVERLAYS: [&str; 4] = ["default", "ha", "namespaced", "cert-manager"];

/// Whoever keeps the manifests in Git applies them again and again.
pub async fn again_it_changes_nothing(s: Scenario) -> Result<()> {
    let _turn = deployed(&s.world).await?;
    let (cluster, client) = (&s.world.cluster, &s.world.client);
    let before = (install::strict(client).await?, names(client).await?);
    let base = artifacts::root().join("manifests/base");
    let mut diff = cluster.kubectl()?;
    diff.args(["diff", "--server-side", "--kustomize"]).arg(&base);
    let differs = install::run(&mut diff).await.context("the cluster differs from what was applied")?;
    ensure!(differs.is_empty(), "{differs}");
    install::deploy(cluster, client, &Deploy::default()).await?;
    install::file(cluster.kubectl()?, &base.join("install.yaml")).await?;
    let after = (install::strict(client).await?, names(client).await?);
    ensure!(before == after, "before {before:?}, after {after:?}");
    Ok(())
}

/// The API server judges each object of each overlay, and keeps none.
pub async fn each_overlay_is_accepted(s: Scenario) -> Result<()> {
    let _turn = deployed(&s.world).await?;
    for overlay in OVERLAYS {
        let mut apply = s.world.cluster.kubectl()?;
        apply.args(["apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "--kustomize"]);
        apply.arg(artifacts::root().join("manifests/overlays").join(overlay));
        let said = install::run(&mut apply).await.with_context(|| format!("overlay {overlay}"))?;
        ensure!(said.contains("deployment.apps/silverback"), "overlay {overlay}: {said}");
    }
    Ok(())
}

/// With the rights of its own account, and nothing else.
pub async fn a_gateway_is_programmed(s: Scenario) -> Result<()> {
    let _turn = deployed(&s.world).await?;
    let cluster = &s.world.cluster;
    cluster.import(&artifacts::image("kic")?).await?;
    let sample = artifacts::root().join("manifests/samples/gateway-http.yaml");
    let mut apply = cluster.kubectl()?;
    install::run(apply.args(["apply", "--filename"]).arg(&sample)).await?;
    let mut waits = cluster.kubectl()?;
    let programmed = ["wait", "gateways.gateway.networking.k8s.io", "--all", "--for=condition=Programmed"];
    waits.args(programmed).args(["--timeout=120s", "--namespace", "default"]);
    install::explained(cluster, install::run(&mut waits).await).await?;
    Ok(())
}

async fn names(client: &kube::Client) -> Result<Vec<String>> {
    let pods = install::pods(client).await?;
    Ok(pods.iter().map(kube::ResourceExt::name_any).collect())
}
