//! Boxes side by side, and how they end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Options};
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::{program, until};

#[tokio::test(flavor = "multi_thread")]
async fn boxes_live_side_by_side_and_end_with_their_parents() -> Result<()> {
    let before = footprint();
    let (keep, lose) = (unique("kept"), unique("lost"));
    let named = |name: &str| Options { name: Some(name.into()), ..Options::default() };
    let (kept, (parent, launched)) = tokio::try_join!(Cluster::start_quietly(named(&keep)), orphan(&lose))?;
    let other = cluster::attach(Some(&lose))?;
    assert_ne!(other.facts().pid, kept.facts().pid);
    for kubeconfig in [kept.kubeconfig(), other.facts().kubeconfig.as_path()] {
        namespace_through(kubeconfig).await?;
    }
    let twice = Cluster::start_quietly(named(&keep)).await.unwrap_err().to_string();
    assert!(twice.contains("already running"), "{twice}");

    end(parent, &lose).await?;
    wait_for(launched).await?;
    leftovers_are_swept().await?;
    let nodes: Api<Node> = Api::all(kept.client().await?);
    nodes.get("node-1").await.context("the other box was disturbed")?;

    cluster::attach(Some(&keep))?.down().await?;
    assert_eq!(left_of(&keep), Vec::<String>::new());
    kept.stop().await.context("a box that was asked to end has not failed")?;
    assert_eq!(footprint().difference(&before).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
    Ok(())
}

/// A name that no other run of the suites gives at the same time.
fn unique(word: &str) -> String {
    format!("{word}-{}", std::process::id())
}

/// Makes a namespace through a kubeconfig from outside: each box has one of that name.
async fn namespace_through(kubeconfig: &Path) -> Result<()> {
    let file = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let config =
        kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?;
    let namespaces: Api<Namespace> = Api::all(kube::Client::try_from(config)?);
    let object = serde_json::from_value(json!({ "metadata": { "name": "same" } }))?;
    namespaces.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// A box whose parent is another process: that process, and the program `box`.
async fn orphan(name: &str) -> Result<(Child, Child)> {
    let (input, held) = std::io::pipe()?;
    let parent = Command::new("sleep").arg("600").stdout(held).spawn()?;
    let launched = Command::new(program("box"))
        .args(["run", "--name", name])
        .stdin(input)
        .stdout(Stdio::null())
        .spawn()?;
    until("the box is ready", || cluster::attach(Some(name)).is_ok()).await?;
    Ok((parent, launched))
}

/// Kills the program `box` itself: the box ends with it, and the next one cleans up after it.
async fn leftovers_are_swept() -> Result<()> {
    let name = unique("swept");
    let (mut parent, mut launched) = orphan(&name).await?;
    launched.kill()?;
    launched.wait()?;
    until("the box has ended", || !left_of(&name).iter().any(|left| left.starts_with("process"))).await?;
    // The next start sweeps; it may already have been that of another test.
    Cluster::start_quietly(Options::default()).await?.stop().await?;
    assert_eq!(left_of(&name), Vec::<String>::new());
    parent.kill()?;
    parent.wait()?;
    Ok(())
}

/// Kills a box's parent and waits until nothing is left of the box.
async fn end(mut parent: Child, name: &str) -> Result<()> {
    parent.kill()?;
    parent.wait()?;
    until("nothing is left of the box", || left_of(name).is_empty())
        .await
        .with_context(|| format!("left: {:#?}", left_of(name)))
}

async fn wait_for(mut child: Child) -> Result<()> {
    until("the program box ends", || matches!(child.try_wait(), Ok(Some(_)))).await?;
    ensure!(child.wait()?.success(), "box failed");
    Ok(())
}

/// Processes, mounts, control groups and files of a box.
pub(crate) fn left_of(name: &str) -> Vec<String> {
    let own = format!("boxes/{name}");
    let mut left = Vec::new();
    for process in list("/proc").iter().filter(|path| path.join("cmdline").exists()) {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&format!("{own}/")) || line.ends_with(&format!("{own} ")) {
            left.push(format!("process {}: {line}", process.display()));
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(&own)).map(|line| format!("mount {line}")));
    let group = format!("silverback-{name}");
    let groups = std::iter::once(PathBuf::from("/sys/fs/cgroup")).chain(list("/sys/fs/cgroup"));
    left.extend(
        groups.map(|root| root.join(&group)).filter(|dir| dir.exists()).map(|dir| dir.display().to_string()),
    );
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/run".into(), PathBuf::from);
    let state = runtime.join("silverback").join(own);
    left.extend(state.exists().then(|| state.display().to_string()));
    left
}

fn list(dir: &str) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// What a box could leave on the machine beyond what has its name: interfaces, and the places where
/// container runtimes and kubelets usually keep things. Other things on the machine change their own.
fn footprint() -> BTreeSet<PathBuf> {
    const PLACES: [&str; 12] = [
        "/sys/class/net/cni0",
        "/etc/cni",
        "/opt/cni",
        "/opt/containerd",
        "/run/containerd",
        "/run/netns",
        "/var/lib/cni",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/log/pods",
        "/var/log/containers",
        "/var/run/kubernetes",
    ];
    let there = PLACES.into_iter().map(PathBuf::from).filter(|path| path.exists());
    let within = |path: PathBuf| {
        let inside: Vec<_> = std::fs::read_dir(&path).into_iter().flatten().filter_map(Result::ok).collect();
        std::iter::once(path).chain(inside.into_iter().map(|entry| entry.path()))
    };
    let nodes = list("/sys/class/net").into_iter().filter(|path| path.to_string_lossy().contains("/node-"));
    there.flat_map(within).chain(nodes).collect()
}
