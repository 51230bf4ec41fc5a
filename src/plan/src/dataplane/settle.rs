//! Defaults of ours that give way to what a user wrote beside them.
//!
//! In: the merged template, the user's, and our lists of addresses. Out: the merged template, changed where one of our defaults would
//! contradict a value of the user's. A value of the user's is never changed, but for one that says the same.

use serde_json::{Value, json};

use super::container::{field_mut, proxy, value};
use super::listen;
use super::pod::{DRAIN_SECONDS, PREFIX_DIR, PREFIX_VOLUME};

/// What is left of a grace period after the pause before the stop signal, in seconds.
const TO_END: u64 = 5;

/// Our own lists of addresses, as they are before anything is merged onto them.
pub struct Listens([(&'static str, Option<String>); 2]);

impl Listens {
    /// Those of our template.
    pub fn of(ours: &Value) -> Self {
        let names = ["KONG_PROXY_LISTEN", "KONG_STREAM_LISTEN"];
        Self(names.map(|name| (name, value(ours, name).map(str::to_owned))))
    }
}

/// All of it.
pub fn all(template: &mut Value, ours: &Listens, patch: &Value) {
    readiness(template, patch);
    liveness(template, patch);
    drain(template, patch);
    resources(template, patch);
    identity(template, patch);
    privileges(template);
    service_account(template, patch);
    prefix(template);
    database(template);
    port_names(template, patch);
    for (name, wanted) in &ours.0 {
        if let (Some(theirs), Some(wanted)) = (value(patch, name), wanted) {
            listens(template, name, theirs, wanted);
        }
    }
}

/// With a declarative configuration of its own, a pod is ready when Kong has loaded it. Without one only a
/// control plane could make it so, and `/status` is all that can be asked.
fn readiness(template: &mut Value, patch: &Value) {
    let configured = ["KONG_DECLARATIVE_CONFIG", "KONG_DECLARATIVE_CONFIG_STRING"].into_iter().any(|name| {
        super::container::variable(template, name).is_some() && value(template, name) != Some("")
    });
    let theirs = proxy(patch).is_some_and(|proxy| proxy.pointer("/readinessProbe/httpGet/path").is_some());
    if configured
        && !theirs
        && let Some(path) = field_mut(template, "/readinessProbe/httpGet/path")
    {
        *path = json!("/status/ready");
    }
}

/// Kong Gateway Operator knew no liveness probe: where a user moves the status listener and says so in the readiness
/// probe, ours asks there too.
fn liveness(template: &mut Value, patch: &Value) {
    let asked = |probe: &str| proxy(patch)?.pointer(&format!("/{probe}/httpGet")).cloned();
    if proxy(patch).is_some_and(|proxy| proxy.get("livenessProbe").is_some()) {
        return;
    }
    let Some(readiness) = asked("readinessProbe") else { return };
    let Some(ours) = field_mut(template, "/livenessProbe/httpGet").and_then(Value::as_object_mut) else {
        return;
    };
    for field in ["port", "scheme"] {
        if let Some(value) = readiness.get(field) {
            ours.insert(field.into(), value.clone());
        }
    }
}

/// Kubernetes refuses a pause before the stop signal that is longer than the grace period: ours makes room for
/// a shorter one of the user's, and goes where there is none.
fn drain(template: &mut Value, patch: &Value) {
    let grace = patch.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
    let theirs = proxy(patch).is_some_and(|proxy| proxy.pointer("/lifecycle/preStop").is_some());
    let (Some(grace), false) = (grace, theirs) else { return };
    if grace < 2 {
        if let Some(lifecycle) = field_mut(template, "/lifecycle").and_then(Value::as_object_mut) {
            lifecycle.remove("preStop");
        }
    } else if let Some(pause) = field_mut(template, "/lifecycle/preStop/sleep/seconds") {
        *pause = json!(DRAIN_SECONDS.min(grace.saturating_sub(TO_END)).max(1));
    }
}

/// A limit below our request, or a request above our limit, would be refused: where the user names one of the
/// two for a resource, our default of the other one goes.
fn resources(template: &mut Value, patch: &Value) {
    let named = |field: &str| -> Vec<String> {
        let theirs = proxy(patch)
            .and_then(|proxy| proxy.pointer(&format!("/resources/{field}")))
            .and_then(Value::as_object);
        theirs.into_iter().flat_map(|resources| resources.keys().cloned()).collect()
    };
    let (requests, limits) = (named("requests"), named("limits"));
    for (field, given, other) in [("limits", &limits, &requests), ("requests", &requests, &limits)] {
        let Some(ours) = field_mut(template, &format!("/resources/{field}")).and_then(Value::as_object_mut)
        else {
            continue;
        };
        ours.retain(|resource, _| given.contains(resource) || !other.contains(resource));
    }
}

/// A container's own security context wins over the pod's: where the user says for the pod who runs it, ours
/// says nothing for the container.
fn identity(template: &mut Value, patch: &Value) {
    let pod = patch.pointer("/spec/securityContext").unwrap_or(&Value::Null);
    let container = proxy(patch).and_then(|proxy| proxy.get("securityContext")).unwrap_or(&Value::Null);
    let has = |context: &Value, field: &str| context.get(field).is_some();
    let Some(ours) = field_mut(template, "/securityContext").and_then(Value::as_object_mut) else { return };
    for field in ["runAsGroup", "runAsNonRoot", "runAsUser"] {
        if has(pod, field) && !has(container, field) {
            ours.remove(field);
        }
    }
    // Who wants root does not have to say so twice.
    let user = container.get("runAsUser").or_else(|| pod.get("runAsUser"));
    if user == Some(&json!(0)) && !has(container, "runAsNonRoot") {
        ours.remove("runAsNonRoot");
    }
}

/// Kubernetes refuses `allowPrivilegeEscalation: false` beside what is an escalation by itself.
fn privileges(template: &mut Value) {
    let Some(context) = field_mut(template, "/securityContext").and_then(Value::as_object_mut) else {
        return;
    };
    let added = context.get("capabilities").and_then(|all| all.get("add")).and_then(Value::as_array);
    let admin = added
        .into_iter()
        .flatten()
        .any(|name| name.as_str().is_some_and(|name| name.trim_start_matches("CAP_") == "SYS_ADMIN"));
    if admin || context.get("privileged") == Some(&json!(true)) {
        context.remove("allowPrivilegeEscalation");
    }
}

/// Kong needs no token of Kubernetes; who names a service account wants its token.
fn service_account(template: &mut Value, patch: &Value) {
    let said = |field: &str| patch.pointer(&format!("/spec/{field}")).is_some();
    if said("serviceAccountName")
        && !said("automountServiceAccountToken")
        && let Some(pod) = template.pointer_mut("/spec").and_then(Value::as_object_mut)
    {
        pod.remove("automountServiceAccountToken");
    }
}

/// Kong writes to its prefix, and the root file system is read-only: our volume goes where the user puts the
/// prefix, unless the user has one there.
fn prefix(template: &mut Value) {
    let Some(prefix) =
        value(template, "KONG_PREFIX").filter(|prefix| *prefix != PREFIX_DIR).map(str::to_owned)
    else {
        return;
    };
    let Some(mounts) = field_mut(template, "/volumeMounts").and_then(Value::as_array_mut) else { return };
    let at = |mount: &Value, path: &str| mount.get("mountPath").and_then(Value::as_str) == Some(path);
    let theirs = mounts.iter().any(|mount| at(mount, &prefix));
    let is_ours = |mount: &Value| {
        at(mount, PREFIX_DIR) && mount.get("name").and_then(Value::as_str) == Some(PREFIX_VOLUME)
    };
    if theirs {
        mounts.retain(|mount| !is_ours(mount));
    } else if let Some(mount) = mounts.iter_mut().find(|mount| is_ours(mount)).and_then(Value::as_object_mut)
    {
        mount.insert("mountPath".into(), json!(prefix));
    }
}

/// An empty value means no database, as it did for Kong Gateway Operator; Kong itself wants the word.
fn database(template: &mut Value) {
    if value(template, "KONG_DATABASE") != Some("") {
        return;
    }
    let Some(variables) = field_mut(template, "/env").and_then(Value::as_array_mut) else { return };
    for variable in variables.iter_mut().filter(|v| v.get("name") == Some(&json!("KONG_DATABASE"))) {
        *variable = json!({ "name": "KONG_DATABASE", "value": "off" });
    }
}

/// A name that the user gives to another port of Kong's container is not ours any more.
fn port_names(template: &mut Value, patch: &Value) {
    let of = |port: &Value| (port.get("name").cloned(), port.get("containerPort").cloned());
    let theirs = proxy(patch).and_then(|proxy| proxy.get("ports")).and_then(Value::as_array);
    let theirs: Vec<_> = theirs.into_iter().flatten().map(of).filter(|(name, _)| name.is_some()).collect();
    let Some(ports) = field_mut(template, "/ports").and_then(Value::as_array_mut) else { return };
    for port in ports {
        let (name, number) = of(port);
        let taken = theirs.iter().any(|(their, at)| *their == name && *at != number);
        if let (true, Some(port)) = (taken, port.as_object_mut()) {
            port.remove("name");
        }
    }
}

/// A listen of the user's own says how to listen on the ports that it names. What the Service leads to besides is
/// opened as ever.
fn listens(template: &mut Value, name: &str, theirs: &str, wanted: &str) {
    if ["", "off"].contains(&theirs) || wanted == "off" {
        return;
    }
    let known = listen::read(theirs);
    let missing = wanted.split(", ").filter(|entry| {
        listen::read(entry).iter().any(|own| !known.iter().any(|k| (k.port, k.udp) == (own.port, own.udp)))
    });
    let all: Vec<&str> = std::iter::once(theirs).chain(missing).collect();
    let all = all.join(", ");
    let Some(variables) = field_mut(template, "/env").and_then(Value::as_array_mut) else { return };
    for variable in variables.iter_mut().filter(|variable| variable.get("name") == Some(&json!(name))) {
        *variable = json!({ "name": name, "value": all });
    }
}
