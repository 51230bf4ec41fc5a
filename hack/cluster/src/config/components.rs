//! The command lines of the components.
//!
//! In: a [`Layout`]. Out: a [`Line`] each. Never starts anything.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Layout, SIMULATED};
use crate::address::{self, Family};
use crate::options::Images;

/// A program to run, in which network, under which name in the logs.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, OsString)>,
    /// A network namespace other than that of the box.
    pub(crate) netns: Option<PathBuf>,
}

impl Line {
    fn kubernetes(layout: &Layout, component: &str) -> Self {
        Self {
            name: component.into(),
            program: layout.kubernetes.clone(),
            arguments: vec![component.into()],
            env: vec![("TMPDIR", layout.scratch().into())],
            netns: None,
        }
    }

    /// Makes it a component of a node.
    fn on(mut self, node: u8, layout: &Layout) -> Self {
        if layout.options.nodes > 1 {
            self.name = format!("{}.{}", self.name, address::node_name(node));
        }
        self.netns = Layout::netns(node);
        self
    }

    fn set(mut self, flag: &str, value: impl AsRef<Path>) -> Self {
        let mut argument = OsString::from(format!("--{flag}="));
        argument.push(value.as_ref());
        self.arguments.push(argument);
        self
    }
}

pub(crate) fn etcd(layout: &Layout) -> Line {
    let peer = "http://127.0.0.1:2380";
    Line::kubernetes(layout, "etcd")
        .set("data-dir", layout.data().join("etcd"))
        .set("listen-client-urls", "http://127.0.0.1:2379")
        .set("advertise-client-urls", "http://127.0.0.1:2379")
        .set("listen-peer-urls", peer)
        .set("initial-advertise-peer-urls", peer)
        .set("initial-cluster", format!("default={peer}"))
        .set("log-level", "warn")
        // Nothing of a box outlives it, so nothing need reach a disk.
        .set("unsafe-no-fsync", "true")
        // Its default, 2 GB, is less than a benchmark may write.
        .set("quota-backend-bytes", "8000000000")
}

pub(crate) fn apiserver(layout: &Layout) -> Line {
    let line = Line::kubernetes(layout, "kube-apiserver")
        .set("etcd-servers", "http://127.0.0.1:2379")
        .set("secure-port", address::API_PORT.to_string())
        // A loopback address is refused, and without endpoints of `default/kubernetes` no pod reaches the API.
        .set("advertise-address", layout.families().first().node(1).to_string())
        .set("service-cluster-ip-range", layout.families().joined(Family::services))
        .set("authorization-mode", "Node,RBAC")
        .set("enable-admission-plugins", "NodeRestriction")
        .set("allow-privileged", "true")
        .set("cert-dir", layout.data().join("pki"))
        .set("client-ca-file", layout.pki("ca.crt"))
        .set("tls-cert-file", layout.pki("apiserver.crt"))
        .set("tls-private-key-file", layout.pki("apiserver.key"))
        .set("kubelet-certificate-authority", layout.pki("ca.crt"))
        .set("kubelet-client-certificate", layout.pki("apiserver-kubelet.crt"))
        .set("kubelet-client-key", layout.pki("apiserver-kubelet.key"))
        // Otherwise logs and exec look the node's name up in DNS.
        .set("kubelet-preferred-address-types", "InternalIP")
        .set("service-account-issuer", "https://kubernetes.default.svc.cluster.local")
        .set("service-account-key-file", layout.pki("service-account.pub"))
        .set("service-account-signing-key-file", layout.pki("service-account.key"))
        .set("requestheader-client-ca-file", layout.pki("front-proxy-ca.crt"))
        .set("requestheader-allowed-names", "front-proxy-client")
        .set("requestheader-username-headers", "X-Remote-User")
        .set("requestheader-group-headers", "X-Remote-Group")
        .set("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .set("proxy-client-cert-file", layout.pki("front-proxy-client.crt"))
        .set("proxy-client-key-file", layout.pki("front-proxy-client.key"))
        .set("audit-policy-file", layout.file("audit.json"))
        .set("audit-log-path", layout.logs().join("audit.log"))
        // In MB. Without it, one of 100 MB is put away, and with it the requests that somebody counts.
        .set("audit-log-maxsize", "4000");
    // The default has room for 2,768, which a thousand Services of type LoadBalancer use up.
    if layout.options.simulated_nodes > 0 { line.set("service-node-port-range", "30000-49999") } else { line }
}

pub(crate) fn controllers(layout: &Layout) -> Line {
    let line = Line::kubernetes(layout, "kube-controller-manager")
        .set("kubeconfig", layout.file("controllers.kubeconfig"))
        .set("bind-address", "127.0.0.1")
        .set("cert-dir", layout.data().join("pki/controllers"))
        .set("cluster-cidr", layout.families().joined(Family::pods))
        .set("cluster-signing-cert-file", layout.pki("ca.crt"))
        .set("cluster-signing-key-file", layout.pki("ca.key"))
        .set("leader-elect", "false")
        .set("root-ca-file", layout.pki("ca.crt"))
        .set("service-account-private-key-file", layout.pki("service-account.key"))
        .set("use-service-account-credentials", "true")
        // The defaults (20 and 30 a second) make a busy test wait for its client.
        .set("kube-api-qps", "200")
        .set("kube-api-burst", "400");
    if !layout.options.metrics {
        return line;
    }
    // The defaults are 15 s, and 30 s in which a new pod's figures do not count.
    line.set("horizontal-pod-autoscaler-sync-period", "2s")
        .set("horizontal-pod-autoscaler-initial-readiness-delay", "0s")
}

pub(crate) fn scheduler(layout: &Layout) -> Line {
    Line::kubernetes(layout, "kube-scheduler")
        .set("kubeconfig", layout.file("scheduler.kubeconfig"))
        .set("bind-address", "127.0.0.1")
        .set("cert-dir", layout.data().join("pki/scheduler"))
        .set("leader-elect", "false")
        .set("kube-api-qps", "200")
        .set("kube-api-burst", "400")
}

pub(crate) fn kubelet(layout: &Layout, node: u8) -> Line {
    Line::kubernetes(layout, "kubelet")
        .on(node, layout)
        .set("config", layout.node(node).join("kubelet.json"))
        .set("kubeconfig", layout.node(node).join("kubelet.kubeconfig"))
        .set("root-dir", layout.node(node).join("kubelet"))
        .set("cert-dir", layout.node(node).join("pki"))
        .set("node-ip", layout.families().joined(|family| family.node(node)))
        .set("hostname-override", address::node_name(node))
}

pub(crate) fn proxy(layout: &Layout, node: u8) -> Line {
    Line::kubernetes(layout, "kube-proxy")
        .on(node, layout)
        .set("config", layout.node(node).join("proxy.json"))
}

/// What simulates nodes, when there are any.
pub(crate) fn kwok(layout: &Layout) -> Option<Line> {
    let line = Line {
        name: "kwok".into(),
        program: layout.kwok.clone()?,
        arguments: Vec::new(),
        env: vec![("TMPDIR", layout.scratch().into())],
        netns: None,
    };
    let line = line
        .set("kubeconfig", layout.inner_kubeconfig())
        .set("manage-all-nodes", "false")
        .set("manage-nodes-with-label-selector", format!("{SIMULATED}=true"))
        // Its leases keep the nodes Ready.
        .set("node-lease-duration-seconds", "40")
        .set("cidr", address::SIMULATED);
    Some(line)
}

/// What issues certificates, when it is asked for.
pub(crate) fn cert_manager(layout: &Layout) -> Option<Line> {
    let line = Line {
        name: "cert-manager".into(),
        program: layout.cert_manager.clone()?,
        arguments: Vec::new(),
        env: vec![("TMPDIR", layout.scratch().into())],
        netns: None,
    };
    Some(line.set("kubeconfig", layout.inner_kubeconfig()))
}

pub(crate) fn containerd(layout: &Layout, node: u8) -> Line {
    let mut env = vec![("TMPDIR", layout.scratch().into())];
    if layout.options.images == Images::Real {
        let proxy = SocketAddr::from((layout.families().first().node(1), address::EGRESS_PORT));
        let proxy = format!("http://{proxy}");
        env.extend(["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name, proxy.clone().into())));
        let inside = layout.families().joined(|family| format!("{},{}", family.pods(), family.services()));
        env.push(("NO_PROXY", format!("{inside},127.0.0.0/8,::1").into()));
    }
    let line = Line {
        name: "containerd".into(),
        program: layout.runtime.join("containerd"),
        arguments: Vec::new(),
        env,
        netns: None,
    };
    line.on(node, layout).set("config", layout.node(node).join("containerd.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample;

    fn text(line: &Line) -> String {
        line.arguments.iter().map(|argument| argument.to_string_lossy() + " ").collect()
    }

    #[test]
    fn components_of_the_second_node_run_in_its_network() {
        let layout = sample();
        for line in [kubelet(&layout, 2), proxy(&layout, 2), containerd(&layout, 2)] {
            assert_eq!(line.netns.as_deref(), Some(Path::new("/run/netns/node-2")), "{}", line.name);
            assert!(line.name.ends_with(".node-2"), "{}", line.name);
        }
        assert_eq!(kubelet(&layout, 1).netns, None);
        assert!(text(&kubelet(&layout, 2)).contains("--node-ip=10.88.1.1 "));
    }

    #[test]
    fn only_real_images_need_a_proxy() {
        let mut layout = sample();
        let proxied =
            |layout: &Layout| containerd(layout, 1).env.iter().any(|(name, _)| *name == "HTTPS_PROXY");
        assert!(!proxied(&layout));
        layout.options.images = Images::Real;
        assert!(proxied(&layout));
    }

    #[test]
    fn cert_manager_runs_where_it_is_asked_for() {
        let mut layout = sample();
        assert!(cert_manager(&layout).is_none());
        layout.cert_manager = Some("/cache/cert-manager/cert-manager".into());
        let line = cert_manager(&layout).unwrap();
        assert_eq!(text(&line), "--kubeconfig=/run/silverback/boxes/x/inner.kubeconfig ");
    }

    #[test]
    fn the_api_server_advertises_the_node() {
        let line = text(&apiserver(&sample()));
        assert!(line.contains("--advertise-address=10.88.0.1 "), "{line}");
        assert!(line.contains("--audit-log-path=/run/silverback/boxes/x/logs/audit.log "), "{line}");
    }
}
