//! `cargo xtask release`: everything that a release publishes, in one folder.
//!
//! In: the tree, the changelog, the name under which the image will be pushed. Out: programs, image, manifests, notes and
//! their checksums. Never: a tag, a push or a signature: those need somebody's keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::generate::install::IMAGE;
use crate::products::{self, Profile};
use crate::{check, tree};

/// Version of all crates, which a release has.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What is added up in the file of checksums, and how that is called.
const SUMS: &str = "SHA256SUMS";
/// Folders that an administrator gets.
const FOLDERS: [&str; 2] = ["manifests", "crds/yaml"];

/// Make what a release publishes: programs, image, manifests, notes and checksums.
///
/// The version is that of Cargo.toml, and CHANGELOG.md has to have a section for it. Takes some minutes for the
/// program, as it is shipped, and then seconds.
#[derive(clap::Args)]
pub struct Arguments {
    /// Name under which the image will be pushed, without a tag, as in `registry.example.com/silverback`.
    #[arg(long, value_name = "NAME")]
    image: String,
    /// Where to put everything; it must not exist yet, or be empty.
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    output: PathBuf,
    /// Take the notes from the section `Unreleased`: to see what a release would be.
    #[arg(long)]
    rehearse: bool,
}

/// Makes everything and prints the checksums.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let root = tree::root();
    let section = if arguments.rehearse { "Unreleased" } else { VERSION };
    let changelog = fs::read_to_string(root.join("CHANGELOG.md"))?;
    let notes = notes(&changelog, section).with_context(|| {
        format!("CHANGELOG.md has no section [{section}]: give what is under Unreleased that heading, with the date")
    })?;
    let image = format!("{}:{VERSION}", arguments.image.trim_end_matches(':'));
    let out = &arguments.output;
    fs::create_dir_all(out)?;
    ensure!(fs::read_dir(out)?.next().is_none(), "{} is not empty: remove it or name another", out.display());
    ensure!(
        check::run(&check::Arguments::only(check::Name::Generated)) == ExitCode::SUCCESS,
        "generated files are old: run `cargo xtask generate`"
    );

    fs::write(out.join("release-notes.md"), notes)?;
    fs::write(
        out.join("install.yaml"),
        renamed(&fs::read_to_string(root.join("manifests/base/install.yaml"))?, &image),
    )?;
    fs::write(out.join(format!("silverback-{VERSION}-manifests.tar")), manifests(&root, &image)?)?;
    let recipe = products::recipe("silverback")?;
    products::build(&[recipe.package()], Profile::Release)?;
    let platform = format!("linux-{}", std::env::consts::ARCH);
    fs::copy(
        products::program("silverback", Profile::Release),
        out.join(format!("silverback-{VERSION}-{platform}")),
    )?;
    fs::copy(
        recipe.archive(Profile::Release)?,
        out.join(format!("silverback-{VERSION}-{platform}.image.tar")),
    )?;
    let sums = sums(out)?;
    fs::write(out.join(SUMS), &sums)?;
    print!("{sums}");
    Ok(ExitCode::SUCCESS)
}

/// What stands below the heading of a version, up to the next one.
fn notes(changelog: &str, version: &str) -> Option<String> {
    let heading = format!("## [{version}]");
    let (_, after) = changelog.split_once(&heading)?;
    let (_, body) = after.split_once('\n')?;
    let body = body.split("\n## [").next().unwrap_or(body).trim();
    (!body.is_empty()).then(|| format!("{body}\n"))
}

/// Manifests with the image that is pushed.
fn renamed(text: &str, image: &str) -> String {
    text.replace(IMAGE, image)
}

/// All manifests as a tar archive, the same bytes for the same tree.
fn manifests(root: &Path, image: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for folder in FOLDERS {
        for path in tree::files(&root.join(folder), "yaml")? {
            let text = renamed(&fs::read_to_string(&path)?, image);
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len().try_into()?);
            header.set_mode(0o644);
            header.set_mtime(0);
            archive.append_data(&mut header, path.strip_prefix(root)?, text.as_bytes())?;
        }
    }
    Ok(archive.into_inner()?)
}

/// A line for each file, as `sha256sum --check` reads it.
fn sums(folder: &Path) -> Result<String> {
    let mut files: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let digest = Sha256::digest(fs::read(&file)?);
        let digest: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(format!("{}  {name}\n", digest.concat()));
    }
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_those_of_one_version() {
        let changelog =
            "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n- New.\n\n## [0.1.0]\n\n- Old.\n";
        assert_eq!(notes(changelog, "0.2.0").as_deref(), Some("- New.\n"));
        assert_eq!(notes(changelog, "0.1.0").as_deref(), Some("- Old.\n"));
        assert_eq!(notes(changelog, "Unreleased"), None, "nothing to say is no release");
        assert_eq!(notes(changelog, "0.3.0"), None);
    }

    #[test]
    fn manifests_name_the_image_that_is_pushed() {
        let bytes = manifests(&tree::root(), "registry.example.com/silverback:0.1.0").unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        for name in [
            "manifests/base/install.yaml",
            "manifests/olm/bundle/metadata/annotations.yaml",
            "crds/yaml/dataplanes.yaml",
        ] {
            assert!(names.iter().any(|found| found.ends_with(name)), "{name}");
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(IMAGE) && text.contains("registry.example.com/silverback:0.1.0"));
        assert_eq!(bytes, manifests(&tree::root(), "registry.example.com/silverback:0.1.0").unwrap());
    }

    #[test]
    fn sums_are_what_sha256sum_prints() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n";
        assert_eq!(sums(folder.path()).unwrap(), known);
    }
}
