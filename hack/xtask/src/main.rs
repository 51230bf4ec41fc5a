//! The one door for people: `cargo xtask TASK`.
//!
//! In: a task and its options. Out: that task done, progress on standard error, an exit code that
//! says whether it worked. Never: anything that a user of the product needs at run time.

mod bench;
mod check;
mod conformance;
mod enter;
mod generate;
mod image;
mod products;
mod release;
mod show;
mod simulate;
mod test;
mod tree;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs, tests and checks Silverback.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Up(up::Arguments),
    Enter(enter::Enter),
    Down(enter::Down),
    Test(test::Arguments),
    Bench(bench::Arguments),
    Simulate(simulate::Arguments),
    Conformance(conformance::Arguments),
    Image(image::Arguments),
    Generate(generate::Arguments),
    Check(check::Arguments),
    Release(release::Arguments),
    /// The same as `check layers`: which crate may depend on which. Takes seconds.
    Layers,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Up(arguments) => wait(up::run(&arguments)),
        Task::Enter(arguments) => wait(enter::enter(&arguments)),
        Task::Down(arguments) => wait(enter::down(&arguments)),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => wait(bench::run(&arguments)),
        Task::Simulate(arguments) => simulate::run(&arguments),
        Task::Conformance(arguments) => wait(conformance::run(&arguments)),
        Task::Image(arguments) => image::run(&arguments),
        Task::Generate(arguments) => generate::run(&arguments),
        Task::Check(arguments) => Ok(check::run(&arguments)),
        Task::Release(arguments) => release::run(&arguments),
        Task::Layers => Ok(check::run(&check::Arguments::only(check::Name::Layers))),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a task that waits for a cluster.
fn wait(task: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(task)
}
