//! `kubectl` as people use it: a manifest goes in, words and an exit code come out.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

/// What came out.
#[derive(Debug)]
pub struct Said {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it printed to standard error.
    pub err: String,
}

impl Said {
    /// The texts of the warnings.
    pub fn warnings(&self) -> Vec<&str> {
        self.err.lines().filter_map(|line| line.strip_prefix("Warning: ")).collect()
    }

    /// What is said to be wrong, a field's path first: kubectl gives each a bullet, or the one that there is none.
    pub fn causes(&self) -> Vec<&str> {
        let told = self.err.lines().filter(|line| !line.starts_with("Warning: "));
        told.filter_map(|line| {
            let one =
                line.split_once(" is invalid: ").map(|(_, cause)| cause).filter(|cause| !cause.is_empty());
            line.strip_prefix("* ").or(one)
        })
        .collect()
    }

    /// Itself, where it went well.
    pub fn well(self) -> Result<Self> {
        ensure!(self.code == Some(0), "kubectl ended with {:?}: {}", self.code, self.err);
        Ok(self)
    }
}

/// Runs it with these manifests as its input.
pub async fn run(cluster: &Cluster, arguments: &[&str], manifests: &[Value]) -> Result<Said> {
    run_with(cluster, arguments, manifests, &[]).await
}

/// Runs it with these manifests as its input, and more variables in its environment.
pub async fn run_with(
    cluster: &Cluster,
    arguments: &[&str],
    manifests: &[Value],
    variables: &[(&str, &str)],
) -> Result<Said> {
    let mut command = cluster.kubectl()?;
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot run kubectl")?;
    let mut input = child.stdin.take().context("no input")?;
    let documents: Vec<_> = manifests.iter().map(ToString::to_string).collect();
    // One that takes no input may end before it is written.
    let _ = input.write_all(documents.join("\n---\n").as_bytes()).await;
    drop(input);
    let output = child.wait_with_output().await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}
