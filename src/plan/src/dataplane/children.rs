//! The children of a `DataPlane`, each as it is wanted.

use std::collections::BTreeMap;

use crds::dataplane::ServiceType;
use crds::defaults;
use crds::k8s::{ByteString, Deployment, Secret, Service};
use crds::names::{self, labels, values};
use crds::wanted::Wanted;
use serde_json::{Map, Value, json};

use super::ports::{self, Mapped};
use super::{Certificate, Identity};

/// The Deployment of the track that serves.
pub fn deployment(identity: &Identity<'_>, template: &Value) -> Wanted<Deployment> {
    let mut spec = json!({
        "selector": { "matchLabels": identity.selector() },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        "template": template,
    });
    // Without a number of ours the field belongs to an autoscaler, or to Kubernetes' default of one.
    let replicas = identity.spec.deployment.as_ref().and_then(|deployment| deployment.replicas);
    if let (Some(replicas), Some(spec)) = (replicas, spec.as_object_mut()) {
        spec.insert("replicas".into(), json!(replicas));
    }
    let extra = [(labels::DEPLOYMENT_STATE, values::LIVE), (labels::TRACK, identity.track)];
    let metadata = metadata(identity, &extra, &BTreeMap::new());
    Wanted::new(names::deployment(identity.name, identity.track), metadata, fields([("spec", spec)]))
}

/// The Service that takes the traffic.
pub fn ingress(identity: &Identity<'_>, ports: &[Mapped]) -> Wanted<Service> {
    let ingress = identity.ingress();
    let mut spec = json!({
        "ports": ports::service_ports(ports),
        "selector": identity.selector(),
        "type": ingress.type_.map(ServiceType::as_str),
    });
    if let (Some(policy), Some(spec)) = (ingress.external_traffic_policy, spec.as_object_mut()) {
        spec.insert("externalTrafficPolicy".into(), json!(policy.as_str()));
    }
    let extra = [(labels::SERVICE_TYPE, values::INGRESS), (labels::SERVICE_STATE, values::LIVE)];
    let metadata = metadata(identity, &extra, &ingress.annotations.clone().unwrap_or_default());
    Wanted::new(identity.ingress_name(), metadata, fields([("spec", spec)]))
}

/// The headless Service by whose endpoints a control plane finds the admin APIs; also those of pods that
/// are not ready, because a pod becomes ready by being configured.
pub fn admin(identity: &Identity<'_>) -> Wanted<Service> {
    let port = json!({
        "name": names::ADMIN_PORT,
        "port": defaults::ADMIN_PORT,
        "targetPort": defaults::ADMIN_PORT,
        "protocol": "TCP",
    });
    let spec = json!({
        "clusterIP": "None",
        "ports": [port],
        "publishNotReadyAddresses": true,
        "selector": identity.selector(),
        "type": "ClusterIP",
    });
    let extra = [(labels::SERVICE_TYPE, values::ADMIN), (labels::SERVICE_STATE, values::LIVE)];
    let metadata = metadata(identity, &extra, &BTreeMap::new());
    Wanted::new(names::admin_service(identity.name), metadata, fields([("spec", spec)]))
}

/// The Secret with the certificate of the admin API.
pub fn certificate(identity: &Identity<'_>, certificate: &Certificate) -> Wanted<Secret> {
    let encoded = |pem: &str| json!(ByteString(pem.as_bytes().to_vec()));
    let data = json!({
        "ca.crt": encoded(&certificate.authority),
        "tls.crt": encoded(&certificate.chain),
        "tls.key": encoded(&certificate.key),
    });
    let service = names::label_value(&names::admin_service(identity.name));
    let metadata = metadata(identity, &[(labels::SERVICE_SECRET, &service)], &BTreeMap::new());
    let name = names::admin_certificate(identity.name);
    Wanted::new(name, metadata, fields([("data", data), ("type", json!("kubernetes.io/tls"))]))
}

fn metadata(
    identity: &Identity<'_>,
    extra: &[(&str, &str)],
    annotations: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let mut labels = BTreeMap::from([
        (labels::APP.to_owned(), names::label_value(identity.name)),
        (labels::MANAGED_BY.to_owned(), values::DATAPLANE.to_owned()),
    ]);
    labels.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let mut metadata = fields([
        ("labels", json!(labels)),
        ("namespace", json!(identity.namespace)),
        ("ownerReferences", json!([identity.owner])),
    ]);
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), json!(annotations));
    }
    metadata
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
