//! Gateway API's `Gateway` and `GatewayClass`, where they are ours: warnings only.
//!
//! In: an object of another API, as JSON. Out: what its conditions will say later, now. Never: a problem: Gateway API
//! lets such objects in and tells in their status what is wrong.

use crds::names::GROUP;
use serde_json::Value;

use super::{Judge, Subject};
use crate::verdict::Verdict;
use crate::world::{Found, Named};

/// What listeners may speak.
const PROTOCOLS: [&str; 5] = ["HTTP", "HTTPS", "TCP", "TLS", "UDP"];

/// The verdict on a `Gateway`.
pub fn of_gateway(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    let object = subject.object;
    let class = text(object, "/spec/gatewayClassName").unwrap_or_default();
    if judge.world.gateway_class(class) != Found::Here(judge.controller.to_owned()) {
        return Verdict::default();
    }
    let namespace = text(object, "/metadata/namespace").unwrap_or_default();
    let listeners =
        object.pointer("/spec/listeners").and_then(Value::as_array).into_iter().flatten().enumerate();
    let mut warnings: Vec<String> =
        listeners.flat_map(|(index, listener)| of_listener(index, listener, namespace, judge)).collect();
    if let Some(reference) = object.pointer("/spec/infrastructure/parametersRef") {
        warnings.extend(parameters(reference, "spec.infrastructure.parametersRef", Some(namespace), judge));
    }
    Verdict { problems: Vec::new(), warnings }
}

/// The verdict on a `GatewayClass`.
pub fn of_class(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    if text(subject.object, "/spec/controllerName") != Some(judge.controller) {
        return Verdict::default();
    }
    let Some(reference) = subject.object.pointer("/spec/parametersRef") else { return Verdict::default() };
    let at = "spec.parametersRef";
    let namespace = text(reference, "/namespace");
    let mut warnings: Vec<String> = parameters(reference, at, namespace, judge).into_iter().collect();
    if namespace.is_none() {
        warnings.push(format!("{at}.namespace: is missing; a GatewayConfiguration is in a namespace"));
    }
    Verdict { problems: Vec::new(), warnings }
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

fn of_listener(index: usize, listener: &Value, namespace: &str, judge: &Judge<'_>) -> Vec<String> {
    let at = format!("spec.listeners[{index}]");
    let protocol = text(listener, "/protocol").unwrap_or_default();
    if !PROTOCOLS.contains(&protocol) {
        return vec![format!("{at}.protocol: {protocol:?} is not supported; use {}", PROTOCOLS.join(", "))];
    }
    let mode = text(listener, "/tls/mode").unwrap_or("Terminate");
    let certificates = listener.pointer("/tls/certificateRefs").and_then(Value::as_array);
    let certificates = certificates.map(Vec::as_slice).unwrap_or_default();
    if protocol == "HTTPS" && mode == "Passthrough" {
        return vec![format!("{at}.tls.mode: HTTPS is terminated; use protocol TLS to pass it through")];
    }
    if ["HTTPS", "TLS"].contains(&protocol) && mode == "Terminate" && certificates.is_empty() {
        return vec![format!(
            "{at}.tls.certificateRefs: is missing; without a certificate it will not be programmed"
        )];
    }
    certificates.iter().flat_map(|certificate| certificate_of(certificate, &at, namespace, judge)).collect()
}

fn certificate_of(certificate: &Value, at: &str, own: &str, judge: &Judge<'_>) -> Vec<String> {
    let at = format!("{at}.tls.certificateRefs");
    let kind = text(certificate, "/kind").unwrap_or("Secret");
    if kind != "Secret" {
        return vec![format!("{at}: {kind:?} is not supported; use a Secret")];
    }
    let Some(name) = text(certificate, "/name") else { return Vec::new() };
    let namespace = text(certificate, "/namespace").filter(|other| !other.is_empty()).unwrap_or(own);
    let absent = judge.world.exists(Named::Secret, namespace, name) == Found::Absent;
    let absent = absent.then(|| format!("{at}: the Secret {name:?} does not exist in {namespace:?}"));
    // Grants are not known here: whoever has one is told all the same.
    let foreign = (namespace != own)
        .then(|| format!("{at}: the Secret {name:?} needs a ReferenceGrant in {namespace:?} for {own:?}"));
    absent.into_iter().chain(foreign).collect()
}

/// What a reference to parameters leads to.
fn parameters(reference: &Value, at: &str, namespace: Option<&str>, judge: &Judge<'_>) -> Option<String> {
    let (group, kind) =
        (text(reference, "/group").unwrap_or_default(), text(reference, "/kind").unwrap_or_default());
    if (group, kind) != (GROUP, "GatewayConfiguration") {
        return Some(format!(
            "{at}: {kind:?} of {group:?} is not supported; use GatewayConfiguration of {GROUP:?}"
        ));
    }
    let (name, namespace) = (text(reference, "/name")?, namespace?);
    let absent = judge.world.exists(Named::GatewayConfiguration, namespace, name) == Found::Absent;
    absent.then(|| format!("{at}: the GatewayConfiguration {name:?} does not exist in {namespace:?}"))
}

#[cfg(test)]
mod tests;
