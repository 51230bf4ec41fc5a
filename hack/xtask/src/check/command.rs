//! Checks that other programs make.
//!
//! In: a command line. Out: nothing when it succeeds, its last words when it fails. Never: a shell.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::Context as _;

use super::Findings;

/// Lines of a program's output that are repeated when it fails.
const LAST_WORDS: usize = 60;

/// Runs cargo in `root`: the same cargo that runs this program.
pub fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<Findings> {
    Ok(findings(&output(Command::new(program()).args(arguments).current_dir(root))?))
}

/// What cargo prints on standard output; an error when it fails.
pub fn cargo_output(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = output(Command::new(program()).args(arguments).current_dir(root))?;
    anyhow::ensure!(output.status.success(), "cargo {}: {}", arguments.join(" "), last_words(&output));
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a program to its end.
pub fn output(command: &mut Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_os_string();
    command.output().with_context(|| format!("cannot run {}", name.display()))
}

/// Nothing wrong when the program succeeded, else its last words.
pub fn findings(output: &Output) -> Findings {
    if output.status.success() { Findings::default() } else { Findings::wrong(last_words(output)) }
}

fn last_words(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_WORDS);
    let cut = if from == 0 { String::new() } else { format!("… {from} lines before\n") };
    format!("{cut}{}", lines.get(from..).unwrap_or_default().join("\n"))
}

fn program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_told_in_the_programs_own_words() {
        let root = crate::tree::root();
        assert_eq!(cargo(&root, &["--version"]).unwrap(), Findings::default());
        let failed = cargo(&root, &["no-such-command"]).unwrap();
        assert!(failed.wrong[0].contains("no such command"), "{failed:?}");
        assert!(cargo_output(&root, &["no-such-command"]).is_err());
    }
}
