//! The programs of the box, built once from released Go modules.
//!
//! In: a [`Component`]. Out: the directory with its programs, below `$SILVERBACK_CACHE`, else
//! `$XDG_CACHE_HOME/silverback`, else `~/.cache/silverback`. The directory's name is a hash of all
//! that goes into the build, so nothing is built twice and nothing old is used. Builds happen in a
//! directory of their own and are renamed when whole: an interrupted one is simply begun again.
//! Never writes into the source tree.

mod build;
mod key;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::packages;
use crate::progress::Progress;

/// A set of programs that one Go module holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Component {
    /// etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubelet and
    /// kubectl in one program, `kubernetes`. First build: about 8 minutes on two cores.
    Kubernetes,
    /// containerd, its shim, ctr, runc and the CNI plugins. First build: about 2 minutes.
    Node,
    /// `coredns` with the plugins a cluster's own DNS needs. First build: about 2 minutes.
    CoreDns,
    /// `metrics-server`. First build: about 2 minutes where Kubernetes was built before, whose packages it shares.
    MetricsServer,
    /// `kwok`, which simulates nodes. First build: about a minute, likewise.
    Kwok,
    /// `cert-manager`, its controllers and its injector in one, and the definitions of its kinds in `crds`. First
    /// build: about 2 minutes.
    CertManager,
    /// The definitions of the Gateway API's kinds, standard channel, in `standard`. Nothing is compiled.
    GatewayApi,
    /// `conformance`, the Gateway API's conformance suite as a program, and `echo-basic`, the backend of its tests. First
    /// build: about 2 minutes.
    Conformance,
}

/// How one component is built: the files of its module, and the arguments of `go`.
struct Recipe {
    name: &'static str,
    /// Paths and contents, relative to the module.
    files: &'static [(&'static str, &'static str)],
    target: Target,
    arguments: &'static [&'static str],
    cgo: bool,
    /// A folder of another module whose files are taken along, under the folder's last name.
    along: Option<(&'static str, &'static str)>,
    /// The programs that a whole build has.
    programs: &'static [&'static str],
}

/// What of a module is compiled.
#[derive(Clone, Copy)]
enum Target {
    /// One package.
    Package(&'static str),
    /// Whatever its `tool` directives name.
    Tools,
    /// Nothing: only files of another module are wanted.
    Nothing,
}

const KUBERNETES: Recipe = Recipe {
    name: "kubernetes",
    files: &[
        ("go.mod", include_str!("../go/kubernetes/go.mod")),
        ("go.sum", include_str!("../go/kubernetes/go.sum")),
        ("main.go", include_str!("../go/kubernetes/main.go")),
    ],
    target: Target::Package("."),
    // Without these `/version` says v0.0.0-master, and clients misread it.
    arguments: &[
        "-trimpath",
        "-ldflags",
        "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 \
         -X k8s.io/component-base/version.gitMinor=36 -X k8s.io/component-base/version.gitTreeState=clean",
    ],
    cgo: false,
    along: None,
    programs: &["kubernetes"],
};

const NODE: Recipe = Recipe {
    name: "node",
    files: &[("go.mod", include_str!("../go/node/go.mod")), ("go.sum", include_str!("../go/node/go.sum"))],
    target: Target::Tools,
    // Without the tag, runc refuses pods with a seccomp profile.
    arguments: &["-trimpath", "-ldflags", "-s -w", "-tags", "seccomp"],
    cgo: true,
    along: None,
    programs: &["containerd", "containerd-shim-runc-v2", "ctr", "runc", "bridge", "loopback", "host-local"],
};

const COREDNS: Recipe = Recipe {
    name: "coredns",
    files: &[
        ("go.mod", include_str!("../go/components/go.mod")),
        ("go.sum", include_str!("../go/components/go.sum")),
        ("coredns/main.go", include_str!("../go/components/coredns/main.go")),
    ],
    target: Target::Package("./coredns"),
    arguments: &["-trimpath", "-ldflags", "-s -w"],
    cgo: false,
    along: None,
    programs: &["coredns"],
};

const METRICS_SERVER: Recipe = Recipe {
    name: "metrics-server",
    files: &[
        ("go.mod", include_str!("../go/metrics-server/go.mod")),
        ("go.sum", include_str!("../go/metrics-server/go.sum")),
    ],
    target: Target::Tools,
    arguments: &["-trimpath", "-ldflags", "-s -w"],
    cgo: false,
    along: None,
    programs: &["metrics-server"],
};

const KWOK: Recipe = Recipe {
    name: "kwok",
    files: &[
        ("go.mod", include_str!("../go/kwok/go.mod")),
        ("go.sum", include_str!("../go/kwok/go.sum")),
        ("kwok/main.go", include_str!("../go/kwok/kwok/main.go")),
    ],
    target: Target::Package("./kwok"),
    arguments: &["-trimpath", "-ldflags", "-s -w"],
    cgo: false,
    along: None,
    programs: &["kwok"],
};

const CERT_MANAGER: Recipe = Recipe {
    name: "cert-manager",
    files: &[
        ("go.mod", include_str!("../go/cert-manager/go.mod")),
        ("go.sum", include_str!("../go/cert-manager/go.sum")),
        ("cert-manager/main.go", include_str!("../go/cert-manager/cert-manager/main.go")),
    ],
    target: Target::Package("./cert-manager"),
    arguments: &["-trimpath", "-ldflags", "-s -w"],
    cgo: false,
    along: Some(("github.com/cert-manager/cert-manager", "deploy/crds")),
    programs: &["cert-manager", "crds/cert-manager.io_certificates.yaml"],
};

const GATEWAY_API: Recipe = Recipe {
    name: "gateway-api",
    files: &[
        ("go.mod", include_str!("../go/gateway-api/go.mod")),
        ("go.sum", include_str!("../go/gateway-api/go.sum")),
    ],
    target: Target::Nothing,
    arguments: &[],
    cgo: false,
    along: Some(("sigs.k8s.io/gateway-api", "config/crd/standard")),
    programs: &["standard/gateway.networking.k8s.io_gateways.yaml"],
};

const CONFORMANCE: Recipe = Recipe {
    name: "conformance",
    files: &[
        ("go.mod", include_str!("../go/conformance/go.mod")),
        ("go.sum", include_str!("../go/conformance/go.sum")),
        ("conformance/main.go", include_str!("../go/conformance/conformance/main.go")),
    ],
    target: Target::Tools,
    arguments: &["-trimpath", "-ldflags", "-s -w"],
    cgo: false,
    along: None,
    programs: &["conformance", "echo-basic"],
};

impl Target {
    /// What `go list` calls it, and what tells one from another.
    fn name(self) -> &'static str {
        match self {
            Self::Package(package) => package,
            Self::Tools => "tool",
            Self::Nothing => "",
        }
    }
}

impl Component {
    fn recipe(self) -> &'static Recipe {
        match self {
            Self::Kubernetes => &KUBERNETES,
            Self::Node => &NODE,
            Self::CoreDns => &COREDNS,
            Self::MetricsServer => &METRICS_SERVER,
            Self::Kwok => &KWOK,
            Self::CertManager => &CERT_MANAGER,
            Self::GatewayApi => &GATEWAY_API,
            Self::Conformance => &CONFORMANCE,
        }
    }
}

/// The directory with the programs of a component, built now if they are not there yet.
///
/// Blocks; a build by another process is waited for. `progress` hears of a build every few seconds.
pub fn ensure(component: Component, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    provide(component.recipe(), &cache()?, progress)
}

/// The directory of everything that is built once.
pub fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("SILVERBACK_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("silverback")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/silverback")))
        .context("set SILVERBACK_CACHE to a directory: HOME is not set")?;
    // Go takes no relative one.
    Ok(std::path::absolute(cache)?)
}

fn provide(recipe: &Recipe, cache: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    let go = build::go_version()?;
    let whole = cache.join(format!("{}-{}", recipe.name, key::of(recipe, &go)));
    if is_whole(recipe, &whole) {
        return Ok(whole);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let _turn = take_turn(recipe, cache, progress)?;
    if is_whole(recipe, &whole) {
        return Ok(whole);
    }
    if recipe.cgo {
        packages::to_build(progress)?;
    }
    let began = Instant::now();
    let prefix = format!(".{}-", recipe.name);
    remove_begun(cache, &prefix);
    let scratch = tempfile::Builder::new().prefix(&prefix).tempdir_in(cache)?;
    let bin = build::build(recipe, scratch.path(), progress)?;
    if whole.exists() {
        fs::remove_dir_all(&whole)?;
    }
    fs::rename(bin, &whole)?;
    progress(Progress::new("toolchain", format!("{} built", recipe.name), began.elapsed()));
    Ok(whole)
}

/// Removes what builds that were killed have left. Where one of them still has a `go` at work, its directory
/// stays until the next time; the new one has another name.
fn remove_begun(cache: &Path, prefix: &str) {
    let entries = fs::read_dir(cache).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            eprintln!("{} cannot be removed yet: {error}", entry.path().display());
        }
    }
}

fn is_whole(recipe: &Recipe, dir: &Path) -> bool {
    // A power cut may leave files of no length.
    let whole = |program: &&str| fs::metadata(dir.join(program)).is_ok_and(|found| found.len() > 0);
    recipe.programs.iter().all(whole)
}

/// Waits until no other process builds this component.
fn take_turn(recipe: &Recipe, cache: &Path, progress: &mut dyn FnMut(Progress)) -> Result<File> {
    let lock = File::options().append(true).create(true).open(cache.join(format!("{}.lock", recipe.name)))?;
    if lock.try_lock().is_err() {
        let message = format!("waiting for another build of {}", recipe.name);
        progress(Progress::new("toolchain", message, std::time::Duration::ZERO));
        lock.lock()?;
    }
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_build_is_no_build() {
        let dir = tempfile::tempdir().unwrap();
        for program in NODE.programs.iter().skip(1) {
            fs::write(dir.path().join(program), "x").unwrap();
        }
        assert!(!is_whole(&NODE, dir.path()));
        fs::write(dir.path().join(NODE.programs[0]), "").unwrap();
        assert!(!is_whole(&NODE, dir.path()), "an empty program is none");
        fs::write(dir.path().join(NODE.programs[0]), "x").unwrap();
        assert!(is_whole(&NODE, dir.path()));
    }

    const TINY: Recipe = Recipe {
        name: "tiny",
        files: &[
            ("go.mod", "module tiny\n\ngo 1.26.0\n"),
            ("cmd/tiny/main.go", "package main\n\nfunc main() { println(\"tiny\") }\n"),
            ("more/data/x.yaml", "x"),
        ],
        target: Target::Package("./cmd/tiny"),
        arguments: &["-trimpath"],
        cgo: false,
        along: Some(("tiny", "more/data")),
        programs: &["tiny", "data/x.yaml"],
    };

    #[test]
    fn a_component_is_built_once_and_heals() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir(cache.path().join(".tiny-killed")).unwrap();
        let mut said = Vec::new();
        let bin = provide(&TINY, cache.path(), &mut |step| said.push(step.message)).unwrap();
        assert!(said.iter().any(|message| message == "tiny built"), "{said:?}");
        let ran = std::process::Command::new(bin.join("tiny")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "tiny\n");

        said.clear();
        assert_eq!(provide(&TINY, cache.path(), &mut |step| said.push(step.message)).unwrap(), bin);
        assert!(said.is_empty(), "built again: {said:?}");

        fs::remove_file(bin.join("tiny")).unwrap();
        provide(&TINY, cache.path(), &mut |_| {}).unwrap();
        assert!(bin.join("tiny").is_file());
        let left: Vec<_> =
            fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "scratch directories were left: {left:?}");
    }
}
