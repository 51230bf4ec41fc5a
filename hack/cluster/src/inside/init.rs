//! Process 1 of a box.
//!
//! In: the state directory. Out: the exit code of the process that runs the cluster. It arranges the
//! mounts, starts that process and reaps whatever is orphaned; when it ends, the kernel ends the box.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, sethostname, setsid};

use super::mounts;
use crate::config::Layout;
use crate::progress::{Event, Progress, tell};

/// Runs a box to its end.
pub(crate) fn init(dir: &Path) -> Result<ExitCode> {
    set_pdeathsig(Signal::SIGKILL)?;
    // Had the parent ended before the line above, nobody would read this, and the write would fail.
    tell(&Event::Progress(Progress::new("box", "namespaces made", Duration::ZERO)))?;
    // The parent blocks signals, to read them one by one; children inherit that, down to the pods.
    SigSet::empty().thread_set_mask()?;
    // What a terminal sends to the one who started the box is not for what runs in it.
    setsid()?;
    let layout = read_layout(dir)?;
    mounts::arrange(&layout)?;
    sethostname(format!("silverback-{}", layout.name))?;
    let boot =
        Command::new(&layout.launcher).arg("boot").arg(dir).spawn().context("cannot start the cluster")?;
    reap_until(Pid::from_raw(i32::try_from(boot.id())?))
}

pub(crate) fn read_layout(dir: &Path) -> Result<Layout> {
    let path = dir.join("layout.json");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

fn reap_until(last: Pid) -> Result<ExitCode> {
    loop {
        match wait().context("process 1 has lost its child")? {
            WaitStatus::Exited(pid, code) if pid == last => return Ok(ExitCode::from(u8::try_from(code)?)),
            WaitStatus::Signaled(pid, signal, _) if pid == last => {
                bail!("the cluster's process ended by {signal}")
            }
            _ => {}
        }
    }
}
