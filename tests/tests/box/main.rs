//! The box itself: what it offers, that boxes do not disturb each other, and that nothing is left of one.

// Said again for each module, so that clippy sees tests in all of it.
#[cfg(test)]
mod ends;
#[cfg(test)]
mod families;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod pulls;
#[cfg(test)]
mod serves;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster::image::Archive;

pub(crate) const SOON: Duration = Duration::from_mins(1);
pub(crate) const IMAGE: &str = "localhost/silverback/answer:test";

/// A program of the package `cluster`, which cargo puts beside `box`.
pub(crate) fn program(name: &str) -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/box");
    let launcher = std::env::var_os("SILVERBACK_BOX").map_or_else(built, PathBuf::from);
    let path = launcher.with_file_name(name);
    assert!(
        path.is_file(),
        "{} is missing: run the suites by `cargo xtask test`, which makes it",
        path.display()
    );
    path
}

pub(crate) fn archive(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("answer.tar");
    let archive =
        Archive { references: vec![IMAGE.into()], program: program("answer"), ..Archive::default() };
    archive.write(&path)?;
    Ok(path)
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !done() {
        ensure!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
