//! `manifests/overlays` and `manifests/components`: the base as clusters of different kinds want it.
//!
//! In: the names of the base's objects. Out: kustomizations with their patches beside them. Never: a copy of the base.

use crds::names::{NAMESPACE, OPERATOR as NAME, WEBHOOK_CONFIGURATION, WEBHOOK_SERVICE};
use serde_json::{Value, json};

use super::install::apart;
use super::{File, yaml};

/// The Certificate of the webhooks, and its Secret.
const PAIR: &str = "silverback-webhook-pair";
/// The authority that signs it, its Secret and its Issuer.
const AUTHORITY: &str = "silverback-webhook-authority";
/// Where the operator looks for the pair.
const FOLDER: &str = "/etc/silverback/webhook";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// All files of the folders.
pub fn files() -> anyhow::Result<Vec<File>> {
    let all = [standard(), ha(), openshift(), namespaced(), cert_manager(), monitoring()];
    all.into_iter().flatten().map(Written::file).collect()
}

/// A file before it is text.
struct Written {
    path: &'static str,
    comment: &'static str,
    documents: Vec<Value>,
}

impl Written {
    fn new(path: &'static str, comment: &'static str, documents: impl Into<Vec<Value>>) -> Self {
        Self { path, comment, documents: documents.into() }
    }

    fn file(self) -> anyhow::Result<File> {
        let path = format!("manifests/{}.yaml", self.path);
        Ok(File::new(path, yaml::documents(self.comment, &self.documents)?))
    }
}

fn standard() -> Vec<Written> {
    let text = "# The base as it is: a place for an image of your own, and for patches.\n";
    vec![Written::new(
        "overlays/default/kustomization",
        text,
        [kustomization(&json!({ "resources": ["../../base"] }))],
    )]
}

/// Three replicas, never two on one node: the webhooks outlive a node while another is drained.
fn ha() -> Vec<Written> {
    let apart = json!({ "topologySpreadConstraints": [apart("DoNotSchedule")] });
    let spec = json!({ "replicas": 3, "template": { "spec": apart } });
    vec![
        Written::new(
            "overlays/ha/kustomization",
            "# Three replicas, each on a node of its own: needs three nodes that take pods.\n",
            [kustomization(
                &json!({ "resources": ["../../base"], "patches": [{ "path": "deployment.yaml" }] }),
            )],
        ),
        Written::new(
            "overlays/ha/deployment",
            "",
            [patch("apps/v1", "Deployment", &json!({ "spec": spec }))],
        ),
    ]
}

/// The base runs under the `restricted-v2` constraints as it is; the cluster's own Prometheus is told of it.
fn openshift() -> Vec<Written> {
    let labels = json!({ "openshift.io/cluster-monitoring": "true" });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE, "labels": labels } });
    let account = json!({
        "kind": "ServiceAccount", "name": "prometheus-k8s", "namespace": "openshift-monitoring",
    });
    vec![
        Written::new(
            "overlays/openshift/kustomization",
            "# Scraped by the monitoring of OpenShift. Pods run as the user that OpenShift gives the namespace.\n",
            [kustomization(&json!({
                "resources": ["../../base", "metrics-reader-binding.yaml"],
                "components": ["../../components/monitoring"],
                "patches": [{ "path": "namespace.yaml" }],
            }))],
        ),
        Written::new("overlays/openshift/namespace", "", [namespace]),
        Written::new("overlays/openshift/metrics-reader-binding", "", [reads(&account)]),
    ]
}

/// Rights in one namespace in the place of all; `default` stands for the first.
fn namespaced() -> Vec<Written> {
    let [role, binding] = ["ClusterRole", "ClusterRoleBinding"].map(
        |kind| json!({ "apiVersion": RBAC, "kind": kind, "metadata": { "name": NAME }, "$patch": "delete" }),
    );
    let watched = json!([{ "name": "SILVERBACK_WATCH_NAMESPACES", "value": "default" }]);
    let container = json!({ "containers": [{ "name": NAME, "env": watched }] });
    let spec = json!({ "spec": { "template": { "spec": container } } });
    vec![
        Written::new(
            "overlays/namespaced/kustomization",
            "# Some namespaces only: copy the folder `watched-default` for each, and name them in deployment.yaml.\n",
            [kustomization(&json!({
                "resources": ["../../base", "watched-default"],
                "patches": [
                    { "path": "cluster-role.yaml" }, { "path": "cluster-role-binding.yaml" },
                    { "path": "deployment.yaml" },
                ],
            }))],
        ),
        Written::new("overlays/namespaced/cluster-role", "", [role]),
        Written::new("overlays/namespaced/cluster-role-binding", "", [binding]),
        Written::new("overlays/namespaced/deployment", "", [patch("apps/v1", "Deployment", &spec)]),
        Written::new(
            "overlays/namespaced/watched-default/kustomization",
            "",
            [kustomization(&json!({ "namespace": "default", "resources": ["../../../rbac/namespaced"] }))],
        ),
    ]
}

/// The pair of the webhooks from cert-manager, whose injector fills in the authority.
fn cert_manager() -> Vec<Written> {
    let inject = json!({ "cert-manager.io/inject-ca-from": format!("{NAMESPACE}/{PAIR}") });
    let [mutating, validating] =
        ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"].map(|kind| {
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
                "metadata": { "name": WEBHOOK_CONFIGURATION, "annotations": inject },
            })
        });
    let container = json!({
        "name": NAME,
        "env": [
            { "name": "SILVERBACK_WEBHOOK_CERTIFICATES", "value": "files" },
            { "name": "SILVERBACK_WEBHOOK_CERTIFICATE_DIRECTORY", "value": FOLDER },
        ],
        "volumeMounts": [{ "name": "webhook-pair", "mountPath": FOLDER, "readOnly": true }],
    });
    let volume = json!({ "name": "webhook-pair", "secret": { "secretName": PAIR } });
    let pod = json!({ "containers": [container], "volumes": [volume] });
    vec![
        Written::new(
            "overlays/cert-manager/kustomization",
            "# The certificate of the webhooks comes from cert-manager, which has to be installed already.\n",
            [kustomization(&json!({
                "resources": ["../../base", "certificate.yaml"],
                "patches": [
                    { "path": "deployment.yaml" }, { "path": "mutating.yaml" }, { "path": "validating.yaml" },
                ],
            }))],
        ),
        Written::new(
            "overlays/cert-manager/certificate",
            "# An issuer of your own does as well, as long as it says by which authority it signs.\n",
            certificates(),
        ),
        Written::new(
            "overlays/cert-manager/deployment",
            "",
            [patch("apps/v1", "Deployment", &json!({ "spec": { "template": { "spec": pod } } }))],
        ),
        Written::new("overlays/cert-manager/mutating", "", [mutating]),
        Written::new("overlays/cert-manager/validating", "", [validating]),
    ]
}

/// An authority that stays while the pair is renewed: replicas get new files at different times, and all of them have
/// to be believed meanwhile.
fn certificates() -> [Value; 4] {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": kind,
            "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        })
    };
    let certificate = |name: &str, issuer: &str, more: &Value| {
        let spec = json!({
            "secretName": name,
            "privateKey": { "algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always" },
            "issuerRef": { "kind": "Issuer", "name": issuer },
        });
        object("Certificate", name, joined(spec, more))
    };
    let names = ["svc", "svc.cluster.local"].map(|end| format!("{WEBHOOK_SERVICE}.{NAMESPACE}.{end}"));
    let authority = json!({ "isCA": true, "commonName": AUTHORITY, "duration": "87600h" });
    [
        object("Issuer", "silverback-selfsigned", json!({ "selfSigned": {} })),
        certificate(AUTHORITY, "silverback-selfsigned", &authority),
        object("Issuer", AUTHORITY, json!({ "ca": { "secretName": AUTHORITY } })),
        certificate(PAIR, AUTHORITY, &json!({ "dnsNames": names })),
    ]
}

/// What Prometheus' operator scrapes, and what a person wants to be woken for.
fn monitoring() -> Vec<Written> {
    let component = json!({
        "apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component",
        "resources": ["service-monitor.yaml", "rules.yaml"],
    });
    vec![
        Written::new(
            "components/monitoring/kustomization",
            "# For clusters with Prometheus' operator; its account needs the ClusterRole silverback-metrics-reader.\n",
            [component],
        ),
        Written::new("components/monitoring/service-monitor", "", [monitor()]),
        Written::new("components/monitoring/rules", "", [rules()]),
    ]
}

fn monitor() -> Value {
    let endpoint = json!({
        "port": "metrics",
        "scheme": "https",
        "bearerTokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "tlsConfig": {
            "ca": { "secret": { "name": "kong-operator-ca", "key": "tls.crt" } },
            "serverName": format!("silverback-metrics.{NAMESPACE}.svc"),
        },
    });
    let spec = json!({
        "selector": { "matchLabels": { "app.kubernetes.io/name": NAME } },
        "endpoints": [endpoint],
    });
    observed("ServiceMonitor", &spec)
}

fn rules() -> Value {
    let alert = |name: &str, expression: &str, lasting: &str, severity: &str, summary: &str| {
        json!({
            "alert": name, "expr": expression, "for": lasting, "labels": { "severity": severity },
            "annotations": { "summary": summary },
        })
    };
    let alerts = [
        alert(
            "SilverbackAbsent",
            "absent(silverback_build_info)",
            "5m",
            "critical",
            "No replica of the operator is scraped: webhooks may be unanswered, and nothing is repaired.",
        ),
        alert(
            "SilverbackWithoutLeader",
            "sum(silverback_leader) < 1",
            "5m",
            "critical",
            "No replica holds the lease: gateways serve on, but nothing is changed or repaired.",
        ),
        alert(
            "SilverbackReconcilesFail",
            "sum by (kind, result) (rate(silverback_reconciles_total{result!~\"settled|waiting\"}[10m])) > 0",
            "30m",
            "warning",
            "Reconciles of {{ $labels.kind }} fail with {{ $labels.result }}; the conditions of the objects say why.",
        ),
        alert(
            "SilverbackQueueStands",
            "max by (kind) (silverback_queue_oldest_seconds) > 300",
            "5m",
            "warning",
            "A {{ $labels.kind }} has waited for five minutes to be looked at.",
        ),
        alert(
            "SilverbackReviewsFail",
            "sum by (kind) (rate(silverback_admission_reviews_total{result=\"failed\"}[10m])) > 0",
            "10m",
            "warning",
            "Admission reviews of {{ $labels.kind }} could not be judged; the log of the replicas says why.",
        ),
        alert(
            "SilverbackWebhookCertificateEnds",
            "min(silverback_certificate_expiry_timestamp_seconds{use=\"webhook\"}) - time() < 7 * 86400",
            "1h",
            "warning",
            "The certificate of the webhooks ends within a week and was not renewed.",
        ),
    ];
    observed("PrometheusRule", &json!({ "groups": [{ "name": NAME, "rules": alerts }] }))
}

fn observed(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": kind,
        "metadata": { "name": NAME, "namespace": NAMESPACE }, "spec": spec,
    })
}

/// Lets an account read `/metrics`.
fn reads(account: &Value) -> Value {
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "silverback-metrics-reader" });
    json!({
        "apiVersion": RBAC, "kind": "ClusterRoleBinding",
        "metadata": { "name": "silverback-metrics-reader" },
        "roleRef": role, "subjects": [account],
    })
}

fn kustomization(content: &Value) -> Value {
    let head = json!({ "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization" });
    joined(head, content)
}

/// What changes an object of the base that has the operator's name.
fn patch(version: &str, kind: &str, content: &Value) -> Value {
    let metadata = json!({ "name": NAME, "namespace": NAMESPACE });
    joined(json!({ "apiVersion": version, "kind": kind, "metadata": metadata }), content)
}

/// The members of both.
fn joined(mut object: Value, more: &Value) -> Value {
    if let (Some(members), Some(more)) = (object.as_object_mut(), more.as_object()) {
        members.extend(more.clone());
    }
    object
}
