//! For programs: one object, whose fields are a contract (docs/offline.md).

use serde_json::{Value, json};

use super::super::check::{Checked, Checks, Finding, Warning};

/// The whole report.
pub fn report(checks: &Checks, quiet: bool) -> Value {
    let objects: Vec<_> = checks.objects.iter().map(|checked| object(checked, quiet)).collect();
    json!({ "objects": objects, "passedOver": checks.passed })
}

fn object(checked: &Checked, quiet: bool) -> Value {
    let problems: Vec<_> = checked.problems.iter().map(problem).collect();
    let warnings = checked.warnings.iter().filter(|_| !quiet);
    json!({
        "file": &*checked.file,
        "line": checked.at.line,
        "kind": checked.kind,
        "namespace": checked.namespace,
        "name": checked.name,
        "valid": problems.is_empty(),
        "problems": problems,
        "warnings": warnings.map(warning).collect::<Vec<_>>(),
    })
}

fn warning(warning: &Warning) -> Value {
    let Warning { at, message } = warning;
    json!({ "message": message, "line": at.line, "column": at.column })
}

fn problem(finding: &Finding) -> Value {
    let Finding { at, path, message, cause, by } = finding;
    json!({
        "field": path,
        "message": message,
        "cause": cause,
        "line": at.line,
        "column": at.column,
        "by": by.as_str(),
    })
}
