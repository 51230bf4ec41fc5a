//! DNS for the cluster: CoreDNS under the address that pods are told.
//!
//! In: the program `coredns`. Out: its image, Deployment and Service in kube-system, Available. It has
//! nobody to forward to: names outside the cluster do not exist.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::simulation;
use crate::image::Archive;
use crate::options::Families;

const IMAGE: &str = "localhost/silverback/coredns:1";
const NAMESPACE: &str = "kube-system";

/// The plugins named here are those of go/components/coredns/main.go.
const COREFILE: &str = "\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    errors
    ready
    health
    prometheus :9153
    loadbalance
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 1
    }
}
.:53 {
    errors
    template ANY ANY {
        rcode NXDOMAIN
    }
}
";

/// The image of the program.
pub(crate) fn archive(program: PathBuf) -> Archive {
    Archive {
        references: vec![IMAGE.into()],
        program,
        entrypoint: vec!["/usr/local/bin/coredns".into(), "-conf".into(), "/etc/coredns/Corefile".into()],
        ..Archive::default()
    }
}

/// Waits until it answers.
pub(crate) async fn wait(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    await_condition(deployments, "coredns", is_available).await.context("waiting for CoreDNS")?;
    Ok(())
}

fn is_available(deployment: Option<&Deployment>) -> bool {
    let status = deployment.and_then(|deployment| deployment.status.as_ref());
    status.and_then(|status| status.available_replicas).is_some_and(|available| available > 0)
}

/// What runs it.
pub(crate) fn objects(families: Families) -> Vec<Value> {
    let metadata =
        |name: &str| json!({ "name": name, "namespace": NAMESPACE, "labels": { "k8s-app": "kube-dns" } });
    let global = json!({ "name": "system:coredns" });
    let rule = |group: &str, resources: &[&str]| json!({ "apiGroups": [group], "resources": resources, "verbs": ["list", "watch"] });
    let ports = json!([
        { "name": "dns", "port": 53, "protocol": "UDP" },
        { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
        { "name": "metrics", "port": 9153, "protocol": "TCP" },
    ]);
    let rules =
        [rule("", &["namespaces", "pods", "services"]), rule("discovery.k8s.io", &["endpointslices"])];
    let subject = json!({ "kind": "ServiceAccount", "name": "coredns", "namespace": NAMESPACE });
    let reader =
        json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns" });
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("coredns") }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": global, "rules": rules }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": global,
            "roleRef": reader, "subjects": [subject] }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("coredns"), "data": { "Corefile": COREFILE } }),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("coredns"), "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "k8s-app": "kube-dns" } },
            "template": { "metadata": { "labels": { "k8s-app": "kube-dns" } }, "spec": pod() },
        } }),
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata("kube-dns"), "spec": {
            "clusterIP": families.first().dns(), "ports": ports, "selector": { "k8s-app": "kube-dns" } } }),
    ]
}

fn pod() -> Value {
    let probe = json!({ "httpGet": { "path": "/ready", "port": 8181 }, "periodSeconds": 1 });
    let mut pod = json!({
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [{
            "name": "coredns",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {
                "allowPrivilegeEscalation": false,
                // Port 53 needs none: in containerd's pods every port is open to everybody.
                "capabilities": { "drop": ["ALL"] },
                "readOnlyRootFilesystem": true,
            },
            "readinessProbe": probe,
            "volumeMounts": [{ "name": "config", "mountPath": "/etc/coredns" }],
        }],
        "volumes": [{ "name": "config", "configMap": { "name": "coredns" } }],
    });
    simulation::keep_real(&mut pod);
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_has_the_address_that_pods_are_told() {
        let service = objects(Families::Dual).pop().unwrap();
        assert_eq!(service["spec"]["clusterIP"], "10.96.0.10");
    }

    #[test]
    fn every_plugin_of_the_corefile_is_built_in() {
        let main = include_str!("../../go/components/coredns/main.go");
        let words = COREFILE.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
        for word in words.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "}") {
            assert!(main.contains(&format!("\"{word}\"")), "{word} is no directive of the program");
        }
    }
}
