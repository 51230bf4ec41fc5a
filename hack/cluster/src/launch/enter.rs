//! Runs a program inside a box.
//!
//! In: a box's name, a command. Out: the program's exit code. The program ends with this process and
//! with the box; signals sent to this process reach it.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

use crate::state::{self, Facts};

/// Signals that are passed on.
const PASSED: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];

/// The variable that tells a program in which box it runs.
const NAME: &str = "SILVERBACK_BOX_NAME";

/// What `si_code` says of a signal that a process sent, not the terminal (asm-generic/siginfo.h).
const SENT_BY_A_PROCESS: i32 = 0;

/// Runs a command in a box; without one, the user's shell.
pub(super) fn enter(name: Option<&str>, node: Option<&str>, command: &[OsString]) -> Result<ExitCode> {
    let facts = state::find(name)?;
    let launcher = std::env::current_exe()?;
    let here = std::env::current_dir()?;
    let shell = [std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())];
    let command = if command.is_empty() { &shell } else { command };

    let signals = block()?;
    join(&facts, node)?;
    // Joining the mounts leads to their root; a directory that is hidden in the box stays so.
    if std::env::set_current_dir(&here).is_err() {
        std::env::set_current_dir("/")?;
    }
    let mut child = Command::new(launcher);
    child.args(["exec", "--"]).args(command).env("PATH", path(&facts)?);
    // What says that it is meant for this box, as the library does, may have chosen its own.
    if std::env::var_os(NAME).is_none_or(|name| name != *facts.name) {
        child.envs(environment(&facts));
    }
    wait(child.spawn().context("cannot start a program in the box")?, &signals)
}

/// The variables that a program in a box has.
pub(crate) fn environment(facts: &Facts) -> [(&'static str, OsString); 4] {
    [
        // Debian's and Ubuntu's shells show this one in front of their prompt.
        ("debian_chroot", format!("box {}", facts.name).into()),
        (NAME, facts.name.clone().into()),
        ("KUBECONFIG", facts.inner_kubeconfig.clone().into()),
        ("KUBECACHEDIR", facts.dir.join("data/kubectl-cache").into()),
    ]
}

fn path(facts: &Facts) -> Result<OsString> {
    let present = std::env::var_os("PATH").unwrap_or_default();
    let parts = std::iter::once(facts.bin.clone()).chain(std::env::split_paths(&present));
    Ok(std::env::join_paths(parts)?)
}

/// Joins the namespaces of a box; only children come to be in its process namespace.
fn join(facts: &Facts, node: Option<&str>) -> Result<()> {
    let namespace = |kind: &str| open(Path::new(&format!("/proc/{}/ns/{kind}", facts.pid)));
    let net = open(&facts.network(node)?)?;
    let others = [
        (namespace("uts")?, CloneFlags::CLONE_NEWUTS),
        (namespace("ipc")?, CloneFlags::CLONE_NEWIPC),
        (namespace("pid")?, CloneFlags::CLONE_NEWPID),
        (net, CloneFlags::CLONE_NEWNET),
        (namespace("mnt")?, CloneFlags::CLONE_NEWNS),
    ];
    for (file, kind) in others {
        setns(file, kind).context("cannot join the namespaces of the box")?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("the box has ended: no {}", path.display()))
}

/// Signals are read from a file, so that what happens next to waiting is in one place.
fn block() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in PASSED {
        set.add(signal);
    }
    set.add(Signal::SIGCHLD);
    set.thread_block()?;
    Ok(SignalFd::new(&set)?)
}

fn wait(mut child: Child, signals: &SignalFd) -> Result<ExitCode> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(code(status));
        }
        let Some(info) = signals.read_signal()? else { bail!("signals ended") };
        let signal = Signal::try_from(i32::try_from(info.ssi_signo)?)?;
        // What the terminal sends, the program gets from it as well.
        if signal != Signal::SIGCHLD && info.ssi_code == SENT_BY_A_PROCESS {
            kill(pid, signal)?;
        }
    }
}

/// A program's exit code; that of one ended by a signal as shells have it.
fn code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let number = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    number.and_then(|number| u8::try_from(number).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
