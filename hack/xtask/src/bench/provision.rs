//! `cargo xtask bench provision`: what many DataPlanes cost, from nothing to Ready, at rest, repaired, and at a
//! restart; and how that compares with the API server alone.

use anyhow::Result;
use serde::Serialize;

use super::alone::{self, Writes};
use super::figures::{Goal, Spread, megabytes, number, plain};
use super::fleet::Fleet;
use super::machine::Machine;
use super::place::{Place, REAL};
use super::requests::Requests;
use super::settled::{Rest, Restart};
use super::usage::Usage;
use super::{Output, drift, settled};
use crate::show::Story;

/// Measure DataPlanes from nothing to Ready, at rest, repaired, and at a restart of the operator.
///
/// Up to 20 are real pods of the stand-in for Kong; beyond that kwok simulates the nodes. Takes a minute or two,
/// and as long as --idle says.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many DataPlanes.
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
    dataplanes: usize,
    /// Whether kwok simulates their pods.
    simulated: bool,
    goals: Vec<Goal>,
    idle_process: Usage,
    provisioning: Provisioning,
    rest: Rest,
    drift: Drift,
    restart: Restart,
    alone: Alone,
}

/// From nothing to Ready.
#[derive(Serialize)]
struct Provisioning {
    all_ready_seconds: f64,
    each_ready: Option<Spread>,
    requests: Requests,
    writes_per_dataplane: f64,
    reads_per_dataplane: f64,
    processor_ms_per_dataplane: f64,
    process: Usage,
}

/// Children deleted and edited.
#[derive(Serialize)]
struct Drift {
    repaired: Option<Spread>,
}

/// The same writes by a plain client.
#[derive(Serialize)]
struct Alone {
    all_ready_seconds: f64,
    /// The operator's time to all Ready, divided by this.
    ratio: f64,
}

/// Measures.
pub async fn run(arguments: &Arguments) -> Result<Report> {
    let (count, story) = (usize::try_from(arguments.count)?, Story::begin());
    let mut place = Place::begin(arguments.output.operator.as_deref(), count).await?;
    let machine = Machine::look();
    let idle_process = place.start().await?;
    story.tell("the operator runs, with nothing to do");
    let fleet = Fleet::prepare(&place.client, "bench", count).await?;
    let provisioning = provision(&mut place, &fleet, &idle_process).await?;
    story.tell(&format!("{count} DataPlanes are Ready"));
    let rest = settled::rest(&mut place, arguments.idle, &provisioning.process).await?;
    story.tell(&format!("it was watched for {} s", arguments.idle));
    let restart = settled::restart(&mut place, &["DataPlane"], count).await?;
    story.tell("it was killed and started again");
    let drift = Drift {
        repaired: drift::repairs(&place.client, &drift::of_dataplanes(&fleet), arguments.repairs)
            .await?
            .all(),
    };
    story.tell("drift was repaired");
    place.kill().await?;
    let writes = Writes { statuses: provisioning.requests.named("patch dataplanes/status") };
    let alone = alone(&place, &fleet, &writes, &provisioning).await?;
    story.tell("a plain client has written the same");
    place.end().await?;
    let mut report = Report {
        benchmark: "provision",
        operator: arguments.output.name(),
        machine,
        dataplanes: count,
        simulated: count > REAL,
        goals: Vec::new(),
        idle_process,
        provisioning,
        rest,
        drift,
        restart,
        alone,
    };
    report.goals = report.judged();
    Ok(report)
}

async fn provision(place: &mut Place, fleet: &Fleet, before: &Usage) -> Result<Provisioning> {
    let took = fleet.provision().await?;
    let (requests, _) = place.log.settled().await?;
    let (process, each) = (place.usage().await?, number(fleet.count));
    Ok(Provisioning {
        all_ready_seconds: took.all.as_secs_f64(),
        each_ready: took.each,
        writes_per_dataplane: f64::from(requests.writes()) / each,
        reads_per_dataplane: f64::from(requests.reads()) / each,
        processor_ms_per_dataplane: (process.processor_seconds - before.processor_seconds) * 1000.0 / each,
        requests,
        process,
    })
}

async fn alone(place: &Place, fleet: &Fleet, writes: &Writes, by_operator: &Provisioning) -> Result<Alone> {
    let took = alone::write(&place.client, fleet, writes).await?.as_secs_f64();
    Ok(Alone { all_ready_seconds: took, ratio: by_operator.all_ready_seconds / took })
}

impl Report {
    fn judged(&self) -> Vec<Goal> {
        let memory = |usage: &Usage| Some(megabytes(usage.resident_bytes));
        let drift = self.drift.repaired.map(|repaired| repaired.p99);
        // Of fewer, the time is that of single requests; the goal is of a hundred.
        let ratio = (self.dataplanes >= 100).then_some(self.alone.ratio);
        vec![
            Goal::new("writes per DataPlane", "", 9.0, Some(self.provisioning.writes_per_dataplane)),
            Goal::new("writes at rest", "", 0.0, Some(self.rest.writes.into())),
            Goal::new("reads at rest, other than watches", "", 0.0, Some(self.rest.reads.into())),
            Goal::new("writes at a restart", "", 0.0, Some(self.restart.writes.into())),
            Goal::new("resident memory, nothing to do", "MB", 20.0, memory(&self.idle_process)),
            Goal::new("resident memory, up to 1,000 DataPlanes", "MB", 80.0, memory(&self.rest.process)),
            Goal::new("drift repaired, p99", "ms", 250.0, drift),
            Goal::new("time to all Ready, against the API server alone", "×", 1.3, ratio),
        ]
    }
}

impl super::Report for Report {
    fn rows(&self) -> Vec<(String, String)> {
        let made = &self.provisioning;
        let spread =
            |spread: Option<Spread>| spread.map_or_else(|| "not measured".to_owned(), |all| all.text());
        let pods = if self.simulated { "simulated by kwok" } else { "real, of the stand-in for Kong" };
        let mut rows = vec![
            ("machine".into(), self.machine.text()),
            ("operator".into(), self.operator.clone()),
            ("DataPlanes; their pods".into(), format!("{}; {pods}", self.dataplanes)),
            ("process with nothing to do".into(), self.idle_process.text()),
            ("from the first made to all Ready".into(), format!("{:.1} s", made.all_ready_seconds)),
            ("each from made to Ready".into(), spread(made.each_ready)),
            ("writes per DataPlane".into(), plain(made.writes_per_dataplane)),
            ("reads per DataPlane".into(), plain(made.reads_per_dataplane)),
            ("requests until all settled".into(), made.requests.text()),
            ("processor time per DataPlane".into(), format!("{:.1} ms", made.processor_ms_per_dataplane)),
            ("process with all Ready".into(), made.process.text()),
        ];
        rows.extend(settled::rows(&self.rest, &self.restart));
        rows.extend([
            ("the API server alone: all Ready".into(), format!("{:.1} s", self.alone.all_ready_seconds)),
            ("the operator's time, divided by that".into(), plain(self.alone.ratio)),
            ("repair of a deleted or edited child".into(), spread(self.drift.repaired)),
        ]);
        rows
    }

    fn goals(&self) -> &[Goal] {
        &self.goals
    }
}
