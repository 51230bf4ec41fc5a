//! The first process of a pod: holds its namespaces until it is told to end.
//!
//! In: signals. Out: nothing. It waits for children that others left behind, and does no more.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

fn main() -> nix::Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block()?;
    while signals.wait()? == Signal::SIGCHLD {
        while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(_) | Ok(WaitStatus::StillAlive)) {}
    }
    Ok(())
}
