//! What became of the tests.
//!
//! In: lines as Go's tests print them: which test begins, and, when all are over, what became of each. Out: how many
//! passed, failed and were not run, and which. Never: parts of a test counted as tests.

use std::fmt::Write;

/// Counts of the suite's tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u32,
    failed: Vec<String>,
    /// Passed over by the suite itself: the features that they need are not supported, or they are listed.
    skipped: u32,
    /// Whether the suite as a whole has failed, which it may before its first test.
    broken: bool,
}

impl Tally {
    /// Counts a line; returns what to show of it.
    pub fn add(&mut self, line: &str) -> Option<String> {
        if let Some(begun) = line.strip_prefix("=== RUN   TestConformance/") {
            return (!begun.contains('/')).then(|| format!("... {begun}"));
        }
        let (outcome, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
        let mut parts = rest.split(['/', ' ']);
        let (suite, name) = (parts.next()?, parts.next().filter(|name| !name.starts_with('(')));
        let Some(name) = name else {
            self.broken |= suite == "TestConformance" && outcome == "FAIL";
            return None;
        };
        if !rest.starts_with(&format!("{suite}/{name} (")) {
            return None;
        }
        match outcome {
            "PASS" => self.passed += 1,
            "FAIL" => self.failed.push(name.to_owned()),
            _ => self.skipped += 1,
        }
        (outcome != "SKIP").then(|| format!("{outcome} {name} {}", parts.next().unwrap_or_default()))
    }

    /// Whether something ran and nothing failed.
    pub fn is_good(&self) -> bool {
        !self.has_failures() && self.passed > 0
    }

    /// Whether something failed.
    pub fn has_failures(&self) -> bool {
        self.broken || !self.failed.is_empty()
    }

    /// The counts for people.
    pub fn text(&self) -> String {
        let (passed, failed) = (self.passed, self.failed.len());
        let mut text = format!("{passed} passed, {failed} failed, {} not run", self.skipped);
        if !self.failed.is_empty() {
            let _ = write!(text, "; failed: {}", self.failed.join(", "));
        } else if self.broken {
            text.push_str("; the suite failed outside of its tests: see its log");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_and_their_parts_are_not() {
        let mut tally = Tally::default();
        let mut shown = Vec::new();
        for line in [
            "=== RUN   TestConformance/A",
            "=== RUN   TestConformance/A/first_part",
            "    --- PASS: TestConformance/A (1.20s)",
            "        --- PASS: TestConformance/A/first_part (0.20s)",
            "        --- FAIL: TestConformance/A/a (b)/second (0.20s)",
            "    --- FAIL: TestConformance/B (3.00s)",
            "    --- SKIP: TestConformance/C (0.00s)",
            "--- FAIL: TestConformance (9.00s)",
        ] {
            shown.extend(tally.add(line));
        }
        assert_eq!(shown, ["... A", "PASS A (1.20s)", "FAIL B (3.00s)"]);
        let wanted = Tally { passed: 1, failed: vec!["B".into()], skipped: 1, broken: true };
        assert_eq!(tally, wanted);
        assert!(!tally.is_good());
        assert!(tally.text().contains("1 passed, 1 failed, 1 not run"), "{}", tally.text());
    }

    #[test]
    fn a_suite_that_runs_nothing_is_not_good() {
        let mut tally = Tally::default();
        assert!(!tally.is_good() && !tally.has_failures());
        tally.add("--- FAIL: TestConformance (0.01s)");
        assert!(tally.has_failures());
    }
}
