//! What the dependencies bring along.
//!
//! In: `Cargo.lock` and `deny.toml`. Out: what cargo-deny objects to. Never: a claim about advisories
//! where their database could not be fetched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::Findings;
use super::command::{findings, output};

/// The version of cargo-deny whose rules `deny.toml` was written for.
const VERSION: &str = "0.20.2";
/// Where the advisories are; cargo-deny fetches them with git.
const ADVISORIES: &str = "https://github.com/RustSec/advisory-db";
/// How long to wait for the advisories' server before doing without.
const PATIENCE: Duration = Duration::from_secs(10);

/// Licences, sources and duplicates always; advisories when their database can be reached.
pub fn check(root: &Path) -> anyhow::Result<Findings> {
    let program = program()?;
    let mut found = run(&program, root, &["bans", "licenses", "sources"])?;
    if reachable() {
        found.wrong.extend(run(&program, root, &["advisories"])?.wrong);
    } else {
        found.notes.push(format!("advisories were not checked: {ADVISORIES} cannot be reached"));
    }
    Ok(found)
}

fn run(program: &Path, root: &Path, checks: &[&str]) -> anyhow::Result<Findings> {
    let mut command = Command::new(program);
    command.args(["--workspace", "--locked", "--log-level", "error", "check", "--hide-inclusion-graph"]);
    Ok(findings(&output(command.args(checks).current_dir(root))?))
}

/// The pinned cargo-deny, built on first use and kept outside the tree.
fn program() -> anyhow::Result<PathBuf> {
    let folder = cache()?.join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        eprintln!("building cargo-deny {VERSION}, once, into {}: this takes some minutes", folder.display());
        let mut install = Command::new("cargo");
        install
            .args(["install", "--locked", "--quiet", "cargo-deny", "--version", VERSION, "--root"])
            .arg(&folder);
        // From the root folder, so that no configuration of a project applies to it.
        let built = findings(&output(install.current_dir("/"))?);
        anyhow::ensure!(built.wrong.is_empty(), "cargo-deny cannot be built:\n{}", built.wrong.join("\n"));
    }
    Ok(program)
}

fn cache() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("SILVERBACK_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("silverback")))
        .or_else(|| set("HOME").map(|folder| folder.join(".cache/silverback")))
        .context("set SILVERBACK_CACHE to a folder for what is built once")
}

/// Whether git gets an answer soon. cargo-deny itself would try for minutes.
fn reachable() -> bool {
    let mut git = Command::new("git");
    git.args(["ls-remote", "--exit-code", ADVISORIES, "HEAD"]).env("GIT_TERMINAL_PROMPT", "0");
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    answers(&mut git, PATIENCE)
}

/// Whether a program succeeds within this time; it is ended where it does not.
fn answers(command: &mut Command, patience: Duration) -> bool {
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_answer_is_not_waited_for() {
        assert!(answers(&mut Command::new("true"), PATIENCE));
        assert!(!answers(&mut Command::new("false"), PATIENCE));
        assert!(!answers(&mut Command::new("/no/such/program"), PATIENCE));
        let begin = Instant::now();
        assert!(!answers(Command::new("sleep").arg("60"), Duration::from_millis(100)));
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}
