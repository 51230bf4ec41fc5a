//! Runs the components, each with a log file of its own, and sees when one ends.
//!
//! In: command lines. Out: processes, and the first failure. A component is never started again: in a
//! box that lives for minutes, one that ended is a fault to be seen.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::config::Line;

/// Lines of a log that a failure shows.
const SHOWN: usize = 25;

/// Starts the components of a box.
pub(crate) struct Supervisor {
    launcher: PathBuf,
    logs: PathBuf,
    ended: mpsc::UnboundedSender<anyhow::Error>,
}

/// Tells of the components that ended.
pub(crate) struct Failures(mpsc::UnboundedReceiver<anyhow::Error>);

impl Failures {
    /// Waits for the first component to end.
    pub(crate) async fn first(&mut self) -> anyhow::Error {
        self.0.recv().await.unwrap_or_else(|| anyhow!("no component runs"))
    }
}

impl Supervisor {
    /// `launcher` is the program `box`, `logs` the directory of all logs.
    pub(crate) fn new(launcher: PathBuf, logs: PathBuf) -> (Self, Failures) {
        let (ended, failures) = mpsc::unbounded_channel();
        (Self { launcher, logs, ended }, Failures(failures))
    }

    /// Starts a component.
    pub(crate) fn start(&self, line: &Line) -> Result<()> {
        let path = self.logs.join(format!("{}.log", line.name));
        let log = File::options().append(true).create(true).open(&path)?;
        let mut command = self.command(line);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", line.program.display()))?;
        let (name, ended) = (line.name.clone(), self.ended.clone());
        tokio::spawn(async move {
            let failure = watch(&name, child, &path).await;
            // Nobody listens any more when the box ends anyway.
            let _ = ended.send(failure);
        });
        Ok(())
    }

    fn command(&self, line: &Line) -> Command {
        let mut command = match &line.netns {
            None => Command::new(&line.program),
            Some(netns) => {
                let mut command = Command::new(&self.launcher);
                command.args(["exec", "--net"]).arg(netns).arg("--").arg(&line.program);
                command
            }
        };
        command.args(&line.arguments).envs(line.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

async fn watch(name: &str, mut child: Child, log: &Path) -> anyhow::Error {
    let how = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    anyhow!("{name} ended ({how}); its last lines:\n{}", tail(log))
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Line {
        Line {
            name: "component".into(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            env: vec![("WORD", "spoken".into())],
            netns: None,
        }
    }

    #[tokio::test]
    async fn a_failure_names_the_component_its_code_and_its_last_lines() {
        let logs = tempfile::tempdir().unwrap();
        let (supervisor, mut failures) = Supervisor::new("/no/box".into(), logs.path().into());
        supervisor
            .start(&shell("for i in $(seq 40); do echo line-$i; done; echo $WORD >&2; exit 3"))
            .unwrap();
        let failure = failures.first().await.to_string();
        assert!(failure.starts_with("component ended (exit status: 3)"), "{failure}");
        assert!(failure.ends_with("line-40\nspoken") && !failure.contains("line-10\n"), "{failure}");
    }
}
