//! Sockets that live in a network namespace other than this process's.
//!
//! In: a namespace. Out: a socket made in it. Only a thread of its own ever joins the namespace, and
//! ends at once: a socket stays where it was made.

use std::fs::File;
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

/// Runs something in a thread that has joined a network namespace.
pub(crate) fn within<T: Send + 'static>(
    net: File,
    make: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let thread = thread::Builder::new().name("netns".into()).spawn(move || {
        setns(net, CloneFlags::CLONE_NEWNET).context("cannot join the network of the box")?;
        make()
    })?;
    thread.join().map_err(|_| anyhow!("the thread in the box's network ended badly"))?
}
