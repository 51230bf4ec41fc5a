//! The `ClusterServiceVersion`.
//!
//! In: the Deployment, rights and routes that every other installation has too. Out: one object. Never: a webhook that
//! only the operator's own registration can narrow to what it is for.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crds::access::Scope;
use crds::names::OPERATOR as NAME;
use serde_json::{Value, json};
use webhooks::configuration::Registration;

use super::{describe, examples};
use crate::generate::{access, install, yaml};
use crate::tree;

/// As `icon.mediatype` has it.
pub const ICON_TYPE: &str = "image/svg+xml";
/// The oldest Kubernetes that knows everything that is used: conditions of webhooks (1.30).
const KUBERNETES: &str = "1.30.0";
/// When this version was made; a release changes it.
const CREATED: &str = "2026-11-24T00:00:00Z";
/// Members that a `ServiceVersion`'s webhook has no word for: OLM fills them in, or they cannot be said.
const UNKNOWN: [&str; 4] = ["clientConfig", "namespaceSelector", "matchConditions", "name"];

/// Name of the object.
pub fn name() -> String {
    format!("{NAME}.v{}", env!("CARGO_PKG_VERSION"))
}

/// The picture, as text.
pub fn icon() -> String {
    let path = tree::root().join("docs/images/silverback.svg");
    // A picture that is not there fails the checks of the bundle.
    BASE64_STANDARD.encode(std::fs::read(path).unwrap_or_default())
}

/// The whole object.
///
/// # Errors
/// When an example is not of its type.
pub fn object() -> anyhow::Result<Value> {
    let examples = serde_json::to_string_pretty(&examples::all()?)?;
    let mut annotations = annotations();
    annotations["alm-examples"] = examples.into();
    let mut spec = about();
    spec["customresourcedefinitions"] = json!({ "owned": owned()? });
    spec["install"] = json!({ "strategy": "deployment", "spec": strategy() });
    spec["webhookdefinitions"] = webhooks().into();
    Ok(json!({
        "apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion",
        "metadata": {
            "name": name(), "namespace": "placeholder", "annotations": annotations,
            "labels": {
                "operatorframework.io/arch.amd64": "supported", "operatorframework.io/arch.arm64": "supported",
                "operatorframework.io/os.linux": "supported",
            },
        },
        "spec": spec,
    }))
}

/// What a catalogue repeats of it.
pub fn metadata(version: &Value) -> Value {
    let spec = &version["spec"];
    let mut metadata = json!({
        "annotations": version["metadata"]["annotations"], "labels": version["metadata"]["labels"],
        "apiServiceDefinitions": {}, "crdDescriptions": spec["customresourcedefinitions"],
    });
    let same = [
        "description",
        "displayName",
        "installModes",
        "keywords",
        "links",
        "maintainers",
        "maturity",
        "minKubeVersion",
        "provider",
    ];
    for field in same {
        metadata[field] = spec[field].clone();
    }
    metadata
}

fn annotations() -> Value {
    json!({
        // What is true of it: upgrades of itself and of what it runs, with status. Backups (III) are not there yet.
        "capabilities": "Seamless Upgrades",
        "categories": "Networking,Integration & Delivery",
        "containerImage": install::IMAGE,
        "createdAt": CREATED,
        "description": describe::SHORT,
        "repository": super::REPOSITORY,
        "support": "The maintainers of Silverback",
        "operatorframework.io/suggested-namespace": crds::names::NAMESPACE,
        "features.operators.openshift.io/cnf": "false",
        "features.operators.openshift.io/cni": "false",
        "features.operators.openshift.io/csi": "false",
        "features.operators.openshift.io/disconnected": "true",
        "features.operators.openshift.io/fips-compliant": "false",
        "features.operators.openshift.io/proxy-aware": "false",
        "features.operators.openshift.io/tls-profiles": "false",
        "features.operators.openshift.io/token-auth-aws": "false",
        "features.operators.openshift.io/token-auth-azure": "false",
        "features.operators.openshift.io/token-auth-gcp": "false",
    })
}

fn about() -> Value {
    let modes = ["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"]
        .map(|mode| json!({ "type": mode, "supported": mode == "AllNamespaces" }));
    json!({
        "displayName": "Silverback for Kong Gateway",
        "description": describe::LONG,
        "icon": [{ "base64data": icon(), "mediatype": ICON_TYPE }],
        "version": env!("CARGO_PKG_VERSION"),
        "minKubeVersion": KUBERNETES,
        "maturity": "alpha",
        "keywords": ["kong", "gateway", "gateway-api", "ingress", "canary"],
        "links": [
            { "name": "Source", "url": super::REPOSITORY },
            { "name": "Gateway API", "url": "https://gateway-api.sigs.k8s.io" },
            { "name": "Kong Gateway", "url": "https://github.com/Kong/kong" },
        ],
        "maintainers": [{ "name": "The maintainers of Silverback", "email": super::CONTACT }],
        "provider": { "name": "Silverback" },
        "installModes": modes,
        "relatedImages": [
            { "name": "operator", "image": install::IMAGE },
            { "name": "kong", "image": crds::defaults::IMAGE },
            { "name": "kong-ingress-controller", "image": crds::defaults::CONTROLLER_IMAGE },
        ],
    })
}

fn owned() -> anyhow::Result<Vec<Value>> {
    let mut owned: Vec<Value> = crds::definitions().iter().flat_map(describe::owned).collect();
    for kind in &mut owned {
        *kind = yaml::value(kind)?;
    }
    Ok(owned)
}

/// The operator's own namespace takes roles; everything else is of the cluster, as its install mode.
fn strategy() -> Value {
    let rules = |scopes: &[Scope]| -> Vec<Value> {
        scopes
            .iter()
            .flat_map(|scope| access::rules(*scope).as_array().cloned().unwrap_or_default())
            .collect()
    };
    let account = |rules: Vec<Value>| json!([{ "serviceAccountName": NAME, "rules": rules }]);
    json!({
        "deployments": [{ "name": NAME, "label": install::selected(), "spec": deployment() }],
        "permissions": account(rules(&[Scope::Own])),
        "clusterPermissions": account(rules(&[Scope::Watched, Scope::Cluster])),
    })
}

/// That of `manifests/base`, without the priority class, which is not in the bundle: OLM shares the cluster's.
fn deployment() -> Value {
    let mut spec = install::deployment()["spec"].take();
    if let Some(pod) = spec.pointer_mut("/template/spec").and_then(Value::as_object_mut) {
        pod.remove("priorityClassName");
    }
    spec
}

/// What the operator registers itself elsewhere, in OLM's words.
fn webhooks() -> Vec<Value> {
    let registration = Registration {
        namespace: "",
        service: "",
        watched: &[],
        authorities: None,
        strict: true,
        controller: "",
    };
    let all = [
        ("MutatingAdmissionWebhook", registration.mutating()),
        ("ValidatingAdmissionWebhook", registration.validating()),
    ];
    all.into_iter().flat_map(|(kind, found)| of_kind(kind, &found)).collect()
}

fn of_kind(kind: &str, configuration: &Value) -> Vec<Value> {
    let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    webhooks.filter_map(|webhook| of_olm(kind, webhook)).collect()
}

/// None of a self-test: it needs a selector of namespaces, and proves what OLM sees to.
fn of_olm(kind: &str, webhook: &Value) -> Option<Value> {
    let mut definition = webhook.as_object()?.clone();
    if definition.get("objectSelector") != Some(&json!({})) {
        return None;
    }
    let path = webhook.pointer("/clientConfig/service/path")?.clone();
    definition.retain(|field, _| !UNKNOWN.contains(&field.as_str()));
    definition.insert("type".to_owned(), kind.into());
    definition.insert("generateName".to_owned(), webhook.get("name")?.clone());
    definition.insert("deploymentName".to_owned(), NAME.into());
    definition.insert("containerPort".to_owned(), 443.into());
    definition.insert("targetPort".to_owned(), "webhooks".into());
    definition.insert("webhookPath".to_owned(), path);
    Some(definition.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_but_the_self_test_is_registered() {
        let routes = ::webhooks::routes::ROUTES.len();
        assert_eq!(webhooks().len(), routes - 1);
        for webhook in webhooks() {
            assert!(webhook["webhookPath"].as_str().unwrap().starts_with('/'), "{webhook}");
            assert!(webhook.get("clientConfig").is_none() && webhook.get("matchConditions").is_none());
        }
    }
}
