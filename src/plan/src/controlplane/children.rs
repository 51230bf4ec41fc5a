//! The children of a `ControlPlane` in its own namespace, each as it is wanted, and the metadata of all.

use std::collections::BTreeMap;

use crds::defaults::CONTROLLER_WEBHOOK_PORT;
use crds::k8s::{ByteString, Deployment, Lease, ObjectMeta, OwnerReference, Secret, Service, ServiceAccount};
use crds::names::{self, annotations, labels, values};
use crds::wanted::Wanted;
use serde_json::{Map, Value, json};

use super::{Certificate, Identity};

/// Number of pods where none is given.
const REPLICAS: i32 = 1;

/// Who the pods are.
pub fn account(identity: &Identity<'_>) -> Wanted<ServiceAccount> {
    Wanted::new(names::controller(identity.name), metadata(identity), Map::new())
}

/// The pods. The new one is there before the old one goes: configuration flows on but for the time until it has taken
/// the lease of the old one.
pub fn deployment(identity: &Identity<'_>, template: &Value) -> Wanted<Deployment> {
    let deployment = identity.object.spec.options.deployment.as_ref();
    let spec = json!({
        "replicas": deployment.and_then(|deployment| deployment.replicas).unwrap_or(REPLICAS),
        "selector": { "matchLabels": identity.selector() },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        "template": template,
    });
    Wanted::new(names::controller(identity.name), metadata(identity), fields([("spec", spec)]))
}

/// Which replica leads. It goes with its `ControlPlane` because it is made before Kong Ingress Controller would make it,
/// with an owner reference, which that keeps.
pub fn lease(identity: &Identity<'_>, name: &str) -> Lease {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(identity.namespace.to_owned()),
        owner_references: Some(vec![reference(identity)]),
        ..ObjectMeta::default()
    };
    Lease { metadata, ..Lease::default() }
}

/// Who owns what is no child that the operator looks after.
pub fn reference(identity: &Identity<'_>) -> OwnerReference {
    OwnerReference { block_owner_deletion: None, controller: None, ..identity.owner.clone() }
}

/// A Secret with a certificate.
pub fn certificate(identity: &Identity<'_>, name: &str, certificate: &Certificate) -> Wanted<Secret> {
    let encoded = |pem: &str| json!(ByteString(pem.as_bytes().to_vec()));
    let data = json!({
        "ca.crt": encoded(&certificate.authority),
        "tls.crt": encoded(&certificate.chain),
        "tls.key": encoded(&certificate.key),
    });
    Wanted::new(name, metadata(identity), fields([("data", data), ("type", json!("kubernetes.io/tls"))]))
}

/// The Service of the admission webhook.
pub fn webhook(identity: &Identity<'_>) -> Wanted<Service> {
    let port = json!({
        "name": "webhook",
        "port": 443,
        "protocol": "TCP",
        "targetPort": CONTROLLER_WEBHOOK_PORT,
    });
    let spec = json!({ "ports": [port], "selector": identity.selector(), "type": "ClusterIP" });
    let name = names::controller_webhook(identity.name);
    Wanted::new(name, metadata(identity), fields([("spec", spec)]))
}

/// Metadata of a child in the namespace of its owner.
pub fn metadata(identity: &Identity<'_>) -> Map<String, Value> {
    fields([
        ("labels", json!(identity.selector())),
        ("namespace", json!(identity.namespace)),
        ("ownerReferences", json!([identity.owner])),
    ])
}

/// Metadata of a child that can have no owner reference.
pub fn abroad(identity: &Identity<'_>, namespace: Option<&str>) -> Map<String, Value> {
    let labels = BTreeMap::from([
        (labels::MANAGED_BY, values::CONTROLPLANE.to_owned()),
        (labels::OWNER_NAME, names::label_value(identity.name)),
        (labels::OWNER_NAMESPACE, identity.namespace.to_owned()),
    ]);
    let mut metadata = fields([
        (
            "annotations",
            json!({ annotations::OWNER: identity.owner.uid, annotations::CONTROLPLANE: identity.name }),
        ),
        ("labels", json!(labels)),
    ]);
    if let Some(namespace) = namespace {
        metadata.insert("namespace".into(), json!(namespace));
    }
    metadata
}

/// Fields of an object.
pub fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
