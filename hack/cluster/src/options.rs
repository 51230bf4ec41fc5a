//! What a caller may choose about a box.
//!
//! In: a caller's wishes. Out: the arguments of the program `box`. Never reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::address::Family;

/// What a box is to be like.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is on or off by itself")]
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
    /// Families of the addresses of nodes, pods and Services.
    pub families: Families,
    /// Whether metrics-server serves the processor time and memory of nodes and pods.
    pub metrics: bool,
    /// Whether cert-manager issues certificates and puts their authorities into what refers to them.
    pub cert_manager: bool,
    /// Whether the definitions of the Gateway API's kinds, standard channel, are there from the start.
    pub gateway_api: bool,
    /// Number of nodes that kwok simulates, besides the real ones: their pods are Ready at once and run nothing.
    /// Their label and taint is `silverback.dev/simulated=true`: only pods that tolerate it go there.
    pub simulated_nodes: u32,
    /// Whether the real nodes have the taint instead of the simulated ones, so that every other pod is simulated.
    pub only_simulated: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            nodes: 1,
            images: Images::StandIns,
            dns: false,
            archives: Vec::new(),
            families: Families::Ipv4,
            metrics: false,
            cert_manager: false,
            gateway_api: false,
            simulated_nodes: 0,
            only_simulated: false,
        }
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

/// Which families of addresses a box has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Families {
    /// IPv4 alone.
    #[default]
    Ipv4,
    /// IPv4 first, and IPv6: nodes and pods have an address of each, a Service has what it asks for.
    Dual,
    /// IPv6 alone.
    Ipv6,
}

impl Families {
    /// They, the one first that a Service has when it asks for none.
    pub(crate) fn list(self) -> &'static [Family] {
        match self {
            Self::Ipv4 => &[Family::V4],
            Self::Dual => &[Family::V4, Family::V6],
            Self::Ipv6 => &[Family::V6],
        }
    }

    /// The one that components use among themselves.
    pub(crate) fn first(self) -> Family {
        if self == Self::Ipv6 { Family::V6 } else { Family::V4 }
    }

    /// What is asked of each, with commas between, as Kubernetes' flags have it.
    pub(crate) fn joined<T: ToString>(self, of: impl Fn(Family) -> T) -> String {
        let all: Vec<_> = self.list().iter().map(|family| of(*family).to_string()).collect();
        all.join(",")
    }
}

impl Options {
    /// Says what is wrong with the options, if anything is.
    pub fn check(&self) -> Result<()> {
        ensure!(matches!(self.nodes, 1 | 2), "a box has one or two nodes, not {}", self.nodes);
        ensure!(
            self.simulated_nodes > 0 || !self.only_simulated,
            "without simulated nodes no pod can be simulated"
        );
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
        if self.families != Families::Ipv4 {
            let word = if self.families == Families::Dual { "dual" } else { "ipv6" };
            line.extend(["--families".into(), word.into()]);
        }
        if self.simulated_nodes > 0 {
            line.extend(["--simulated-nodes".into(), self.simulated_nodes.to_string().into()]);
        }
        for (asked, flag) in [
            (self.dns, "--dns"),
            (self.metrics, "--metrics"),
            (self.cert_manager, "--cert-manager"),
            (self.gateway_api, "--gateway-api"),
            (self.only_simulated, "--only-simulated"),
        ] {
            line.extend(asked.then(|| flag.into()));
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
            families: Families::Dual,
            metrics: true,
            cert_manager: true,
            gateway_api: true,
            simulated_nodes: 3,
            only_simulated: true,
        };
        let line = all.arguments().join(std::ffi::OsStr::new(" "));
        assert_eq!(
            line.to_str().unwrap(),
            "run --nodes 2 --name x --images real --families dual --simulated-nodes 3 --dns --metrics \
             --cert-manager --gateway-api --only-simulated --archive /a.tar --archive /b.tar"
        );
    }
}
