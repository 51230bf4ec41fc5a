//! The program `box`: its command line.
//!
//! In: arguments. Out: an exit code. `run` starts a box and ends it; `enter` runs a program in one; the
//! others are steps that `run` and `enter` take by starting this program again. Never does more than
//! to choose among them.

mod enter;
mod exec;
mod ground;
mod run;

pub(crate) use enter::environment;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::inside;
use crate::options::{Families, Images, Options};
use crate::progress::{Event, tell};

/// A complete, real Kubernetes in a box, without a container engine.
#[derive(Debug, Parser)]
#[command(name = "box")]
struct CommandLine {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts a box and keeps it until standard input ends (the default); tells what happens as JSON lines
    Run(Run),
    /// Runs a program inside a box
    Enter(Enter),
    /// Process 1 of a box
    #[command(hide = true)]
    Init { dir: PathBuf },
    /// Runs the cluster of a box
    #[command(hide = true)]
    Boot { dir: PathBuf },
    /// Becomes another program, which ends with its parent
    #[command(hide = true)]
    Exec {
        /// A network namespace to join first
        #[arg(long)]
        net: Option<PathBuf>,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Args, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Run {
    /// Name of the box; random when not given
    #[arg(long)]
    name: Option<String>,
    /// Number of nodes, 1 or 2
    #[arg(long, default_value_t = 1)]
    nodes: u8,
    /// Where the images of pods come from
    #[arg(long, value_enum, default_value_t = Images::StandIns)]
    images: Images,
    /// Run CoreDNS in the cluster
    #[arg(long)]
    dns: bool,
    /// An image archive to import before the box is ready; may be repeated
    #[arg(long = "archive")]
    archives: Vec<PathBuf>,
    /// Families of the addresses of nodes, pods and Services
    #[arg(long, value_enum, default_value_t = Families::Ipv4)]
    families: Families,
    /// Run metrics-server in the cluster
    #[arg(long)]
    metrics: bool,
    /// Run cert-manager beside the cluster
    #[arg(long)]
    cert_manager: bool,
    /// Define the kinds of the Gateway API, standard channel
    #[arg(long)]
    gateway_api: bool,
    /// Number of nodes that kwok simulates, besides the real ones
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    simulated_nodes: u32,
    /// Simulate every pod that does not tolerate the real nodes' taint
    #[arg(long)]
    only_simulated: bool,
}

#[derive(Args, Debug)]
struct Enter {
    /// Name of the box; not needed when only one runs
    #[arg(long)]
    name: Option<String>,
    /// The node whose network the program sees
    #[arg(long)]
    node: Option<String>,
    /// The program and its arguments; your shell when not given
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Runs the program `box`.
pub fn main() -> ExitCode {
    let task = CommandLine::parse().task.unwrap_or(Task::Run(Run { nodes: 1, ..Run::default() }));
    let tells = matches!(task, Task::Run(_) | Task::Init { .. } | Task::Boot { .. });
    choose(task).unwrap_or_else(|error| {
        let reason = format!("{error:#}");
        // Those that speak JSON tell it so; if nobody reads, there is nobody to tell.
        if !tells || tell(&Event::Failed { reason: reason.clone() }).is_err() {
            eprintln!("box: {reason}");
        }
        ExitCode::FAILURE
    })
}

fn choose(task: Task) -> Result<ExitCode> {
    match task {
        Task::Run(arguments) => run::run(&arguments.into()),
        Task::Enter(arguments) => {
            enter::enter(arguments.name.as_deref(), arguments.node.as_deref(), &arguments.command)
        }
        Task::Init { dir } => inside::init(&dir),
        Task::Boot { dir } => match inside::boot(&dir)? {},
        Task::Exec { net, command } => match exec::exec(net.as_deref(), &command)? {},
    }
}

impl From<Run> for Options {
    fn from(run: Run) -> Self {
        Self {
            name: run.name,
            nodes: run.nodes,
            images: run.images,
            dns: run.dns,
            archives: run.archives,
            families: run.families,
            metrics: run.metrics,
            cert_manager: run.cert_manager,
            gateway_api: run.gateway_api,
            simulated_nodes: run.simulated_nodes,
            only_simulated: run.only_simulated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_and_the_program_agree() {
        let asked = Options {
            name: Some("x".into()),
            nodes: 2,
            images: Images::Real,
            dns: true,
            archives: vec!["/a".into(), "/b".into()],
            families: Families::Ipv6,
            metrics: true,
            cert_manager: true,
            gateway_api: true,
            simulated_nodes: 3,
            only_simulated: true,
        };
        let line = std::iter::once("box".into()).chain(asked.arguments());
        let Some(Task::Run(run)) = CommandLine::parse_from(line).task else { panic!("another task") };
        assert_eq!(serde_json::to_value(Options::from(run)).unwrap(), serde_json::to_value(asked).unwrap());
    }
}
