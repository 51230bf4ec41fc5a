//! `cargo xtask bench memory`: what the Secrets and `ConfigMaps` of others add to the operator's memory.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Output;
use super::figures::{Goal, megabytes};
use super::fleet::Fleet;
use super::foreign;
use super::machine::Machine;
use super::place::Place;
use super::usage::Usage;
use crate::show::Story;

/// Measure what large Secrets and `ConfigMaps` of others add to the operator's memory.
///
/// They are made while it runs, and then it is started again with all of them there; both are compared with the
/// same without them. Takes about 4 minutes and 4 GB of memory, most of them the API server's.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many Secrets, and how many `ConfigMaps`.
    #[arg(long, value_name = "NUMBER", default_value_t = 300)]
    each: usize,
    /// How many DataPlanes the operator looks after.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5000))]
    count: u32,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Everything that was measured.
#[derive(Serialize)]
pub struct Report {
    benchmark: &'static str,
    /// Which operator.
    operator: String,
    machine: Machine,
    dataplanes: usize,
    /// Foreign objects, half of them Secrets and half `ConfigMaps`.
    foreign: usize,
    /// Of these, with annotations of 250 kB.
    annotated: usize,
    goals: Vec<Goal>,
    /// Started with its DataPlanes, and none of the others.
    without: Usage,
    /// The last of these processes, before the others were made.
    before_made: Usage,
    /// The same process, with the others made while it ran.
    made_while_running: Usage,
    /// Started with all of them there.
    there_at_start: Usage,
    added_while_running_mb: f64,
    added_at_start_mb: f64,
    /// By how much the most that was ever resident is more, when all of them are there at the start.
    added_to_peak_at_start_mb: f64,
}

/// Longer than an allocator waits to give memory back, and than a watch takes to bring what was made.
const CALM: Duration = Duration::from_secs(10);
/// How often it is started for one figure.
const STARTS: usize = 3;

/// Measures.
pub async fn run(arguments: &Arguments) -> Result<Report> {
    let (count, story) = (usize::try_from(arguments.count)?, Story::begin());
    let mut place = Place::begin(arguments.output.operator.as_deref(), count).await?;
    let machine = Machine::look();
    place.start().await?;
    Fleet::prepare(&place.client, "bench", count).await?.provision().await?;
    place.log.settled().await?;
    story.tell(&format!("{count} DataPlanes are Ready"));
    let without = started(&mut place, count).await?;
    story.tell("it was started again, without objects of others");
    let before = place.usage().await?;
    let annotated = foreign::make(&place.client, "foreign", arguments.each).await?;
    story.tell(&format!("{} objects of others were made", arguments.each * 2));
    let made_while_running = calm(&mut place).await?;
    let there_at_start = started(&mut place, count).await?;
    story.tell("it was started again, with all of them there");
    place.end().await?;
    let running = megabytes(made_while_running.resident_bytes - before.resident_bytes);
    let start = megabytes(there_at_start.resident_bytes - without.resident_bytes);
    let goals = vec![
        Goal::new("memory added by objects made while it runs", "MB", 2.0, Some(running)),
        Goal::new("memory added by objects there at its start", "MB", 2.0, Some(start)),
    ];
    Ok(Report {
        benchmark: "memory",
        operator: arguments.output.name(),
        machine,
        dataplanes: count,
        foreign: arguments.each * 2,
        annotated,
        goals,
        without,
        before_made: before,
        made_while_running,
        there_at_start,
        added_while_running_mb: running,
        added_at_start_mb: start,
        added_to_peak_at_start_mb: megabytes(there_at_start.peak_bytes - without.peak_bytes),
    })
}

/// What a fresh operator uses when it has looked at everything: the middle one of some starts, which differ by
/// about a megabyte. The last of them goes on.
async fn started(place: &mut Place, count: usize) -> Result<Usage> {
    let mut all = Vec::new();
    for _ in 0..STARTS {
        place.stop().await?;
        place.start_only().await?;
        place.looked_at("DataPlane", count).await?;
        all.push(calm(place).await?);
    }
    all.sort_by(|one, other| one.resident_bytes.total_cmp(&other.resident_bytes));
    all.get(STARTS / 2).copied().context("it was started")
}

async fn calm(place: &mut Place) -> Result<Usage> {
    place.log.settled().await?;
    tokio::time::sleep(CALM).await;
    place.usage().await
}

impl super::Report for Report {
    fn rows(&self) -> Vec<(String, String)> {
        let peak = format!("{:.1} MB", self.added_to_peak_at_start_mb);
        vec![
            ("machine".into(), self.machine.text()),
            ("operator".into(), self.operator.clone()),
            ("DataPlanes".into(), self.dataplanes.to_string()),
            (
                "Secrets and ConfigMaps of others".into(),
                format!("{} of 1 MB, {} of them with annotations of 250 kB", self.foreign, self.annotated),
            ),
            ("process without them, middle of 3 starts".into(), self.without.text()),
            ("one of these, before they were made".into(), self.before_made.text()),
            ("the same, with them made while it runs".into(), self.made_while_running.text()),
            ("process with them there, middle of 3 starts".into(), self.there_at_start.text()),
            ("added to its peak by that".into(), peak),
        ]
    }

    fn goals(&self) -> &[Goal] {
        &self.goals
    }
}
