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
    let coredns = if options.dns {
        Some(toolchain::ensure(Component::CoreDns, progress)?.join("coredns"))
    } else {
        None
    };
    Ok(Programs { kubernetes, runtime, coredns, pause, launcher })
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
