//! `cargo xtask check`: what must hold of the source besides its tests.
//!
//! In: the tree. Out: one line for each check, and a remedy where it failed. Never: a change of a file.

mod bundle;
mod command;
mod deny;
mod layers;
mod sizes;

use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::{generate, tree};

/// Check format, lints, layers, sizes, generated files and dependencies.
///
/// All checks run, even when one fails; it fails if any does. Takes a minute or two once the workspace
/// is built. The first run also builds cargo-deny, which takes some minutes more.
#[derive(clap::Args)]
pub struct Arguments {
    /// Run these only.
    #[arg(value_enum)]
    only: Vec<Name>,
}

impl Arguments {
    /// One check alone.
    pub fn only(name: Name) -> Self {
        Self { only: vec![name] }
    }
}

/// A check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// The code is formatted.
    Fmt,
    /// Clippy finds nothing, in any target of any crate.
    Clippy,
    /// Crates depend only on the crates that they may, and the pure ones on no runtime.
    Layers,
    /// Files are short and say what they are for.
    Sizes,
    /// Generated files are what would be generated.
    Generated,
    /// The bundle for Operator Lifecycle Manager is what catalogues take.
    Bundle,
    /// Dependencies have allowed licences, known sources, no unexplained duplicates, no known flaws.
    Deny,
}

/// What a check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is wrong; nothing of it means that the check holds.
    pub wrong: Vec<String>,
    /// What a person should know even though nothing is wrong.
    pub notes: Vec<String>,
}

/// Runs the checks and prints a line for each.
pub fn run(arguments: &Arguments) -> ExitCode {
    let root = tree::root();
    let chosen = if arguments.only.is_empty() { Name::value_variants() } else { &arguments.only };
    let mut failed = 0;
    for name in chosen {
        let found = one(*name, &root).unwrap_or_else(|error| Findings::wrong(format!("{error:#}")));
        failed += usize::from(!found.wrong.is_empty());
        println!("{}", report(*name, &found));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(name: Name, root: &Path) -> anyhow::Result<Findings> {
    match name {
        Name::Fmt => command::cargo(root, &["fmt", "--all", "--", "--check", "-l"]),
        Name::Clippy => command::cargo(
            root,
            &["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"],
        ),
        Name::Layers => layers::check(root),
        Name::Sizes => sizes::check(root),
        Name::Generated => Ok(Findings { wrong: generate::differences(root)?, notes: Vec::new() }),
        Name::Bundle => bundle::check(root),
        Name::Deny => deny::check(root),
    }
}

fn report(name: Name, found: &Findings) -> String {
    let word = format!("{name:?}").to_lowercase();
    let notes = found.notes.iter().map(|note| format!("\n  note: {note}"));
    if found.wrong.is_empty() {
        return format!("{word}: ok{}", notes.collect::<String>());
    }
    let wrong = found.wrong.iter().map(|wrong| format!("\n  {}", wrong.replace('\n', "\n  ")));
    format!("{word}: FAILED; {}{}{}", remedy(name), wrong.collect::<String>(), notes.collect::<String>())
}

fn remedy(name: Name) -> &'static str {
    match name {
        Name::Fmt => "run `cargo fmt --all`",
        Name::Clippy => "mend what `cargo clippy --workspace --all-targets` says",
        Name::Layers => "remove the dependency, or move the code to the crate that may have it",
        Name::Sizes => "split the file by what its parts are for; open it with `//!`",
        Name::Generated => "run `cargo xtask generate` and commit what it writes",
        Name::Bundle => "see the rule; mend hack/xtask/src/generate/olm, then run `cargo xtask generate`",
        Name::Deny => "see deny.toml: choose another version or crate, or add a skip with its reason",
    }
}

impl Findings {
    /// One thing that is wrong.
    pub fn wrong(text: impl Into<String>) -> Self {
        Self { wrong: vec![text.into()], notes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_unless_there_is_more_to_say() {
        assert_eq!(report(Name::Sizes, &Findings::default()), "sizes: ok");
        let noted = Findings { notes: vec!["n".into()], ..Findings::default() };
        assert_eq!(report(Name::Deny, &noted), "deny: ok\n  note: n");
        let failed = report(Name::Fmt, &Findings::wrong("a\nb"));
        assert_eq!(failed, "fmt: FAILED; run `cargo fmt --all`\n  a\n  b");
    }
}
