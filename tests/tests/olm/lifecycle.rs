//! What Operator Lifecycle Manager (0.46) does with a bundle, done by hand: it cannot be had as a program here.
//!
//! In: the bundle of `manifests/olm`. Out: account, rights, Service, certificate, Deployment and webhook configurations,
//! named and wired as OLM does. Never: anything that is not said in the bundle.

use std::fs;
use std::time::SystemTime;

use anyhow::{Context, Result};
use certs::{Authority, Request};
use serde_json::{Value, json};
use tests::artifacts::root;

/// Namespace of the operator group.
pub const NAMESPACE: &str = "operators";
/// As `<deployment>-service`.
pub const SERVICE: &str = "silverback-service";
const SECRET: &str = "silverback-service-cert";
/// Where OLM mounts the pair, with the names of the files in each place.
const MOUNTS: [(&str, &str, [&str; 2]); 2] = [
    ("apiservice-cert", "/apiserver.local.config/certificates", ["apiserver.crt", "apiserver.key"]),
    ("webhook-cert", "/tmp/k8s-webhook-server/serving-certs", ["tls.crt", "tls.key"]),
];

/// A bundle that is being installed.
pub struct Bundle {
    version: Value,
}

impl Bundle {
    pub fn read() -> Result<Self> {
        let file = "manifests/olm/bundle/manifests/silverback.clusterserviceversion.yaml";
        let text = fs::read_to_string(root().join(file)).context(file)?;
        Ok(Self { version: serde_saphyr::from_str(&text)? })
    }

    /// The examples that a catalogue shows.
    pub fn examples(&self) -> Result<Vec<Value>> {
        let text = self.version["metadata"]["annotations"]["alm-examples"].as_str().context("no examples")?;
        Ok(serde_json::from_str(text)?)
    }

    /// Everything that OLM makes, with a certificate of a new authority: made again, it is a renewal.
    pub fn objects(&self) -> Result<Vec<Value>> {
        let now = SystemTime::now();
        let authority = Authority::make("olm-selfsigned", now)?;
        let names = ["", ".svc", ".svc.cluster.local"].map(|end| format!("{SERVICE}.{NAMESPACE}{end}"));
        let pair = authority.issue(&Request::server(names), now)?;
        let strategy = &self.version["spec"]["install"]["spec"];
        let metadata = |name: &str| json!({ "name": name, "namespace": NAMESPACE });
        let mut objects = vec![
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("silverback") }),
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata(SECRET), "stringData": {
                "tls.crt": pair.certificate, "tls.key": pair.key, "olmCAKey": authority.certificate(),
            } }),
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata(SERVICE), "spec": {
                "selector": strategy["deployments"][0]["spec"]["selector"]["matchLabels"],
                "ports": [{ "name": "443", "port": 443, "targetPort": "webhooks" }],
            } }),
        ];
        objects.extend(rights("", &strategy["permissions"][0]["rules"]));
        objects.extend(rights("Cluster", &strategy["clusterPermissions"][0]["rules"]));
        objects.push(deployment(&strategy["deployments"][0], authority.certificate()));
        let definitions = self.version["spec"]["webhookdefinitions"].as_array().context("no webhooks")?;
        objects
            .extend(definitions.iter().map(|definition| configuration(definition, authority.certificate())));
        Ok(objects)
    }

    /// Names of the configurations, with their kinds.
    pub fn webhooks(&self) -> impl Iterator<Item = (&str, &str)> {
        let definitions = self.version["spec"]["webhookdefinitions"].as_array().into_iter().flatten();
        definitions.filter_map(|one| Some((one["type"].as_str()?, one["generateName"].as_str()?)))
    }
}

fn rights(prefix: &str, rules: &Value) -> [Value; 2] {
    let name = format!("silverback-v{}", if prefix.is_empty() { "own" } else { "cluster" });
    let group = "rbac.authorization.k8s.io";
    let kind = format!("{prefix}Role");
    let mut metadata = json!({ "name": name });
    if prefix.is_empty() {
        metadata["namespace"] = NAMESPACE.into();
    }
    let subject = json!({ "kind": "ServiceAccount", "name": "silverback", "namespace": NAMESPACE });
    [
        json!({ "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": metadata, "rules": rules }),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": { "apiGroup": group, "kind": kind, "name": name }, "subjects": [subject],
        }),
    ]
}

/// The Deployment with the pair in every container, rolled when the authority is another.
fn deployment(one: &Value, authority: &str) -> Value {
    let mut spec = one["spec"].clone();
    let template = &mut spec["template"];
    // Any text that changes with it does, as OLM's own hash.
    let end: String = authority.chars().rev().filter(char::is_ascii_alphanumeric).take(60).collect();
    template["metadata"]["annotations"]["olmcahash"] = end.into();
    template["metadata"]["annotations"]["olm.targetNamespaces"] = "".into();
    template["spec"]["volumes"] = MOUNTS
        .map(|(name, _, [certificate, key])| {
            let items = json!([{ "key": "tls.crt", "path": certificate }, { "key": "tls.key", "path": key }]);
            json!({ "name": name, "secret": { "secretName": SECRET, "items": items } })
        })
        .to_vec()
        .into();
    for container in template["spec"]["containers"].as_array_mut().into_iter().flatten() {
        container["volumeMounts"] =
            MOUNTS.map(|(name, path, _)| json!({ "name": name, "mountPath": path })).to_vec().into();
    }
    let metadata = json!({ "name": one["name"], "namespace": NAMESPACE, "labels": one["label"] });
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec })
}

/// A configuration for each definition; it asks about all namespaces, as its operator group.
fn configuration(definition: &Value, authority: &str) -> Value {
    use base64::Engine as _;
    let bundle = base64::prelude::BASE64_STANDARD.encode(authority);
    let kind = match definition["type"].as_str() {
        Some("MutatingAdmissionWebhook") => "MutatingWebhookConfiguration",
        _ => "ValidatingWebhookConfiguration",
    };
    let mut webhook = json!({
        "name": definition["generateName"],
        "clientConfig": {
            "caBundle": bundle,
            "service": { "name": SERVICE, "namespace": NAMESPACE, "path": definition["webhookPath"], "port": 443 },
        },
    });
    let same = [
        "rules",
        "failurePolicy",
        "matchPolicy",
        "objectSelector",
        "sideEffects",
        "timeoutSeconds",
        "admissionReviewVersions",
    ];
    for field in same {
        webhook[field] = definition[field].clone();
    }
    if let Some(policy) = definition.get("reinvocationPolicy") {
        webhook["reinvocationPolicy"] = policy.clone();
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": { "name": definition["generateName"] }, "webhooks": [webhook],
    })
}
