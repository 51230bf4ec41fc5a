//! Our pod template of a track.
//!
//! In: whose it is, the listeners, the certificate's hash, the IP families. Out: the template before the user's is merged onto it.

use crds::defaults;
use crds::names::{self, PROXY_CONTAINER, annotations};
use serde_json::{Value, json};

use super::listen::Families;
use super::ports::{self, Mapped};
use super::{Identity, Settings, Valid, environment};

/// Where the admin certificate is mounted; the peer's path, which users' sidecars know.
pub const CERTIFICATE_DIR: &str = "/var/cluster-certificate";
/// Kong's prefix, a volume: the root file system is read-only, and a configuration that KIC pushed
/// survives a restart of the container there.
pub const PREFIX_DIR: &str = "/kong_prefix";
/// The volume with the admin certificate; the peer's name, which users' templates repeat.
pub const CERTIFICATE_VOLUME: &str = "cluster-certificate";
/// The volume of Kong's prefix.
pub const PREFIX_VOLUME: &str = "kong-prefix";
/// The volume for what Kong and its plugins put aside.
pub const TMP_VOLUME: &str = "tmp";
/// User and group `kong` of Kong's images.
const KONG_ID: u32 = 1000;
/// Seconds of serving on after deletion begins: what it takes until no node sends new connections.
/// With one replica fewer lost requests in measurements, more did not help.
pub const DRAIN_SECONDS: u64 = 15;
/// `DRAIN_SECONDS`, a minute for the longest request, and five seconds to end.
const GRACE_SECONDS: u64 = 80;

/// Our template, to which the user's is added.
pub fn ours(valid: &Valid<'_>, certificate: &str, families: Families) -> Value {
    let identity = &valid.identity;
    let certificate_secret = names::admin_certificate(identity.name);
    let spec = json!({
        "automountServiceAccountToken": false,
        "containers": [container(valid.settings, &valid.ports, families)],
        // Variables named after Services would be taken for Kong's own where a Service is called kong.
        "enableServiceLinks": false,
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "topologySpreadConstraints": [spread(identity)],
        "volumes": [
            { "name": CERTIFICATE_VOLUME, "secret": { "secretName": certificate_secret } },
            { "name": PREFIX_VOLUME, "emptyDir": {} },
            { "name": TMP_VOLUME, "emptyDir": {} },
        ],
    });
    let metadata = json!({
        "annotations": {
            annotations::CERTIFICATE_HASH: certificate,
            annotations::DATAPLANE: identity.name,
        },
        "labels": identity.selector(),
    });
    json!({ "metadata": metadata, "spec": spec })
}

fn container(settings: &Settings, mapped: &[Mapped], families: Families) -> Value {
    let mut open = ports::container_ports(&ports::listeners(mapped));
    open.extend([
        json!({ "name": "metrics", "containerPort": defaults::STATUS_PORT, "protocol": "TCP" }),
        json!({ "name": "admin-ssl", "containerPort": defaults::ADMIN_PORT, "protocol": "TCP" }),
    ]);
    json!({
        "name": PROXY_CONTAINER,
        "image": settings.image,
        "env": environment::variables(mapped, families),
        // Kong's image stops gracefully by its own stop signal, SIGQUIT, which closes the listeners at once.
        "lifecycle": { "preStop": { "sleep": { "seconds": DRAIN_SECONDS } } },
        "livenessProbe": probe("/status", 10, 10, 3),
        "ports": open,
        "readinessProbe": probe("/status", 1, 2, 5),
        "resources": {
            "limits": { "cpu": defaults::CPU_LIMIT, "memory": defaults::MEMORY_LIMIT },
            "requests": { "cpu": defaults::CPU_REQUEST, "memory": defaults::MEMORY_REQUEST },
        },
        // For this container and not for the pod: a sidecar may have to be somebody else.
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
            "runAsGroup": KONG_ID,
            "runAsNonRoot": true,
            "runAsUser": KONG_ID,
        },
        "volumeMounts": [
            { "name": CERTIFICATE_VOLUME, "mountPath": CERTIFICATE_DIR, "readOnly": true },
            { "name": PREFIX_VOLUME, "mountPath": PREFIX_DIR },
            { "name": TMP_VOLUME, "mountPath": "/tmp" },
        ],
    })
}

fn probe(path: &str, delay: u32, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": defaults::STATUS_PORT },
        "initialDelaySeconds": delay,
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

/// Over nodes where there are several; a preference, so that one node is enough. It is there for a single
/// replica too: a template that changed with their number would roll all pods for one more.
fn spread(identity: &Identity<'_>) -> Value {
    json!({
        "labelSelector": { "matchLabels": identity.selector() },
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
    })
}
