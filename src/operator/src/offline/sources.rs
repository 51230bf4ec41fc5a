//! Files, folders and standard input, as texts.
//!
//! In: what the command line names. Out: each text with the name that reports give it, in the order of the command
//! line, the files of a folder sorted. Never: a file twice, or a file of a folder that is no manifest by its name.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Standard input, on the command line.
pub const STDIN: &str = "-";

/// A text and its name.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in reports.
    pub name: String,
    /// The folder that it is in, whichever way it is named; none for standard input.
    pub folder: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be read")]
pub struct Unreadable {
    name: String,
    #[source]
    cause: io::Error,
}

/// Reads all of them.
///
/// # Errors
/// At the first that cannot be read.
pub fn read(names: &[PathBuf]) -> Result<Vec<Source>, Unreadable> {
    let mut seen = BTreeSet::new();
    let mut sources = Vec::new();
    for name in names {
        let failed = |cause| Unreadable { name: name.display().to_string(), cause };
        if name.as_os_str() == STDIN {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map_err(failed)?;
            sources.push(Source { name: "stdin".to_owned(), folder: PathBuf::new(), bytes });
            continue;
        }
        for file in files(name).map_err(failed)? {
            let failed = |cause| Unreadable { name: file.display().to_string(), cause };
            let identity = file.canonicalize().map_err(failed)?;
            if seen.insert(identity) {
                let bytes = fs::read(&file).map_err(failed)?;
                let folder = folder(&file).map_err(failed)?;
                sources.push(Source { name: file.display().to_string(), folder, bytes });
            }
        }
    }
    Ok(sources)
}

/// A file as it is named; of a folder, all manifests below it.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            // A link to a folder may lead back up: only links to files are followed.
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if is_manifest(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The folder of the name, not of what a link leads to: who links a file into a folder means it to be there.
fn folder(file: &Path) -> io::Result<PathBuf> {
    let named = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    named.unwrap_or(Path::new(".")).canonicalize()
}

fn is_manifest(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["yaml", "yml", "json"].contains(&ending.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_the_same_whichever_way_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["eu", "us"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join(format!("{name}.yaml")), "a: 1\n").unwrap();
        }
        std::os::unix::fs::symlink(at("eu/eu.yaml"), at("us/linked.yaml")).unwrap();
        let names = [at("us/linked.yaml"), at("eu/../us/us.yaml")];
        let folders: Vec<_> = read(&names).unwrap().into_iter().map(|source| source.folder).collect();
        let us = at("us").canonicalize().unwrap();
        assert_eq!(folders, [us.clone(), us]);
        assert_eq!(super::folder(Path::new("here.yaml")).unwrap(), std::env::current_dir().unwrap());
    }

    #[test]
    fn folders_give_their_manifests_once_and_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        for name in ["b/c/z.yml", "b/a.YAML", "x.json", "notes.md"] {
            fs::write(at(name), "a: 1\n").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("b/loop")).unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let read = read(paths).unwrap();
            read.into_iter()
                .map(|source| source.name[folder.path().to_str().unwrap().len()..].to_owned())
                .collect()
        };
        let root = folder.path().to_owned();
        assert_eq!(names(&[at("x.json"), root]), ["/x.json", "/b/a.YAML", "/b/c/z.yml"]);
        assert_eq!(names(&[at("notes.md")]), ["/notes.md"], "what is named is read, whatever its name");
        assert!(read(&[at("nothing.yaml")]).unwrap_err().to_string().contains("nothing.yaml cannot be read"));
    }
}
