//! What the product needs of a pod template to work, whatever a user writes.
//!
//! In: our template and the merged one. Out: every value of the user's that would take away what is needed, with
//! what it is needed for.

use crds::defaults::{ADMIN_PORT, STATUS_PORT};
use crds::names::PROXY_CONTAINER;
use serde_json::{Value, json};

use super::container::{proxy, value, variable};
use super::listen::{self, Listen};
use super::pod::{CERTIFICATE_DIR, CERTIFICATE_VOLUME};
use super::template::PATH;
use crate::invalid::Problem;

/// Everything that is missing.
pub fn missing(ours: &Value, merged: &Value) -> Vec<Problem> {
    if proxy(merged).is_none() {
        let message = format!(
            "no container is named {PROXY_CONTAINER:?}: it is the one that runs Kong, and cannot be removed"
        );
        return vec![Problem::at(format!("{PATH}.spec.containers"), message)];
    }
    let mut problems = metadata(ours, merged);
    problems.extend(database(merged));
    problems.extend(admin(merged));
    problems.extend(status(merged));
    problems.extend(certificate(merged));
    problems
}

/// The labels by which Services and the Deployment find the pods, and our annotations.
fn metadata(ours: &Value, merged: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    for field in ["labels", "annotations"] {
        let of = |template: &Value| {
            let found = template.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
            found.cloned().unwrap_or_default()
        };
        let found = of(merged);
        for (key, value) in of(ours) {
            if found.get(&key) != Some(&value) {
                let message = format!(
                    "must be {value}: the operator finds the pods by it; remove it from podTemplateSpec"
                );
                problems.push(Problem::at(format!("{PATH}.metadata.{field}[{key}]"), message));
            }
        }
    }
    problems
}

/// Kong runs without a database here; its own default would be Postgres.
fn database(merged: &Value) -> Option<Problem> {
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
    Some(Problem::at(path(name), message))
}

/// Kong Ingress Controller configures each pod at its address, on the port of the admin Service, over TLS.
fn admin(merged: &Value) -> Option<Problem> {
    let found = value(merged, "KONG_ADMIN_LISTEN")?;
    let needed = |listen: &Listen| listen.everywhere && listen.tls && listen.port == ADMIN_PORT.number();
    if listen::read(found).iter().any(needed) {
        return None;
    }
    let message = format!(
        "{found:?} does not offer the admin API where Kong Ingress Controller looks for it: add \"0.0.0.0:{ADMIN_PORT} ssl\", or remove the variable"
    );
    Some(Problem::at(path("KONG_ADMIN_LISTEN"), message))
}

/// The probes ask the status listener, unless the user has probes that ask something else.
fn status(merged: &Value) -> Option<Problem> {
    let found = value(merged, "KONG_STATUS_LISTEN")?;
    let asked = |probe: &&str| {
        let port = proxy(merged)?.pointer(&format!("/{probe}/httpGet/port"))?;
        (*port == json!(STATUS_PORT) || *port == json!("metrics")).then_some(())
    };
    let probe = ["readinessProbe", "livenessProbe"].into_iter().find(|probe| asked(probe).is_some())?;
    let needed = |listen: &Listen| listen.everywhere && !listen.tls && listen.port == STATUS_PORT.number();
    if listen::read(found).iter().any(needed) {
        return None;
    }
    let message = format!(
        "{found:?} leaves the {probe} without an answer, which asks port {STATUS_PORT} over plain HTTP: add \"0.0.0.0:{STATUS_PORT}\", remove the variable, or give a {probe} of your own"
    );
    Some(Problem::at(path("KONG_STATUS_LISTEN"), message))
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

fn path(variable: &str) -> String {
    format!("{PATH}.spec.containers[{PROXY_CONTAINER}].env[{variable}]")
}
