//! What has to be made before a box can run the product: programs by cargo, images from programs.
//!
//! In: the source tree. Out: paths below cargo's target directory. Nothing is made again that is newer than what it is made
//! from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use cluster::image::Archive;

use crate::generate::install::IMAGE;
use crate::tree;

/// How programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Dev,
    /// As it is shipped.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// An image of this project: the package and program it is made from, and under which names it is imported.
pub struct Recipe {
    /// Name on the command line and of the archive.
    pub name: &'static str,
    package: &'static str,
    program: &'static str,
    references: &'static [&'static str],
    env: &'static [&'static str],
    user: &'static str,
    stop_signal: Option<&'static str>,
    /// Paths under which the program is found besides its own, and the command line of the container.
    aliases: &'static [&'static str],
    entrypoint: &'static [&'static str],
    ports: &'static [u16],
}

/// All images. The references of the first three are those of the real ones, so that manifests need not know
/// that a stand-in runs.
pub const IMAGES: &[Recipe] = &[
    Recipe {
        name: "kong",
        package: "standin-kong",
        program: "kong",
        references: &[
            "docker.io/library/kong:3.9",
            "docker.io/library/kong:3.9.3",
            // The image that `dataplane-image-by-digest` names; a box knows it by this name alone.
            "docker.io/library/kong@sha256:76c14b93e989f7f4418039f7f9789ca32564016211c86ac1a18022f4788e7b9c",
        ],
        env: &["STANDIN_VERSION=3.9.3"],
        user: "1000:1000",
        stop_signal: Some("SIGQUIT"),
        aliases: &["/docker-entrypoint.sh"],
        entrypoint: &["/docker-entrypoint.sh", "kong", "docker-start"],
        ports: &[8000, 8443, 8001, 8444, 8100],
    },
    Recipe {
        name: "kic",
        package: "standin-kic",
        program: "standin-kic",
        references: &[
            "docker.io/kong/kubernetes-ingress-controller:3.5",
            "docker.io/kong/kubernetes-ingress-controller:3.5.13",
            // Older ones: a pod says by STANDIN_VERSION that it is meant.
            "docker.io/kong/kubernetes-ingress-controller:3.3.1",
            "docker.io/kong/kubernetes-ingress-controller:3.1.2",
        ],
        env: &["STANDIN_VERSION=3.5.13"],
        user: "1000:1000",
        stop_signal: None,
        aliases: &["/manager"],
        entrypoint: &["/manager"],
        ports: &[10254, 10255, 8080],
    },
    Recipe {
        name: "echo",
        package: "standin-echo",
        program: "echo-backend",
        references: &["registry.k8s.io/gateway-api/echo-basic:v1.5.1"],
        env: &[],
        user: "65532:65532",
        stop_signal: None,
        aliases: &[],
        entrypoint: &[],
        ports: &[3000],
    },
    Recipe {
        name: "silverback",
        package: "operator",
        program: "silverback",
        references: &[IMAGE],
        env: &[],
        user: "65532:65532",
        stop_signal: None,
        aliases: &[],
        entrypoint: &["/usr/local/bin/silverback", "run"],
        ports: &[9443, 8443, 8081],
    },
];

/// Images that every box of the suites and of `up` has.
pub const IN_EVERY_BOX: &[&str] = &["kong", "echo"];

/// Images that the suites have in some boxes.
pub const IN_SOME_BOXES: &[&str] = &["kic", "silverback"];

/// Builds packages with cargo, whose own progress is shown.
pub fn build(packages: &[&str], profile: Profile) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(tree::root()).arg("build").arg("--bins");
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    for package in packages {
        cargo.args(["--package", package]);
    }
    let status = cargo.status().context("cargo cannot be run")?;
    ensure!(status.success(), "cargo could not build {}", packages.join(", "));
    Ok(())
}

/// Where cargo puts programs.
fn products(profile: Profile) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    // Joining keeps an absolute one.
    tree::root().join(target).join(profile.folder())
}

/// Where cargo puts a program.
pub fn program(name: &str, profile: Profile) -> PathBuf {
    products(profile).join(name)
}

/// Where image archives are.
pub fn images(profile: Profile) -> PathBuf {
    products(profile).join("images")
}

/// The recipe of that name.
pub fn recipe(name: &str) -> Result<&'static Recipe> {
    let known = IMAGES.iter().find(|recipe| recipe.name == name);
    known.with_context(|| {
        let names: Vec<_> = IMAGES.iter().map(|recipe| recipe.name).collect();
        format!("there is no image {name:?}: name one of {}, or give --program", names.join(", "))
    })
}

impl Recipe {
    /// The package that cargo builds for it.
    pub fn package(&self) -> &'static str {
        self.package
    }

    /// Writes the archive from the built program, unless it is newer than the program. Returns its path.
    pub fn archive(&self, profile: Profile) -> Result<PathBuf> {
        let program = program(self.program, profile);
        let folder = images(profile);
        let path = folder.join(format!("{}.tar", self.name));
        // The recipe is part of this program.
        if is_newer(&path, &program)? && is_newer(&path, &std::env::current_exe()?)? {
            return Ok(path);
        }
        fs::create_dir_all(folder)?;
        let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
        let archive = Archive {
            references: owned(self.references),
            files: self.aliases.iter().map(|alias| (program.clone(), PathBuf::from(alias))).collect(),
            program,
            entrypoint: owned(self.entrypoint),
            env: owned(self.env),
            user: self.user.to_owned(),
            stop_signal: self.stop_signal.map(str::to_owned),
            ports: self.ports.to_vec(),
        };
        archive.write(&path)?;
        Ok(path)
    }
}

fn is_newer(made: &Path, from: &Path) -> Result<bool> {
    let time = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let Some(source) = time(from) else { bail!("{} was not built", from.display()) };
    Ok(time(made).is_some_and(|made| made > source))
}

/// The archives of the named images, made where they are old.
pub fn archives(names: &[&str], profile: Profile) -> Result<Vec<PathBuf>> {
    names.iter().map(|name| recipe(name)?.archive(profile)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_old_when_its_program_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let (made, from) = (folder.path().join("made"), folder.path().join("from"));
        assert!(is_newer(&made, &from).is_err());
        fs::write(&from, "").unwrap();
        assert!(!is_newer(&made, &from).unwrap());
        fs::write(&made, "").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::options().append(true).open(&made).unwrap().set_modified(later).unwrap();
        assert!(is_newer(&made, &from).unwrap());
    }

    #[test]
    fn an_unknown_image_names_the_known_ones() {
        let error = recipe("kon").err().unwrap().to_string();
        assert!(error.contains("kong, kic, echo, silverback"), "{error}");
    }
}
