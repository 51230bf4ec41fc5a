//! Each chain from `GatewayClass` to pod.
//!
//! In: objects as JSON. Out: a finding for each link, whose remedy is the lowest one that is broken. Never: a request.

use serde_json::Value;

use super::{condition, objects, text};
use crate::doctor::look::Found;
use crate::doctor::{Finding, Verdict};

/// Each chain from class to pod: the lowest link that is broken is the cause.
pub fn gateways(found: &Found, controller: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let classes = objects(found, "GatewayClass").unwrap_or_default();
    let ours: Vec<_> =
        classes.iter().filter(|class| text(class, "/spec/controllerName") == controller).collect();
    for class in &ours {
        findings.push(link("GatewayClass", class, "Accepted", None));
    }
    let named: Vec<_> = ours.iter().map(|class| text(class, "/metadata/name")).collect();
    for gateway in objects(found, "Gateway").unwrap_or_default() {
        if named.contains(&text(gateway, "/spec/gatewayClassName")) {
            findings.push(link("Gateway", gateway, "Programmed", below(found, gateway)));
        }
    }
    for kind in ["DataPlane", "ControlPlane"] {
        for object in objects(found, kind).unwrap_or_default() {
            findings.push(link(kind, object, "Ready", pods_of(found, kind, object)));
        }
    }
    if let Err(error) = objects(found, "DataPlane") {
        findings.push(Finding::unknown("DataPlanes", error, "ask with an account that may list them"));
    }
    findings
}

/// What keeps a Gateway back: what is made for it has its name.
fn below(found: &Found, gateway: &Value) -> Option<String> {
    let same = |kind: &str| {
        let place = |one: &&Value| {
            ["/metadata/namespace", "/metadata/name"].iter().all(|at| text(one, at) == text(gateway, at))
        };
        objects(found, kind).ok()?.iter().find(place)
    };
    ["DataPlane", "ControlPlane"].into_iter().find_map(|kind| {
        let Some(made) = same(kind) else { return Some(format!("there is no {kind} for it yet")) };
        let finding = link(kind, made, "Ready", pods_of(found, kind, made));
        let remedy = finding.remedy.as_deref().unwrap_or_default();
        (finding.verdict == Verdict::Wrong)
            .then(|| format!("{}: {}; {remedy}", finding.subject, finding.message))
    })
}

fn pods_of(found: &Found, kind: &str, object: &Value) -> Option<String> {
    use crds::names::{label_value, labels, values};
    let value = if kind == "DataPlane" { values::DATAPLANE } else { values::CONTROLPLANE };
    let name = label_value(text(object, "/metadata/name"));
    waiting(
        found,
        text(object, "/metadata/namespace"),
        &[(labels::APP, name.as_ref()), (labels::MANAGED_BY, value)],
    )
}

/// One object by its condition; `cause` is what is known of the links below it.
fn link(kind: &str, object: &Value, wanted: &str, cause: Option<String>) -> Finding {
    let subject = subject(kind, object);
    let Some(found) = condition(object, wanted) else {
        let message = format!("has no condition {wanted}: nobody has looked at it");
        return Finding::wrong(subject, message, "see the operator and its lease above");
    };
    let generation = object.pointer("/metadata/generation");
    let current = found.get("observedGeneration").is_none_or(|seen| Some(seen) == generation);
    let said = format!(
        "{wanted} is {}, {}: {}",
        text(found, "/status"),
        text(found, "/reason"),
        text(found, "/message")
    );
    match text(found, "/status") {
        "True" if current => Finding::ok(subject, format!("{wanted} is True")),
        "True" => {
            Finding::unknown(subject, format!("{wanted} is True of an earlier generation"), "look again")
        }
        _ => {
            Finding::wrong(subject, said, cause.unwrap_or_else(|| "the condition says what to do".to_owned()))
        }
    }
}

/// `Kind namespace/name`.
fn subject(kind: &str, object: &Value) -> String {
    match (text(object, "/metadata/namespace"), text(object, "/metadata/name")) {
        ("", name) => format!("{kind} {name}"),
        (namespace, name) => format!("{kind} {namespace}/{name}"),
    }
}

/// Why the first pod with these labels that is not ready is not.
pub fn waiting(found: &Found, namespace: &str, labels: &[(&str, &str)]) -> Option<String> {
    let pods = objects(found, "Pod").ok()?;
    let of = |pod: &&Value| {
        let all = pod.pointer("/metadata/labels");
        let has = |(key, value): &(&str, &str)| {
            all.and_then(|all| all.get(*key)).is_some_and(|found| found == value)
        };
        text(pod, "/metadata/namespace") == namespace && labels.iter().all(has)
    };
    pods.iter().filter(of).find_map(not_ready)
}

fn not_ready(pod: &Value) -> Option<String> {
    let name = text(pod, "/metadata/name");
    let ready = condition(pod, "Ready").is_some_and(|found| text(found, "/status") == "True");
    if ready {
        return None;
    }
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let waits = statuses.into_iter().flatten().find_map(|status| {
        let state = status.pointer("/state/waiting")?;
        Some(format!("container {}: {} {}", status["name"], text(state, "/reason"), text(state, "/message")))
    });
    let unscheduled = condition(pod, "PodScheduled").filter(|found| text(found, "/status") == "False");
    let placed = unscheduled.map(|found| format!("is not placed: {}", text(found, "/message")));
    let why = waits.or(placed).unwrap_or_else(|| "is not ready yet; see its events and log".to_owned());
    Some(format!("pod {name}: {}", why.trim_end()))
}
