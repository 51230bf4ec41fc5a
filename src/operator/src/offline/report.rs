//! Reports, in the form that was asked for.

mod json;
mod sarif;
mod text;

use clap::ValueEnum;

use super::check::{Checked, Checks};

/// How to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, as `kubectl` puts it.
    Text,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, which code hosts show beside the lines.
    Sarif,
}

/// The report; one that is quiet leaves out warnings and counts.
pub fn report(checks: &Checks, format: Format, quiet: bool) -> String {
    match format {
        Format::Text => text::report(checks, quiet),
        Format::Json => pretty(&json::report(checks, quiet)),
        Format::Sarif => pretty(&sarif::report(checks, quiet)),
    }
}

/// What is wrong with one object, for people.
pub fn problems(object: &Checked) -> String {
    let mut text = String::new();
    text::problems(&mut text, object);
    text
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
