//! What the box needs from the machine: root, Linux, and a few distribution packages.
//!
//! In: the machine. Out: nothing, or an error that names what is missing and another way. On Debian
//! and Ubuntu it installs missing packages itself. Never removes or upgrades one.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::progress::Progress;

/// A Debian package, and the sign that what it holds is there.
struct Need {
    package: &'static str,
    reason: &'static str,
    sign: Sign,
}

enum Sign {
    Program(&'static str),
    Library(&'static str),
    File(&'static str),
}

const TO_RUN: [Need; 2] = [
    Need { package: "nftables", reason: "kube-proxy calls nft", sign: Sign::Program("nft") },
    Need { package: "iproute2", reason: "the box makes its network with ip", sign: Sign::Program("ip") },
];

const TO_BUILD: [Need; 4] = [
    Need { package: "gcc", reason: "runc is built with cgo", sign: Sign::Program("gcc") },
    Need {
        package: "libc6-dev",
        reason: "runc is built with cgo",
        sign: Sign::File("/usr/include/stdlib.h"),
    },
    Need {
        package: "pkg-config",
        reason: "runc finds libseccomp with it",
        sign: Sign::Program("pkg-config"),
    },
    Need {
        package: "libseccomp-dev",
        reason: "runc filters system calls with it",
        sign: Sign::Library("libseccomp"),
    },
];

/// Checks for what every start needs, and installs it where it can. A start does so too; whoever starts several
/// at once does it first.
///
/// # Errors
/// What is missing, and another way.
pub fn to_run(progress: &mut dyn FnMut(Progress)) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the box runs on Linux only; {ELSEWHERE}");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the box needs root, to make namespaces and control groups: run it as root, for example by `sudo env \"PATH=$PATH\" cargo xtask up`; {ELSEWHERE}"
        );
    }
    provide(&TO_RUN, progress)
}

/// Checks for what building the node's programs needs.
pub(crate) fn to_build(progress: &mut dyn FnMut(Progress)) -> Result<()> {
    provide(&TO_BUILD, progress)
}

pub(crate) const ELSEWHERE: &str =
    "any other cluster does as well: `cargo xtask up --kubeconfig FILE`, with a file from kind for example";

fn provide(needs: &[Need], progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let reasons: Vec<String> =
        missing.iter().map(|need| format!("{} ({})", need.package, need.reason)).collect();
    let debian = Path::new("/etc/debian_version").exists() && find("apt-get").is_some();
    if !debian || !nix::unistd::geteuid().is_root() {
        bail!("missing, by their Debian names: {}; install them, or: {ELSEWHERE}", reasons.join(", "));
    }
    // Two boxes that start at once must not both call apt-get.
    let turn = File::options()
        .append(true)
        .create(true)
        .open(std::env::temp_dir().join("silverback-packages.lock"))?;
    turn.lock()?;
    if missing.iter().any(|need| !need.is_met()) {
        install(&names, progress).with_context(|| format!("missing: {}; {ELSEWHERE}", reasons.join(", ")))?;
    }
    match missing.iter().find(|need| !need.is_met()) {
        Some(need) => bail!("{} was installed, but what it should hold is not found", need.package),
        None => Ok(()),
    }
}

impl Need {
    fn is_met(&self) -> bool {
        match self.sign {
            Sign::Program(name) => find(name).is_some(),
            Sign::File(path) => Path::new(path).exists(),
            Sign::Library(name) => succeeds(Command::new("pkg-config").args(["--exists", name])),
        }
    }
}

/// `PATH`, and the directories of administrators' programs, which `su` without `-` leaves out.
pub(crate) fn path() -> OsString {
    let present = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    // Only a directory with a colon in its name fails, and none of these has one.
    std::env::join_paths(std::env::split_paths(&present).chain(more)).unwrap_or(present)
}

/// The full path of a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&path()).map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn install(names: &[&str], progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let began = Instant::now();
    let line = format!("apt-get install --no-install-recommends {}", names.join(" "));
    progress(Progress::new("packages", &line, began.elapsed()));
    apt(&["update", "--option", "DPkg::Lock::Timeout=300"])?;
    // Something else on the machine, such as unattended upgrades, may be at it.
    let mut words =
        vec!["install", "--yes", "--no-install-recommends", "--option", "DPkg::Lock::Timeout=300"];
    words.extend(names);
    apt(&words)
}

fn apt(words: &[&str]) -> Result<()> {
    let done = Command::new("apt-get")
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    if !done.status.success() {
        bail!("apt-get {} failed: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_seen() {
        let need = |program| Need { package: "p", reason: "r", sign: Sign::Program(program) };
        assert!(need("sh").is_met());
        assert!(!need("no-such-program-anywhere").is_met());
    }

    #[test]
    fn a_missing_library_is_seen() {
        let need = Need { package: "p", reason: "r", sign: Sign::Library("no-such-library") };
        assert!(!need.is_met());
    }
}
