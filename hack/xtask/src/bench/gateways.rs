//! `cargo xtask bench gateways`: what many Gateways cost, from nothing to Programmed, at rest, and at a restart.
//!
//! In: how many. Out: times, writes of each by resource, memory and processor time. Each Gateway has a data plane and a
//! control plane of its own.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use crds::conditions;
use crds::k8s::Namespace;
use futures::{StreamExt, TryStreamExt, stream};
use gateway_api::gatewayclasses::GatewayClass;
use gateway_api::gateways::Gateway;
use kube::api::{Api, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::figures::{Goal, Spread, megabytes, number, plain};
use super::fleet::{AT_A_TIME, DEADLINE};
use super::machine::Machine;
use super::place::{Place, REAL, Runs};
use super::requests::Requests;
use super::settled::{Rest, Restart};
use super::usage::Usage;
use super::{Output, drift, settled};
use crate::show::Story;

/// Name of the class, of its configuration and of the namespace.
const BENCH: &str = "bench";
/// Pods of each Gateway.
const PODS: usize = 2;
/// Kinds that a settled operator has looked at after a restart.
const KINDS: [&str; 3] = ["DataPlane", "ControlPlane", "Gateway"];

/// Measure Gateways from nothing to Programmed, at rest, and at a restart of the operator.
///
/// Up to 10 have real pods, of the stand-ins for Kong and for Kong Ingress Controller; beyond that kwok simulates the
/// nodes. Takes a minute or two, and as long as --idle says.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many Gateways.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=5000))]
    count: u32,
    /// How long to watch the settled operator, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    idle: u64,
    /// How many children to delete or edit, to time their repair.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    repairs: usize,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Everything that was measured. Times are in milliseconds unless their name says otherwise.
#[derive(Serialize)]
pub struct Report {
    benchmark: &'static str,
    /// Which operator.
    operator: String,
    machine: Machine,
    gateways: usize,
    /// Whether kwok simulates their pods.
    simulated: bool,
    goals: Vec<Goal>,
    idle_process: Usage,
    provisioning: Provisioning,
    rest: Rest,
    restart: Restart,
    /// Children of a Gateway and of its control plane, deleted and edited.
    repaired: Option<Spread>,
    /// The slowest of each, in milliseconds.
    slowest_repairs: BTreeMap<String, f64>,
}

/// From nothing to Programmed.
#[derive(Serialize)]
struct Provisioning {
    all_programmed_seconds: f64,
    each_programmed: Option<Spread>,
    requests: Requests,
    writes_per_gateway: f64,
    /// By verb and resource.
    writes_of_each: BTreeMap<String, f64>,
    reads_per_gateway: f64,
    processor_ms_per_gateway: f64,
    process: Usage,
}

/// Measures.
pub async fn run(arguments: &Arguments) -> Result<Report> {
    let (count, story) = (usize::try_from(arguments.count)?, Story::begin());
    let mut place = Place::of(arguments.output.operator.as_deref(), count * PODS, Runs::Gateways).await?;
    let machine = Machine::look();
    prepare(&place.client).await?;
    let idle_process = place.start().await?;
    story.tell("the operator runs, with nothing to do");
    let provisioning = provision(&mut place, count, &idle_process).await?;
    story.tell(&format!("{count} Gateways are Programmed"));
    let rest = settled::rest(&mut place, arguments.idle, &provisioning.process).await?;
    story.tell(&format!("it was watched for {} s", arguments.idle));
    let restart = settled::restart(&mut place, &KINDS, count).await?;
    story.tell("it was killed and started again");
    let owners = drift::of_gateways(BENCH, (0..count).map(name).collect());
    let repairs = drift::repairs(&place.client, &owners, arguments.repairs).await?;
    story.tell("drift was repaired");
    place.end().await?;
    let mut report = Report {
        benchmark: "gateways",
        operator: arguments.output.name(),
        machine,
        gateways: count,
        simulated: count * PODS > REAL,
        goals: Vec::new(),
        idle_process,
        provisioning,
        rest,
        restart,
        repaired: repairs.all(),
        slowest_repairs: repairs.slowest(),
    };
    report.goals = report.judged();
    Ok(report)
}

/// Makes the namespace, and a class whose Gateways ask for little, so that many fit.
async fn prepare(client: &Client) -> Result<()> {
    let namespace = serde_json::from_value(json!({ "metadata": { "name": BENCH } }))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let small = |container: &str| {
        let resources = json!({ "requests": { "cpu": "10m", "memory": "16Mi" } });
        let containers = json!([{ "name": container, "resources": resources }]);
        json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": containers } } } })
    };
    let configuration: crds::GatewayConfiguration = serde_json::from_value(json!({
        "apiVersion": "gateway-operator.konghq.com/v1beta1", "kind": "GatewayConfiguration",
        "metadata": { "name": BENCH },
        "spec": { "dataPlaneOptions": small("proxy"), "controlPlaneOptions": small("controller") },
    }))?;
    Api::namespaced(client.clone(), BENCH).create(&PostParams::default(), &configuration).await?;
    let parameters = json!({
        "group": "gateway-operator.konghq.com", "kind": "GatewayConfiguration",
        "name": BENCH, "namespace": BENCH,
    });
    let class: GatewayClass = serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": { "name": BENCH },
        "spec": { "controllerName": crds::names::CONTROLLER, "parametersRef": parameters },
    }))?;
    Api::all(client.clone()).create(&PostParams::default(), &class).await?;
    Ok(())
}

async fn provision(place: &mut Place, count: usize, before: &Usage) -> Result<Provisioning> {
    place.log.news()?;
    let began = Instant::now();
    let api: Api<Gateway> = Api::namespaced(place.client.clone(), BENCH);
    let (made, programmed) = tokio::try_join!(make(&api, count), programmed(&api, count))?;
    let last = programmed.values().max().copied().context("none was made")?;
    let each = programmed.iter().filter_map(|(name, at)| Some(at.duration_since(*made.get(name)?)));
    let each_programmed = Spread::of(each.collect());
    let (requests, _) = place.log.settled().await?;
    let (process, owners) = (place.usage().await?, number(count));
    Ok(Provisioning {
        all_programmed_seconds: last.duration_since(began).as_secs_f64(),
        each_programmed,
        writes_per_gateway: f64::from(requests.writes()) / owners,
        writes_of_each: requests.writes_by_resource(owners),
        reads_per_gateway: f64::from(requests.reads()) / owners,
        processor_ms_per_gateway: (process.processor_seconds - before.processor_seconds) * 1000.0 / owners,
        requests,
        process,
    })
}

/// Makes all, some at a time: when the API server had each.
async fn make(api: &Api<Gateway>, count: usize) -> Result<HashMap<String, Instant>> {
    let made = stream::iter(0..count).map(async |number| {
        let name = name(number);
        let object = serde_json::from_value(gateway(&name))?;
        api.create(&PostParams::default(), &object).await?;
        anyhow::Ok((name, Instant::now()))
    });
    made.buffer_unordered(AT_A_TIME).try_collect().await
}

fn name(number: usize) -> String {
    format!("{BENCH}-{number}")
}

fn gateway(name: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": name },
        "spec": {
            "gatewayClassName": BENCH,
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }],
        },
    })
}

/// Waits until all are Programmed: when each was seen to be so first.
async fn programmed(api: &Api<Gateway>, count: usize) -> Result<HashMap<String, Instant>> {
    let seen = async {
        let mut programmed = HashMap::new();
        let events = watcher(api.clone(), watcher::Config::default()).default_backoff();
        let mut objects = std::pin::pin!(events.applied_objects());
        while programmed.len() < count {
            let object = objects.try_next().await?.context("the watch ended")?;
            let status = object.status.as_ref().and_then(|status| status.conditions.as_deref());
            if conditions::holds(status.unwrap_or_default(), "Programmed") {
                programmed.entry(object.name_any()).or_insert_with(Instant::now);
            }
        }
        Ok(programmed)
    };
    match tokio::time::timeout(DEADLINE, seen).await {
        Ok(programmed) => programmed,
        Err(_) => bail!("not all of {count} were Programmed after {} min", DEADLINE.as_secs() / 60),
    }
}

impl Report {
    fn judged(&self) -> Vec<Goal> {
        let memory = Some(megabytes(self.rest.process.resident_bytes));
        vec![
            Goal::new("writes per Gateway", "", 18.0, Some(self.provisioning.writes_per_gateway)),
            Goal::new("writes at rest", "", 0.0, Some(self.rest.writes.into())),
            Goal::new("reads at rest, other than watches", "", 0.0, Some(self.rest.reads.into())),
            Goal::new("writes at a restart", "", 0.0, Some(self.restart.writes.into())),
            Goal::new("resident memory, up to 1,000 Gateways", "MB", 80.0, memory),
            Goal::new("drift repaired, p99", "ms", 250.0, self.repaired.map(|repaired| repaired.p99)),
        ]
    }
}

impl super::Report for Report {
    fn rows(&self) -> Vec<(String, String)> {
        let made = &self.provisioning;
        let each = made.each_programmed.map_or_else(|| "not measured".to_owned(), |all| all.text());
        let by: Vec<_> =
            made.writes_of_each.iter().map(|(name, count)| format!("{} {name}", plain(*count))).collect();
        let pods = if self.simulated { "simulated by kwok" } else { "real, of the stand-ins" };
        let mut rows = vec![
            ("machine".into(), self.machine.text()),
            ("operator".into(), self.operator.clone()),
            ("Gateways; their pods".into(), format!("{}; {pods}", self.gateways)),
            ("process with nothing to do".into(), self.idle_process.text()),
            ("from the first made to all Programmed".into(), format!("{:.1} s", made.all_programmed_seconds)),
            ("each from made to Programmed".into(), each),
            ("writes per Gateway".into(), plain(made.writes_per_gateway)),
            ("the same by resource".into(), by.join(", ")),
            ("reads per Gateway".into(), plain(made.reads_per_gateway)),
            ("processor time per Gateway".into(), format!("{:.1} ms", made.processor_ms_per_gateway)),
            ("process with all Programmed".into(), made.process.text()),
        ];
        rows.extend(settled::rows(&self.rest, &self.restart));
        let repaired = self.repaired.map_or_else(|| "not measured".to_owned(), |all| all.text());
        rows.push(("repair of a deleted or edited child".into(), repaired));
        let slowest = self.slowest_repairs.iter().map(|(what, took)| format!("{what} {took:.0} ms"));
        rows.push(("the slowest of each".into(), slowest.collect::<Vec<_>>().join(", ")));
        rows
    }

    fn goals(&self) -> &[Goal] {
        &self.goals
    }
}
