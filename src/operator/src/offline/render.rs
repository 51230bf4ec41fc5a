//! `silverback render`: the objects that the operator would make.
//!
//! In: manifests. Out: for each `DataPlane` its children in the order in which they are applied, as YAML. What only a
//! cluster knows stands in angle brackets. Never: an object for a kind of which this version makes nothing; that is said
//! instead.

use crds::DataPlane;
use crds::k8s::{ByteString, Service};
use crds::names::managers;
use crds::wanted::Wanted;
use plan::Invalid;
use plan::dataplane::{Certificate, Clients, Families, Network, Settings, Workload};
use serde_json::{Value, json};
use webhooks::Kind;

use super::manifest::Manifest;
use super::{UID, stored};

/// What stands for the uid of the owner.
const OWNER: &str = "<uid of the DataPlane>";
/// What stands for the hash of the certificate.
const HASH: &str = "<hash of the certificate>";
/// What is said where only `generateName` is given.
const UNNAMED: &str =
    "# Only the cluster knows its name: xxxxx stands for what is appended to generateName.\n";
/// What stands for the certificate, its key and its authority; each in base64 where they are.
const MADE: [&str; 5] = [
    "<certificate of the admin API, issued in the cluster>",
    "<private key of the admin API, made in the cluster>",
    "<authority of the operator>",
    "<authority of the clients of the admin API, made in the cluster>",
    "<private key of the authority of the clients, made in the cluster>",
];

/// The children of a `DataPlane`, as YAML.
///
/// # Errors
/// What cannot be provisioned.
pub fn dataplane(settings: &Settings, object: &DataPlane) -> Result<Vec<Value>, Invalid> {
    let certificate = placeholder();
    let valid = plan::dataplane::valid(settings, object)?;
    let network = valid.network(&certificate);
    let services = [&network.admin, &network.ingress].map(typed);
    let workload = valid.workload(&certificate, Families::of(&services));
    Ok(bodies(&network, &workload).into_iter().map(|(_, body)| marked(body, &certificate)).collect())
}

/// A certificate that nobody issued.
pub fn placeholder() -> Certificate {
    let [chain, key, authority, certificate, own_key] = MADE.map(str::to_owned);
    let clients = Clients { trusted: certificate.clone(), certificate, key: own_key };
    Certificate { chain, key, authority, clients }
}

/// The Service as it is wanted, in its type.
fn typed(service: &Wanted<Service>) -> Service {
    serde_json::from_value(service.body().clone()).unwrap_or_default()
}

/// All children with their field managers, in the order in which they are applied.
fn bodies(network: &Network, workload: &Workload) -> Vec<(&'static str, Value)> {
    let Network { certificate, clients, admin, ingress, disruption_budget } = network;
    let Workload { deployment, autoscaler, .. } = workload;
    let mut bodies = vec![
        (managers::CERTIFICATES, clients.body().clone()),
        (managers::CERTIFICATES, certificate.body().clone()),
        (managers::DATAPLANE, admin.body().clone()),
        (managers::DATAPLANE, ingress.body().clone()),
    ];
    bodies.extend(disruption_budget.iter().map(|budget| (managers::DATAPLANE, budget.body().clone())));
    bodies.push((managers::DATAPLANE, deployment.body().clone()));
    bodies.extend(autoscaler.iter().map(|autoscaler| (managers::DATAPLANE, autoscaler.body().clone())));
    bodies
}

/// Puts the marks where placeholders are.
fn marked(mut body: Value, certificate: &Certificate) -> Value {
    let encoded = MADE.map(|made| (json!(ByteString(made.as_bytes().to_vec())), made));
    let hash = certificate.digest();
    let known = |text: &str| {
        let made = encoded.iter().find(|(encoded, _)| encoded == text).map(|(_, made)| *made);
        let hashed = (text == hash).then_some(HASH);
        made.or(hashed).or((text == UID).then_some(OWNER))
    };
    replace(&mut body, &known);
    body
}

fn replace(value: &mut Value, known: &impl Fn(&str) -> Option<&'static str>) {
    match value {
        Value::String(text) => {
            if let Some(mark) = known(text) {
                mark.clone_into(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, known)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, known)),
        _ => {}
    }
}

/// One object after the other, under comments that say what they belong to.
///
/// # Errors
/// When something cannot be written as YAML.
pub fn documents(manifest: &Manifest, objects: &[Value]) -> Result<String, serde_saphyr::ser::Error> {
    let title = title(manifest);
    let named = !manifest.text("/metadata/name").is_empty();
    let note = if named { "" } else { UNNAMED };
    let texts = objects.iter().map(|object| {
        let text = stored::document(object)?;
        Ok(format!("---\n# {title}\n{note}{text}"))
    });
    texts.collect()
}

/// As in `DataPlane team/edge (edge.yaml:3)`.
pub fn title(manifest: &Manifest) -> String {
    let Manifest { file, kind, .. } = manifest;
    let namespace = manifest.text("/metadata/namespace");
    let gap = if namespace.is_empty() { "" } else { "/" };
    format!("{} {namespace}{gap}{} ({file}:{})", kind.name(), manifest.name(), manifest.at().line)
}

/// Why there are no objects of a kind; nothing where there are.
pub fn nothing(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::DataPlane => None,
        Kind::ControlPlane => Some("this version of the operator makes no objects for a ControlPlane yet"),
        Kind::GatewayConfiguration => Some("no objects by itself: it says how those of a Gateway are made"),
        Kind::WatchNamespaceGrant => Some("no objects: it is a permission"),
        Kind::Gateway | Kind::GatewayClass => {
            Some("this version of the operator makes no objects for Gateway API's kinds yet")
        }
    }
}
