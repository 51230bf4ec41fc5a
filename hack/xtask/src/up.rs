//! `cargo xtask up`: a real cluster, the operator, a `DataPlane` that answers; then it stays for playing.

mod place;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crds::DataPlane;
use crds::conditions::{self, types};
use crds::k8s::Deployment;
use kube::api::Api;
use kube::{Client, ResourceExt};
use tests::{install, wait};
use tokio::signal::unix::{SignalKind, signal};

use crate::generate::samples;
use crate::show::Story;
use crate::tree;
use place::Place;

/// How long the `DataPlane` may take to become ready; with real images it includes pulling them.
const READY: Duration = Duration::from_mins(5);
/// How long the first answer may take once all is ready: until the last node's rules have moved.
const ANSWERED: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);

/// Start everything on a real cluster in a box: Kubernetes, the operator, and a sample DataPlane that answers.
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
    let dataplane = ready(&client, story).await?;
    let backends: Api<Deployment> = Api::namespaced(client, samples::SHOWN.namespace);
    let available =
        |deployment: &Deployment| deployment.status.as_ref().is_some_and(|s| s.available_replicas > Some(0));
    wait::until(&backends, samples::SHOWN.backend, READY, available)
        .await
        .context("the backend of the sample")?;
    let answer = answered(place, &dataplane).await?;
    story.tell(&format!("GET {} was answered:", answer.asked));
    println!("{}", answer.body.trim_end());
    Ok(())
}

/// Waits for the `DataPlane`, telling each change of its condition Ready.
async fn ready(client: &Client, story: &Story) -> Result<DataPlane> {
    let api: Api<DataPlane> = Api::namespaced(client.clone(), samples::SHOWN.namespace);
    let told = std::cell::RefCell::new(String::new());
    let settled = |dataplane: &DataPlane| {
        let all = dataplane.conditions();
        let text = conditions::get(all, types::READY)
            .map(|ready| format!("{}: {}", ready.reason, ready.message))
            .unwrap_or_default();
        if !text.is_empty() && *told.borrow() != text {
            story.tell(&format!("DataPlane {}: {text}", dataplane.name_any()));
            told.replace(text);
        }
        conditions::holds(all, types::READY) && conditions::holds(all, types::ADDRESS_ASSIGNED)
    };
    wait::until(&api, samples::SHOWN.dataplane, READY, settled).await
}

/// Asks until there is an answer of the backend, for as long as the rules of the nodes may take to move.
async fn answered(place: &Place, dataplane: &DataPlane) -> Result<place::Answer> {
    let began = Instant::now();
    loop {
        match place.ask(dataplane, samples::SHOWN.path).await {
            Ok(answer) => return Ok(answer),
            Err(_) if began.elapsed() < ANSWERED => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                return Err(error.context("the DataPlane is ready, but no request was answered in time"));
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
