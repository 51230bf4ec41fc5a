//! `cargo xtask bench`: what the operator costs, as counts and ratios that anyone can measure again.
//!
//! In: a task and its size. Out: figures, each beside its goal where there is one, as a table or as JSON. Requests
//! are counted by the API server's audit log; memory, processor time, threads and sockets are the kernel's own
//! figures of the process. A goal that is missed is said, and fails nothing.

mod admission;
mod alone;
mod applied;
mod drift;
mod figures;
mod fleet;
mod foreign;
mod gateways;
mod machine;
mod memory;
mod place;
mod provision;
mod requests;
mod settled;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use figures::Goal;

/// Measure what the operator costs on a real cluster in a box, beside the goals.
///
/// Uses the operator as it is shipped, whose first build takes about 6 minutes; docs/benchmarks.md says what the
/// figures mean.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// DataPlanes from nothing to Ready, at rest, after a restart, and repaired
    Provision(provision::Arguments),
    /// Gateways from nothing to Programmed, at rest, and after a restart
    Gateways(gateways::Arguments),
    /// What Secrets and `ConfigMaps` of others add to the operator's memory
    Memory(memory::Arguments),
    /// What a review of the admission webhooks costs, and how long it takes
    Admission(admission::Arguments),
}

/// What every task takes.
#[derive(Args)]
struct Output {
    /// How to print the figures.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
    /// Measure this program instead of the operator of this checkout, and build nothing.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table for people.
    Text,
    /// One JSON object with everything; its keys stay what they are.
    Json,
}

impl Output {
    /// What is measured, in words.
    fn name(&self) -> String {
        let named = self.operator.as_ref().map(|file| file.display().to_string());
        named.unwrap_or_else(|| "of this checkout, as it is shipped".to_owned())
    }
}

/// What a task has measured.
trait Report: Serialize {
    /// The rows of the table: what, and the figure.
    fn rows(&self) -> Vec<(String, String)>;
    /// The goals, with what was measured.
    fn goals(&self) -> &[Goal];
}

/// Measures and prints.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.task {
        Task::Provision(provision) => print(&provision::run(provision).await?, &provision.output)?,
        Task::Gateways(gateways) => print(&gateways::run(gateways).await?, &gateways.output)?,
        Task::Memory(memory) => print(&memory::run(memory).await?, &memory.output)?,
        Task::Admission(admission) => print(&admission::run(admission).await?, &admission.output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(report: &impl Report, output: &Output) -> Result<()> {
    if output.output == Form::Json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    println!("\n| what | figure |\n| --- | --- |");
    for (what, figure) in report.rows() {
        println!("| {what} | {figure} |");
    }
    println!("\n| goal | at most | measured | |\n| --- | --- | --- | --- |");
    for goal in report.goals() {
        println!("{}", goal.row());
    }
    Ok(())
}
