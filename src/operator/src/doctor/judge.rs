//! What follows from what the cluster said.
//!
//! In: objects as JSON. Out: findings, in the order in which one would look for a fault: what is below comes first. Never: a
//! request.

mod chain;

use crds::k8s::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Finding;
use super::look::Found;
use chain::{gateways, waiting};

/// The lease by which one replica leads.
const LEASE: &str = "silverback-leader";
/// The oldest Kubernetes that knows everything that is used: conditions of webhooks.
const OLDEST: u32 = 30;
const INSTALL: &str = "apply manifests/base/install.yaml with `kubectl apply --server-side -f`";

/// Everything that was looked at.
pub fn all(found: &Found, namespace: &str, controller: &str) -> Vec<Finding> {
    let mut findings = vec![version(&found.version)];
    findings.extend(definitions(found));
    findings.extend(operator(found, namespace));
    findings.push(rights(found, namespace));
    findings.push(lease(found, namespace, runtime::clock::now()));
    findings.extend(webhooks(found));
    findings.extend(gateways(found, controller));
    findings
}

fn objects<'a>(found: &'a Found, kind: &str) -> Result<&'a [Value], &'a str> {
    match found.objects.get(kind) {
        Some(Ok(objects)) => Ok(objects),
        Some(Err(error)) => Err(error),
        None => Ok(&[]),
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn version(version: &str) -> Finding {
    let minor = version.trim_start_matches('v').split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    match minor {
        Some(minor) if minor < OLDEST => {
            Finding::wrong("Kubernetes", version, format!("use Kubernetes 1.{OLDEST} or later"))
        }
        Some(_) => Finding::ok("Kubernetes", version),
        None => {
            Finding::unknown("Kubernetes", version, "its version cannot be read; 1.30 or later is wanted")
        }
    }
}

/// Ours have to be as this program knows them; those of Gateway API have to be there for Gateways.
fn definitions(found: &Found) -> Vec<Finding> {
    let there = match objects(found, "CustomResourceDefinition") {
        Ok(there) => there,
        Err(error) => {
            return vec![Finding::unknown("definitions", error, "ask with an account that may list them")];
        }
    };
    let named = |name: &str| there.iter().find(|one| text(one, "/metadata/name") == name);
    let mut findings: Vec<_> = crds::definitions().iter().map(|ours| definition(ours, named)).collect();
    findings.push(match named("gateways.gateway.networking.k8s.io") {
        Some(one) => {
            let version = one.pointer("/metadata/annotations/gateway.networking.k8s.io~1bundle-version");
            let version = version.and_then(Value::as_str).unwrap_or("of an unknown version");
            Finding::ok("Gateway API", version)
        }
        None => Finding::unknown(
            "Gateway API",
            "its definitions are not there: no Gateway can be made",
            "install the standard channel of Gateway API, unless you use DataPlanes only",
        ),
    });
    findings
}

fn definition<'a, T: Serialize + DeserializeOwned>(
    ours: &T,
    named: impl Fn(&str) -> Option<&'a Value>,
) -> Finding {
    let schemas = |of: &T| {
        let of = serde_json::to_value(of).unwrap_or_default();
        let versions = of.pointer("/spec/versions").and_then(Value::as_array).cloned().unwrap_or_default();
        versions.iter().map(|version| version["schema"].clone()).collect::<Vec<_>>()
    };
    let name = serde_json::to_value(ours).unwrap_or_default();
    let name = text(&name, "/metadata/name");
    let subject = format!("definition {name}");
    let Some(there) = named(name) else {
        return Finding::wrong(subject, "is not there", INSTALL);
    };
    // Read as the same type, so that 50 and 50.0 are one.
    let same =
        serde_json::from_value::<T>(there.clone()).is_ok_and(|served| schemas(&served) == schemas(ours));
    if condition(there, "Established").is_none_or(|found| text(found, "/status") != "True") {
        Finding::wrong(subject, "is not served", "see its conditions: `kubectl describe crd`")
    } else if same {
        Finding::ok(subject, "as this version has it")
    } else {
        let message = "is of another version than this program: fields may be dropped without a word";
        Finding::wrong(subject, message, INSTALL)
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|one| one["type"] == kind)
}

/// The Deployment, and what its pods wait for.
fn operator(found: &Found, namespace: &str) -> Vec<Finding> {
    let deployments = match objects(found, "Deployment") {
        Ok(deployments) => deployments,
        Err(error) => {
            return vec![Finding::unknown(
                "operator",
                error,
                "ask with an account that may list Deployments",
            )];
        }
    };
    let of = |one: &&Value| {
        text(one, "/metadata/namespace") == namespace && text(one, "/metadata/name") == crds::names::OPERATOR
    };
    let Some(deployment) = deployments.iter().find(of) else {
        let message = format!("there is no Deployment {} in namespace {namespace}", crds::names::OPERATOR);
        return vec![Finding::unknown(
            "operator",
            message,
            "say where it is with --namespace, or install it",
        )];
    };
    let count = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let (wanted, ready) = (count("/spec/replicas"), count("/status/readyReplicas"));
    let message = format!("{ready} of {wanted} replicas are ready");
    if ready >= wanted && ready > 0 {
        return vec![Finding::ok("operator", message)];
    }
    let labels = [("app.kubernetes.io/name", crds::names::OPERATOR)];
    let why = waiting(found, namespace, &labels).unwrap_or_else(|| "see the log of its pods".to_owned());
    vec![Finding::wrong("operator", message, why)]
}

fn rights(found: &Found, namespace: &str) -> Finding {
    let subject = format!("rights of {namespace}/{}", crds::names::OPERATOR);
    match &found.lacking {
        Ok(lacking) if lacking.is_empty() => {
            Finding::ok(subject, "all that it needs outside watched namespaces")
        }
        Ok(lacking) => {
            let message = format!("it may not {}", lacking.join(", "));
            Finding::wrong(subject, message, "apply manifests/rbac; see docs/install.md")
        }
        Err(error) => Finding::unknown(
            subject,
            error.as_str(),
            "ask with an account that may create SubjectAccessReviews",
        ),
    }
}

fn lease(found: &Found, namespace: &str, now: Timestamp) -> Finding {
    let leases = match objects(found, "Lease") {
        Ok(leases) => leases,
        Err(error) => return Finding::unknown("lease", error, "ask with an account that may list Leases"),
    };
    let remedy = "see the log of the operator's pods; without a holder nothing is changed or repaired";
    let Some(lease) = leases.iter().find(|one| text(one, "/metadata/name") == LEASE) else {
        return Finding::wrong("lease", format!("there is no {LEASE} in namespace {namespace}"), remedy);
    };
    let holder = text(lease, "/spec/holderIdentity");
    let lasts = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64).unwrap_or_default();
    let renewed = text(lease, "/spec/renewTime").parse::<Timestamp>();
    let age = renewed.map_or(i64::MAX, |renewed| now.as_second().saturating_sub(renewed.as_second()));
    if holder.is_empty() {
        Finding::wrong("lease", "nobody holds it", remedy)
    } else if age > lasts {
        Finding::wrong("lease", format!("{holder} has not renewed it for {age} s"), remedy)
    } else {
        Finding::ok("lease", format!("held by {holder}"))
    }
}

/// Whether they are registered, and whether they answer.
fn webhooks(found: &Found) -> Vec<Finding> {
    let mut findings: Vec<_> = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]
        .into_iter()
        .map(|kind| registered(found, kind))
        .collect();
    findings.push(match &found.bad {
        Err(said) if said.contains("imagee") => {
            Finding::ok("webhooks", "a bad DataPlane is refused, in their words")
        }
        Err(said) if said.contains("failed calling webhook") => Finding::wrong(
            "webhooks",
            said.as_str(),
            "see whether the operator's pods are ready and their Service has them",
        ),
        Err(said) => {
            Finding::unknown("webhooks", said.as_str(), "ask with an account that may create DataPlanes")
        }
        Ok(()) => Finding::wrong(
            "webhooks",
            "a bad DataPlane is taken: nobody asks the webhooks, or nobody answers",
            "see the log of the operator's pods for the self-test, and whether it runs with --no-webhooks",
        ),
    });
    findings
}

fn registered(found: &Found, kind: &str) -> Finding {
    let all = match objects(found, kind) {
        Ok(all) => all,
        Err(error) => return Finding::unknown(kind, error, "ask with an account that may list it"),
    };
    let ours = |webhook: &&Value| text(webhook, "/name").contains(crds::names::GROUP);
    let webhooks =
        || all.iter().flat_map(|one| one["webhooks"].as_array().into_iter().flatten()).filter(ours);
    let plain = |webhook: &&Value| !text(webhook, "/name").starts_with("self-test");
    let open = webhooks().filter(plain).filter(|webhook| text(webhook, "/failurePolicy") != "Fail").count();
    let all = webhooks().filter(plain).count();
    let blind = webhooks().filter(|webhook| text(webhook, "/clientConfig/caBundle").is_empty()).count();
    match (all, blind) {
        (0, _) => Finding::wrong(kind, "no webhook of ours is registered", INSTALL),
        (_, 1..) => Finding::wrong(
            kind,
            format!("{blind} webhooks have no authority: the API server believes nobody"),
            "see the log of the operator's pods, or of cert-manager's injector",
        ),
        _ => Finding::ok(
            kind,
            format!("{all} webhooks, of which {open} let requests pass while nobody answers"),
        ),
    }
}

#[cfg(test)]
mod tests;
