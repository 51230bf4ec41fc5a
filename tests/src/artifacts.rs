//! Where the programs and images are that the suites run.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The checkout that this program was started in. Clones share what is built, so that it may have been compiled in another
/// one: cargo says where it is run, if only for which package.
pub fn root() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(built, PathBuf::from);
    let is_root = |folder: &&Path| folder.join("Cargo.lock").is_file();
    here.ancestors().find(is_root).unwrap_or(&here).to_path_buf()
}

/// The operator's program.
///
/// # Errors
/// When it was not built; says how to build it.
pub fn operator() -> Result<PathBuf> {
    existing(env_or("SILVERBACK_OPERATOR", "target/debug/silverback"))
}

/// The image archive of that name, such as `kong` or `echo`.
///
/// # Errors
/// When it was not made; says how to make it.
pub fn image(name: &str) -> Result<PathBuf> {
    existing(env_or("SILVERBACK_IMAGES", "target/debug/images").join(format!("{name}.tar")))
}

fn env_or(variable: &str, below_root: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| root().join(below_root), PathBuf::from)
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{} is missing: run the suites by `cargo xtask test`, which makes it", path.display());
    }
    Ok(path)
}
