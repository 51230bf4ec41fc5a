//! The configuration files of the components. All but containerd's are JSON, which is YAML too.
//!
//! In: a [`Layout`]. Out: texts. Never writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

use serde_json::{Value, json};

use super::Layout;
use crate::address::{self, Family};
use crate::cgroup;
use crate::image;
use crate::options::Images;

/// Processor cores that each node offers to the scheduler, whatever the machine has: a Gateway
/// asking for a tenth of a core must not wait because a developer's machine has only two.
pub(crate) const CORES: &str = "32";

/// The label of simulated nodes, and the key of the taint that keeps pods off them, or off the real ones.
pub(crate) const SIMULATED: &str = "silverback.dev/simulated";

/// The taint that keeps away pods which do not tolerate it.
pub(crate) fn taint() -> Value {
    json!({ "key": SIMULATED, "value": "true", "effect": "NoSchedule" })
}

/// A kubeconfig with everything in it: authority, and certificate and key of the user, PEM.
pub(crate) fn kubeconfig(server: &str, authority: &str, identity: (&str, &str)) -> Value {
    let (certificate, key) = identity;
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "box", "cluster": { "server": server, "certificate-authority-data": base64(authority) } }],
        "users": [{ "name": "box", "user": {
            "client-certificate-data": base64(certificate), "client-key-data": base64(key) } }],
        "contexts": [{ "name": "box", "context": { "cluster": "box", "user": "box" } }],
        "current-context": "box",
    })
}

pub(crate) fn kubelet_config(layout: &Layout, node: u8) -> Value {
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.families().first().every(),
        "authentication": { "anonymous": { "enabled": false }, "x509": { "clientCAFile": layout.pki("ca.crt") } },
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}/{}", cgroup::group(&layout.name), address::node_name(node)),
        "clusterDomain": "cluster.local",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket(node).display()),
        "enforceNodeAllocatable": ["none"],
        "eventRecordQPS": 0,
        "evictionHard": { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
        "failCgroupV1": false,
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "kubeAPIBurst": 400,
        "kubeAPIQPS": 200,
        "localStorageCapacityIsolation": true,
        "maxPods": 250,
        "oomScoreAdj": 0,
        "registryPullQPS": 0,
        "resolvConf": layout.file("resolv.conf"),
        "serializeImagePulls": false,
        "syncFrequency": "1s",
        "tlsCertFile": layout.pki(&format!("kubelet-{node}.crt")),
        "tlsPrivateKeyFile": layout.pki(&format!("kubelet-{node}.key")),
        // The default lies in /usr, which is the machine's.
        "volumePluginDir": layout.node(node).join("volume-plugins"),
    });
    if let (true, Some(map)) = (layout.options.dns, config.as_object_mut()) {
        map.insert("clusterDNS".into(), json!([layout.families().first().dns()]));
    }
    if let (true, Some(map)) = (layout.options.only_simulated, config.as_object_mut()) {
        map.insert("registerWithTaints".into(), json!([taint()]));
    }
    config
}

pub(crate) fn proxy_config(layout: &Layout, node: u8) -> Value {
    // Rules at once after each change, but not for thousands of pods that nobody reaches.
    let pause = if layout.options.simulated_nodes > 0 { "1s" } else { "0s" };
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": { "kubeconfig": layout.file("proxy.kubeconfig") },
        "clusterCIDR": layout.families().joined(Family::pods),
        // These sysctls belong to the machine, and are read-only in a container.
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s" },
        "hostnameOverride": address::node_name(node),
        "mode": "nftables",
        "nftables": { "minSyncPeriod": pause },
        "oomScoreAdj": 0,
    })
}

/// The network of a node's pods, for the CNI plugins.
pub(crate) fn cni(layout: &Layout, node: u8) -> Value {
    let ranges = layout.families().list().iter().map(|family| {
        // A range of its own for each family; the first one gives a pod its first address.
        json!([{ "subnet": family.pods_of(node), "gateway": family.node(node) }])
    });
    json!({
        "cniVersion": "1.0.0",
        "name": "box",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "hairpinMode": true,
            "isDefaultGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": layout.node(node).join("addresses"),
                "ranges": ranges.collect::<Vec<_>>(),
            },
        }],
    })
}

/// Every request with who, what and the answer's code, but not its content.
pub(crate) fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{ "level": "Metadata" }],
    })
}

/// Has the API server give every node more cores than the machine has.
///
/// The kubelet reads what the machine has and has no setting for it. It writes that into its Node,
/// where a mutating admission policy (generally available in Kubernetes 1.36) replaces it; both the
/// scheduler and the kubelet's own admission of pods go by the Node.
pub(crate) fn capacity() -> Vec<Value> {
    let metadata = json!({ "name": "box-capacity" });
    let expression = format!(
        "Object{{status: Object.status{{capacity: {{\"cpu\": \"{CORES}\"}}, allocatable: {{\"cpu\": \"{CORES}\"}}}}}}"
    );
    let rule = |resource: &str, operation: &str| json!({ "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource], "operations": [operation] });
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "Never",
            "matchConstraints": { "resourceRules": [rule("nodes", "CREATE"), rule("nodes/status", "UPDATE")] },
            "mutations": [{ "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": expression } }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": { "policyName": "box-capacity" },
    });
    vec![policy, binding]
}

/// containerd's own format. Plugins that reach for directories of the machine are off or moved.
pub(crate) fn containerd_config(layout: &Layout, node: u8) -> String {
    let home = layout.node(node);
    let at = |part: &str| quote(&home.join(part));
    let registries = match layout.options.images {
        Images::Real => at("registries"),
        Images::StandIns => "''".to_owned(),
    };
    let program = |name: &str| quote(&layout.runtime.join(name));
    let (plugins, shim, runc) = (quote(&layout.runtime), program("containerd-shim-runc-v2"), program("runc"));
    let socket = layout.containerd_socket(node);
    let (socket, ttrpc) = (quote(&socket), quote(&socket.with_extension("sock.ttrpc")));
    let (root, state, cni, opt) = (at("containerd"), at("containerd-state"), at("cni"), at("opt"));
    let (temp, pause) = (quote(&layout.scratch()), image::PAUSE);
    format!(
        "version = 4
root = {root}
state = {state}
temp = {temp}
imports = []
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.image-verifier.v1.bindir']

[plugins.'io.containerd.server.v1.grpc']
  address = {socket}
[plugins.'io.containerd.server.v1.ttrpc']
  address = {ttrpc}
[plugins.'io.containerd.internal.v1.opt']
  path = {opt}
[plugins.'io.containerd.metadata.v1.bolt']
  no_sync = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{pause}'
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = {registries}

[plugins.'io.containerd.cri.v1.runtime']
  # There is no CAP_SYS_RESOURCE in a container to lower a score with.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_criu = false
  # Its profile would be loaded into the machine's kernel and stay there.
  disable_apparmor = true
  cdi_spec_dirs = []
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [{plugins}]
  conf_dir = {cni}
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  runtime_path = {shim}
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = {runc}
  SystemdCgroup = false
"
    )
}

fn quote(path: &Path) -> String {
    // A TOML literal string: nothing in it is special but the quote itself, which no path of ours has.
    format!("'{}'", path.display())
}

/// Standard base64, with padding.
pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample;

    #[test]
    fn base64_pads() {
        for (text, encoded) in
            [("", ""), ("M", "TQ=="), ("Ma", "TWE="), ("Man", "TWFu"), ("Many", "TWFueQ==")]
        {
            assert_eq!(base64(text), encoded);
        }
    }

    #[test]
    fn the_kubelet_asks_the_cluster_dns_only_when_there_is_one() {
        let mut layout = sample();
        assert_eq!(kubelet_config(&layout, 1).get("clusterDNS"), None);
        layout.options.dns = true;
        assert_eq!(kubelet_config(&layout, 1)["clusterDNS"], json!(["10.96.0.10"]));
    }

    #[test]
    fn nodes_share_nothing() {
        let layout = sample();
        let (one, two) = (kubelet_config(&layout, 1), kubelet_config(&layout, 2));
        for key in ["cgroupRoot", "containerRuntimeEndpoint", "tlsCertFile", "volumePluginDir"] {
            assert_ne!(one[key], two[key], "{key}");
        }
        assert_eq!(two["cgroupRoot"], "/silverback-x/node-2");
        assert_eq!(cni(&layout, 2)["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.88.1.0/24");
    }

    #[test]
    fn containerd_keeps_to_the_state_directory() {
        let text = containerd_config(&sample(), 2);
        let outside =
            text.lines().filter(|line| line.contains("= '/") && !line.contains("'/run/silverback/boxes/x/"));
        let programs: Vec<_> = outside.collect();
        assert_eq!(
            programs,
            ["  runtime_path = '/cache/node/containerd-shim-runc-v2'", "  BinaryName = '/cache/node/runc'"]
        );
    }
}
