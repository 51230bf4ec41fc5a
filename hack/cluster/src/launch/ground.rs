//! What must be there before a box can be made.
//!
//! In: options. Out: a [`Layout`] with programs that exist. May build and install for minutes; never
//! makes a namespace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::config::Layout;
use crate::options::Options;
use crate::packages;
use crate::progress::Progress;
use crate::state::State;
use crate::toolchain::{self, Component};

/// The programs of a box.
pub(super) struct Programs {
    kubernetes: PathBuf,
    runtime: PathBuf,
    coredns: Option<PathBuf>,
    metrics_server: Option<PathBuf>,
    kwok: Option<PathBuf>,
    cert_manager: Option<PathBuf>,
    gateway_api: Option<PathBuf>,
    pause: PathBuf,
    launcher: PathBuf,
}

/// Provides all programs.
pub(super) fn provide(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Programs> {
    options.check()?;
    for archive in &options.archives {
        if !archive.is_file() {
            bail!("no image archive at {}", archive.display());
        }
    }
    packages::to_run(progress)?;
    let launcher = std::env::current_exe()?;
    let pause = launcher.with_file_name("pause");
    if !pause.is_file() {
        bail!(
            "no program `pause` beside {}: build both with `cargo build -p cluster --bins`",
            launcher.display()
        );
    }
    let kubernetes = toolchain::ensure(Component::Kubernetes, progress)?.join("kubernetes");
    let runtime = toolchain::ensure(Component::Node, progress)?;
    let mut only_if = |asked: bool, component, name: &str| -> Result<_> {
        asked.then(|| Ok(toolchain::ensure(component, progress)?.join(name))).transpose()
    };
    Ok(Programs {
        kubernetes,
        runtime,
        coredns: only_if(options.dns, Component::CoreDns, "coredns")?,
        metrics_server: only_if(options.metrics, Component::MetricsServer, "metrics-server")?,
        kwok: only_if(options.simulated_nodes > 0, Component::Kwok, "kwok")?,
        cert_manager: only_if(options.cert_manager, Component::CertManager, "cert-manager")?,
        gateway_api: only_if(options.gateway_api, Component::GatewayApi, "standard")?,
        pause,
        launcher,
    })
}

/// The layout of a box, written where its own processes read it.
pub(super) fn lay_out(
    state: &State,
    options: &Options,
    programs: &Programs,
    api_port: u16,
) -> Result<Layout> {
    let mut options = options.clone();
    options.archives = options.archives.iter().map(|path| visible(path)).collect::<Result<_>>()?;
    let layout = Layout {
        name: state.name.clone(),
        options,
        dir: state.dir.clone(),
        kubernetes: programs.kubernetes.clone(),
        runtime: programs.runtime.clone(),
        coredns: programs.coredns.clone(),
        metrics_server: programs.metrics_server.clone(),
        kwok: programs.kwok.clone(),
        cert_manager: programs.cert_manager.clone(),
        gateway_api: programs.gateway_api.clone(),
        pause: programs.pause.clone(),
        launcher: programs.launcher.clone(),
        api_port,
    };
    std::fs::write(state.dir.join("layout.json"), serde_json::to_vec_pretty(&layout)?)?;
    Ok(layout)
}

/// The path of a file as the box sees it.
fn visible(path: &Path) -> Result<PathBuf> {
    let whole = path.canonicalize().with_context(|| format!("no file {}", path.display()))?;
    if whole.starts_with("/run") || whole.starts_with("/var/log") {
        bail!("{} is not seen in a box, which has a /run and a /var/log of its own", whole.display());
    }
    Ok(whole)
}
