//! Finds boxes that others started.
//!
//! In: names. Out: handles that can enter a box or end it, but do not own it.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::handle;
use crate::state::{self, Facts};

/// A box that runs on its own.
#[derive(Clone, Debug)]
pub struct Attached(Facts);

/// The box of a name, or the only one that runs.
pub fn attach(name: Option<&str>) -> Result<Attached> {
    Ok(Attached(state::find(name)?))
}

/// Every box that is ready.
pub fn list() -> Result<Vec<Facts>> {
    state::living(&state::root())
}

impl Attached {
    /// What there is to know about it.
    pub fn facts(&self) -> &Facts {
        &self.0
    }

    /// A command that runs a program in the box: `kubectl` is on its PATH, KUBECONFIG is set.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        handle::enter(&self.0, None, program.as_ref())
    }

    /// Ends the box and waits until nothing of it is left.
    pub async fn down(self) -> Result<()> {
        let Facts { keeper, dir, name, .. } = self.0;
        match kill(Pid::from_raw(i32::try_from(keeper)?), Signal::SIGTERM) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while dir.exists() {
            if Instant::now() > deadline {
                bail!("the box {name} has ended, but {} is still there", dir.display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
