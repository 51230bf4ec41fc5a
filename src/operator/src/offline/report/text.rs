//! For people: a block per object, a bullet per problem, each with its place.

use std::fmt::Write;

use super::super::check::{Checked, Checks, Finding, Warning};

/// The whole report.
pub fn report(checks: &Checks, quiet: bool) -> String {
    let mut text = String::new();
    for object in &checks.objects {
        problems(&mut text, object);
        if !quiet {
            warnings(&mut text, object);
        }
    }
    if !quiet {
        let _ = writeln!(text, "{}", counts(checks));
    }
    text
}

/// What is wrong with one object; nothing where nothing is.
pub fn problems(text: &mut String, object: &Checked) {
    let Checked { file, at, problems, .. } = object;
    if problems.is_empty() {
        return;
    }
    if let [Finding { at, path, message, .. }] = problems.as_slice()
        && path.is_empty()
        && object.kind.is_empty()
    {
        let _ = writeln!(text, "{file}:{}:{}: cannot be read: {message}", at.line, at.column);
        return;
    }
    let _ = writeln!(text, "{file}:{}: The {} is invalid:", at.line, named(object));
    for Finding { at, path, message, .. } in problems {
        let colon = if path.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "* {path}{colon}{message} ({file}:{}:{})", at.line, at.column);
    }
}

fn warnings(text: &mut String, object: &Checked) {
    for Warning { at, message } in &object.warnings {
        let _ = writeln!(text, "{}:{}: Warning: {}: {message}", object.file, at.line, named(object));
    }
}

fn named(object: &Checked) -> String {
    let kind = if object.kind.is_empty() { "document" } else { &object.kind };
    format!("{kind} {:?}", object.name)
}

/// As in `12 objects: 10 valid, 2 invalid, 3 warnings; 7 of other kinds passed over (Deployment 5, Service 2)`.
fn counts(checks: &Checks) -> String {
    let (all, invalid) = (checks.objects.len(), checks.invalid());
    let mut text = format!(
        "{}: {} valid, {invalid} invalid, {}",
        counted(all, "object"),
        all - invalid,
        counted(checks.warnings(), "warning")
    );
    let passed: usize = checks.passed.values().sum();
    if passed > 0 {
        let kinds: Vec<_> = checks.passed.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let _ = write!(text, "; {passed} of other kinds passed over ({})", kinds.join(", "));
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
