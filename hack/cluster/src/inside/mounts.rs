//! What a box sees of the file system: the machine's, but for a few directories of its own.
//!
//! In: a [`Layout`], in a mount namespace that is still a copy of the machine's. Out: mounts that
//! vanish with the namespace. Never mounts a new sysfs: that would hide the control groups.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use crate::config::Layout;

const NONE: Option<&str> = None;

/// Directories in /var/lib whose paths are fixed in the code of the CNI library and of the kubelet.
const FIXED: [&str; 3] = ["cni", "containerd", "kubelet"];

/// What the kubelet wants to write into sysctls that belong to the whole machine
/// (`setupKernelTunables` in pkg/kubelet/cm): it finds them already so.
const SYSCTLS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Arranges everything.
pub(crate) fn arrange(layout: &Layout) -> Result<()> {
    let all =
        |flag| mount(NONE, "/", NONE, flag | MsFlags::MS_REC, NONE).context("cannot set mount propagation");
    all(MsFlags::MS_PRIVATE)?;
    let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), hidden, NONE).context("cannot mount /proc")?;
    let resolver = resolver_target();
    own_run(layout)?;
    own_lib(&layout.dir.join("stage"))?;
    tmpfs(Path::new("/var/log"))?;
    tmpfs(&layout.data())?;
    for dir in ["config", "pki", "tmp"] {
        fs::create_dir_all(layout.data().join(dir))?;
    }
    // Single files must not be bound from the tmpfs of the data: the kubelet (cadvisor) finds the
    // mount of a file system by its device, and would take such a file for the whole of it.
    let files = layout.dir.join("stage");
    tmpfs(&files)?;
    own_sysctls(&files)?;
    own_resolver(layout, &files.join("resolv.conf"), resolver.as_deref())?;
    // Volumes that the kubelet mounts must appear in containers that run already.
    all(MsFlags::MS_SHARED)
}

/// A new /run. Sockets of the machine's services are not in it: asking the machine's resolver or
/// container engine from inside a box would be a mistake.
fn own_run(layout: &Layout) -> Result<()> {
    let stage = layout.dir.join("stage");
    tmpfs(&stage)?;
    if let Ok(rest) = layout.dir.strip_prefix("/run") {
        let kept = stage.join(rest);
        fs::create_dir_all(&kept)?;
        bind(&layout.dir, &kept)?;
    }
    shift(&stage, Path::new("/run"))
}

/// A /var/lib in which the machine's directories are as they were, and new ones are the box's.
fn own_lib(stage: &Path) -> Result<()> {
    let lib = Path::new("/var/lib");
    tmpfs(stage)?;
    for entry in fs::read_dir(lib)? {
        let entry = entry?;
        let (from, to) = (entry.path(), stage.join(entry.file_name()));
        let kind = entry.file_type()?;
        if FIXED.iter().any(|fixed| entry.file_name() == *fixed) {
            continue;
        }
        if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if kind.is_dir() {
            fs::create_dir(&to)?;
            bind(&from, &to)?;
        } else if kind.is_file() {
            File::create(&to)?;
            bind(&from, &to)?;
        }
    }
    for fixed in FIXED {
        fs::create_dir(stage.join(fixed))?;
    }
    shift(stage, lib)
}

fn own_sysctls(dir: &Path) -> Result<()> {
    for (name, value) in SYSCTLS {
        let file = dir.join(name.replace('/', "."));
        fs::write(&file, format!("{value}\n"))?;
        bind(&file, &Path::new("/proc/sys").join(name))?;
    }
    Ok(())
}

/// The file that /etc/resolv.conf leads to, if the machine has one.
fn resolver_target() -> Option<PathBuf> {
    fs::canonicalize("/etc/resolv.conf").ok()
}

fn own_resolver(layout: &Layout, file: &Path, target: Option<&Path>) -> Result<()> {
    // Without DNS in the cluster no name is found, at once: nothing listens on this address.
    let family = layout.families().first();
    let server = if layout.options.dns { family.dns() } else { family.loopback() };
    let plain = format!("nameserver {server}\n");
    // Pods get this one as a base, and must not inherit a search list.
    fs::write(layout.file("resolv.conf"), &plain)?;
    let search = "search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";
    fs::write(file, if layout.options.dns { plain + search } else { plain })?;
    // Where the machine has none, making one would leave it behind there; pods have theirs all the same.
    let Some(target) = target else { return Ok(()) };
    if !target.exists() {
        // It led into the machine's /run, say to systemd-resolved.
        target.parent().map(fs::create_dir_all).transpose()?;
        File::create(target)?;
    }
    bind(file, target)
}

fn tmpfs(target: &Path) -> Result<()> {
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .with_context(|| format!("cannot mount a tmpfs on {}", target.display()))
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .with_context(|| format!("cannot bind {} to {}", from.display(), to.display()))
}

fn shift(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, NONE, MsFlags::MS_MOVE, NONE)
        .with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}
