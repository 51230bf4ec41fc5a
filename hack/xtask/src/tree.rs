//! The source tree.
//!
//! In: nothing. Out: where it is, and which files it has. Never: a change of a file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The root of the checkout that this program was started in. Clones share what is built, so that it may have been compiled
/// in another one: cargo says where it is run.
pub fn root() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(built, PathBuf::from);
    here.ancestors().nth(2).unwrap_or(&here).to_path_buf()
}

/// Every file below `folder` whose name ends in `.extension`, sorted. Hidden folders and `target` are left out.
pub fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, extension, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.') || name == "target";
        let path = entry.path();
        // The type of the entry itself: a link to a folder could lead round in a circle.
        if entry.file_type()?.is_dir() {
            if !hidden {
                collect(&path, extension, found)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("hack/xtask/Cargo.toml").is_file());
    }

    #[test]
    fn files_are_found_below_but_not_in_hidden_folders() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a.rs", "deep/er/b.rs", ".git/c.rs", "target/d.rs", "e.txt"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = files(folder.path(), "rs").unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a.rs"), Path::new("deep/er/b.rs")]);
    }
}
