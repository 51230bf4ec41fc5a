//! `cargo xtask conformance`: the Gateway API's own conformance suite, against the operator in a box.
//!
//! In: the suite as it is released, and the tests of it that are not run, each with its reason. Out: a report in the form
//! in which implementations publish theirs, the suite's whole log, and a line for each test. Never: a test passed over
//! silently.

mod skipped;
mod tally;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use ::tests::Operator;
use anyhow::{Context, Result, ensure};
use cluster::image::Archive;
use cluster::toolchain::{self, Component};
use cluster::{Cluster, Options};
use crds::names::CONTROLLER;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::products::{self, Profile};
use crate::show::{self, Story};
use crate::tree;
use tally::Tally;

/// The class whose Gateways are tested.
const CLASS: &str = "silverback";
/// What the suite calls an implementation that passes everything that every implementation must.
const PROFILE: &str = "GATEWAY-HTTP";
/// Images of this project that the operator's pods run.
const OURS: &[&str] = &["kong", "kic"];
/// Images that the suite's manifests name, which are the same program.
const ECHO: [&str; 3] = ["v1.5.1", "v1.6.0-dev.2", "v1.6.0-dev.3"];
/// The image of the DNS server that UDP is tested with.
const COREDNS: &str = "registry.k8s.io/coredns/coredns:v1.12.2";
/// How long the class may take to be accepted.
const ACCEPTED: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// Run the Gateway API's conformance suite against the operator in a box, and write its report. Needs root.
///
/// The suite is release 1.6.3 of its Go module; building it takes about 2 minutes the first time. What it asks of the
/// class follows from `status.supportedFeatures`. Tests that are not run are listed with their reasons in
/// `hack/xtask/conformance.yaml`. The exit code says whether all others have passed.
#[derive(clap::Args)]
pub struct Arguments {
    /// Run this test only, by its short name, as in `GatewayInvalidRouteKind`.
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    /// Where to write the report; the suite's log goes beside it, with the ending `.log`.
    #[arg(long, value_name = "FILE", default_value = "target/conformance/report.yaml")]
    report: PathBuf,
    /// More flags for the suite, as in `-- --debug`.
    #[arg(last = true, value_name = "FLAGS")]
    rest: Vec<String>,
}

/// Starts everything, runs the suite, and tells how it went.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let report = tree::root().join(&arguments.report);
    report.parent().map(std::fs::create_dir_all).transpose()?;
    let programs = toolchain::ensure(Component::Conformance, &mut |step| show::step(&step))?;
    let folder = tempfile::tempdir()?;
    let archives = images(&programs, folder.path())?;
    let options = Options { gateway_api: true, dns: true, archives, ..Options::default() };
    let cluster = Cluster::start(options, show::step).await?;
    let story = Story::begin();
    story.tell("installing the definitions and roles, starting the operator");
    let operator =
        Operator::install(&cluster, &products::program("silverback", Profile::Dev), folder.path()).await?;
    let tested = test(&cluster, &programs.join("conformance"), arguments, &report).await;
    let words = operator.last_words();
    drop(operator);
    cluster.stop().await?;
    let tally = tested.with_context(|| format!("the operator's last words:\n{words}"))?;
    for skipped::Skipped { test, reason } in skipped::all()? {
        println!("not run: {test}: {reason}");
    }
    println!("{}", tally.text());
    println!("report: {}", report.display());
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the box needs besides its own: Kong and KIC, the operator, and the suite's backends.
fn images(programs: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut packages = vec!["operator", "cluster"];
    for name in OURS {
        packages.push(products::recipe(name)?.package());
    }
    products::build(&packages, Profile::Dev)?;
    let mut archives = products::archives(OURS, Profile::Dev)?;
    let coredns = toolchain::ensure(Component::CoreDns, &mut |step| show::step(&step))?.join("coredns");
    let echo = ECHO.map(|tag| format!("registry.k8s.io/gateway-api/echo-basic:{tag}"));
    for (references, program) in
        [(echo.to_vec(), programs.join("echo-basic")), (vec![COREDNS.to_owned()], coredns)]
    {
        let path = folder.join(format!("{}.tar", archives.len()));
        Archive { references, program, ..Archive::default() }.write(&path)?;
        archives.push(path);
    }
    Ok(archives)
}

async fn test(cluster: &Cluster, program: &Path, arguments: &Arguments, report: &Path) -> Result<Tally> {
    class(cluster).await?;
    let mut suite = cluster.command(program)?;
    suite.env("KUBECONFIG", cluster.inner_kubeconfig());
    suite.args(flags(arguments, report)?);
    follow(suite, &report.with_extension("log")).await
}

/// Makes the class, and waits until it is accepted and says what it supports: the suite asks only once.
async fn class(cluster: &Cluster) -> Result<()> {
    let kind =
        ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "GatewayClass"));
    let classes: Api<DynamicObject> = Api::all_with(cluster.client().await?, &kind);
    let class = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": CLASS }, "spec": { "controllerName": CONTROLLER } });
    classes.patch(CLASS, &PatchParams::apply("conformance"), &Patch::Apply(class)).await?;
    let mut last = Value::Null;
    let accepted = async {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            last = classes.get(CLASS).await?.data.get("status").cloned().unwrap_or_default();
            if is_accepted(&last) {
                return Ok::<_, kube::Error>(());
            }
        }
    };
    let in_time = tokio::time::timeout(ACCEPTED, accepted).await;
    in_time.map_err(|_| anyhow::anyhow!("the GatewayClass is not accepted after {ACCEPTED:?}: {last}"))??;
    Ok(())
}

fn is_accepted(status: &Value) -> bool {
    let list = |name: &str| status.get(name).and_then(Value::as_array).into_iter().flatten();
    let holds = |condition: &Value| {
        condition.get("type") == Some(&json!("Accepted")) && condition.get("status") == Some(&json!("True"))
    };
    list("conditions").any(holds) && list("supportedFeatures").next().is_some()
}

fn flags(arguments: &Arguments, report: &Path) -> Result<Vec<String>> {
    let mut flags = vec![
        "-test.v".to_owned(),
        format!("--gateway-class={CLASS}"),
        format!("--skip-tests={}", skipped::names()?.join(",")),
        "--organization=silverback".to_owned(),
        "--project=silverback".to_owned(),
        "--url=unpublished".to_owned(),
        format!("--version={}", env!("CARGO_PKG_VERSION")),
        "--contact=unpublished".to_owned(),
        format!("--report-output={}", report.display()),
    ];
    match &arguments.test {
        Some(name) => flags.push(format!("--run-test={name}")),
        None => flags.push(format!("--conformance-profiles={PROFILE}")),
    }
    flags.extend(arguments.rest.iter().cloned());
    Ok(flags)
}

/// Keeps the whole log, and shows a line for each test.
async fn follow(mut suite: Command, log: &Path) -> Result<Tally> {
    let mut child = suite
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .context("the suite cannot be run")?;
    let mut kept = tokio::fs::File::create(log).await?;
    let tally = read(&mut child, &mut kept).await?;
    kept.flush().await?;
    let status = child.wait().await?;
    let end = format!("the suite ended early ({status}): see {}", log.display());
    ensure!(status.success() || tally.has_failures(), end);
    Ok(tally)
}

async fn read(child: &mut Child, kept: &mut tokio::fs::File) -> Result<Tally> {
    let output = child.stdout.take().context("the suite has no output")?;
    let (mut lines, mut tally) = (BufReader::new(output).lines(), Tally::default());
    while let Some(line) = lines.next_line().await? {
        kept.write_all(format!("{line}\n").as_bytes()).await?;
        if let Some(words) = tally.add(&line) {
            println!("{words}");
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_accepted_when_it_says_so_and_what_it_supports() {
        let accepted = json!([{ "type": "Accepted", "status": "True" }]);
        let features = json!([{ "name": "Gateway" }]);
        for (status, good) in [
            (json!({ "conditions": accepted, "supportedFeatures": features }), true),
            (json!({ "conditions": accepted }), false),
            (
                json!({ "conditions": [{ "type": "Accepted", "status": "Unknown" }], "supportedFeatures": features }),
                false,
            ),
            (Value::Null, false),
        ] {
            assert_eq!(is_accepted(&status), good, "{status}");
        }
    }
}
