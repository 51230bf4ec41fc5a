//! A box with the operator in it, to measure.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::toolchain::{self, Component};
use cluster::{Cluster, Options};
use kube::Client;
use tests::Operator;

use super::requests::Log;
use super::usage::{Process, Usage};
use crate::products::{self, Profile};
use crate::show;

/// Up to so many DataPlanes are real pods; beyond, the machine would be what is measured.
pub const REAL: usize = 20;
/// Pods that a simulated node takes, less some room.
const PER_NODE: usize = 100;
/// How long after its last request the memory of a process is looked at.
const CALM: Duration = Duration::from_secs(2);

/// What runs in a box.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Pods of Kong.
    DataPlanes,
    /// Pods of Kong and of Kong Ingress Controller, one each for a Gateway.
    Gateways,
}

impl Runs {
    const fn standins(self) -> &'static [&'static str] {
        match self {
            Self::DataPlanes => &["kong"],
            Self::Gateways => &["kong", "kic"],
        }
    }
}

const STEP: Duration = Duration::from_millis(50);
const LOOKED: Duration = Duration::from_mins(3);

/// The box.
pub struct Place {
    /// The cluster.
    pub cluster: Cluster,
    /// A client with all rights, without a limit of its own.
    pub client: Client,
    /// The operator's requests.
    pub log: Log,
    program: PathBuf,
    folder: tempfile::TempDir,
    operator: Option<Operator>,
}

impl Place {
    /// Starts a box for so many DataPlanes, with everything installed but no operator started: this program, or the
    /// one that is built now.
    pub async fn begin(operator: Option<&Path>, count: usize) -> Result<Self> {
        Self::of(operator, count, Runs::DataPlanes).await
    }

    /// The same, for so many pods of that kind.
    pub async fn of(operator: Option<&Path>, count: usize, runs: Runs) -> Result<Self> {
        let program = match operator {
            Some(program) => program.canonicalize().with_context(|| format!("no {}", program.display()))?,
            None => build(runs)?,
        };
        let mut components = vec![Component::Kubernetes, Component::Node];
        components.extend((count > REAL).then_some(Component::Kwok));
        for component in components {
            toolchain::ensure(component, &mut |step| show::step(&step))?;
        }
        let cluster = Cluster::start(options(count, runs)?, show::step).await?;
        tests::install::apply(|| cluster.kubectl()).await?;
        Ok(Self {
            client: cluster.client().await?,
            log: Log::open(&cluster)?,
            cluster,
            program,
            folder: tempfile::tempdir()?,
            operator: None,
        })
    }

    /// Starts the operator and waits until it leads and asks nothing more; what it uses then.
    pub async fn start(&mut self) -> Result<Usage> {
        self.operator = Some(Operator::start(&self.cluster, &self.program, self.folder.path()).await?);
        self.log.settled().await?;
        self.usage().await
    }

    /// Starts the operator and waits until it is ready.
    pub async fn start_only(&mut self) -> Result<&Operator> {
        let operator = Operator::start(&self.cluster, &self.program, self.folder.path()).await?;
        Ok(self.operator.insert(operator))
    }

    /// Waits until the operator has found that many settled objects of that kind since it started.
    pub async fn looked_at(&self, kind: &str, count: usize) -> Result<()> {
        // The operator's counter of reconciles that found nothing to do.
        let settled = format!("silverback_reconciles_total{{kind=\"{kind}\",result=\"settled\"}} ");
        let operator = self.operator.as_ref().context("the operator does not run")?;
        let began = Instant::now();
        loop {
            // A machine that is busy resets a connection now and then; one answer is enough.
            let metrics = operator.metrics(&self.cluster).await.unwrap_or_default();
            let found =
                metrics.lines().find_map(|line| line.strip_prefix(settled.as_str())?.parse::<usize>().ok());
            if found >= Some(count) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < LOOKED,
                "it has found {found:?} of {count} settled: {}",
                operator.last_words()
            );
            tokio::time::sleep(STEP).await;
        }
    }

    /// Ends the operator as a kubelet would; its lease is free then.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(operator) = self.operator.take() else { return Ok(()) };
        operator.terminate()?;
        operator.ended().await.map(drop)
    }

    /// Kills the operator, so that it cleans up nothing.
    pub async fn kill(&mut self) -> Result<()> {
        match self.operator.take() {
            Some(operator) => operator.kill().await,
            None => Ok(()),
        }
    }

    /// What the operator uses, a moment after it was last busy.
    pub async fn usage(&self) -> Result<Usage> {
        tokio::time::sleep(CALM).await;
        self.sample()
    }

    /// The last lines of the operator's log.
    pub fn last_words(&self) -> String {
        self.operator.as_ref().map(Operator::last_words).unwrap_or_default()
    }

    /// What the operator uses now.
    pub fn sample(&self) -> Result<Usage> {
        Process::find(&self.cluster, &self.program)?.sample()
    }

    /// Ends the box.
    pub async fn end(mut self) -> Result<()> {
        self.kill().await?;
        self.cluster.stop().await
    }
}

/// Builds the operator as it is shipped, and what its box needs.
fn build(runs: Runs) -> Result<PathBuf> {
    products::build(&["cluster", "standin-kong"], Profile::Dev)?;
    if runs == Runs::Gateways {
        products::build(&["standin-kic"], Profile::Dev)?;
    }
    products::build(&["operator"], Profile::Release)?;
    Ok(products::program("silverback", Profile::Release))
}

fn options(count: usize, runs: Runs) -> Result<Options> {
    let gateway_api = runs == Runs::Gateways;
    if count <= REAL {
        let archives = products::archives(runs.standins(), Profile::Dev)?;
        return Ok(Options { archives, gateway_api, ..Options::default() });
    }
    let simulated_nodes = u32::try_from(count.div_ceil(PER_NODE) * 2)?;
    Ok(Options { simulated_nodes, only_simulated: true, gateway_api, ..Options::default() })
}
