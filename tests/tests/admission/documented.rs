//! Whether the table leaves out a rule: each that is documented, and each of the definitions, has a case.
//!
//! In: the tables of `docs/admission-rules.md`, the definitions, and what kubectl says of the cases, which the snapshots
//! have. Out: nothing where all words are met.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::artifacts;
use tests::world::Scenario;

use crate::snapshot;

/// What no manifest alone can bring about, and where it is shown instead.
const ELSEWHERE: [&str; 1] = [
    // It takes a status in the midst of a promotion: the unit tests of `webhooks` have it.
    "cannot be changed while new pods are promoted",
];

pub async fn every_documented_rule_has_a_case(_: Scenario) -> Result<()> {
    let text = std::fs::read_to_string(artifacts::root().join("docs/admission-rules.md"))?;
    let documented = says(&text);
    ensure!(documented.len() > 100, "only {} rules are documented", documented.len());
    let said = said()?;
    let mut faults: Vec<_> = documented
        .iter()
        .filter(|words| !ELSEWHERE.contains(&words.as_str()) && !said.contains(words.as_str()))
        .map(|words| format!("documented, and no case is told {words:?}"))
        .collect();
    let defined = defined()?;
    ensure!(defined.len() > 10, "only {} rules are in the definitions", defined.len());
    let unmet = defined.iter().filter(|words| !said.contains(words.as_str()));
    faults.extend(unmet.map(|words| format!("in a definition, and no case is told {words:?}")));
    snapshot::end(&faults)
}

/// What the rules say: the column of that name in each table.
fn says(text: &str) -> Vec<String> {
    let (mut column, mut all) = (None, Vec::new());
    let mut in_table = false;
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|') else {
            (in_table, column) = (false, None);
            continue;
        };
        let cells: Vec<_> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        if !in_table {
            (in_table, column) = (true, cells.iter().position(|cell| *cell == "Says"));
            continue;
        }
        let words = column.and_then(|column: usize| cells.get(column)).copied().unwrap_or_default();
        if !words.is_empty() && !words.starts_with("---") {
            all.push(words.to_owned());
        }
    }
    all
}

/// Everything that kubectl says of the cases.
fn said() -> Result<String> {
    let mut all = String::new();
    for file in files("tests/tests/admission/snapshots", "snap")? {
        // That one has no words in it.
        if file.file_stem().is_some_and(|name| name != "without-the-webhook") {
            all += &std::fs::read_to_string(&file)?;
        }
    }
    Ok(all)
}

/// What the rules of the definitions say, where it is the same for every object.
fn defined() -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for kind in ["dataplanes", "controlplanes", "gatewayconfigurations", "watchnamespacegrants"] {
        let file = artifacts::root().join("crds/yaml").join(format!("{kind}.yaml"));
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        messages(&serde_saphyr::from_str(&text)?, &mut all);
    }
    Ok(all)
}

fn messages(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let rules = members.get("x-kubernetes-validations").and_then(Value::as_array);
            let fixed = rules.into_iter().flatten().filter(|rule| rule.get("messageExpression").is_none());
            all.extend(fixed.filter_map(|rule| rule["message"].as_str().map(str::to_owned)));
            members.values().for_each(|member| messages(member, all));
        }
        Value::Array(items) => items.iter().for_each(|item| messages(item, all)),
        _ => {}
    }
}

fn files(folder: &str, ending: &str) -> Result<Vec<std::path::PathBuf>> {
    let all = std::fs::read_dir(artifacts::root().join(folder))?;
    let all: std::io::Result<Vec<_>> = all.map(|file| Ok(file?.path())).collect();
    let is_meant = |file: &Path| file.extension().is_some_and(|found| found == ending);
    Ok(all?.into_iter().filter(|file| is_meant(file)).collect())
}
