//! `cargo xtask test`: every test of the project, with what they need made first.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use cluster::toolchain::{self, Component};

use crate::products::{self, Profile};
use crate::{show, tree};

/// Run all tests: of the crates, of the stand-ins, and the suites on real clusters in boxes. Needs root.
///
/// The first run builds Kubernetes, the node runtime, CoreDNS, metrics-server, kwok and cert-manager from their Go
/// modules (about 17 minutes on two cores) and this workspace (about 6); later ones take about 23 minutes. Words after `--` go to `cargo test`, as
/// in `cargo xtask test -- --package tests --test dataplane`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Run tests that failed once more, by themselves, and name those that pass then: on a machine that others use too, a
    /// deadline may be missed for their sake.
    #[arg(long)]
    retry: bool,
    /// Arguments for `cargo test`; without any the whole workspace is tested.
    #[arg(last = true, value_name = "ARGUMENTS")]
    rest: Vec<String>,
}

/// Makes what the tests need, runs them, and closes with their totals.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let began = Instant::now();
    products::build(&["operator", "cluster", "standin-kong", "standin-kic", "standin-echo"], Profile::Dev)?;
    cluster::prepare(&mut |step| show::step(&step))?;
    for component in [
        Component::Kubernetes,
        Component::Node,
        Component::CoreDns,
        Component::MetricsServer,
        Component::Kwok,
        Component::CertManager,
        Component::GatewayApi,
    ] {
        toolchain::ensure(component, &mut |step| show::step(&step))?;
    }
    for images in [products::IN_EVERY_BOX, products::IN_SOME_BOXES] {
        products::archives(images, Profile::Dev)?;
    }
    let made = began.elapsed();
    let began = Instant::now();
    let (mut totals, mut good) = cargo_test(&arguments.rest)?;
    if arguments.retry && !good && totals.are_named() {
        good = again(&mut totals)?;
    }
    let ran = began.elapsed();
    println!(
        "\nmade what the tests need in {:.0} s, built and ran them in {:.0} s",
        made.as_secs_f64(),
        ran.as_secs_f64()
    );
    // The plain closing line that any reader of logs understands.
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One run of `cargo test`: what it said in passing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u32,
    failed: u32,
    /// Tests that failed since the last target ended.
    pending: Vec<String>,
    /// Targets that failed: how cargo names them, and their tests that failed.
    targets: Vec<Target>,
}

/// A target with tests that failed.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// As `cargo test` takes it, such as `-p tests --test dataplane`.
    words: Vec<String>,
    tests: Vec<String>,
}

fn cargo_test(rest: &[String]) -> Result<(Totals, bool)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(tree::root()).arg("test").stdin(Stdio::null());
    if rest.is_empty() {
        cargo.args(["--workspace", "--no-fail-fast"]);
    }
    cargo.args(rest);
    cargo.env("SILVERBACK_BOX", products::program("box", Profile::Dev));
    cargo.env("SILVERBACK_OPERATOR", products::program("silverback", Profile::Dev));
    cargo.env("SILVERBACK_IMAGES", products::images(Profile::Dev));
    // One pipe for both: which target failed is said on the one, and which tests on the other.
    let (output, input) = std::io::pipe().context("there is no pipe")?;
    cargo.stdout(input.try_clone().context("the pipe cannot be shared")?).stderr(input);
    let mut child = cargo.spawn().context("cargo cannot be run")?;
    // It holds the writing end, which has to be closed for the reading to end.
    drop(cargo);
    let mut totals = Totals::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        totals.add(&line);
        println!("{line}");
    }
    Ok((totals, child.wait()?.success()))
}

impl Totals {
    /// Reads a line of cargo or of the test harness.
    fn add(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix("FAILED")) {
            let name = name.trim_end().trim_end_matches("...").trim_end();
            self.pending.push(name.to_owned());
        } else if let Some((_, target)) = line.split_once("test failed, to rerun pass `") {
            let words = target.trim_end_matches('`').split(' ').map(str::to_owned).collect();
            self.targets.push(Target { words, tests: std::mem::take(&mut self.pending) });
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.count(counts);
        }
    }

    /// Counts a closing line of the test harness: `ok. 3 passed; 0 failed; …`.
    fn count(&mut self, counts: &str) {
        let count = |word: &str| {
            let before = counts.split(word).next().filter(|before| before.len() < counts.len())?;
            before.trim_end().rsplit(' ').next()?.parse::<u32>().ok()
        };
        self.passed += count("passed").unwrap_or(0);
        self.failed += count("failed").unwrap_or(0);
    }

    /// Whether every failure is that of a test whose name is known: what did not build, or ended otherwise, is not tried again.
    fn are_named(&self) -> bool {
        let named: usize = self.targets.iter().map(|target| target.tests.len()).sum();
        self.pending.is_empty()
            && self.targets.iter().all(|target| !target.tests.is_empty())
            && u32::try_from(named) == Ok(self.failed)
    }
}

/// Runs each test that failed once more, by itself. One that passes then is told apart: it passed, but something about it
/// or about the machine is not steady.
fn again(totals: &mut Totals) -> Result<bool> {
    let mut unsteady = Vec::new();
    for Target { words, tests } in std::mem::take(&mut totals.targets) {
        for test in tests {
            println!("\n== again, by itself: {test}");
            // Suites take one filter.
            let rest: Vec<_> =
                words.iter().map(String::as_str).chain(["--", "--exact", &test]).map(str::to_owned).collect();
            let (second, passed) = cargo_test(&rest)?;
            if passed && second.passed == 1 {
                unsteady.push(test);
            }
        }
    }
    let passed = u32::try_from(unsteady.len())?;
    totals.failed = totals.failed.saturating_sub(passed);
    totals.passed += passed;
    if passed > 0 {
        println!("\npassed only when run again: {}", unsteady.join(", "));
    }
    Ok(totals.failed == 0)
}

#[cfg(test)]
mod tests {
    use super::{Target, Totals};

    #[test]
    fn closing_lines_are_added_up_and_others_are_not() {
        let mut totals = Totals::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.12s",
            "test a ... ok",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.12s",
        ] {
            totals.add(line);
        }
        assert_eq!((totals.passed, totals.failed), (15, 2));
    }

    fn read(lines: &[&str]) -> Totals {
        let mut totals = Totals::default();
        for line in lines {
            totals.add(line);
        }
        totals
    }

    #[test]
    fn failed_tests_are_known_by_target() {
        let totals = read(&[
            "test a_route_is_served                     ... FAILED",
            "test another ... ok",
            "test module::tests::third ... FAILED",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.12s",
            "error: test failed, to rerun pass `-p tests --test gateways`",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.12s",
        ]);
        let tests = ["a_route_is_served", "module::tests::third"].map(str::to_owned).into();
        let words = ["-p", "tests", "--test", "gateways"].map(str::to_owned).into();
        assert_eq!(totals.targets, [Target { words, tests }]);
        assert!(totals.are_named());
    }

    #[test]
    fn what_ended_without_a_name_is_not_tried_again() {
        let ended = "error: test failed, to rerun pass `-p tests --test box`";
        assert!(!read(&[ended]).are_named());
        let failed =
            "test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s";
        assert!(!read(&["test one ... FAILED", failed, ended]).are_named());
        assert!(!read(&["test one ... FAILED"]).are_named());
    }
}
