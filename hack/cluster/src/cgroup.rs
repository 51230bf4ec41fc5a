//! The control groups of a box: made before it starts, removed after it ended.
//!
//! In: a box's name. Out: a group `silverback-NAME` in every hierarchy, v1 or v2. Never touches a
//! group of another name, but for handing controllers down from the root on v2.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::packages::ELSEWHERE;

const MOUNT: &str = "/sys/fs/cgroup";

/// What the kubelet demands of its root group on v2, where the machine offers it (Kubernetes 1.36,
/// `cgroup_v2_manager_linux.go`), and `io`.
const CONTROLLERS: [&str; 6] = ["cpuset", "cpu", "hugetlb", "io", "memory", "pids"];

/// The name of a box's group, relative to each hierarchy's root.
pub(crate) fn group(name: &str) -> String {
    format!("silverback-{name}")
}

/// Makes the group of a node in each hierarchy.
pub(crate) fn create(name: &str, node: &str) -> Result<()> {
    for root in hierarchies(Path::new(MOUNT))? {
        let dir = root.join(group(name)).join(node);
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make the control group {}", dir.display()))?;
        if root.join("cgroup.controllers").exists() && root == Path::new(MOUNT) {
            hand_down(&root, &root.join(group(name)))?;
        }
        weigh(&root.join(group(name)));
    }
    Ok(())
}

/// A box is a machine: beside a build on the same processors it should not count as one process. Where the weight
/// cannot be set the box is slower on a busy machine, and nothing else.
fn weigh(group: &Path) {
    for (file, weight) in [("cpu.shares", "10240"), ("cpu.weight", "1000")] {
        let file = group.join(file);
        if file.exists() {
            let _ = fs::write(file, weight);
        }
    }
}

/// Removes the groups of a box; its processes must have ended.
pub(crate) fn remove(name: &str) -> Result<()> {
    for root in hierarchies(Path::new(MOUNT))? {
        let dir = root.join(group(name));
        let deadline = Instant::now() + Duration::from_secs(10);
        // The kernel takes a moment to see that the last process of a group is gone.
        while let Err(error) = remove_tree(&dir) {
            if Instant::now() > deadline {
                return Err(error)
                    .with_context(|| format!("cannot remove the control group {}", dir.display()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// The roots of the hierarchies: the mount itself on v2, each of its directories on v1.
fn hierarchies(mount: &Path) -> Result<Vec<PathBuf>> {
    if mount.join("cgroup.controllers").exists() {
        return Ok(vec![mount.to_owned()]);
    }
    let entries = fs::read_dir(mount).with_context(|| format!("no control groups at {}", mount.display()))?;
    let mut roots: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        // `cpu` and `cpuacct` are often links to one `cpu,cpuacct`.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|dir| dir.join("cgroup.procs").exists())
        .collect();
    roots.sort();
    if roots.is_empty() {
        bail!("no control group hierarchy is mounted below {}", mount.display());
    }
    Ok(roots)
}

/// On v2 a group has the controllers that its parent hands down.
fn hand_down(root: &Path, group: &Path) -> Result<()> {
    for parent in [root, group] {
        let offered = fs::read_to_string(parent.join("cgroup.controllers"))?;
        for controller in CONTROLLERS.iter().filter(|name| offered.split_whitespace().any(|o| o == **name)) {
            let switch = parent.join("cgroup.subtree_control");
            fs::write(&switch, format!("+{controller}")).with_context(|| {
                format!(
                    "cannot hand the controller {controller} down from {}: on cgroup v2 the group in which \
                     a box is made must hold no processes itself, as it does inside a container; use a \
                     machine of its own, or: {ELSEWHERE}",
                    parent.display()
                )
            })?;
        }
    }
    Ok(())
}

fn remove_tree(dir: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_has_one_root_per_controller() {
        let mount = tempfile::tempdir().unwrap();
        for dir in ["memory", "cpu,cpuacct", "not-a-hierarchy"] {
            fs::create_dir(mount.path().join(dir)).unwrap();
        }
        std::os::unix::fs::symlink("cpu,cpuacct", mount.path().join("cpu")).unwrap();
        assert!(hierarchies(mount.path()).is_err());
        for dir in ["memory", "cpu,cpuacct"] {
            fs::write(mount.path().join(dir).join("cgroup.procs"), "").unwrap();
        }
        let found = hierarchies(mount.path()).unwrap();
        assert_eq!(found, [mount.path().join("cpu,cpuacct"), mount.path().join("memory")]);
    }

    #[test]
    fn v2_has_one_root() {
        let mount = tempfile::tempdir().unwrap();
        fs::write(mount.path().join("cgroup.controllers"), "cpu memory").unwrap();
        assert_eq!(hierarchies(mount.path()).unwrap(), [mount.path()]);
    }

    #[test]
    fn controllers_are_handed_down_twice() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("silverback-x");
        fs::create_dir(&group).unwrap();
        for dir in [root.path(), &group] {
            fs::write(dir.join("cgroup.controllers"), "misc hugetlb").unwrap();
        }
        hand_down(root.path(), &group).unwrap();
        for dir in [root.path(), &group] {
            assert_eq!(fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap(), "+hugetlb");
        }
    }
}
