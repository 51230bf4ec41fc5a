//! The command line of `silverback rollout`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::args;

/// Options of `silverback rollout`.
#[derive(Debug, Args)]
pub struct Rollout {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the last rollout. Exits with 0 where it is promoted, 1 where it is not, 3 while it is under way.
    Status(Shown),
    /// Show it at each change until it is over.
    Watch(Watched),
    /// On to what follows the current step, or approve it.
    Promote(Promoted),
    /// Stay.
    Pause(Named),
    /// Go on after a pause.
    Resume(Named),
    /// Back to stable.
    Abort(Named),
    /// The same again, after it failed.
    Retry(Named),
    /// Back to stable, also after promotion, while the old pods drain.
    Undo(Named),
    /// List all rollouts that are kept.
    History(Named),
}

/// Whose rollouts.
#[derive(Debug, Args)]
pub struct Named {
    /// Name of the DataPlane, which is that of its Gateway.
    pub name: String,

    /// Its namespace; that of the current context where absent.
    #[arg(long, short)]
    pub namespace: Option<String>,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Shown {
    /// Whose.
    #[command(flatten)]
    pub named: Named,

    /// In which form.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A tree.
    Text,
    /// The object.
    Json,
}

/// Options of `watch`.
#[derive(Debug, Args)]
pub struct Watched {
    /// Whose.
    #[command(flatten)]
    pub named: Named,

    /// How long at most, as in `2h`; it then exits with 3.
    #[arg(long, value_parser = args::duration)]
    pub timeout: Option<Duration>,
}

/// Options of `promote`.
#[derive(Debug, Args)]
pub struct Promoted {
    /// Whose.
    #[command(flatten)]
    pub named: Named,

    /// Skip all steps; what is looked at before the first request is not skipped.
    #[arg(long)]
    pub full: bool,

    /// Only if it is in this step.
    #[arg(long, value_name = "NAME")]
    pub step: Option<String>,
}
