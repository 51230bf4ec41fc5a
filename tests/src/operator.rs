//! The operator as a process in a box, under its own service account and roles.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::Cluster;
use crds::k8s::ServiceAccount;
use crds::names::NAMESPACE;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use kube::api::{Api, PostParams};
use kube::config::{AuthInfo, Kubeconfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::{endpoints, http, install};

/// Name of the operator's service account in `manifests/rbac`.
const ACCOUNT: &str = "silverback";
/// The counter of reconciles that found nothing to do.
const SETTLED: &str = "silverback_reconciles_total{kind=\"DataPlane\",result=\"settled\"} ";
const READY: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(50);
/// How long its token is good, in seconds.
const TOKEN_LIFE: i64 = 86_400;

/// A running operator. Dropping it kills the process.
pub struct Operator {
    child: Child,
    log: PathBuf,
    ports: Ports,
}

/// Where an operator listens in the box.
#[derive(Clone, Copy)]
struct Ports {
    health: u16,
    metrics: u16,
    webhooks: u16,
}

/// How an operator is started, where a scenario wants it another way.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// More arguments of `silverback run`.
    pub arguments: Vec<String>,
    /// Where it finds the API server, as in `http://127.0.0.1:7000`, instead of the API server itself.
    pub server: Option<String>,
    /// More variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Which of several operators in one box it is, from 0: each listens on ports of its own.
    pub number: u16,
    /// Whether the API server is told that it answers reviews. A process that ends stays an endpoint: who ends one tells
    /// by [`endpoints::withdraw`], as the kubelet would.
    pub webhooks: Webhooks,
}

/// Whether an operator serves webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Webhooks {
    /// The first one of a box does.
    #[default]
    First,
    /// It does.
    Served,
    /// It does not.
    Off,
}

impl Ports {
    const fn of(number: u16) -> Self {
        Self { health: 8081 + 100 * number, metrics: 8080 + 100 * number, webhooks: 9443 + 100 * number }
    }
}

impl Operator {
    /// Applies definitions and roles, then starts the operator and waits until it is ready.
    ///
    /// # Errors
    /// When something of it fails; the error has the operator's last words.
    pub async fn install(cluster: &Cluster, program: &Path, folder: &Path) -> Result<Self> {
        install::apply(|| cluster.kubectl()).await?;
        Self::start(cluster, program, folder).await
    }

    /// Starts the operator, logging to `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the error has its last words.
    pub async fn start(cluster: &Cluster, program: &Path, folder: &Path) -> Result<Self> {
        Self::start_as(&Setup::default(), cluster, program, folder).await
    }

    /// Starts the operator another way, logging to `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the error has its last words.
    pub async fn start_as(setup: &Setup, cluster: &Cluster, program: &Path, folder: &Path) -> Result<Self> {
        let mut operator = Self::begin(setup, cluster, program, folder).await?;
        operator.ready(cluster).await?;
        Ok(operator)
    }

    /// Starts a second operator beside the first one, and waits until it is ready to stand by.
    ///
    /// # Errors
    /// When it does not become ready; the error has its last words.
    pub async fn start_beside(cluster: &Cluster, program: &Path, folder: &Path) -> Result<Self> {
        let beside = Setup { number: 1, ..Setup::default() };
        Self::start_as(&beside, cluster, program, folder).await
    }

    /// Starts the operator, logging to `folder`, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn begin(setup: &Setup, cluster: &Cluster, program: &Path, folder: &Path) -> Result<Self> {
        let ports = Ports::of(setup.number);
        let kubeconfig = folder.join("operator.kubeconfig");
        let mut identity = identity(cluster).await.context("no token for the operator")?;
        for server in identity.clusters.iter_mut().filter_map(|cluster| cluster.cluster.as_mut()) {
            server.server = setup.server.clone().or(server.server.take());
        }
        std::fs::write(&kubeconfig, serde_json::to_vec(&identity)?)?;
        let log = folder.join("operator.log");
        let mut command = cluster.command(program)?;
        command.args(["run", "--log-format=text"]).env("KUBECONFIG", &kubeconfig);
        command.arg(format!("--health-probe-bind-address=[::]:{}", ports.health));
        command.arg(format!("--metrics-bind-address=127.0.0.1:{}", ports.metrics));
        let serves =
            setup.webhooks == Webhooks::Served || (setup.webhooks == Webhooks::First && setup.number == 0);
        if serves {
            command.arg(format!("--webhook-bind-address=[::]:{}", ports.webhooks));
            endpoints::publish(&cluster.client().await?, setup.number, ports.webhooks).await?;
        } else {
            command.arg("--no-webhooks");
        }
        // Nobody has to notice that it stops, but where that is what a scenario is about.
        command.env("SILVERBACK_SHUTDOWN_DELAY", "0s");
        command.args(&setup.arguments).envs(setup.environment.iter().cloned());
        Ok(Self { child: spawn(command, &log)?, log, ports })
    }

    /// Starts the operator outside any box, against the cluster of a kubeconfig and with its rights.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn outside(kubeconfig: &Path, program: &Path, folder: &Path) -> Result<Self> {
        let log = folder.join("operator.log");
        let mut command = Command::new(program);
        command.env("KUBECONFIG", kubeconfig);
        // Ports of its own choice: this machine may use 8080 for something else.
        command.args([
            "run",
            "--log-format=text",
            // The API server of that cluster has no way to this machine.
            "--no-webhooks",
            "--health-probe-bind-address=127.0.0.1:0",
            "--metrics-bind-address=127.0.0.1:0",
        ]);
        Ok(Self { child: spawn(command, &log)?, log, ports: Ports::of(0) })
    }

    /// Waits until `/readyz` says ok.
    ///
    /// # Errors
    /// When it does not in time; the error has its last words.
    pub async fn ready(&mut self, cluster: &Cluster) -> Result<()> {
        let asked = async {
            let mut ticks = tokio::time::interval(STEP);
            loop {
                ticks.tick().await;
                if let Some(status) = self.child.try_wait()? {
                    bail!("the operator ended ({status})");
                }
                let answer = http::get(cluster, local(self.ports.health), "localhost", "/readyz").await;
                if answer.is_ok_and(|answer| answer.status.is_success()) {
                    return Ok(());
                }
            }
        };
        let ready = tokio::time::timeout(READY, asked)
            .await
            .unwrap_or_else(|_| bail!("the operator is not ready after {READY:?}"));
        ready.with_context(|| format!("its last words: {}", self.last_words()))
    }

    /// Waits until `/readyz` says something that `good` accepts, and returns it.
    ///
    /// # Errors
    /// When the deadline passes; the error has what it said last.
    pub async fn says(&self, cluster: &Cluster, good: impl Fn(&str) -> bool) -> Result<String> {
        let mut said = String::new();
        let asked = async {
            let mut ticks = tokio::time::interval(STEP);
            loop {
                ticks.tick().await;
                let answer = http::get(cluster, local(self.ports.health), "localhost", "/readyz").await;
                said = answer.map_or_else(|error| error.to_string(), |answer| answer.body);
                if good(&said) {
                    return;
                }
            }
        };
        let late = tokio::time::timeout(READY, asked).await.is_err();
        if late {
            bail!(
                "readiness is not as awaited after {READY:?}: {said}
its last words: {}",
                self.last_words()
            );
        }
        Ok(said)
    }

    /// Asks a probe.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn probe(&self, cluster: &Cluster, path: &str) -> Result<http::Answer> {
        http::get(cluster, local(self.ports.health), "localhost", path).await
    }

    /// The operator's metrics in text form.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self, cluster: &Cluster) -> Result<String> {
        Ok(http::get(cluster, local(self.ports.metrics), "localhost", "/metrics").await?.body)
    }

    /// Waits until it has found `count` settled `DataPlane`s since it started, and returns its metrics.
    ///
    /// # Errors
    /// When the deadline passes.
    pub async fn settled(&self, cluster: &Cluster, count: usize) -> Result<String> {
        let looked = async {
            let mut ticks = tokio::time::interval(STEP);
            loop {
                ticks.tick().await;
                let metrics = self.metrics(cluster).await?;
                let line = metrics.lines().find_map(|line| line.strip_prefix(SETTLED));
                if line.and_then(|found| found.parse::<usize>().ok()).is_some_and(|found| found >= count) {
                    return anyhow::Ok(metrics);
                }
            }
        };
        let looked = tokio::time::timeout(READY, looked).await;
        looked.with_context(|| format!("it did not find {count} settled DataPlanes within {READY:?}"))?
    }

    /// Bytes of memory that are its own: resident memory also counts pages of its program, which the kernel may
    /// drop at any time.
    ///
    /// # Errors
    /// When it is not there.
    pub fn heap(&self) -> Result<f64> {
        let memory = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process()?))?;
        let line = memory.lines().find_map(|line| line.strip_prefix("Anonymous:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")).context("no figure")?;
        Ok(kibibytes.trim().parse::<f64>()? * 1024.0)
    }

    /// Where it logs to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Stops the process where it is, as a machine that hangs would.
    ///
    /// # Errors
    /// When it is not there.
    pub fn pause(&self) -> Result<()> {
        Ok(kill(self.process()?, Signal::SIGSTOP)?)
    }

    /// Lets a paused process go on.
    ///
    /// # Errors
    /// When it is not there.
    pub fn resume(&self) -> Result<()> {
        Ok(kill(self.process()?, Signal::SIGCONT)?)
    }

    /// Asks it to stop, as a kubelet would.
    ///
    /// # Errors
    /// When it is not there.
    pub fn terminate(&self) -> Result<()> {
        Ok(kill(self.process()?, Signal::SIGTERM)?)
    }

    /// Waits until it has ended, and returns how, with its log.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn exited(mut self) -> Result<(ExitStatus, String)> {
        let status =
            tokio::time::timeout(READY, self.child.wait()).await.context("the operator does not end")??;
        Ok((status, std::fs::read_to_string(&self.log)?))
    }

    /// Waits until it has ended, and returns its log.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(mut self) -> Result<String> {
        tokio::time::timeout(READY, self.child.wait()).await.context("the operator does not end")??;
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// The operator itself: what was started is the program that enters the box with it.
    fn process(&self) -> Result<Pid> {
        let entrance = self.child.id().context("the operator has ended")?;
        let children = std::fs::read_to_string(format!("/proc/{entrance}/task/{entrance}/children"))?;
        let process = children.split_whitespace().next().context("the operator has not begun")?;
        Ok(Pid::from_raw(process.parse()?))
    }

    /// Ends it at once, as a crash would.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        match self.process() {
            // What entered the box with it ends after it: its ports are free then.
            Ok(process) => {
                kill(process, Signal::SIGKILL)?;
                self.child.wait().await?;
            }
            Err(_) => self.child.kill().await?,
        }
        Ok(())
    }
}

fn spawn(mut command: Command, log: &Path) -> Result<Child> {
    let output = std::fs::File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).kill_on_drop(true);
    command.spawn().context("cannot start the operator")
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A kubeconfig for inside the box that is the operator's service account and nothing more.
async fn identity(cluster: &Cluster) -> Result<Kubeconfig> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client().await?, NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_LIFE), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await?;
    let token = answer.status.and_then(|status| status.token).context("the API server gave no token")?;
    let mut config = Kubeconfig::read_from(cluster.inner_kubeconfig())?;
    for user in &mut config.auth_infos {
        user.auth_info = Some(AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() });
    }
    Ok(config)
}
