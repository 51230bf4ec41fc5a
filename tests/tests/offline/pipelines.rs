//! The action for GitHub, which compares manifests with a cluster.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::artifacts;
use tests::world::Scenario;
use tokio::process::Command;

use crate::{Said, manifest, piped};

/// Runs the script of the action, as its inputs are by default but for these.
async fn action(s: &Scenario, folder: &Path, given: &[(&str, &str)]) -> Result<Said> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../action.yml"))?;
    let action: Value = serde_saphyr::from_str(&text)?;
    let script = action["runs"]["steps"][0]["run"].as_str().context("no script")?;
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(folder);
    for name in ["CLUSTER", "FAIL_ON_DIFF", "IMAGE", "RENDERED", "SARIF", "STORED", "WARNINGS_AS_ERRORS"] {
        bash.env(name, "");
    }
    bash.env("PROGRAM", artifacts::operator()?).env("NAMESPACE", &s.namespace).env("FILES", "edge.yaml");
    bash.env("DIFF", "true").env("GITHUB_STEP_SUMMARY", folder.join("summary.md"));
    bash.env("CLUSTER", s.world.cluster.kubeconfig()).envs(given.iter().copied()).kill_on_drop(true);
    piped(&mut bash, "").await
}

/// What would change stands in the summary of the job, in a block that no text in it can end.
pub async fn a_pull_request_is_told_what_would_change(s: Scenario) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut given = manifest("edge", Some(2), &[]);
    given["spec"]["network"]["services"]["ingress"]["annotations"] = json!({ "note": "````\n# mine" });
    std::fs::write(folder.path().join("edge.yaml"), given.to_string())?;
    let said = action(&s, folder.path(), &[]).await?;
    ensure!(said.code == 0, "{}: {}{}", said.code, said.out, said.err);
    let summary = std::fs::read_to_string(folder.path().join("summary.md"))?;
    ensure!(summary.contains("\n`````diff\n# DataPlane edge (edge.yaml:1)\n"), "{summary}");
    ensure!(summary.contains("# Deployment dataplane-edge-1: 2 pods would be started\n"), "{summary}");
    ensure!(summary.ends_with("\n`````\n"), "{summary}");
    let said = action(&s, folder.path(), &[("FAIL_ON_DIFF", "true")]).await?;
    ensure!(said.code == 1, "{}: {}{}", said.code, said.out, said.err);
    let said = action(&s, folder.path(), &[("CLUSTER", "/nowhere")]).await?;
    ensure!(said.code == 2, "{}: {}{}", said.code, said.out, said.err);
    Ok(())
}
