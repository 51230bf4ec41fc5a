//! Which crate may depend on which.
//!
//! In: what cargo says of the workspace. Out: arrows that must not be. Never: a judgement of
//! dependencies that only tests have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::Findings;
use super::command::cargo_output;

/// The product's crates, and those of ours that each may use. Crates that are not here, such as test
/// suites and developer tools, may use all of these, and none of these may use them.
const ARROWS: &[(&str, &[&str])] = &[
    ("operator", &["archive", "certs", "control", "crds", "kong", "plan", "rollout", "runtime", "webhooks"]),
    ("control", &["archive", "certs", "crds", "kong", "plan", "rollout", "runtime"]),
    ("webhooks", &["crds", "plan"]),
    ("kong", &["archive", "rollout"]),
    ("plan", &["crds", "rollout"]),
    ("runtime", &["crds"]),
    ("rollout", &[]),
    ("archive", &[]),
    ("certs", &[]),
    ("crds", &[]),
];

/// Crates that compute and do nothing else.
const PURE: &[&str] = &["archive", "certs", "crds", "plan", "rollout"];

/// What gives a crate a runtime, a network or a client, by the names of its dependencies.
const IMPURE: &[&str] =
    &["async-std", "hyper", "kube-client", "kube-runtime", "mio", "reqwest", "smol", "tokio"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Absent for normal dependencies, else `dev` or `build`.
    kind: Option<String>,
}

/// Asks cargo, and compares.
pub fn check(root: &Path) -> anyhow::Result<Findings> {
    let text = cargo_output(root, &["metadata", "--format-version", "1", "--no-deps", "--locked"])?;
    let metadata: Metadata = serde_json::from_str(&text)?;
    let graph = graph(&metadata);
    let mut wrong = arrows(&graph);
    for pure in PURE.iter().filter(|pure| graph.contains_key(**pure)) {
        // `cargo metadata` would show the features that other crates turn on; this shows those of one alone.
        let tree = [
            "tree",
            "--package",
            pure,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--locked",
        ];
        wrong.extend(purity(pure, &cargo_output(root, &tree)?));
    }
    Ok(Findings { wrong, notes: Vec::new() })
}

/// Each crate of the workspace with the crates of the workspace that it uses outside tests.
fn graph(metadata: &Metadata) -> BTreeMap<&str, BTreeSet<&str>> {
    let ours: BTreeSet<_> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let needs = |package: &'_ Package, name: &str| {
        let mut of_name = package.dependencies.iter().filter(|dependency| dependency.name == name);
        of_name.any(|dependency| dependency.kind.as_deref() != Some("dev"))
    };
    let row = |package| ours.iter().copied().filter(|name| needs(package, name)).collect();
    metadata.packages.iter().map(|package| (package.name.as_str(), row(package))).collect()
}

fn arrows(graph: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let rooms: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, uses) in graph {
        let Some(allowed) = rooms.get(name) else { continue };
        let forbidden = uses.iter().filter(|used| !allowed.contains(used));
        wrong.extend(forbidden.map(|used| format!("{name} must not depend on {used}")));
    }
    wrong
}

fn purity(name: &str, tree: &str) -> Vec<String> {
    let found: BTreeSet<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let impure = IMPURE.iter().filter(|impure| found.contains(**impure));
    impure.map(|impure| format!("{name} must stay pure, but {impure} is in its tree")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, uses: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        };
        Package { name: name.to_owned(), dependencies: uses.iter().map(dependency).collect() }
    }

    #[test]
    fn arrows_that_point_the_wrong_way_are_found() {
        let packages = vec![
            package("crds", &[("serde", None), ("runtime", None)]),
            package("plan", &[("crds", None), ("rollout", None), ("cluster", Some("dev"))]),
            package("runtime", &[("crds", None), ("cluster", Some("build"))]),
            package("rollout", &[]),
            package("cluster", &[]),
            package("tests", &[("cluster", None), ("control", None)]),
        ];
        let found = arrows(&graph(&Metadata { packages }));
        assert_eq!(found, ["crds must not depend on runtime", "runtime must not depend on cluster"]);
    }

    #[test]
    fn runtimes_in_pure_trees_are_found() {
        let tree =
            "plan v0.1.0 (/src/plan)\nserde v1.0.0\ntokio-util v0.7.0\ntokio v1.0.0\nkube-core v4.2.0 (*)\n";
        assert_eq!(purity("plan", tree), ["plan must stay pure, but tokio is in its tree"]);
        assert_eq!(purity("crds", "crds v0.1.0\nkube v4.2.0\nkube-core v4.2.0\n"), Vec::<String>::new());
    }

    #[test]
    fn the_table_has_no_circle_and_names_every_pure_crate() {
        let rooms: BTreeMap<_, _> = ARROWS.iter().copied().collect();
        assert!(PURE.iter().all(|pure| rooms.contains_key(pure)));
        let mut settled = BTreeSet::new();
        while settled.len() < rooms.len() {
            let free = rooms.iter().filter(|(_, uses)| uses.iter().all(|used| settled.contains(used)));
            let free: Vec<_> = free.map(|(name, _)| *name).filter(|name| !settled.contains(name)).collect();
            assert!(!free.is_empty(), "a circle among what is not in {settled:?}");
            settled.extend(free);
        }
    }

    #[test]
    fn this_workspace_holds() {
        assert_eq!(check(&crate::tree::root()).unwrap(), Findings::default());
    }
}
