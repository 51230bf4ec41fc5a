//! `silverback validate`, `default` and `render`: what the operator knows of manifests, without a cluster.
//!
//! In: files. Out: reports, manifests and objects on standard output, and an exit code: 0 where all is well, 1 where
//! something is wrong or would change, 2 where it could not be looked. Never: a write to a cluster; only `render --diff`
//! speaks to one.

mod change;
mod check;
mod cluster;
mod databases;
mod definitions;
mod known;
mod manifest;
mod metadata;
mod options;
mod render;
mod rendered;
mod report;
mod rules;
mod schema;
mod sources;
mod stored;
mod yaml;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

pub use options::{Default, Render, Validate};

use options::Manifests;

/// The uid of an object that no cluster has given one.
const UID: &str = "00000000-0000-0000-0000-000000000000";

/// What keeps it from looking.
type Failed = Box<dyn Error + Send + Sync>;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Fine,
    /// Something is wrong, or would change.
    Found,
}

impl Outcome {
    /// Of two things that were looked at.
    fn or(self, other: Self) -> Self {
        if matches!(self, Self::Found) { self } else { other }
    }
}

/// Runs `silverback validate`.
pub fn validate(options: &Validate) -> ExitCode {
    ended(validated(options))
}

/// Runs `silverback default`.
pub fn default(options: &Default) -> ExitCode {
    ended(defaulted(options))
}

/// Runs `silverback render`.
pub fn render(options: &Render) -> ExitCode {
    ended(rendered::run(options))
}

fn ended(outcome: Result<Outcome, Failed>) -> ExitCode {
    match outcome {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Err(error) => {
            eprintln!("silverback: {}", runtime::failure::chain(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

fn validated(options: &Validate) -> Result<Outcome, Failed> {
    let checks = check::all(&items(&options.manifests)?, &options.manifests.premises());
    print(&report::report(&checks, options.output, options.quiet))?;
    let fails = checks.invalid() > 0 || (options.warnings_as_errors && checks.warnings() > 0);
    Ok(if fails { Outcome::Found } else { Outcome::Fine })
}

fn defaulted(options: &Default) -> Result<Outcome, Failed> {
    let stored::Stored { text, broken } = stored::all(&items(&options.manifests)?)?;
    print(&text)?;
    for line in &broken {
        tell(line);
    }
    Ok(if broken.is_empty() { Outcome::Fine } else { Outcome::Found })
}

fn items(manifests: &Manifests) -> Result<Vec<manifest::Item>, Failed> {
    Ok(manifest::items(&sources::read(&manifests.files)?))
}

/// What cannot be part of the output.
fn tell(line: &str) {
    eprintln!("{line}");
}

/// A reader that has seen enough and closes the pipe is no failure.
fn print(text: &str) -> Result<(), Failed> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
