//! The objects that serve a Gateway.
//!
//! In: an accepted Gateway, its configuration, its listeners. Out: a `DataPlane` and a `ControlPlane` of its own name, and a
//! `NetworkPolicy` that leaves the admin API to that control plane alone. Labels and annotations of
//! `spec.infrastructure` go onto all of them, and onto the pods and the Service.

use std::collections::{BTreeMap, BTreeSet};

use crds::controlplane::ControlPlaneOptions;
use crds::dataplane::IngressPort;
use crds::defaults::ADMIN_PORT;
use crds::gatewayconfiguration::{DataPlaneOptions, GatewayService};
use crds::k8s::{NetworkPolicy, OwnerReference};
use crds::names::{self, GROUP, labels, values};
use crds::wanted::Wanted;
use crds::{ControlPlane, DataPlane, PodTemplatePatch};
use gateway_api::gateways::Gateway;
use serde_json::{Map, Value, json};

use super::listeners::Slot;
use super::{Judged, parameters, ports};
use crate::controlplane::FINALIZER;

/// The objects, in the order in which they are applied.
#[derive(Debug, Clone)]
pub struct Children {
    /// Who may reach the pods.
    pub policy: Wanted<NetworkPolicy>,
    /// Kong.
    pub dataplane: Wanted<DataPlane>,
    /// Kong Ingress Controller.
    pub controlplane: Wanted<ControlPlane>,
}

/// What is put on everything.
struct Marks {
    name: String,
    metadata: Map<String, Value>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// The children; none where the Gateway cannot be served at all.
pub fn of(judged: &Judged<'_>) -> Option<Children> {
    if !judged.verdict.holds() {
        return None;
    }
    let marks = marks(judged.gateway)?;
    let data = judged.configuration.data_plane_options.clone().unwrap_or_default();
    let control = judged.configuration.control_plane_options.clone().unwrap_or_default();
    let options = judged.configuration.listeners_options.as_deref().unwrap_or_default();
    let ports = ports::of(&judged.entries(), options, &beside(&data));
    Some(Children {
        policy: policy(&marks),
        dataplane: dataplane(&marks, data, &ports),
        controlplane: controlplane(&marks, control),
    })
}

fn marks(gateway: &Gateway) -> Option<Marks> {
    let metadata = &gateway.metadata;
    let name = metadata.name.clone()?;
    let owner = OwnerReference {
        api_version: crds::k8s::api_version::<Gateway>(),
        block_owner_deletion: Some(true),
        controller: Some(true),
        kind: crds::k8s::kind::<Gateway>(),
        name: name.clone(),
        uid: metadata.uid.clone()?,
    };
    let infrastructure = gateway.spec.infrastructure.clone().unwrap_or_default();
    let mut labels = foreign(infrastructure.labels);
    labels.insert(labels::GATEWAY_NAME.to_owned(), names::label_value(&name));
    let annotations = foreign(infrastructure.annotations);
    let mut all = labels.clone();
    all.insert(labels::MANAGED_BY.to_owned(), values::GATEWAY.to_owned());
    let mut marked = Map::from_iter([
        ("labels".to_owned(), json!(all)),
        ("namespace".to_owned(), json!(metadata.namespace)),
        ("ownerReferences".to_owned(), json!([owner])),
    ]);
    if !annotations.is_empty() {
        marked.insert("annotations".to_owned(), json!(annotations));
    }
    Some(Marks { name, metadata: marked, labels, annotations })
}

/// What selects pods, and what steers this operator, is not for infrastructure to say.
fn foreign(all: Option<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let mut all = all.unwrap_or_default();
    all.retain(|key, _| key != labels::APP && key.split_once('/').is_none_or(|(prefix, _)| prefix != GROUP));
    all
}

/// Ports that containers besides Kong's say they listen on.
fn beside(options: &DataPlaneOptions) -> BTreeSet<Slot> {
    let template = options.deployment.as_ref().and_then(|deployment| deployment.pod_template_spec.as_ref());
    let containers =
        template.and_then(|template| template.as_value().get("spec")?.get("containers")?.as_array());
    let others = containers
        .into_iter()
        .flatten()
        .filter(|container| container.get("name").and_then(Value::as_str) != Some(names::PROXY_CONTAINER));
    let ports = others.filter_map(|container| container.get("ports")?.as_array()).flatten();
    let slot = |port: &Value| {
        let number = u16::try_from(port.get("containerPort")?.as_u64()?).ok()?;
        Some((number, port.get("protocol").and_then(Value::as_str) == Some("UDP")))
    };
    ports.filter_map(slot).collect()
}

fn dataplane(marks: &Marks, options: DataPlaneOptions, ports: &[IngressPort]) -> Wanted<DataPlane> {
    let mut deployment = options.deployment.unwrap_or_default();
    deployment.pod_template_spec = Some(marked(deployment.pod_template_spec.as_ref(), marks));
    let services = options.network.and_then(|network| network.services);
    let service = services.and_then(|services| services.ingress).unwrap_or_default();
    let mut spec = Map::from_iter([
        ("deployment".to_owned(), json!(deployment)),
        ("network".to_owned(), json!({ "services": { "ingress": ingress(service, ports, marks) } })),
    ]);
    spec.extend(options.resources.map(|resources| ("resources".to_owned(), json!(resources))));
    wanted(marks, &marks.name, Value::Object(spec))
}

fn ingress(service: GatewayService, ports: &[IngressPort], marks: &Marks) -> Value {
    let mut annotations = marks.annotations.clone();
    annotations.extend(service.annotations.clone().unwrap_or_default());
    let mut spelt = json!(GatewayService { annotations: None, ..service });
    if let Some(fields) = spelt.as_object_mut() {
        fields.insert("labels".to_owned(), json!(marks.labels));
        fields.insert("ports".to_owned(), json!(ports));
        if !annotations.is_empty() {
            fields.insert("annotations".to_owned(), json!(annotations));
        }
    }
    spelt
}

fn controlplane(marks: &Marks, options: ControlPlaneOptions) -> Wanted<ControlPlane> {
    let mut options = options;
    let mut deployment = options.deployment.take().unwrap_or_default();
    deployment.pod_template_spec = Some(marked(deployment.pod_template_spec.as_ref(), marks));
    options.deployment = Some(deployment);
    let mut spec = json!(options);
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("dataplane".to_owned(), json!(marks.name));
    }
    // It is made with what keeps it, which would otherwise be a write of its own.
    let mut metadata = marks.metadata.clone();
    metadata.insert("finalizers".to_owned(), json!([FINALIZER]));
    Wanted::new(&marks.name, metadata, Map::from_iter([("spec".to_owned(), spec)]))
}

/// The pods' template with the marks, which give way to what a user wrote there.
fn marked(template: Option<&PodTemplatePatch>, marks: &Marks) -> PodTemplatePatch {
    let mut metadata = Map::from_iter([("labels".to_owned(), json!(marks.labels))]);
    if !marks.annotations.is_empty() {
        metadata.insert("annotations".to_owned(), json!(marks.annotations));
    }
    let ours = json!({ "metadata": metadata });
    let theirs = template.map_or_else(|| json!({}), PodTemplatePatch::to_value);
    let both = parameters::composed("podTemplateSpec", ours, theirs);
    PodTemplatePatch::from(both.as_object().cloned().unwrap_or_default())
}

/// Everybody reaches every port of the pods but the admin API's, which the control plane alone reaches. No port is named:
/// a listener that comes or goes leaves the policy as it is.
fn policy(marks: &Marks) -> Wanted<NetworkPolicy> {
    let admin = ADMIN_PORT.number();
    let range =
        |protocol: &str, from: u16, to: u16| json!({ "protocol": protocol, "port": from, "endPort": to });
    let everybody = json!({ "ports": [
        range("TCP", 1, admin - 1),
        range("TCP", admin + 1, u16::MAX),
        range("UDP", 1, u16::MAX),
        range("SCTP", 1, u16::MAX),
    ] });
    let own = |kind: &str| json!({ "matchLabels": { labels::APP: names::label_value(&marks.name), labels::MANAGED_BY: kind } });
    // The operator tries stable's configuration on a canary; it has no place of its own in every cluster, but always this label.
    let operator = json!({
        "namespaceSelector": {},
        "podSelector": { "matchLabels": { labels::NAME: names::OPERATOR } },
    });
    let controller = json!({
        "from": [{ "podSelector": own(values::CONTROLPLANE) }, operator],
        "ports": [{ "protocol": "TCP", "port": admin }],
    });
    let spec = json!({
        "ingress": [everybody, controller],
        "podSelector": own(values::DATAPLANE),
        "policyTypes": ["Ingress"],
    });
    wanted(marks, &names::network_policy(&marks.name), spec)
}

fn wanted<K: kube::Resource<DynamicType = ()>>(marks: &Marks, name: &str, spec: Value) -> Wanted<K> {
    Wanted::new(name, marks.metadata.clone(), Map::from_iter([("spec".to_owned(), spec)]))
}
