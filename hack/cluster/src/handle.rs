//! A box that this process started, and that ends with it.
//!
//! In: [`Options`]. Out: a [`Cluster`]. It speaks with the program `box` through pipes: what the box
//! tells comes from its standard output, and the end of its standard input ends it, also when this
//! process is killed.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as Plain};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::launch;
use crate::options::Options;
use crate::progress::{Event, Progress};
use crate::socket;
use crate::state::Facts;

/// How long a box may take to end and clean up.
const END: Duration = Duration::from_secs(30);

/// A running cluster. Dropping it ends the box; [`Cluster::stop`] also waits for that.
#[derive(Debug)]
pub struct Cluster {
    facts: Facts,
    child: Child,
    /// Held open as long as the box is to live.
    input: Option<ChildStdin>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Cluster {
    /// Starts a box and waits until it is ready, telling of each step.
    ///
    /// The first start on a machine builds the box's programs, which takes minutes; later ones take
    /// seconds.
    pub async fn start(options: Options, mut progress: impl FnMut(&Progress)) -> Result<Self> {
        options.check()?;
        let mut child = launcher()?;
        let mut child = child
            .args(options.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the program box")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("box has an output")?;
        let mut events = BufReader::new(output).lines();
        let facts = until_ready(&mut events, &mut progress).await?;
        let failure = Arc::new(Mutex::new(None));
        tokio::spawn(listen(events, Arc::clone(&failure)));
        Ok(Self { facts, child, input, failure })
    }

    /// Starts a box without telling of it.
    pub async fn start_quietly(options: Options) -> Result<Self> {
        Self::start(options, |_| {}).await
    }

    /// The name of the box.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Everything there is to know about the box.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// A kubeconfig of an administrator for programs outside the box; its server is on 127.0.0.1.
    pub fn kubeconfig(&self) -> &Path {
        &self.facts.kubeconfig
    }

    /// A kubeconfig of an administrator for programs inside the box.
    pub fn inner_kubeconfig(&self) -> &Path {
        &self.facts.inner_kubeconfig
    }

    /// The directory with one log file per component, while the box runs.
    pub fn logs(&self) -> PathBuf {
        self.facts.dir.join("logs")
    }

    /// The audit log of the API server: a JSON object a line for every request, without contents.
    pub fn audit_log(&self) -> PathBuf {
        self.logs().join("audit.log")
    }

    /// A client for the API server, with an administrator's rights.
    pub async fn client(&self) -> Result<kube::Client> {
        let file = Kubeconfig::read_from(self.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// Imports an image archive into every node.
    pub async fn import(&self, archive: &Path) -> Result<()> {
        for node in &self.facts.nodes {
            let mut command = self.command("ctr")?;
            command.arg("--address").arg(&node.containerd);
            command.args(["--namespace", "k8s.io", "images", "import", "--local", "-"]);
            let input =
                File::open(archive).with_context(|| format!("no image archive {}", archive.display()))?;
            let said = command.stdin(input).output().await?;
            let complaint = String::from_utf8_lossy(&said.stderr);
            ensure!(said.status.success(), "cannot import {}: {}", archive.display(), complaint.trim());
        }
        Ok(())
    }

    /// Connects to an address as a program on the first node would: pods and Services answer.
    pub async fn connect(&self, to: SocketAddr) -> Result<TcpStream> {
        self.dial(None, to).await
    }

    /// Connects to an address as a program on a node of this name would.
    pub async fn connect_from(&self, node: &str, to: SocketAddr) -> Result<TcpStream> {
        self.dial(Some(node), to).await
    }

    async fn dial(&self, node: Option<&str>, to: SocketAddr) -> Result<TcpStream> {
        let net = File::open(self.facts.network(node)?).with_context(|| self.ended())?;
        let make = move || Ok(if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?);
        let socket = socket::within(net, make)?;
        socket.connect(to).await.with_context(|| format!("cannot connect to {to} in the box {}", self.name()))
    }

    /// Listens on an address of the first node, so that this process serves pods and programs inside the box.
    ///
    /// Port 0 takes a free one. Pods reach it under the node's address, or under any that a Service without a
    /// selector names. Must be called inside a tokio runtime.
    pub fn listen(&self, at: SocketAddr) -> Result<TcpListener> {
        let net = File::open(self.facts.network(None)?).with_context(|| self.ended())?;
        let bind = move || Ok(Plain::bind(at)?);
        let made = socket::within(net, bind);
        let listener = made.with_context(|| format!("cannot listen on {at} in the box {}", self.name()))?;
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }

    /// A socket for datagrams to an address, as a program on the first node would have it.
    pub async fn datagrams(&self, to: SocketAddr) -> Result<UdpSocket> {
        let net = File::open(self.facts.network(None)?).with_context(|| self.ended())?;
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = socket::within(net, move || Ok(std::net::UdpSocket::bind((any, 0))?))?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        socket.connect(to).await?;
        Ok(socket)
    }

    /// Takes datagrams at an address of the first node, so that this process answers pods and programs inside the box.
    ///
    /// Port 0 takes a free one. Pods reach it as they reach what [`Cluster::listen`] takes. Must be called inside a tokio
    /// runtime.
    pub fn listen_for_datagrams(&self, at: SocketAddr) -> Result<UdpSocket> {
        let net = File::open(self.facts.network(None)?).with_context(|| self.ended())?;
        let made = socket::within(net, move || Ok(std::net::UdpSocket::bind(at)?));
        let socket = made.with_context(|| format!("cannot listen on {at} in the box {}", self.name()))?;
        socket.set_nonblocking(true)?;
        Ok(UdpSocket::from_std(socket)?)
    }

    /// A command that runs a program inside the box, with KUBECONFIG set and `kubectl` on PATH; its
    /// input and output are the caller's to choose. The program ends with the box.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        enter(&self.facts, None, program.as_ref())
    }

    /// The same, with the network of the node of this name.
    pub fn command_on(&self, node: &str, program: impl AsRef<OsStr>) -> Result<Command> {
        enter(&self.facts, Some(node), program.as_ref())
    }

    /// A command that runs the box's own kubectl inside it.
    pub fn kubectl(&self) -> Result<Command> {
        self.command("kubectl")
    }

    /// Ends the box and waits until nothing of it is left; an error tells why it had failed before.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        let status = tokio::time::timeout(END, self.child.wait()).await.context("the box does not end")??;
        if !status.success() {
            bail!(self.ended());
        }
        Ok(())
    }

    /// Waits until the box ends because somebody else asked it to. It is an error if it ends by a fault.
    pub async fn wait(&mut self) -> Result<()> {
        let status = self.child.wait().await?;
        ensure!(status.success(), self.ended());
        Ok(())
    }

    fn ended(&self) -> String {
        let told = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.unwrap_or_else(|| format!("the box {} has ended", self.name()))
    }
}

/// Reads events until the box is ready, or has failed.
async fn until_ready(
    events: &mut Lines<BufReader<ChildStdout>>,
    progress: &mut impl FnMut(&Progress),
) -> Result<Facts> {
    while let Some(line) = events.next_line().await? {
        match serde_json::from_str(&line).with_context(|| format!("box told {line:?}"))? {
            Event::Progress(step) => progress(&step),
            Event::Ready(facts) => return Ok(facts),
            Event::Failed { reason } => return Err(anyhow!(reason)),
        }
    }
    bail!("the program box ended without a word")
}

/// Keeps what the box says at its end.
async fn listen(mut events: Lines<BufReader<ChildStdout>>, failure: Arc<Mutex<Option<String>>>) {
    while let Ok(Some(line)) = events.next_line().await {
        if let Ok(Event::Failed { reason }) = serde_json::from_str(&line) {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
    }
}

/// A command that runs a program inside a box.
pub(crate) fn enter(facts: &Facts, node: Option<&str>, program: &OsStr) -> Result<Command> {
    let mut command = launcher()?;
    // Set here, so that a caller may set another.
    command.args(["enter", "--name", &facts.name]).envs(launch::environment(facts));
    if let Some(node) = node {
        command.args(["--node", node]);
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// The program `box`: named by `SILVERBACK_BOX`, else beside this program, else where cargo puts it for
/// a checkout (a test's own program lies elsewhere).
fn launcher() -> Result<Command> {
    if let Some(named) = std::env::var_os("SILVERBACK_BOX") {
        return Ok(Command::new(named));
    }
    let own = std::env::current_exe()?;
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/box");
    match [own.with_file_name("box"), built].into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(Command::new(path)),
        None => bail!(
            "no program `box` beside {}: run the tests by `cargo xtask test`, or set SILVERBACK_BOX",
            own.display()
        ),
    }
}
