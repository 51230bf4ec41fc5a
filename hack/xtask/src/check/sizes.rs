//! How long files are, and whether they say what they are for.
//!
//! In: Rust files. Out: those that are too long or do not open with `//!`. Never: the length of
//! functions; clippy measures that.

use std::fs;
use std::path::Path;

use super::Findings;
use crate::tree;

/// Lines that a file may have.
const MOST_LINES: usize = 450;
/// Lines of code, that is neither blank nor comment, that a file should have.
const GOOD_LINES: usize = 300;

/// Looks at every Rust file of the tree.
pub fn check(root: &Path) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    for path in tree::files(root, "rs")? {
        let text = fs::read_to_string(&path)?;
        let name = path.strip_prefix(root)?.display().to_string();
        judge(&mut findings, &name, &text);
    }
    Ok(findings)
}

fn judge(findings: &mut Findings, name: &str, text: &str) {
    let lines = text.lines().count();
    let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    if lines > MOST_LINES {
        findings.wrong.push(format!("{name}: {lines} lines; {MOST_LINES} is the most"));
    } else if code > GOOD_LINES {
        findings.notes.push(format!("{name}: {code} lines of code; {GOOD_LINES} is better"));
    }
    if !text.starts_with("//! ") {
        findings.wrong.push(format!("{name}: does not open with `//!`"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Findings {
        let mut findings = Findings::default();
        judge(&mut findings, "f.rs", text);
        findings
    }

    #[test]
    fn long_files_and_those_without_an_opening_are_found() {
        let comment = "//! What it is.\n";
        assert_eq!(found(comment), Findings::default());
        assert_eq!(found("mod a;\n").wrong, ["f.rs: does not open with `//!`"]);
        assert_eq!(found(""), Findings::wrong("f.rs: does not open with `//!`"));
        let most = comment.to_owned() + &"// why\n\n".repeat(224);
        assert_eq!(found(&most), Findings::default());
        assert_eq!(found(&(most + "\n\n")).wrong, ["f.rs: 451 lines; 450 is the most"]);
        let good = comment.to_owned() + &"a();\n".repeat(300);
        assert_eq!(found(&good), Findings::default());
        assert_eq!(found(&(good + "a();\n")).notes, ["f.rs: 301 lines of code; 300 is better"]);
    }

    #[test]
    fn every_file_below_is_seen() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/src")).unwrap();
        fs::write(root.path().join("a/src/lib.rs"), "fn a() {}\n").unwrap();
        assert_eq!(check(root.path()).unwrap().wrong, ["a/src/lib.rs: does not open with `//!`"]);
    }
}
