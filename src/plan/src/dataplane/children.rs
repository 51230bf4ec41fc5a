//! The children of a `DataPlane`, each as it is wanted.

use std::collections::BTreeMap;

use crds::dataplane::{ExternalTrafficPolicy, ServiceType};
use crds::defaults;
use crds::k8s::{ByteString, Deployment, HorizontalPodAutoscaler, PodDisruptionBudget, Secret, Service};
use crds::names::{self, annotations, labels, values};
use crds::wanted::Wanted;
use serde_json::{Map, Value, json};

use super::ports::{self, Mapped};
use super::{Certificate, Clients, Identity};

/// Longest template of a user's that is noted, in bytes; all annotations of an object may have 256 KiB together.
const LONGEST_TEMPLATE: usize = 128 * 1024;

/// The Deployment of a track.
pub fn deployment(identity: &Identity<'_>, template: &Value) -> Wanted<Deployment> {
    let mut spec = json!({
        "selector": { "matchLabels": identity.selector() },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        "template": template,
    });
    // Without a number of ours the field belongs to an autoscaler, or to Kubernetes' default of one.
    let asked = identity.spec.deployment.as_ref().and_then(|deployment| deployment.replicas);
    let replicas = identity.placing.replicas.or(asked);
    let mut notes = revision(identity);
    if let (Some(replicas), Some(spec)) = (replicas, spec.as_object_mut()) {
        spec.insert("replicas".into(), json!(replicas));
        notes.insert(annotations::REPLICAS.to_owned(), replicas.to_string());
    }
    if identity.configured {
        notes.insert(annotations::CONFIGURED.to_owned(), values::CONTROLPLANE.to_owned());
    }
    let track = identity.placing.track.as_str();
    let state = if identity.placing.is_primary { values::LIVE } else { values::PREVIEW };
    let extra = [(labels::DEPLOYMENT_STATE, state), (labels::TRACK, track)];
    let metadata = metadata(identity, &extra, &notes);
    Wanted::new(names::deployment(identity.name, track), metadata, fields([("spec", spec)]))
}

/// What a rollout has to know of a Deployment later: which of the user's templates it was made from, and that template. One that
/// is too long to be noted is only told from others, and a change of it is rolled out in place.
fn revision(identity: &Identity<'_>) -> BTreeMap<String, String> {
    let revision = crate::attempt::revision(identity.written);
    let mut notes = BTreeMap::from([(annotations::REVISION.to_owned(), revision)]);
    let template = identity.written.map(|written| written.as_value().to_string());
    if let Some(template) = template.filter(|text| text.len() <= LONGEST_TEMPLATE) {
        notes.insert(annotations::POD_TEMPLATE.to_owned(), template);
    }
    notes
}

/// The Service that takes the traffic.
pub fn ingress(identity: &Identity<'_>, ports: &[Mapped]) -> Wanted<Service> {
    let ingress = identity.ingress();
    let mut spec = json!({
        "ports": ports::service_ports(ports),
        "selector": identity.service_selector(identity.placing.ingress.as_ref()),
        "type": ingress.type_.map(ServiceType::as_str),
    });
    if let Some(spec) = spec.as_object_mut() {
        let policy = ingress.external_traffic_policy.map(ExternalTrafficPolicy::as_str);
        let asked = [
            ("externalTrafficPolicy", json!(policy)),
            ("ipFamilies", json!(ingress.ip_families)),
            ("ipFamilyPolicy", json!(ingress.ip_family_policy)),
        ];
        spec.extend(given(asked));
    }
    let own = [(labels::SERVICE_TYPE, values::INGRESS), (labels::SERVICE_STATE, values::LIVE)];
    let theirs = ingress.labels.iter().flatten().filter(|(key, _)| !is_own(key));
    let extra: Vec<_> = theirs.map(|(key, value)| (key.as_str(), value.as_str())).chain(own).collect();
    let metadata = metadata(identity, &extra, &ingress.annotations.clone().unwrap_or_default());
    Wanted::new(identity.ingress_name(), metadata, fields([("spec", spec)]))
}

/// The Service of a canary alone, inside the cluster.
pub fn preview(identity: &Identity<'_>, ports: &[Mapped], track: &str) -> Wanted<Service> {
    let mut ports = ports::service_ports(ports);
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
    let spec = json!({
        "ports": ports,
        "selector": super::selector(identity.name, track),
        "type": ServiceType::ClusterIp.as_str(),
    });
    let extra = [(labels::SERVICE_TYPE, values::INGRESS), (labels::SERVICE_STATE, values::PREVIEW)];
    let metadata = metadata(identity, &extra, &BTreeMap::new());
    Wanted::new(names::preview_service(identity.name), metadata, fields([("spec", spec)]))
}

/// Whether a label tells whose a child is.
fn is_own(key: &str) -> bool {
    key == labels::APP || key.split_once('/').is_some_and(|(prefix, _)| prefix == names::GROUP)
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
        "selector": identity.service_selector(identity.placing.admin.as_ref()),
        "type": "ClusterIP",
    });
    let extra = [(labels::SERVICE_TYPE, values::ADMIN), (labels::SERVICE_STATE, values::LIVE)];
    let metadata = metadata(identity, &extra, &BTreeMap::new());
    Wanted::new(names::admin_service(identity.name), metadata, fields([("spec", spec)]))
}

/// The autoscaler of the track that serves, where one is asked for. It scales the Deployment: the resource's
/// own number of replicas stays the user's.
pub fn autoscaler(identity: &Identity<'_>) -> Option<Wanted<HorizontalPodAutoscaler>> {
    let scaling = identity.horizontal()?;
    let mut spec = json!({
        "maxReplicas": scaling.max_replicas,
        "scaleTargetRef": {
            "apiVersion": crds::k8s::api_version::<Deployment>(),
            "kind": crds::k8s::kind::<Deployment>(),
            "name": names::deployment(identity.name, &identity.placing.track),
        },
    });
    let mut behavior = json!(scaling.behavior);
    if !identity.placing.shrinks {
        // All traffic may come back to stable at once: until a rollout is over nobody takes pods away.
        forbid_scale_down(&mut behavior);
    }
    if let Some(spec) = spec.as_object_mut() {
        let optional = [
            ("minReplicas", json!(scaling.min_replicas)),
            ("metrics", json!(scaling.metrics)),
            ("behavior", behavior),
        ];
        spec.extend(given(optional));
    }
    let metadata = metadata(identity, &[(labels::TRACK, &identity.placing.track)], &BTreeMap::new());
    Some(Wanted::new(names::autoscaler(identity.name), metadata, fields([("spec", spec)])))
}

fn forbid_scale_down(behavior: &mut Value) {
    if !behavior.is_object() {
        *behavior = json!({});
    }
    if let Some(behavior) = behavior.as_object_mut() {
        let down = behavior.entry("scaleDown").or_insert(Value::Null);
        if !down.is_object() {
            *down = json!({});
        }
        if let Some(down) = down.as_object_mut() {
            down.insert("selectPolicy".into(), json!("Disabled"));
        }
    }
}

/// The budget of disruptions, where one is asked for. It counts the pods of the track that serves: a canary that crashes keeps
/// no node from being drained, and pods that drain are not missed.
pub fn disruption_budget(identity: &Identity<'_>) -> Option<Wanted<PodDisruptionBudget>> {
    let resources = identity.spec.resources.as_ref()?;
    let mut spec = json!(resources.pod_disruption_budget.as_ref()?.spec);
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("selector".into(), json!({ "matchLabels": identity.selector() }));
    }
    let metadata = metadata(identity, &[], &BTreeMap::new());
    Some(Wanted::new(names::disruption_budget(identity.name), metadata, fields([("spec", spec)])))
}

/// The Secret with the certificate of the admin API.
pub fn certificate(identity: &Identity<'_>, certificate: &Certificate) -> Wanted<Secret> {
    let encoded = |pem: &str| json!(ByteString(pem.as_bytes().to_vec()));
    let data = json!({
        "ca.crt": encoded(&certificate.authority),
        "client-ca.crt": encoded(&certificate.clients.trusted),
        "tls.crt": encoded(&certificate.chain),
        "tls.key": encoded(&certificate.key),
    });
    let service = names::label_value(&names::admin_service(identity.name));
    let metadata = metadata(identity, &[(labels::SERVICE_SECRET, &service)], &BTreeMap::new());
    let name = names::admin_certificate(identity.name);
    Wanted::new(name, metadata, fields([("data", data), ("type", json!("kubernetes.io/tls"))]))
}

/// The Secret with the authority whose clients are let in. Its key stays out of the pods.
pub fn clients(identity: &Identity<'_>, clients: &Clients) -> Wanted<Secret> {
    let encoded = |pem: &str| json!(ByteString(pem.as_bytes().to_vec()));
    let data = json!({
        "ca.crt": encoded(&clients.trusted),
        "tls.crt": encoded(&clients.certificate),
        "tls.key": encoded(&clients.key),
    });
    let metadata = metadata(identity, &[], &BTreeMap::new());
    let name = names::client_authority(identity.name);
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

/// The fields that have a value.
fn given<const N: usize>(fields: [(&str, Value); N]) -> impl Iterator<Item = (String, Value)> {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name.to_owned(), value))
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
