//! The state directory of a box: its lock, its facts, its logs.
//!
//! In: names. Out: directories below `$XDG_RUNTIME_DIR/silverback/boxes`, or `/run/silverback/boxes`.
//! A box holds an exclusive lock on its directory as long as it lives; a directory whose lock is free
//! is what a killed box left behind. Never starts or ends a process.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cgroup;

/// What there is to know about a box that is ready.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its process 1, numbered as outside the box.
    pub pid: i32,
    /// The program `box` that keeps it and cleans up after it; SIGTERM ends both.
    pub keeper: u32,
    /// Its state directory.
    pub dir: PathBuf,
    /// A kubeconfig that works outside the box: its server is a port on 127.0.0.1.
    pub kubeconfig: PathBuf,
    /// A kubeconfig that works inside the box.
    pub inner_kubeconfig: PathBuf,
    /// The directory with `kubectl` and `ctr`.
    pub bin: PathBuf,
    /// Its nodes, the first one first.
    pub nodes: Vec<Node>,
}

impl Facts {
    /// A file that stands for the network namespace of a node; without a name, that of the box.
    pub(crate) fn network(&self, node: Option<&str>) -> Result<PathBuf> {
        let own = PathBuf::from(format!("/proc/{}/ns/net", self.pid));
        let Some(name) = node else { return Ok(own) };
        let Some(node) = self.nodes.iter().find(|node| node.name == name) else {
            bail!("the box {} has no node {name}", self.name);
        };
        // The way through process 1's root leads into the box's mounts.
        let seen = |path: &Path| PathBuf::from(format!("/proc/{}/root{}", self.pid, path.display()));
        Ok(node.netns.as_deref().map_or(own, seen))
    }
}

/// A node of a box.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Node {
    /// The name of its Node object.
    pub name: String,
    /// Its addresses, one of each family of the box.
    pub addresses: Vec<std::net::IpAddr>,
    /// The socket of its containerd, a path inside the box.
    pub containerd: PathBuf,
    /// A file inside the box that stands for the node's network namespace; none for the first node,
    /// whose network is that of the box.
    pub netns: Option<PathBuf>,
}

/// A state directory held by this process.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    _lock: File,
}

/// The directory of all state directories.
pub(crate) fn root() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    runtime.map_or_else(|| PathBuf::from("/run"), PathBuf::from).join("silverback/boxes")
}

impl State {
    /// Makes and locks the directory of a new box; fails when a box of that name lives.
    pub(crate) fn create(root: &Path, name: Option<&str>) -> Result<Self> {
        let _turn = take_turn(root)?;
        sweep(root)?;
        let name = name.map_or_else(random_name, |name| Ok(name.to_owned()))?;
        let dir = root.join(&name);
        fs::create_dir_all(&dir)?;
        File::options().append(true).create(true).open(dir.join("lock"))?;
        let Some(lock) = try_lock(&dir)? else {
            bail!(
                "a box named {name} is already running; end it with `cargo xtask down {name}` or choose another name"
            )
        };
        for part in ["logs", "data", "stage", "bin"] {
            fs::create_dir_all(dir.join(part))?;
        }
        Ok(Self { name, dir, _lock: lock })
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Removes the directory and the cgroups, when every process of the box has ended.
    pub(crate) fn remove(self) -> Result<()> {
        let root = self.dir.parent().context("a state directory has a parent")?;
        let _turn = take_turn(root)?;
        discard(&self.name, &self.dir)?;
        // The last box leaves not even an empty directory; others make these two fail.
        if fs::remove_dir(root).is_ok() {
            root.parent().map(fs::remove_dir);
        }
        Ok(())
    }
}

/// Writes the facts where [`read`] finds them, all at once.
pub(crate) fn write(facts: &Facts) -> Result<()> {
    let whole = facts.dir.join("box.json");
    let part = facts.dir.join("box.json.part");
    fs::write(&part, serde_json::to_vec_pretty(facts)?)?;
    fs::rename(part, whole)?;
    Ok(())
}

/// The facts of the boxes that live, in order of their names.
pub(crate) fn living(root: &Path) -> Result<Vec<Facts>> {
    let mut found = Vec::new();
    // A lock that is tried here must not be missed by a box that is just being made.
    let turn = File::open(root);
    if let Ok(turn) = &turn {
        turn.lock()?;
    }
    for dir in directories(root)? {
        if try_lock(&dir)?.is_none()
            && let Ok(text) = fs::read(dir.join("box.json"))
        {
            found.push(serde_json::from_slice(&text)?);
        }
    }
    Ok(found)
}

/// The box of a name, or the only one there is.
pub(crate) fn find(name: Option<&str>) -> Result<Facts> {
    choose(living(&root())?, name)
}

fn choose(mut boxes: Vec<Facts>, name: Option<&str>) -> Result<Facts> {
    let names: Vec<&str> = boxes.iter().map(|facts| facts.name.as_str()).collect();
    let names = names.join(", ");
    match (name, boxes.len()) {
        (_, 0) => bail!("no box is running; `cargo xtask up` starts one"),
        (None, 1) => boxes.pop().context("one is there"),
        (None, _) => bail!("several boxes are running, name one of them: {names}"),
        (Some(name), _) => match boxes.into_iter().find(|facts| facts.name == name) {
            Some(facts) => Ok(facts),
            None => bail!("no box named {name} is running, only: {names}"),
        },
    }
}

/// Directories come and go under a lock on the directory that holds them all.
fn take_turn(root: &Path) -> Result<File> {
    loop {
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        let Ok(held) = File::open(root) else { continue };
        held.lock()?;
        // While this one waited, the last box may have removed it.
        if fs::metadata(root).is_ok_and(|now| held.metadata().is_ok_and(|then| then.ino() == now.ino())) {
            return Ok(held);
        }
    }
}

/// Removes what killed boxes left behind.
fn sweep(root: &Path) -> Result<()> {
    for dir in directories(root)? {
        if let Some(_lock) = try_lock(&dir)?
            && let Some(name) = dir.file_name().and_then(|name| name.to_str())
        {
            // One that cannot be removed must not keep others from starting.
            if let Err(error) = discard(name, &dir) {
                eprintln!("what is left of the box {name} cannot be removed: {error:#}");
            }
        }
    }
    Ok(())
}

fn directories(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", root.display())),
    };
    let mut dirs: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    dirs.sort();
    Ok(dirs)
}

/// The lock of a state directory, or nothing when its box lives.
fn try_lock(dir: &Path) -> Result<Option<File>> {
    let path = dir.join("lock");
    let file = match File::options().write(true).open(&path) {
        Ok(file) => file,
        // Its box has just ended and removed it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn discard(name: &str, dir: &Path) -> Result<()> {
    cgroup::remove(name)?;
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn random_name() -> Result<String> {
    let mut bytes = [0_u8; 5];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(state: &State) -> Facts {
        Facts {
            name: state.name.clone(),
            pid: 1,
            keeper: 1,
            dir: state.dir.clone(),
            kubeconfig: state.dir.join("kubeconfig"),
            inner_kubeconfig: state.dir.join("inner.kubeconfig"),
            bin: state.dir.join("bin"),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn a_name_is_taken_once() {
        let root = tempfile::tempdir().unwrap();
        let held = State::create(root.path(), Some("one")).unwrap();
        let refused = State::create(root.path(), Some("one")).unwrap_err().to_string();
        assert!(refused.contains("already running"), "{refused}");
        drop(held);
        State::create(root.path(), Some("one")).unwrap();
    }

    #[test]
    fn living_boxes_are_found_and_dead_ones_swept() {
        let root = tempfile::tempdir().unwrap();
        let lives = State::create(root.path(), Some("lives")).unwrap();
        let dies = State::create(root.path(), Some("dies")).unwrap();
        write(&facts(&lives)).unwrap();
        write(&facts(&dies)).unwrap();
        drop(dies);
        let names: Vec<_> = living(root.path()).unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["lives"]);
        assert_eq!(choose(living(root.path()).unwrap(), None).unwrap().name, "lives");
        let wrong = choose(living(root.path()).unwrap(), Some("dies")).unwrap_err().to_string();
        assert!(wrong.contains("only: lives"), "{wrong}");
        State::create(root.path(), None).unwrap();
        assert!(!root.path().join("dies").exists(), "a dead box's directory was kept");
        assert!(root.path().join("lives").exists(), "a living box's directory was removed");
    }
}
