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
    let (totals, good) = cargo_test(&arguments.rest)?;
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

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u32,
    failed: u32,
}

fn cargo_test(rest: &[String]) -> Result<(Totals, bool)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(tree::root()).arg("test").stdin(Stdio::null()).stdout(Stdio::piped());
    if rest.is_empty() {
        cargo.args(["--workspace", "--no-fail-fast"]);
    }
    cargo.args(rest);
    cargo.env("SILVERBACK_BOX", products::program("box", Profile::Dev));
    cargo.env("SILVERBACK_OPERATOR", products::program("silverback", Profile::Dev));
    cargo.env("SILVERBACK_IMAGES", products::images(Profile::Dev));
    let mut child = cargo.spawn().context("cargo cannot be run")?;
    let mut totals = Totals::default();
    let output = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        totals.add(&line);
        println!("{line}");
    }
    Ok((totals, child.wait()?.success()))
}

impl Totals {
    /// Counts a closing line of the test harness: `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        let count = |word: &str| {
            let before = counts.split(word).next().filter(|before| before.len() < counts.len())?;
            before.trim_end().rsplit(' ').next()?.parse::<u32>().ok()
        };
        self.passed += count("passed").unwrap_or(0);
        self.failed += count("failed").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

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
        assert_eq!(totals, Totals { passed: 15, failed: 2 });
    }
}
