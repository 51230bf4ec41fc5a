//! Becomes another program, in another network when told so.
//!
//! In: a command. Out: nothing but an error, since the process is another program then. The program
//! ends with the process that started this one.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};

/// Becomes the program.
pub(super) fn exec(net: Option<&Path>, command: &[OsString]) -> Result<Infallible> {
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent blocks signals, to pass them on; the program must not inherit that.
    SigSet::empty().thread_set_mask()?;
    if let Some(path) = net {
        let file = File::open(path).with_context(|| format!("no network namespace at {}", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET)?;
    }
    let Some((program, arguments)) = command.split_first() else { bail!("no program is named") };
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}
