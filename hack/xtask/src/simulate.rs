//! `cargo xtask simulate`: how often, and how fast, the machine and the judge of rollouts are right.
//!
//! In: how many rollouts, a seed. Out: tables or JSON, and a picture for the book. The numbers are the same for the same
//! seed. Never: a cluster.

mod plot;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use rollout::simulate::rivals::{Comparison, DUELS, Found, compare};
use rollout::simulate::run::{Tally, tally};
use rollout::simulate::scene::{BAD, GOOD, QUIET};
use serde::Serialize;

use crate::tree;

/// Simulate what cannot be measured often enough on a cluster.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Good and bad releases of a gateway, and the judge's test beside common ones
    Rollout(Rollout),
}

/// What is simulated.
#[derive(Args)]
struct Rollout {
    /// How to print the figures.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
    /// Rollouts of good releases, and trials of the tests; a tenth as many of each bad release.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    runs: usize,
    /// Where chance begins.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Where to draw the picture; docs/images/rollout-judge.svg if not said.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Tables for people.
    Text,
    /// One JSON object with everything.
    Json,
}

/// Everything that was simulated.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    seed: u64,
    good: Vec<Tally>,
    bad: Vec<Tally>,
    tests: Vec<Comparison>,
}

/// Simulates, prints and draws.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Task::Rollout(rollout) = &arguments.task;
    let report = simulate(rollout);
    let path = rollout.plot.clone().unwrap_or_else(|| tree::root().join("docs/images/rollout-judge.svg"));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, plot::draw(&report.tests))
        .with_context(|| format!("cannot write {}", path.display()))?;
    match rollout.output {
        Form::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Form::Text => print!("{}", tables(&report)),
    }
    Ok(ExitCode::SUCCESS)
}

fn simulate(rollout: &Rollout) -> Report {
    let (runs, seed) = (rollout.runs, rollout.seed);
    let few = runs.div_ceil(10);
    eprintln!("simulating {runs} good releases of each kind, {few} bad ones, {runs} trials of each test");
    Report {
        seed,
        good: GOOD.iter().chain([&QUIET]).map(|scene| tally(scene, runs, seed)).collect(),
        bad: BAD.iter().map(|scene| tally(scene, few, seed)).collect(),
        tests: DUELS.iter().map(|duel| compare(duel, runs, seed)).collect(),
    }
}

fn tables(report: &Report) -> String {
    let mut text = String::from(
        "| good release | rollouts | promoted | rolled back | wait for somebody |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in &report.good {
        let Tally { scene, runs, promoted, rolled_back, waiting, .. } = row;
        let _ = writeln!(text, "| {scene} | {runs} | {promoted} | {rolled_back} | {waiting} |");
    }
    text += "\n| bad release | rollouts | rolled back | of those after promotion | found after (median, 95 %) | real requests until then (median, 95 %) |\n";
    text += "| --- | --- | --- | --- | --- | --- |\n";
    for row in &report.bad {
        let Tally { scene, runs, rolled_back, late, .. } = row;
        let found = pair(row.found_median, row.found_most);
        let exposed = pair(row.exposed_median, row.exposed_most);
        let _ = writeln!(text, "| {scene} | {runs} | {rolled_back} | {late} | {found} | {exposed} |");
    }
    text += "\n| | threshold 99 %, 5 misses | z-test at each look | ours, uncorrected | ours |\n| --- | --- | --- | --- | --- |\n";
    for row in &report.tests {
        let cells = [&row.threshold, &row.z_test, &row.uncorrected, &row.judge].map(cell);
        let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
    }
    text
}

fn pair(median: Option<u64>, most: Option<u64>) -> String {
    match (median, most) {
        (Some(median), Some(most)) => format!("{}, {}", time(median), time(most)),
        _ => "–".to_owned(),
    }
}

fn cell(found: &Found) -> String {
    let median = found.median.map(|median| format!(", {}", time(median)));
    format!("{:.1} %{}", found.percent, median.unwrap_or_default())
}

/// Seconds as people say them.
fn time(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scenes_have_a_row_and_the_picture_its_curves() {
        let report = simulate(&Rollout { output: Form::Text, runs: 2, seed: 1, plot: None });
        let text = tables(&report);
        for scene in GOOD.iter().chain(&BAD) {
            assert!(text.contains(&format!("| {} |", scene.name)), "{text}");
        }
        assert_eq!(plot::draw(&report.tests).matches("<polyline").count(), 9);
    }

    #[test]
    fn times_are_said_as_people_do() {
        assert_eq!([time(45), time(60), time(615)], ["45 s", "1 min", "10 min 15 s"]);
    }
}
