//! Each manifest of `manifests/samples`, applied as it is, becomes Ready and does what it shows.

#![allow(clippy::indexing_slicing, reason = "a test that finds nothing fails")]

mod dns;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Families, Options};
use crds::DataPlane;
use crds::conditions::{self, reasons, types};
use crds::k8s::{Pod, PodSpec, Service};
use gateway_api::gateways::Gateway;
use kube::api::{Api, ListParams};
use tests::world::{self, SOON, Scenario};
use tests::{artifacts, http, install, scenarios, wait};

/// The rules of a node may lag behind a ready endpoint by a second.
const SERVED: Duration = Duration::from_secs(10);
/// Kong, then Kong Ingress Controller, then what that hands on.
const LONG: Duration = Duration::from_mins(2);

fn main() -> ExitCode {
    let scenarios: &[world::Named] = scenarios![
        every_file_has_a_test,
        minimal,
        declarative_config,
        ports,
        streams,
        scaling,
        sidecar,
        image_by_digest,
        cloud_load_balancer,
        volumes,
        disruption_budget,
        ipv6,
        dual_stack,
        gateway_http,
    ];
    // Without it the suite still lists its scenarios; whoever runs one is told what is missing.
    let archives = artifacts::image("kic").into_iter().collect();
    let options =
        Options { dns: true, gateway_api: true, families: Families::Dual, archives, ..Options::default() };
    world::run(options, scenarios)
}

async fn every_file_has_a_test(_: Scenario) -> Result<()> {
    let files = std::fs::read_dir(artifacts::root().join("manifests/samples"))?;
    let names: std::io::Result<BTreeSet<_>> =
        files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned())).collect();
    let tested = [
        "minimal",
        "declarative-config",
        "ports",
        "streams",
        "scaling",
        "sidecar",
        "image-by-digest",
        "cloud-load-balancer",
        "volumes",
        "disruption-budget",
        "ipv6",
        "dual-stack",
    ];
    let tested = tested.into_iter().map(|name| format!("dataplane-{name}.yaml"));
    let tested: BTreeSet<_> = tested.chain(["gateway-http.yaml".to_owned()]).collect();
    let names = names?;
    ensure!(names == tested, "samples and their tests differ: {:?}", names.symmetric_difference(&tested));
    Ok(())
}

async fn minimal(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "minimal").await?;
    shown.answers(80, "/", "no Route matched").await?;
    shown.remove().await
}

async fn declarative_config(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "declarative-config").await?;
    shown.answers(80, "/echo", "\"path\"").await?;
    shown.remove().await
}

async fn ports(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "ports").await?;
    shown.answers(8080, "/", "no Route matched").await?;
    shown.answers(9080, "/", "no Route matched").await?;
    let node = shown.scenario.world.cluster.facts().nodes.first().context("no node")?.addresses[0];
    answers(&shown.scenario, SocketAddr::new(node, 30080), "/", "no Route matched").await?;
    shown.remove().await
}

async fn streams(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "streams").await?;
    let to = SocketAddr::new(shown.addresses()?[0], 53);
    let cluster = &shown.scenario.world.cluster;
    for (way, asked) in [("UDP", dns::over_udp(cluster, to).await), ("TCP", dns::over_tcp(cluster, to).await)]
    {
        asked.with_context(|| format!("DNS over {way} at {to}"))?;
    }
    shown.answers(80, "/", "no Route matched").await?;
    shown.remove().await
}

async fn scaling(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "scaling").await?;
    // The autoscaler's controller looks every fifteen seconds.
    let two = |dataplane: &DataPlane| {
        dataplane.status.as_ref().is_some_and(|s| s.replicas == Some(2) && s.ready_replicas == Some(2))
    };
    wait::until(&shown.scenario.api(), "scaling", SOON, two).await?;
    shown.remove().await
}

async fn sidecar(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "sidecar").await?;
    shown.answers(80, "/", "no Route matched").await?;
    shown.answers(3000, "/", "\"path\"").await?;
    shown.remove().await
}

async fn image_by_digest(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "image-by-digest").await?;
    let digest = "@sha256:76c14b93e989f7f4418039f7f9789ca32564016211c86ac1a18022f4788e7b9c";
    let images: Vec<_> =
        shown.pods().await?.into_iter().flat_map(|spec| spec.containers).map(|c| c.image).collect();
    let named = |image: &Option<String>| image.as_deref().is_some_and(|image| image.ends_with(digest));
    ensure!(!images.is_empty() && images.iter().all(named), "{images:?}");
    shown.remove().await
}

async fn cloud_load_balancer(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "cloud-load-balancer").await?;
    let service: Service = shown.scenario.api().get("edge").await?;
    let annotations = service.metadata.annotations.unwrap_or_default();
    ensure!(
        annotations
            .get("service.beta.kubernetes.io/aws-load-balancer-type")
            .is_some_and(|kind| kind == "external"),
        "{annotations:?}"
    );
    let policy = service.spec.and_then(|spec| spec.external_traffic_policy);
    ensure!(policy.as_deref() == Some("Local"), "{policy:?}");
    shown.remove().await
}

async fn volumes(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "volumes").await?;
    let pod = shown.pods().await?.pop().context("no pod")?;
    let proxy = pod.containers.first().context("no container")?;
    let mounted: Vec<_> =
        proxy.volume_mounts.iter().flatten().map(|mount| mount.mount_path.as_str()).collect();
    for path in ["/error-pages", "/scratch", "/var/cluster-certificate", "/kong_prefix"] {
        ensure!(mounted.contains(&path), "{path} is not in {mounted:?}");
    }
    ensure!(proxy.env.iter().flatten().any(|variable| variable.name == "EDGE_TOKEN"));
    shown.remove().await
}

async fn disruption_budget(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "disruption-budget").await?;
    let budget: crds::k8s::PodDisruptionBudget = shown.scenario.api().get("disruption-budget").await?;
    let spec = budget.spec.context("no spec")?;
    ensure!(spec.min_available.is_some() && spec.selector.is_some(), "{spec:?}");
    shown.remove().await
}

async fn ipv6(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "ipv6").await?;
    let addresses = shown.addresses()?;
    ensure!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_ipv6), "{addresses:?}");
    shown.answers(80, "/", "no Route matched").await?;
    shown.remove().await
}

async fn dual_stack(s: Scenario) -> Result<()> {
    let shown = Shown::apply(s, "dual-stack").await?;
    let addresses = shown.addresses()?;
    ensure!(addresses.iter().any(IpAddr::is_ipv6) && addresses.iter().any(IpAddr::is_ipv4), "{addresses:?}");
    shown.answers(80, "/", "no Route matched").await?;
    shown.remove().await
}

/// The class, the Gateway, its data plane and control plane, and a route to a backend.
async fn gateway_http(s: Scenario) -> Result<()> {
    let s = Scenario { namespace: "default".into(), ..s };
    let file = artifacts::root().join("manifests/samples/gateway-http.yaml");
    install::file(s.world.cluster.kubectl()?, &file).await?;
    let programmed = |gateway: &Gateway| {
        let status = gateway.status.as_ref();
        let all = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::holds(all, "Programmed")
    };
    let all: Api<Gateway> = s.api();
    let gateway = wait::until(&all, "edge", LONG, programmed).await?;
    let addresses = gateway.status.and_then(|status| status.addresses).unwrap_or_default();
    ensure!(!addresses.is_empty(), "no address");
    for address in addresses {
        let to = SocketAddr::new(address.value.parse()?, 80);
        http::until(&s.world.cluster, to, "/echo", LONG, |answer| answer.body.contains("\"path\"")).await?;
    }
    let mut kubectl = s.world.cluster.kubectl()?;
    install::run(kubectl.args(["delete", "--wait=false", "--filename"]).arg(&file)).await?;
    wait::gone(&all, "edge", SOON).await
}

/// A sample that was applied and is Ready.
struct Shown {
    scenario: Scenario,
    file: std::path::PathBuf,
    name: &'static str,
    dataplane: DataPlane,
}

impl Shown {
    async fn apply(scenario: Scenario, name: &'static str) -> Result<Self> {
        let scenario = Scenario { namespace: "default".into(), ..scenario };
        let file = artifacts::root().join(format!("manifests/samples/dataplane-{name}.yaml"));
        install::file(scenario.world.cluster.kubectl()?, &file).await?;
        for (type_, reason) in [
            (types::ROLLED_OUT, reasons::ROLLED_OUT),
            (types::ADDRESS_ASSIGNED, reasons::ADDRESS_ASSIGNED),
            (types::RESOLVED_REFS, reasons::RESOLVED_REFS),
        ] {
            scenario.reason(name, type_, reason).await?;
        }
        let dataplane = scenario.ready(name).await?;
        Ok(Self { scenario, file, name, dataplane })
    }

    /// What its pods, which all run, are.
    async fn pods(&self) -> Result<Vec<PodSpec>> {
        let selector = self.dataplane.status.as_ref().and_then(|status| status.selector.clone());
        let of = ListParams::default().labels(&selector.context("no selector")?);
        let pods = self.scenario.api::<Pod>().list(&of).await?;
        Ok(pods.items.into_iter().filter_map(|pod| pod.spec).collect())
    }

    fn addresses(&self) -> Result<Vec<IpAddr>> {
        let status = self.dataplane.status.as_ref().context("no status")?;
        status.addresses.iter().flatten().map(|address| Ok(address.value.parse()?)).collect()
    }

    /// Every address answers with these words.
    async fn answers(&self, port: u16, path: &str, words: &str) -> Result<()> {
        for address in self.addresses()? {
            answers(&self.scenario, SocketAddr::new(address, port), path, words).await?;
        }
        Ok(())
    }

    async fn remove(self) -> Result<()> {
        let mut kubectl = self.scenario.world.cluster.kubectl()?;
        install::run(kubectl.args(["delete", "--wait=false", "--filename"]).arg(&self.file)).await?;
        let all: Api<DataPlane> = self.scenario.api();
        wait::gone(&all, self.name, SOON).await
    }
}

async fn answers(s: &Scenario, to: SocketAddr, path: &str, words: &str) -> Result<()> {
    http::until(&s.world.cluster, to, path, SERVED, |answer| answer.body.contains(words)).await.map(drop)
}
