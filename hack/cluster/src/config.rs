//! The configuration files and command lines of the components.
//!
//! In: where a box keeps its things ([`Layout`]). Out: texts and arguments. Never writes or runs them.

mod components;
mod files;

pub(crate) use components::{
    Line, apiserver, cert_manager, containerd, controllers, etcd, kubelet, kwok, proxy, scheduler,
};
pub(crate) use files::{
    CORES, SIMULATED, audit_policy, base64, capacity, cni, containerd_config, kubeconfig, kubelet_config,
    proxy_config, taint,
};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::address;
use crate::options::{Families, Options};

/// Where a box keeps its things, and the programs it runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Layout {
    pub(crate) name: String,
    pub(crate) options: Options,
    /// The state directory. Its part `data` is a tmpfs that only the box sees.
    pub(crate) dir: PathBuf,
    /// The multi-call program of all Kubernetes components.
    pub(crate) kubernetes: PathBuf,
    /// The directory of containerd, runc and the CNI plugins.
    pub(crate) runtime: PathBuf,
    pub(crate) coredns: Option<PathBuf>,
    pub(crate) metrics_server: Option<PathBuf>,
    pub(crate) kwok: Option<PathBuf>,
    pub(crate) cert_manager: Option<PathBuf>,
    /// The folder of the Gateway API's definitions.
    pub(crate) gateway_api: Option<PathBuf>,
    pub(crate) pause: PathBuf,
    /// The program `box` itself.
    pub(crate) launcher: PathBuf,
    /// The port on 127.0.0.1, outside, of the API server.
    pub(crate) api_port: u16,
}

impl Layout {
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Certificates and keys.
    pub(crate) fn pki(&self, file: &str) -> PathBuf {
        self.data().join("pki").join(file)
    }

    /// Configuration files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data().join("config").join(name)
    }

    /// What belongs to one node.
    pub(crate) fn node(&self, number: u8) -> PathBuf {
        self.data().join(address::node_name(number))
    }

    pub(crate) fn containerd_socket(&self, number: u8) -> PathBuf {
        self.node(number).join("containerd.sock")
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.data().join("tmp")
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    pub(crate) fn inner_kubeconfig(&self) -> PathBuf {
        self.dir.join("inner.kubeconfig")
    }

    /// The network namespace of a node other than the first.
    pub(crate) fn netns(number: u8) -> Option<PathBuf> {
        (number > 1).then(|| Path::new("/run/netns").join(address::node_name(number)))
    }

    /// The families of the box's addresses.
    pub(crate) fn families(&self) -> Families {
        self.options.families
    }

    /// The numbers of the nodes.
    pub(crate) fn nodes(&self) -> std::ops::RangeInclusive<u8> {
        1..=self.options.nodes
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Layout {
    Layout {
        name: "x".into(),
        options: Options { nodes: 2, ..Options::default() },
        dir: "/run/silverback/boxes/x".into(),
        kubernetes: "/cache/kubernetes/kubernetes".into(),
        runtime: "/cache/node".into(),
        coredns: None,
        metrics_server: None,
        kwok: None,
        cert_manager: None,
        gateway_api: None,
        pause: "/target/pause".into(),
        launcher: "/target/box".into(),
        api_port: 40000,
    }
}
