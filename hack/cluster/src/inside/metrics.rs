//! Processor time and memory of nodes and pods: metrics-server behind the aggregated API that it serves.
//!
//! In: the program `metrics-server`. Out: its image, Deployment, Service and `APIService`, and figures of every
//! real node. It trusts the kubelets' certificates by the box's authority, as it would in any cluster.

use std::path::PathBuf;

use kube::Client;
use kube::api::{Api, ListParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::cluster::INTERVAL;
use super::simulation;
use crate::config::Layout;
use crate::image::Archive;

const IMAGE: &str = "localhost/silverback/metrics-server:1";
const NAMESPACE: &str = "kube-system";
const NAME: &str = "metrics-server";
/// Where a pod finds the certificate of the box's authority, which signs the kubelets' too.
const AUTHORITY: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const PORT: u16 = 10250;

/// The image of the program.
pub(crate) fn archive(program: PathBuf) -> Archive {
    Archive { references: vec![IMAGE.into()], program, ..Archive::default() }
}

/// Waits until there are figures of every real node and of a pod: a kubelet's first come after some 15 s, and
/// processor time takes two.
pub(crate) async fn wait(layout: &Layout, client: &Client) {
    while served(client, "NodeMetrics").await < layout.nodes().len()
        || served(client, "PodMetrics").await == 0
    {
        tokio::time::sleep(INTERVAL).await;
    }
}

/// How many objects of a kind have figures; none while nobody serves them.
async fn served(client: &Client, kind: &str) -> usize {
    let plural = if kind == "NodeMetrics" { "nodes" } else { "pods" };
    let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", kind);
    let all: Api<DynamicObject> =
        Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, plural));
    all.list(&ListParams::default()).await.map_or(0, |list| list.items.len())
}

/// What runs it.
pub(crate) fn objects(layout: &Layout) -> Vec<Value> {
    let metadata = json!({ "name": NAME, "namespace": NAMESPACE, "labels": { "k8s-app": NAME } });
    let mut all = rights();
    all.push(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
        "replicas": 1,
        "selector": { "matchLabels": { "k8s-app": NAME } },
        "template": { "metadata": { "labels": { "k8s-app": NAME } }, "spec": pod(layout) },
    } }));
    all.push(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {
        "ports": [{ "name": "https", "port": 443, "targetPort": PORT }], "selector": { "k8s-app": NAME } } }));
    all.push(json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": { "name": "v1beta1.metrics.k8s.io" },
        "spec": {
            "group": "metrics.k8s.io", "version": "v1beta1",
            "groupPriorityMinimum": 100, "versionPriority": 100,
            // It signs its own certificate, as its released manifests have it.
            "insecureSkipTLSVerify": true,
            "service": { "name": NAME, "namespace": NAMESPACE },
        },
    }));
    all
}

/// Its account, and what that may read: kubelets' figures, nodes and pods, and who asks it.
fn rights() -> Vec<Value> {
    let subject = json!({ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE });
    let bind = |kind: &str, name: &str, metadata: Value, role_kind: &str| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "subjects": [subject],
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": name } })
    };
    let role = "system:metrics-server";
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": NAME, "namespace": NAMESPACE } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": role }, "rules": [
            { "apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"] },
            { "apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"] },
        ] }),
        bind("ClusterRoleBinding", role, json!({ "name": role }), "ClusterRole"),
        bind(
            "ClusterRoleBinding",
            "system:auth-delegator",
            json!({ "name": "metrics-server:system:auth-delegator" }),
            "ClusterRole",
        ),
        bind(
            "RoleBinding",
            "extension-apiserver-authentication-reader",
            json!({ "name": "metrics-server-auth-reader", "namespace": NAMESPACE }),
            "Role",
        ),
    ]
}

fn pod(layout: &Layout) -> Value {
    let arguments = [
        "--cert-dir=/tmp".to_owned(),
        format!("--bind-address={}", layout.families().first().every()),
        format!("--secure-port={PORT}"),
        format!("--kubelet-certificate-authority={AUTHORITY}"),
        "--kubelet-preferred-address-types=InternalIP".into(),
        "--kubelet-use-node-status-port".into(),
        // The least it takes, and the time for one question must be less.
        "--metric-resolution=10s".into(),
        "--kubelet-request-timeout=5s".into(),
        // Simulated nodes have no kubelet to ask.
        format!("--node-selector=!{}", simulation::LABEL),
    ];
    let probe =
        json!({ "httpGet": { "path": "/readyz", "port": PORT, "scheme": "HTTPS" }, "periodSeconds": 1 });
    let mut pod = json!({
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [{
            "name": NAME,
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": arguments,
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "readOnlyRootFilesystem": true,
            },
            "readinessProbe": probe,
            "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
        }],
        "volumes": [{ "name": "tmp", "emptyDir": {} }],
    });
    simulation::keep_real(&mut pod);
    pod
}
