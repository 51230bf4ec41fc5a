//! Our pod template of a track.
//!
//! In: whose it is, the listeners, the certificate's hash, the IP families. Out: the template before the user's is merged onto it.

use crds::defaults;
use crds::names::{self, PROXY_CONTAINER, annotations};
use serde_json::{Value, json};

use super::listen::Families;
use super::ports;
use super::{Identity, Valid, environment};

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
    let volumes = [
        json!({ "name": CERTIFICATE_VOLUME, "secret": { "secretName": certificate_secret } }),
        json!({ "name": PREFIX_VOLUME, "emptyDir": {} }),
        json!({ "name": TMP_VOLUME, "emptyDir": {} }),
    ];
    // What `json!` is given as a value it copies; these are made for every review of a pod template.
    let spec = Value::from_iter([
        ("automountServiceAccountToken", false.into()),
        ("containers", vec![container(valid, families)].into()),
        // Variables named after Services would be taken for Kong's own where a Service is called kong.
        ("enableServiceLinks", false.into()),
        ("securityContext", json!({ "seccompProfile": { "type": "RuntimeDefault" } })),
        ("terminationGracePeriodSeconds", GRACE_SECONDS.into()),
        ("topologySpreadConstraints", vec![spread(identity)].into()),
        ("volumes", Value::from_iter(volumes)),
    ]);
    let metadata = json!({
        "annotations": {
            annotations::CERTIFICATE_HASH: certificate,
            annotations::DATAPLANE: identity.name,
        },
        "labels": identity.selector(),
    });
    Value::from_iter([("metadata", metadata), ("spec", spec)])
}

fn container(valid: &Valid<'_>, families: Families) -> Value {
    let (settings, mapped) = (valid.settings, &valid.ports);
    // A control plane makes even an empty configuration one that Kong is ready with.
    let ready = if valid.identity.configured { "/status/ready" } else { "/status" };
    let mut open = ports::container_ports(&ports::listeners(mapped));
    open.extend([
        json!({ "name": "metrics", "containerPort": defaults::STATUS_PORT, "protocol": "TCP" }),
        json!({ "name": "admin-ssl", "containerPort": defaults::ADMIN_PORT, "protocol": "TCP" }),
    ]);
    let mounts = [
        json!({ "name": CERTIFICATE_VOLUME, "mountPath": CERTIFICATE_DIR, "readOnly": true }),
        json!({ "name": PREFIX_VOLUME, "mountPath": PREFIX_DIR }),
        json!({ "name": TMP_VOLUME, "mountPath": "/tmp" }),
    ];
    let resources = json!({
        "limits": { "cpu": defaults::CPU_LIMIT, "memory": defaults::MEMORY_LIMIT },
        "requests": { "cpu": defaults::CPU_REQUEST, "memory": defaults::MEMORY_REQUEST },
    });
    // For this container and not for the pod: a sidecar may have to be somebody else.
    let security = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
        "runAsGroup": KONG_ID,
        "runAsNonRoot": true,
        "runAsUser": KONG_ID,
    });
    Value::from_iter([
        ("name", PROXY_CONTAINER.into()),
        ("image", settings.image.as_str().into()),
        ("env", environment::variables(mapped, families).into()),
        // Kong's image stops gracefully by its own stop signal, SIGQUIT, which closes the listeners at once.
        ("lifecycle", json!({ "preStop": { "sleep": { "seconds": DRAIN_SECONDS } } })),
        ("livenessProbe", probe("/status", 10, 10, 3)),
        ("ports", open.into()),
        ("readinessProbe", probe(ready, 1, 2, 5)),
        ("resources", resources),
        ("securityContext", security),
        ("volumeMounts", Value::from_iter(mounts)),
    ])
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
