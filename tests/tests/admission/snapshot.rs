//! Snapshots of whole pages, to be read in a review.
//!
//! In: pages. Out: how they differ from the reviewed ones, all of them and not the first alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, ensure};
use tests::artifacts;

/// Compares a page with the reviewed one, where there is anything to read; a difference is one fault more. The difference itself is printed.
pub fn compare(name: &str, page: &str, faults: &mut Vec<String>) {
    if page.is_empty() {
        return;
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(artifacts::root().join("tests/tests/admission/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let compared = settings.bind(|| catch_unwind(AssertUnwindSafe(|| insta::assert_snapshot!(name, page))));
    if compared.is_err() {
        faults.push(format!("{name}: the words differ from the snapshot; read the new ones, then keep them"));
    }
}

/// Fails with all faults at once.
pub fn end(faults: &[String]) -> Result<()> {
    ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    Ok(())
}
