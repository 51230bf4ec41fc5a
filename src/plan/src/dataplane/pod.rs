//! The pod template of a track.
//!
//! In: the specification, the listeners, the certificate's hash. Out: our template with the user's merged onto
//! it, or what is wrong with the user's.

use crds::defaults;
use crds::k8s::PodTemplateSpec;
use crds::names::{self, PROXY_CONTAINER, annotations};
use serde_json::{Value, json};

use super::{Identity, Settings, environment, ports};
use crate::dataplane::ports::Mapped;
use crate::invalid::Problem;
use crate::merge;

/// Where the admin certificate is mounted; the peer's path, which users' sidecars know.
pub const CERTIFICATE_DIR: &str = "/var/cluster-certificate";
/// Kong's prefix, a volume: the root file system is read-only, and a configuration that KIC pushed
/// survives a restart of the container there.
pub const PREFIX_DIR: &str = "/kong_prefix";
const CERTIFICATE_VOLUME: &str = "cluster-certificate";
/// User and group `kong` of Kong's images.
const KONG_ID: u32 = 1000;
/// Seconds of serving on after deletion begins: what it takes until no node sends new connections.
/// With one replica fewer lost requests in measurements, more did not help.
const DRAIN_SECONDS: u32 = 15;
/// `DRAIN_SECONDS`, a minute for the longest request, and five seconds to end.
const GRACE_SECONDS: u32 = 80;
const PATH: &str = "spec.deployment.podTemplateSpec";

/// Makes the template.
///
/// # Errors
/// Every unknown or mistyped field, and what Kong cannot run with.
pub fn template(settings: &Settings, identity: &Identity<'_>, ports: &[Mapped], certificate: &str) -> Result<Value, Vec<Problem>> {
    let mut template = ours(settings, identity, ports, certificate);
    let deployment = identity.spec.deployment.as_ref();
    let Some(patch) = deployment.and_then(|deployment| deployment.pod_template_spec.as_ref()) else {
        return Ok(template);
    };
    let mut problems = merge::onto(&mut template, &patch.to_value(), PATH);
    problems.extend(typed(&template));
    problems.extend(database(&template));
    settle_readiness(&mut template, &patch.to_value());
    if problems.is_empty() { Ok(template) } else { Err(problems) }
}

fn ours(settings: &Settings, identity: &Identity<'_>, ports: &[Mapped], certificate: &str) -> Value {
    let certificate_secret = names::admin_certificate(identity.name);
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "containers": [container(settings, ports)],
        // Variables named after Services would be taken for Kong's own where a Service is called kong.
        "enableServiceLinks": false,
        "securityContext": {
            "runAsGroup": KONG_ID,
            "runAsNonRoot": true,
            "runAsUser": KONG_ID,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "volumes": [
            { "name": CERTIFICATE_VOLUME, "secret": { "secretName": certificate_secret } },
            { "name": "kong-prefix", "emptyDir": {} },
            { "name": "tmp", "emptyDir": {} },
        ],
    });
    if identity.may_have_several()
        && let Some(spec) = spec.as_object_mut()
    {
        spec.insert("topologySpreadConstraints".into(), json!([spread(identity)]));
    }
    let metadata = json!({
        "annotations": {
            annotations::CERTIFICATE_HASH: certificate,
            annotations::DATAPLANE: identity.name,
        },
        "labels": identity.selector(),
    });
    json!({ "metadata": metadata, "spec": spec })
}

fn container(settings: &Settings, mapped: &[Mapped]) -> Value {
    let mut open = ports::container_ports(&ports::listeners(mapped));
    open.extend([
        json!({ "name": "metrics", "containerPort": defaults::STATUS_PORT, "protocol": "TCP" }),
        json!({ "name": "admin-ssl", "containerPort": defaults::ADMIN_PORT, "protocol": "TCP" }),
    ]);
    json!({
        "name": PROXY_CONTAINER,
        "image": settings.image,
        "env": environment::variables(mapped),
        // Kong's image stops gracefully by its own stop signal, SIGQUIT, which closes the listeners at once.
        "lifecycle": { "preStop": { "sleep": { "seconds": DRAIN_SECONDS } } },
        "livenessProbe": probe("/status", 10, 10, 3),
        "ports": open,
        "readinessProbe": probe("/status", 1, 2, 5),
        "resources": {
            "limits": { "cpu": defaults::CPU_LIMIT, "memory": defaults::MEMORY_LIMIT },
            "requests": { "cpu": defaults::CPU_REQUEST, "memory": defaults::MEMORY_REQUEST },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        },
        "volumeMounts": [
            { "name": CERTIFICATE_VOLUME, "mountPath": CERTIFICATE_DIR, "readOnly": true },
            { "name": "kong-prefix", "mountPath": PREFIX_DIR },
            { "name": "tmp", "mountPath": "/tmp" },
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

/// Over nodes where there are several; a preference, so that one node is enough.
fn spread(identity: &Identity<'_>) -> Value {
    json!({
        "labelSelector": { "matchLabels": identity.selector() },
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
    })
}

/// With a declarative configuration of its own, a pod is ready when Kong has loaded it. Without one only a
/// control plane could make it so, and `/status` is all that can be asked.
fn settle_readiness(template: &mut Value, patch: &Value) {
    let configured = proxy(template).is_some_and(|proxy| {
        let names = variables(proxy).filter_map(|variable| variable.get("name").and_then(Value::as_str));
        names.into_iter().any(|name| name.starts_with("KONG_DECLARATIVE_CONFIG"))
    });
    let theirs = proxy(patch).is_some_and(|proxy| proxy.get("readinessProbe").is_some());
    if configured && !theirs {
        let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
        let ours = containers.into_iter().flatten().find(|c| is_proxy(c));
        if let Some(path) = ours.and_then(|c| c.pointer_mut("/readinessProbe/httpGet/path")) {
            *path = json!("/status/ready");
        }
    }
}

fn is_proxy(container: &Value) -> bool {
    container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER)
}

fn proxy(template: &Value) -> Option<&Value> {
    template.pointer("/spec/containers")?.as_array()?.iter().find(|c| is_proxy(c))
}

fn variables(container: &Value) -> impl Iterator<Item = &Value> {
    container.get("env").and_then(Value::as_array).into_iter().flatten()
}

/// Kong runs without a database here; `off` and an empty value say so.
fn database(template: &Value) -> Vec<Problem> {
    let postgres = proxy(template).into_iter().flat_map(variables).find_map(|variable| {
        let name = variable.get("name")?.as_str()?;
        let value = variable.get("value").and_then(Value::as_str).unwrap_or_default();
        (name == "KONG_DATABASE" && !matches!(value, "off" | "")).then(|| value.to_owned())
    });
    let problem = |value: String| {
        let message = format!("{value:?} is not supported: Kong runs without a database here, remove the variable or set it to \"off\"");
        Problem::at(format!("{PATH}.spec.containers[{PROXY_CONTAINER}].env[KONG_DATABASE]"), message)
    };
    postgres.map(problem).into_iter().collect()
}

/// Fields that a pod template does not have, and fields of the wrong type.
fn typed(template: &Value) -> Vec<Problem> {
    let known = match serde_json::from_value::<PodTemplateSpec>(template.clone()) {
        Ok(known) => known,
        Err(error) => return vec![Problem::at(PATH, format!("{error}: correct the type of the field"))],
    };
    let mut problems = Vec::new();
    if let Ok(known) = serde_json::to_value(known) {
        unknown(template, &known, PATH, &mut problems);
    }
    problems
}

fn unknown(given: &Value, known: &Value, path: &str, problems: &mut Vec<Problem>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (name, value) in given {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(found) => unknown(value, found, &path, problems),
                    None => problems.push(Problem::at(path, "unknown field: correct its name or remove it")),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                unknown(given, known, &format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}
