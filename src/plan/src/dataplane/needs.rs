//! What the product needs of a pod template to work, whatever a user writes.
//!
//! In: our template's metadata, the user's template as it was written, and the merged one. Out: every value of the
//! user's that would take away what is needed, with what it is needed for.

use crds::defaults::{ADMIN_PORT, STATUS_PORT};
use crds::names::PROXY_CONTAINER;
use serde_json::{Value, json};

use super::claims::Claims;
use super::container::{path, port_path, proxy, value, variable, variable_path};
use super::listen::{self, Listen, Reach};
use super::pod::{CERTIFICATE_DIR, CERTIFICATE_VOLUME, PREFIX_VOLUME};
use super::template::PATH;
use crate::invalid::{Cause, Problem};

/// Everything that is missing. `metadata` is that of our template.
pub fn missing(metadata: &Value, patch: &Value, merged: &Value) -> Vec<Problem> {
    if proxy(merged).is_none() {
        let message = format!(
            "no container is named {PROXY_CONTAINER:?}: it is the one that runs Kong, and cannot be removed"
        );
        return vec![Problem::at(format!("{PATH}.spec.containers"), message)];
    }
    let mut problems = lost(metadata, merged);
    problems.extend(image(patch, merged));
    problems.extend(database(patch, merged));
    problems.extend(admin(patch, merged));
    problems.extend(status(patch, merged));
    problems.extend(certificate(merged));
    problems.extend(prefix(patch, merged));
    problems.extend(beside(patch, merged));
    problems
}

/// The labels by which Services and the Deployment find the pods, and our annotations.
fn lost(metadata: &Value, merged: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    for field in ["labels", "annotations"] {
        let found = merged.get("metadata").and_then(|metadata| metadata.get(field));
        for (key, value) in metadata.get(field).and_then(Value::as_object).into_iter().flatten() {
            if found.and_then(|found| found.get(key)) != Some(value) {
                let message = format!(
                    "must be {value}: the operator finds the pods by it; remove it from podTemplateSpec"
                );
                problems.push(Problem::at(format!("{PATH}.metadata.{field}[{key}]"), message));
            }
        }
    }
    problems
}

/// What is removed, or empty, is not what is absent.
fn image(patch: &Value, merged: &Value) -> Option<Problem> {
    let found = proxy(merged)?.get("image").and_then(Value::as_str).unwrap_or_default();
    found.is_empty().then(|| {
        let message = "is empty: name an image, or leave the field out for the default one";
        Problem::at(format!("{}.image", path(patch)), message).because(Cause::Required)
    })
}

/// Kong runs without a database here; its own default would be Postgres.
fn database(patch: &Value, merged: &Value) -> Option<Problem> {
    let name = "KONG_DATABASE";
    let message = match (value(merged, name), variable(merged, name)) {
        (Some("off"), _) | (None, Some(_)) => return None,
        (None, None) => {
            "cannot be removed: Kong would look for Postgres, and runs without a database here".into()
        }
        (Some(value), _) => format!(
            "{value:?} is not supported: Kong runs without a database here, remove the variable or set it to \"off\""
        ),
    };
    Some(Problem::at(variable_path(patch, name), message))
}

/// Kong Ingress Controller configures each pod at its address, on the port of the admin Service, over TLS.
fn admin(patch: &Value, merged: &Value) -> Option<Problem> {
    let found = value(merged, "KONG_ADMIN_LISTEN")?;
    let needed =
        |listen: &Listen| listen.reach == Reach::All && listen.tls && listen.port == ADMIN_PORT.number();
    if listen::read(found).iter().any(needed) {
        return None;
    }
    let message = format!(
        "{found:?} does not offer the admin API where Kong Ingress Controller looks for it: add \"0.0.0.0:{ADMIN_PORT} ssl\", or remove the variable"
    );
    Some(Problem::at(variable_path(patch, "KONG_ADMIN_LISTEN"), message))
}

/// The probes ask the status listener, unless the user has probes that ask something else.
fn status(patch: &Value, merged: &Value) -> Option<Problem> {
    let found = value(merged, "KONG_STATUS_LISTEN")?;
    let listens = listen::read(found);
    let unanswered = |probe: &&str| {
        let asked = proxy(merged)?.pointer(&format!("/{probe}/httpGet"))?;
        let port = asked.get("port")?;
        let tls = asked.get("scheme").and_then(Value::as_str) == Some("HTTPS");
        let own = *port == json!(STATUS_PORT) || *port == json!("metrics");
        let needed = |l: &Listen| l.reach == Reach::All && l.tls == tls && l.port == STATUS_PORT.number();
        (own && !listens.iter().any(needed)).then_some(tls)
    };
    let found_by = ["readinessProbe", "livenessProbe"].into_iter().find_map(|p| Some((p, unanswered(&p)?)));
    let (probe, tls) = found_by?;
    let (scheme, flag) = if tls { ("HTTPS", " ssl") } else { ("HTTP", "") };
    let message = format!(
        "{found:?} leaves the {probe} without an answer, which asks port {STATUS_PORT} by {scheme}: add \"0.0.0.0:{STATUS_PORT}{flag}\", remove the variable, or give a {probe} of your own"
    );
    Some(Problem::at(variable_path(patch, "KONG_STATUS_LISTEN"), message))
}

/// On a read-only root Kong can write to its prefix only where a volume is mounted.
fn prefix(patch: &Value, merged: &Value) -> Option<Problem> {
    let read_only = proxy(merged)?.pointer("/securityContext/readOnlyRootFilesystem") == Some(&json!(true));
    let prefix = value(merged, "KONG_PREFIX").filter(|_| read_only)?;
    let mounts = proxy(merged)?.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
    let paths: Vec<_> = mounts.filter_map(|mount| mount.get("mountPath")?.as_str()).collect();
    if paths.iter().any(|path| std::path::Path::new(prefix).starts_with(path)) {
        return None;
    }
    let message = format!(
        "no volume is mounted at {prefix:?}, where Kong writes while its root file system is read-only: keep the volume {PREFIX_VOLUME:?}, mount one of your own, or set readOnlyRootFilesystem to false"
    );
    Some(Problem::at(format!("{}.volumeMounts", path(patch)), message))
}

/// The containers of a pod share its ports.
fn beside(patch: &Value, merged: &Value) -> Option<Problem> {
    let claims = Claims::of(merged);
    let own = [(ADMIN_PORT, "admin API"), (STATUS_PORT, "status listener")];
    let (port, what) = own.into_iter().find(|(port, _)| claims.is_beside(port.number(), false))?;
    let message = format!(
        "{port} is the port of Kong's {what}, and another container has it too: give that one another"
    );
    Some(Problem::at(port_path(patch, port.number()), message))
}

/// The admin API's certificate, where Kong is told to read it.
fn certificate(merged: &Value) -> Option<Problem> {
    let read = ["KONG_ADMIN_SSL_CERT", "KONG_ADMIN_SSL_CERT_KEY", "KONG_NGINX_ADMIN_SSL_CLIENT_CERTIFICATE"]
        .into_iter()
        .find(|name| value(merged, name).is_some_and(|file| file.starts_with(CERTIFICATE_DIR)))?;
    let named = |item: &Value| item.get("name").and_then(Value::as_str) == Some(CERTIFICATE_VOLUME);
    let mounted = |mount: &Value| mount.get("mountPath").and_then(Value::as_str) == Some(CERTIFICATE_DIR);
    let has = |list: Option<&Value>, good: &dyn Fn(&Value) -> bool| {
        list.and_then(Value::as_array).is_some_and(|items| items.iter().any(good))
    };
    if has(merged.pointer("/spec/volumes"), &named)
        && has(proxy(merged).and_then(|proxy| proxy.get("volumeMounts")), &mounted)
    {
        return None;
    }
    let message = format!(
        "{CERTIFICATE_VOLUME:?} cannot be removed: {read} reads the certificate of the admin API from {CERTIFICATE_DIR}"
    );
    Some(Problem::at(format!("{PATH}.spec.volumes"), message))
}
