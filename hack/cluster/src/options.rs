//! What a caller may choose about a box.
//!
//! In: a caller's wishes. Out: the arguments of the program `box`. Never reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// What a box is to be like.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Options {
    /// Name of the box: one to twenty of `a-z`, `0-9` and `-`. Without one it gets five random letters.
    pub name: Option<String>,
    /// Number of nodes, one or two.
    pub nodes: u8,
    /// Where container images come from.
    pub images: Images,
    /// Whether CoreDNS answers in the cluster.
    pub dns: bool,
    /// Image archives imported into every node before the box is ready.
    pub archives: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { name: None, nodes: 1, images: Images::StandIns, dns: false, archives: Vec::new() }
    }
}

/// Where the images of pods come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    /// Only from imported archives; the box has no way to a registry.
    #[default]
    StandIns,
    /// Also from registries: containerd pulls through a proxy that dials outside the box.
    Real,
}

impl Options {
    /// Says what is wrong with the options, if anything is.
    pub fn check(&self) -> Result<()> {
        ensure!(matches!(self.nodes, 1 | 2), "a box has one or two nodes, not {}", self.nodes);
        if let Some(name) = &self.name {
            let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            // Twenty, because socket paths below the state directory must stay under 108 bytes.
            ensure!(
                fits && (1..=20).contains(&name.len()) && !name.starts_with('-'),
                "{name:?} is no name for a box: one to twenty of a-z, 0-9 and -, not beginning with -"
            );
        }
        Ok(())
    }

    /// The command line of `box` that asks for these options.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec!["run".into(), "--nodes".into(), self.nodes.to_string().into()];
        if let Some(name) = &self.name {
            line.extend(["--name".into(), name.into()]);
        }
        if self.images == Images::Real {
            line.extend(["--images".into(), "real".into()]);
        }
        if self.dns {
            line.push("--dns".into());
        }
        for archive in &self.archives {
            line.extend(["--archive".into(), archive.into()]);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let named = |name: &str| Options { name: Some(name.into()), ..Options::default() }.check();
        assert!(named("a-2").is_ok());
        for wrong in ["", "-a", "A", "a/b", "a.b", "aaaaaaaaaaaaaaaaaaaaa"] {
            assert!(named(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_box_has_one_or_two_nodes() {
        for (nodes, fits) in [(0, false), (1, true), (2, true), (3, false)] {
            assert_eq!(Options { nodes, ..Options::default() }.check().is_ok(), fits, "{nodes}");
        }
    }

    #[test]
    fn every_option_is_on_the_command_line() {
        let all = Options {
            name: Some("x".into()),
            nodes: 2,
            images: Images::Real,
            dns: true,
            archives: vec!["/a.tar".into(), "/b.tar".into()],
        };
        let line = all.arguments().join(std::ffi::OsStr::new(" "));
        assert_eq!(
            line.to_str().unwrap(),
            "run --nodes 2 --name x --images real --dns --archive /a.tar --archive /b.tar"
        );
    }
}
