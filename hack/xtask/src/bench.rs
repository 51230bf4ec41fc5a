//! `cargo xtask bench`: what the operator costs, as counts and ratios that anyone can measure again.
//!
//! In: a number of `DataPlane`s. Out: a table. Requests are counted by the API server's audit log, memory and
//! processor time by the operator's own metrics; nothing is judged.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cluster::toolchain::{self, Component};
use cluster::{Cluster, Options};
use crds::DataPlane;
use crds::conditions::{self, types};
use kube::api::{Api, PostParams};
use serde_json::json;
use tests::{Operator, audit, wait};

use crate::products::{self, Profile};
use crate::show;

const DEADLINE: Duration = Duration::from_mins(5);

/// Measure what the operator costs on a real cluster in a box: requests, memory and processor time per DataPlane,
/// and what a restart and standing still cost.
///
/// Uses the operator as it is shipped, whose first build takes about 6 minutes; then about a minute, and as long
/// as --idle says.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many DataPlanes; each is a real pod of the stand-in for Kong.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    dataplanes: usize,
    /// How long to watch the settled operator, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    idle: u64,
}

/// Measures and prints the table.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    products::build(&["cluster", "standin-kong"], Profile::Dev)?;
    products::build(&["operator"], Profile::Release)?;
    for component in [Component::Kubernetes, Component::Node] {
        toolchain::ensure(component, &mut |step| show::step(&step))?;
    }
    let archives = products::archives(&["kong"], Profile::Dev)?;
    let cluster = Cluster::start(Options { archives, ..Options::default() }, show::step).await?;
    let folder = tempfile::tempdir()?;
    let rows = measure(&cluster, folder.path(), arguments).await?;
    println!("\n| what | figure |\n| --- | --- |");
    for (what, figure) in rows {
        println!("| {what} | {figure} |");
    }
    cluster.stop().await?;
    Ok(ExitCode::SUCCESS)
}

type Rows = Vec<(String, String)>;

async fn measure(cluster: &Cluster, folder: &std::path::Path, arguments: &Arguments) -> Result<Rows> {
    let program = products::program("silverback", Profile::Release);
    let operator = Operator::install(cluster, &program, folder).await?;
    let mut rows = Rows::new();
    let empty = Sample::take(cluster, &operator).await?;
    rows.push(("resident memory, nothing to do".into(), empty.memory()));

    let began = Instant::now();
    make(cluster, arguments.dataplanes).await?;
    let took = began.elapsed();
    let full = Sample::take(cluster, &operator).await?;
    let (count, each) = (arguments.dataplanes, per(arguments.dataplanes));
    let news = audit::since(&empty.requests, &full.requests);
    rows.push((
        format!("{count} DataPlanes, from the first made to the last Ready"),
        format!("{:.1} s", took.as_secs_f64()),
    ));
    rows.push((
        "writes per DataPlane, status and events included".into(),
        format!("{:.1}", f64::from(audit::writes(&news)) / each),
    ));
    rows.push((
        "reads per DataPlane".into(),
        format!("{:.1}", f64::from(news.get("get").copied().unwrap_or(0)) / each),
    ));
    rows.push((
        "processor time per DataPlane".into(),
        format!("{:.0} ms", (full.seconds - empty.seconds) * 1000.0 / each),
    ));
    rows.push((format!("resident memory, {count} settled"), full.memory()));

    tokio::time::sleep(Duration::from_secs(arguments.idle)).await;
    let later = Sample::take(cluster, &operator).await?;
    let news = audit::since(&full.requests, &later.requests);
    rows.push((format!("requests in {} s of standing still", arguments.idle), format!("{news:?}")));
    rows.push((
        "processor time in that time".into(),
        format!("{:.0} ms", (later.seconds - full.seconds) * 1000.0),
    ));

    operator.kill().await?;
    let before = audit::requests(cluster)?;
    let began = Instant::now();
    let operator = Operator::start(cluster, &program, folder).await?;
    operator.settled(cluster, count).await?;
    let took = began.elapsed();
    let news = audit::since(&before, &audit::requests(cluster)?);
    rows.push((
        format!("killed and started with {count} settled, until its lease ran out and each was looked at"),
        format!("{:.0} ms", took.as_secs_f64() * 1000.0),
    ));
    rows.push(("writes after a restart".into(), audit::writes(&news).to_string()));
    rows.push(("resident memory after a restart".into(), Sample::take(cluster, &operator).await?.memory()));
    Ok(rows)
}

/// Counts are small; a `u32` holds them.
fn per(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

struct Sample {
    requests: audit::Requests,
    bytes: f64,
    seconds: f64,
}

impl Sample {
    async fn take(cluster: &Cluster, operator: &Operator) -> Result<Self> {
        let metrics = operator.metrics(cluster).await?;
        let value = |name: &str| -> Result<f64> {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.with_context(|| format!("no metric {name}"))?.trim().parse().map_err(Into::into)
        };
        Ok(Self {
            requests: audit::requests(cluster)?,
            bytes: value("process_resident_memory_bytes ")?,
            seconds: value("process_cpu_seconds_total ")?,
        })
    }

    fn memory(&self) -> String {
        format!("{:.1} MB", self.bytes / 1e6)
    }
}

async fn make(cluster: &Cluster, count: usize) -> Result<()> {
    let api: Api<DataPlane> = Api::namespaced(cluster.client().await?, "default");
    let proxy = json!({ "name": "proxy", "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } } });
    for number in 0..count {
        let object = json!({
            "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "DataPlane",
            "metadata": { "name": format!("bench-{number}") },
            "spec": { "deployment": { "podTemplateSpec": { "spec": { "containers": [proxy] } } } },
        });
        api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    }
    let done = |dataplane: &DataPlane| {
        let all = dataplane.conditions();
        [types::READY, types::ROLLED_OUT, types::ADDRESS_ASSIGNED]
            .iter()
            .all(|type_| conditions::holds(all, type_))
    };
    for number in 0..count {
        wait::until(&api, &format!("bench-{number}"), DEADLINE, done).await?;
    }
    Ok(())
}
