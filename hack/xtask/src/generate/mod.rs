//! `cargo xtask generate`: the files that follow from the types.
//!
//! In: the crates `crds` and `webhooks`. Out: definitions, roles, webhooks, samples and the API reference, written or compared.
//! Never: a file that a person also edits.

mod access;
mod definitions;
mod difference;
pub mod install;
pub mod olm;
mod overlays;
mod reference;
pub mod samples;
mod webhook;
mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::tree;

/// Write the custom resource definitions, roles, webhooks, samples and the API reference from the types.
///
/// Takes a second, once this program is built. With `--check` nothing is written: it prints what
/// differs, and fails if anything does.
#[derive(clap::Args)]
pub struct Arguments {
    /// Compare with the files that are there instead of writing.
    #[arg(long)]
    check: bool,
}

/// A file as it should be.
pub struct File {
    /// From the root of the tree.
    path: PathBuf,
    content: String,
}

impl File {
    fn new(path: impl Into<PathBuf>, content: String) -> Self {
        Self { path: path.into(), content }
    }
}

/// Folders that hold generated files and nothing else, so that what is no longer generated goes.
const FOLDERS: [&str; 8] = [
    "crds/yaml",
    "manifests/base",
    "manifests/components",
    "manifests/olm",
    "manifests/overlays",
    "manifests/rbac",
    "manifests/samples",
    "manifests/webhook",
];

/// Writes or compares.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let root = tree::root();
    if arguments.check {
        let differences = differences(&root)?;
        for difference in &differences {
            eprintln!("{difference}");
        }
        return Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for changed in write(&root, &files()?)? {
        eprintln!("{}", changed.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What the tree has that differs from what would be written; one text per file.
pub fn differences(root: &Path) -> anyhow::Result<Vec<String>> {
    let files = files()?;
    let mut found = Vec::new();
    for file in &files {
        let there = fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        found.extend(difference::summary(&file.path, &there, &file.content));
    }
    for stale in stale(root, &files)? {
        found.push(format!("{}: is not generated any more", stale.display()));
    }
    Ok(found)
}

fn files() -> anyhow::Result<Vec<File>> {
    let mut files = definitions::files()?;
    files.extend(access::files()?);
    files.extend(webhook::files()?);
    // Rights in some namespaces only take the place of those in all of them.
    let everywhere: Vec<_> = files.iter().filter(|file| !file.path.starts_with(access::NAMESPACED)).collect();
    let base = install::files(&everywhere)?;
    files.extend(base);
    files.extend(overlays::files()?);
    files.extend(olm::files()?);
    files.extend(samples::files()?);
    files.push(reference::file());
    Ok(files)
}

/// Writes what differs and removes what is stale; returns the paths it touched.
fn write(root: &Path, files: &[File]) -> anyhow::Result<Vec<PathBuf>> {
    let mut touched = Vec::new();
    for file in files {
        let path = root.join(&file.path);
        if fs::read_to_string(&path).is_ok_and(|there| there == file.content) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&path, &file.content).with_context(|| format!("cannot write {}", path.display()))?;
        touched.push(file.path.clone());
    }
    for stale in stale(root, files)? {
        fs::remove_file(root.join(&stale))?;
        touched.push(stale);
    }
    Ok(touched)
}

fn stale(root: &Path, files: &[File]) -> anyhow::Result<Vec<PathBuf>> {
    let wanted: BTreeSet<_> = files.iter().map(|file| file.path.as_path()).collect();
    let mut found = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)).iter().filter(|folder| folder.is_dir()) {
        for path in tree::files(folder, "yaml")? {
            let path = path.strip_prefix(root)?.to_path_buf();
            if !wanted.contains(path.as_path()) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_does_not_differ_and_what_is_changed_does() {
        let root = tempfile::tempdir().unwrap();
        assert!(!differences(root.path()).unwrap().is_empty(), "an empty tree lacks everything");
        let files = files().unwrap();
        assert_eq!(write(root.path(), &files).unwrap().len(), files.len());
        assert_eq!(differences(root.path()).unwrap(), Vec::<String>::new());
        assert_eq!(
            write(root.path(), &files).unwrap(),
            Vec::<PathBuf>::new(),
            "the second time nothing is written"
        );

        let stale = root.path().join("crds/yaml/gone.yaml");
        fs::write(&stale, "").unwrap();
        let edited = root.path().join("crds/yaml/dataplanes.yaml");
        fs::write(&edited, fs::read_to_string(&edited).unwrap().replace("kodp", "kdp")).unwrap();
        let found = differences(root.path()).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("-    - kdp") && found[0].contains("+    - kodp"), "{}", found[0]);
        assert!(found[1].contains("gone.yaml: is not generated any more"), "{}", found[1]);
        write(root.path(), &files).unwrap();
        assert!(!stale.exists());
    }
}
