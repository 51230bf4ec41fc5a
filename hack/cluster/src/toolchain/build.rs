//! One build by `go`, with progress.
//!
//! In: a recipe and an empty directory. Out: a directory of programs inside it. Never looks at the
//! cache; go's own cache of modules and packages is used as it is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Recipe, Target};
use crate::packages::{self, ELSEWHERE};
use crate::progress::Progress;

const INTERVAL: Duration = Duration::from_secs(5);
/// Lines of go's output that an error shows.
const SHOWN: usize = 20;

/// The version of go, its target and what else `go env` knows to matter.
pub(super) fn go_version() -> Result<String> {
    if packages::find("go").is_none() {
        bail!(
            "the box is built with Go 1.26.6 or newer, and no `go` is on PATH: see https://go.dev/dl; {ELSEWHERE}"
        );
    }
    let said =
        Command::new("go").args(["env", "GOVERSION", "GOOS", "GOARCH"]).output().context("cannot run go")?;
    if !said.status.success() {
        bail!("go env failed: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// Builds the programs of a recipe; the directory of them.
pub(super) fn build(recipe: &Recipe, scratch: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    let (module, bin) = (scratch.join("module"), scratch.join("bin"));
    fs::create_dir_all(&bin)?;
    for (path, content) in recipe.files {
        let file = module.join(path);
        file.parent().map(fs::create_dir_all).transpose()?;
        fs::write(file, content)?;
    }
    if !matches!(recipe.target, Target::Nothing) {
        let total = count(recipe, &module, progress)?;
        run(recipe, compile(recipe, &module, &bin), total, progress)?;
    }
    if let Some((other, folder)) = recipe.along {
        take_along(&directory(recipe, &module, other)?.join(folder), &bin)?;
    }
    Ok(bin)
}

/// Downloads what is needed; the number of packages to compile at most.
fn count(recipe: &Recipe, module: &Path, progress: &mut dyn FnMut(Progress)) -> Result<usize> {
    let began = Instant::now();
    progress(Progress::new("toolchain", format!("{}: downloading Go modules", recipe.name), began.elapsed()));
    let mut list = go(recipe, module);
    list.args(["list", "-deps", "-f", "{{.ImportPath}}"]);
    list.args(tags(recipe)).arg(recipe.target.name());
    let said = list.stderr(Stdio::piped()).output().context("cannot run go list")?;
    if !said.status.success() {
        bail!("go list of {} failed:\n{}", recipe.name, tail(&String::from_utf8_lossy(&said.stderr)));
    }
    Ok(said.stdout.split(|byte| *byte == b'\n').count())
}

fn tags(recipe: &Recipe) -> impl Iterator<Item = &'static str> {
    recipe.arguments.iter().copied().skip_while(|argument| *argument != "-tags").take(2)
}

fn compile(recipe: &Recipe, module: &Path, bin: &Path) -> Command {
    let mut command = go(recipe, module);
    match recipe.target {
        Target::Package(package) => {
            command.args(["build", "-v"]).args(recipe.arguments).arg("-o").arg(bin).arg(package)
        }
        Target::Tools | Target::Nothing => {
            command.args(["install", "-v"]).args(recipe.arguments).arg("tool").env("GOBIN", bin)
        }
    };
    command
}

fn go(recipe: &Recipe, module: &Path) -> Command {
    let mut command = Command::new("go");
    // The scratch module is no part of a workspace that someone's go.work may name.
    command.current_dir(module).env("CGO_ENABLED", if recipe.cgo { "1" } else { "0" }).env("GOWORK", "off");
    // A cache inside somebody's git checkout is none of the build's business.
    let flags = std::env::var("GOFLAGS").unwrap_or_default();
    command.env("GOFLAGS", format!("{flags} -buildvcs=false").trim_start());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn run(
    recipe: &Recipe,
    mut command: Command,
    total: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run go")?;
    let output = child.stderr.take().context("go has an output")?;
    let said = follow(recipe, output, total, progress);
    finish(recipe, child, &said)
}

/// Reads what go says until it ends, and tells how far it is.
fn follow(
    recipe: &Recipe,
    output: ChildStderr,
    total: usize,
    progress: &mut dyn FnMut(Progress),
) -> Vec<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let began = Instant::now();
    let mut next = began;
    let mut said = Vec::new();
    loop {
        if Instant::now() >= next {
            let message = format!("{}: {} of at most {total} packages compiled", recipe.name, said.len());
            progress(Progress::new("toolchain", message, began.elapsed()));
            next = Instant::now() + INTERVAL;
        }
        match lines.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(line) => said.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return said,
        }
    }
}

fn finish(recipe: &Recipe, mut child: Child, said: &[String]) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        bail!("building {} failed ({status}):\n{}", recipe.name, tail(&said.join("\n")));
    }
    Ok(())
}

/// Where go keeps the sources of another module. Where nothing of it was compiled, they are downloaded now.
fn directory(recipe: &Recipe, module: &Path, other: &str) -> Result<PathBuf> {
    let said = go(recipe, module).args(["mod", "download", other]).stderr(Stdio::piped()).output()?;
    if !said.status.success() {
        bail!("go mod download of {other} failed:\n{}", tail(&String::from_utf8_lossy(&said.stderr)));
    }
    let mut list = go(recipe, module);
    let said = list.args(["list", "-m", "-f", "{{.Dir}}", other]).output().context("cannot run go list")?;
    if !said.status.success() {
        bail!("go list of {other} failed:\n{}", tail(&String::from_utf8_lossy(&said.stderr)));
    }
    Ok(PathBuf::from(String::from_utf8(said.stdout)?.trim_end()))
}

/// Copies the files of a folder, not of those in it, into one of the same name.
fn take_along(folder: &Path, bin: &Path) -> Result<()> {
    let into = bin.join(folder.file_name().context("a folder has a name")?);
    fs::create_dir_all(&into)?;
    for entry in fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            // Not fs::copy: go's files are read-only, and the copies must be removable and replaceable.
            fs::write(into.join(entry.file_name()), fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_build_shows_what_go_said() {
        let broken = Recipe {
            name: "broken",
            files: &[
                ("go.mod", "module broken\n\ngo 1.26.0\n"),
                ("main.go", "package main\n\nfunc main() { nonsense() }\n"),
            ],
            target: Target::Package("."),
            arguments: &[],
            cgo: false,
            along: None,
            programs: &["broken"],
        };
        let scratch = tempfile::tempdir().unwrap();
        let error = build(&broken, scratch.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("undefined: nonsense"), "{error}");
    }

    #[test]
    fn files_alone_are_taken_along_from_what_was_downloaded() {
        let scratch = tempfile::tempdir().unwrap();
        let bin = build(&super::super::GATEWAY_API, scratch.path(), &mut |step| {
            assert!(!step.message.contains("compiled"), "{}", step.message);
        });
        assert!(bin.unwrap().join("standard/gateway.networking.k8s.io_gateways.yaml").is_file());
    }

    #[test]
    fn only_tags_are_passed_to_list() {
        let names: Vec<_> = tags(&super::super::NODE).collect();
        assert_eq!(names, ["-tags", "seccomp"]);
    }
}
