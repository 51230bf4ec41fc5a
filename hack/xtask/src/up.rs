//! `cargo xtask up`: a real cluster, the operator, a `Gateway` that answers; then it stays for playing.

mod place;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crds::conditions;
use crds::k8s::Deployment;
use gateway_api::gateways::Gateway;
use kube::api::Api;
use kube::{Client, ResourceExt};
use tests::{install, wait};
use tokio::signal::unix::{SignalKind, signal};

use crate::generate::samples;
use crate::show::Story;
use crate::tree;
use place::Place;

/// How long the `Gateway` may take to be programmed; with real images it includes pulling them.
const READY: Duration = Duration::from_mins(5);
/// The condition of a `Gateway` that serves, of Gateway API.
const PROGRAMMED: &str = "Programmed";
/// How long the first answer may take once all is ready: until Kong Ingress Controller has handed on the route, and the
/// last node's rules have moved.
const ANSWERED: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

/// Start everything on a real cluster in a box: Kubernetes, the operator, and a sample Gateway that answers.
///
/// Builds what is missing first: about 15 minutes on two cores the first time, seconds later on. Then it takes
/// about 20 seconds to the first answer, and stays until it is interrupted; the box ends with it. Needs root; no
/// container engine.
#[derive(clap::Args)]
pub struct Arguments {
    /// End after the first answer: exit code 0, or another one with the reason.
    #[arg(long)]
    once: bool,
    /// Name of the box, when several are to run side by side.
    #[arg(long, value_name = "NAME", conflicts_with = "kubeconfig")]
    name: Option<String>,
    /// Number of nodes, 1 or 2.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with = "kubeconfig")]
    nodes: u8,
    /// Where the images of Kong and of the backend come from.
    #[arg(long, value_enum, default_value_t = cluster::Images::StandIns, conflicts_with = "kubeconfig")]
    images: cluster::Images,
    /// Use the cluster of this kubeconfig instead of a box, for example one that kind made.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Brings everything up, shows the answer, and stays unless it is told not to.
pub async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let mut place = Place::prepare(arguments).await?;
    let story = Story::begin();
    story.tell("installing the definitions and roles, starting the operator");
    let operator = place.operator(folder.path()).await?;
    let shown = show(&place, &story).await;
    if let Err(error) = shown {
        eprintln!("the operator's last words:\n{}", operator.last_words());
        return Err(error);
    }
    if !arguments.once {
        place.invite(operator.log());
        tokio::select! {
            done = interrupted() => done?,
            ended = place.ended() => {
                println!("the cluster was ended from elsewhere");
                return ended.map(|()| ExitCode::SUCCESS);
            }
        }
    }
    drop(operator);
    place.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// Applies the sample, tells how it goes, and asks it something.
async fn show(place: &Place, story: &Story) -> Result<()> {
    let sample = tree::root().join("manifests/samples").join(samples::SHOWN.file);
    story.tell(&format!("applying {}", sample.strip_prefix(tree::root()).unwrap_or(&sample).display()));
    install::file(place.kubectl()?, &sample).await?;
    let client = place.client().await?;
    let gateway = programmed(&client, story).await?;
    let backends: Api<Deployment> = Api::namespaced(client, samples::SHOWN.namespace);
    let available =
        |deployment: &Deployment| deployment.status.as_ref().is_some_and(|s| s.available_replicas > Some(0));
    wait::until(&backends, samples::SHOWN.backend, READY, available)
        .await
        .context("the backend of the sample")?;
    let answer = answered(place, &gateway).await?;
    story.tell(&format!("GET {} was answered:", answer.asked));
    println!("{}", answer.body.trim_end());
    Ok(())
}

/// Waits for the `Gateway`, telling each change of its condition Programmed.
async fn programmed(client: &Client, story: &Story) -> Result<Gateway> {
    let api: Api<Gateway> = Api::namespaced(client.clone(), samples::SHOWN.namespace);
    let told = std::cell::RefCell::new(String::new());
    let settled = |gateway: &Gateway| {
        let status = gateway.status.as_ref();
        let all = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let text = conditions::get(all, PROGRAMMED)
            .filter(|programmed| programmed.observed_generation == gateway.metadata.generation)
            .map(|programmed| format!("{}: {}", programmed.reason, programmed.message))
            .unwrap_or_default();
        if !text.is_empty() && *told.borrow() != text {
            story.tell(&format!("Gateway {}: {text}", gateway.name_any()));
            told.replace(text);
        }
        conditions::holds(all, PROGRAMMED)
    };
    wait::until(&api, samples::SHOWN.gateway, READY, settled).await
}

/// Asks until there is an answer of the backend, for as long as the rules of the nodes may take to move.
async fn answered(place: &Place, gateway: &Gateway) -> Result<place::Answer> {
    let began = Instant::now();
    loop {
        match place.ask(gateway, samples::SHOWN.path).await {
            Ok(answer) => return Ok(answer),
            Err(_) if began.elapsed() < ANSWERED => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                return Err(error.context("the Gateway is programmed, but no request was answered in time"));
            }
        }
    }
}

async fn interrupted() -> Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = term.recv() => {}
    }
    Ok(())
}
