//! Tests of the suite that are not run.
//!
//! In: `hack/xtask/conformance.yaml`. Out: their short names, with the reasons. Never: one without a reason.

use anyhow::{Context, Result};
use serde::Deserialize;

const LIST: &str = include_str!("../../conformance.yaml");

/// A test that is not run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Its short name.
    pub test: String,
    /// Why it is not run.
    pub reason: String,
}

/// All of them.
pub fn all() -> Result<Vec<Skipped>> {
    serde_saphyr::from_str(LIST).context("hack/xtask/conformance.yaml")
}

/// Their names, as the suite takes them.
pub fn names() -> Result<Vec<String>> {
    Ok(all()?.into_iter().map(|one| one.test).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_reason_that_the_book_tells() {
        let page = include_str!("../../../../docs/conformance.md");
        let all = all().unwrap();
        let names: Vec<_> = all.iter().map(|one| one.test.as_str()).collect();
        assert!(names.is_sorted_by(|one, next| one < next), "sorted, each once: {names:?}");
        for Skipped { test, reason } in &all {
            assert!(
                page.contains(&format!("| `{test}` | {reason} |")),
                "{test} is not in docs/conformance.md"
            );
        }
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, all.len(), "the page has tests that are run");
    }
}
