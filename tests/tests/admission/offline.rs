//! The table by `silverback validate`: the same verdicts without a cluster.
//!
//! In: the cases, each as a file of a folder. Out: nothing where each verdict is what was expected.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tests::artifacts;
use tests::world::Scenario;
use tokio::process::Command;

use crate::case::{self, By, Case};
use crate::snapshot;

#[derive(Deserialize)]
struct Report {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    file: String,
    kind: String,
    name: String,
    valid: bool,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct Problem {
    field: String,
    message: String,
    by: String,
}

#[derive(Deserialize)]
struct Warning {
    message: String,
}

pub async fn by_silverback_validate(_: Scenario) -> Result<()> {
    let topics = case::all()?;
    let cases: Vec<_> = topics.iter().flat_map(|topic| &topic.cases).collect();
    let folder = tempfile::tempdir()?;
    for case in &cases {
        write(folder.path(), case)?;
    }
    let mut command = Command::new(artifacts::operator()?);
    command.args(["validate", "--output", "json"]).arg(folder.path()).stdin(Stdio::null());
    let output = command.output().await?;
    ensure!(output.status.code() == Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&output.stdout).context("no report")?;
    let mut found: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for object in report.objects {
        let file =
            Path::new(&object.file).file_stem().context("a file has a name")?.to_string_lossy().into_owned();
        found.entry(file).or_default().push(object);
    }
    let mut told = Vec::new();
    for case in cases {
        let kind = case.object["kind"].as_str().unwrap_or_default();
        let name = case.object["metadata"]["name"].as_str().unwrap_or_default();
        let objects = found.get(&case.slug()).map(Vec::as_slice).unwrap_or_default();
        let Some(object) = objects.iter().rfind(|object| object.kind == kind && object.name == name) else {
            // What others look after is passed over.
            if case.is_ours() || !case.plain_warnings().is_empty() {
                told.push(format!("{:?}: nothing is said of it", case.name));
            }
            continue;
        };
        told.extend(faults(case, object).into_iter().map(|fault| format!("{:?}: {fault}", case.name)));
    }
    snapshot::end(&told)
}

/// A case as a file: what is given, then itself, in a namespace of its own.
fn write(folder: &Path, case: &Case) -> Result<()> {
    let namespace = case.namespace().map_or_else(|| case.slug(), str::to_owned);
    let mut documents = Vec::new();
    for object in case.given.iter().chain([&case.object]) {
        let mut object = object.clone();
        let has_namespace =
            !["GatewayClass", "Namespace"].contains(&object["kind"].as_str().unwrap_or_default());
        let metadata = object["metadata"].as_object_mut().context("metadata")?;
        if has_namespace {
            metadata.entry("namespace").or_insert_with(|| json!(namespace));
        }
        documents.push(serde_saphyr::to_string::<Value>(&object)?);
    }
    Ok(std::fs::write(folder.join(format!("{}.yaml", case.slug())), documents.join("---\n"))?)
}

/// How the verdict differs from what was expected.
fn faults(case: &Case, object: &Object) -> Vec<String> {
    let mut faults = Vec::new();
    let (because, warns) = (case.plain_faults(), case.plain_warnings());
    if object.valid != because.is_empty() {
        faults.push(format!("valid is {}", object.valid));
    }
    for because in &because {
        let by = |problem: &&Problem| problem.by == word(because.by) && problem.field == because.field;
        // The words of the schema are the API server's own; here they may be others.
        let says = |problem: &Problem| because.by <= By::Schema || problem.message.contains(&because.says);
        if !object.problems.iter().filter(by).any(says) {
            faults.push(format!("not told: * {}: …{} ({})", because.field, because.says, word(because.by)));
        }
    }
    for words in &warns {
        if !object.warnings.iter().any(|warning| warning.message.contains(words)) {
            faults.push(format!("no warning of {words:?}"));
        }
    }
    if case.is_good() && object.warnings.len() != warns.len() {
        let all: Vec<_> = object.warnings.iter().map(|warning| warning.message.as_str()).collect();
        faults.push(format!("{} warnings instead of {}: {all:?}", object.warnings.len(), warns.len()));
    }
    if !faults.is_empty() {
        let all: Vec<_> =
            object.problems.iter().map(|p| format!("{}: {} ({})", p.field, p.message, p.by)).collect();
        faults.push(format!("said: {all:#?}"));
    }
    faults
}

fn word(by: By) -> &'static str {
    match by {
        By::Field => "field",
        By::Schema => "schema",
        By::Rule => "rule",
        By::Webhook => "webhook",
    }
}
