//! The pod template of Kong Ingress Controller.
//!
//! In: what is known of it, and the user's template. Out: the template that runs.

use crds::defaults::{
    CONTROLLER_CPU_REQUEST, CONTROLLER_HEALTH_PORT, CONTROLLER_MEMORY_LIMIT, CONTROLLER_MEMORY_REQUEST,
    CONTROLLER_METRICS_PORT, CONTROLLER_WEBHOOK_PORT,
};
use crds::names::{self, annotations};
use serde_json::{Value, json};

use super::version::Version;
use super::{Found, Identity, Settings, Watched, environment, settle};
use crate::{merge, pod};

/// Where the certificate for the admin API is mounted; the peer's path.
pub const CERTIFICATE_DIR: &str = "/var/cluster-certificate";
/// Where Kong Ingress Controller looks for the certificate of its webhook.
const WEBHOOK_DIR: &str = "/admission-webhook";
/// Volumes; the peer's names, which users' templates repeat.
const CERTIFICATE_VOLUME: &str = "cluster-certificate";
const WEBHOOK_VOLUME: &str = "admission-webhook-certificate";
/// User and group of Kong Ingress Controller's images.
const USER: u32 = 1000;
/// Seconds that it may take until it has found Kong: 60 tries, 5 s apart, and something for what comes after. From 3.4.4
/// on no port is open before.
const START_SECONDS: u32 = 360;
/// Seconds between two looks at its start.
const START_PERIOD: u32 = 2;

/// What the template is made from.
pub struct Facts<'a> {
    pub settings: &'a Settings,
    pub identity: &'a Identity<'a>,
    pub found: &'a Found<'a>,
    pub watched: &'a Watched,
    pub version: Version,
}

/// Our template, to which the user's is added.
pub fn ours(facts: &Facts<'_>) -> Value {
    let identity = facts.identity;
    let spec = json!({
        "containers": [container(facts)],
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "serviceAccountName": names::controller(identity.name),
        "topologySpreadConstraints": [spread(identity)],
        "volumes": [
            {
                "name": CERTIFICATE_VOLUME,
                "secret": { "secretName": names::controller_certificate(identity.name) },
            },
            // It is there whether or not the webhook is on, so that turning it on needs no other pod template.
            {
                "name": WEBHOOK_VOLUME,
                "secret": { "secretName": names::controller_webhook(identity.name), "optional": true },
            },
        ],
    });
    let mut notes = json!({ annotations::CONTROLPLANE: identity.name });
    if let (Some(kong), Some(notes)) = (&facts.found.kong, notes.as_object_mut()) {
        notes.insert(annotations::KONG.to_owned(), json!(kong));
    }
    json!({ "metadata": { "annotations": notes, "labels": identity.selector() }, "spec": spec })
}

/// The template that runs, of a user's one that has no problems.
pub fn merged(ours: &Value, patch: &Value) -> Value {
    let mut template = ours.clone();
    merge::onto(&mut template, patch, super::TEMPLATE);
    settle::all(&mut template, patch);
    template
}

/// The template with the digest of the certificate, so that another one rolls the pods: Kong Ingress Controller reads it
/// once.
pub fn with_certificate(template: &Value, digest: &str) -> Value {
    let mut template = template.clone();
    if let Some(notes) = template.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        notes.insert(annotations::CERTIFICATE_HASH.to_owned(), json!(digest));
    }
    template
}

fn container(facts: &Facts<'_>) -> Value {
    json!({
        "name": pod::CONTROLLER.container,
        "image": facts.settings.image,
        "env": environment::variables(facts),
        "livenessProbe": probe("/healthz", 10, 3),
        "ports": [
            { "name": "webhook", "containerPort": CONTROLLER_WEBHOOK_PORT, "protocol": "TCP" },
            { "name": "health", "containerPort": CONTROLLER_HEALTH_PORT, "protocol": "TCP" },
            { "name": "cmetrics", "containerPort": CONTROLLER_METRICS_PORT, "protocol": "TCP" },
        ],
        "readinessProbe": probe("/readyz", 5, 3),
        // A limit of CPU would slow down the translation of large configurations, and nothing else.
        "resources": {
            "limits": { "memory": CONTROLLER_MEMORY_LIMIT },
            "requests": { "cpu": CONTROLLER_CPU_REQUEST, "memory": CONTROLLER_MEMORY_REQUEST },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
            "runAsGroup": USER,
            "runAsNonRoot": true,
            "runAsUser": USER,
        },
        "startupProbe": probe("/healthz", START_PERIOD, START_SECONDS / START_PERIOD),
        "volumeMounts": [
            { "name": CERTIFICATE_VOLUME, "mountPath": CERTIFICATE_DIR, "readOnly": true },
            { "name": WEBHOOK_VOLUME, "mountPath": WEBHOOK_DIR, "readOnly": true },
        ],
    })
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": CONTROLLER_HEALTH_PORT },
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

/// Over nodes where there are several; a preference, so that one node is enough.
fn spread(identity: &Identity<'_>) -> Value {
    json!({
        "labelSelector": { "matchLabels": identity.selector() },
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
    })
}
