//! The environment of Kong Ingress Controller.
//!
//! In: whose it is, its `DataPlane`, what it may watch, its version. Out: our variables, sorted by name. A user's variable
//! of the same name takes the place of ours when the templates are merged. Never an argument: of a flag that it does not
//! know Kong Ingress Controller ends, while a variable that it does not know is nothing to it.

use crds::names;
use crds::{ControlPlane, DataPlane};
use serde_json::{Value, json};

use super::beside;
use super::namespaces::Watched;
use super::pod::{CERTIFICATE_DIR, Facts};
use super::switches;

/// Group and kind of what a class of Gateway API has a controller for.
const GATEWAY: (&str, &str) = ("gateway.networking.k8s.io/", "Gateway");

/// The variables, sorted by name so that the pod template does not change by itself.
pub fn variables(facts: &Facts<'_>) -> Vec<Value> {
    let mut all: Vec<(String, String)> = fixed();
    let mut set = |name: &str, value: String| all.push((format!("CONTROLLER_{name}"), value));
    let (own, options) = (facts.identity, &facts.identity.object.spec.options);
    // An empty word would be no name to it.
    let given = |field: &Option<String>| field.clone().filter(|word| !word.is_empty());
    set("GATEWAY_API_CONTROLLER_NAME", answers_to(facts));
    set("ELECTION_ID", names::election(own.name));
    if let Some(dataplane) = facts.found.dataplane {
        let name = dataplane.metadata.name.as_deref().unwrap_or_default();
        set("KONG_ADMIN_SVC", format!("{}/{}", own.namespace, names::admin_service(name)));
        set("PUBLISH_SERVICE", format!("{}/{}", own.namespace, published(dataplane, name)));
    }
    if let Some(class) = given(&options.ingress_class) {
        set("INGRESS_CLASS", class);
    }
    if let Some(gateway) = gateway(own.object) {
        set("GATEWAY_TO_RECONCILE", format!("{}/{gateway}", own.namespace));
    }
    // What one writes into the status of an Ingress and the other does not know would be taken back for ever; and what was
    // validated once need not be validated again.
    if beside::is_one(own.object) {
        set("UPDATE_STATUS", "false".into());
        set("ADMISSION_WEBHOOK_LISTEN", "off".into());
    } else {
        set("ADMISSION_WEBHOOK_LISTEN", "0.0.0.0:8080".into());
    }
    if let Watched::Only { namespaces, .. } = facts.watched {
        set("WATCH_NAMESPACE", namespaces.iter().cloned().collect::<Vec<_>>().join(","));
    }
    // The name of a gate that a version does not know ends it. Routes of streams are behind one; a Gateway may have any.
    let of_gateway = gateway(own.object).is_some() && facts.version.has([3, 0, 0]);
    let gates = [("FallbackConfiguration", facts.version.has([3, 4, 0])), ("GatewayAlpha", of_gateway)];
    let open: Vec<_> =
        gates.iter().filter(|(_, is_open)| *is_open).map(|(gate, _)| format!("{gate}=true")).collect();
    if !open.is_empty() {
        set("FEATURE_GATES", open.join(","));
    }
    if facts.version.may_have([0, 0, 0]) && !facts.version.has([3, 4, 3]) {
        set("GATEWAY_DISCOVERY_DNS_STRATEGY", "service".into());
    }
    all.extend(switches::off(facts.version, &facts.found.definitions).map(|name| (name, "false".into())));
    let mut all: Vec<Value> =
        all.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    all.extend([field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace")]);
    all.sort_by_key(|variable| variable.get("name").and_then(Value::as_str).map(str::to_owned));
    all
}

/// `spec.controllerName` of the classes whose Gateways it serves. That of a Gateway answers to what the operator does. Any
/// other that names no class answers to a name that nobody has: by the operator's it would serve every Gateway of the
/// operator's besides what it was made for, and write their status.
fn answers_to(facts: &Facts<'_>) -> String {
    let (own, settings) = (facts.identity, facts.settings);
    if gateway(own.object).is_some() {
        return settings.controller.clone();
    }
    facts.found.controller.clone().unwrap_or_else(|| format!("konghq.com/{}.{}", own.namespace, own.name))
}

/// As Kong Gateway Operator 1.6 sets them, but for anonymous reports, and Events, of which it would write one on its own
/// pod at every sync.
fn fixed() -> Vec<(String, String)> {
    let file = |name: &str| format!("{CERTIFICATE_DIR}/{name}");
    let all = [
        ("ANONYMOUS_REPORTS", "false".to_owned()),
        ("EMIT_KUBERNETES_EVENTS", "false".to_owned()),
        ("KONG_ADMIN_CA_CERT_FILE", file("ca.crt")),
        ("KONG_ADMIN_INIT_RETRY_DELAY", "5s".to_owned()),
        ("KONG_ADMIN_SVC_PORT_NAMES", names::ADMIN_PORT.to_owned()),
        ("KONG_ADMIN_TLS_CLIENT_CERT_FILE", file("tls.crt")),
        ("KONG_ADMIN_TLS_CLIENT_KEY_FILE", file("tls.key")),
    ];
    all.map(|(name, value)| (format!("CONTROLLER_{name}"), value)).into()
}

fn field(name: &str, path: &str) -> Value {
    json!({ "name": name, "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": path } } })
}

fn published(dataplane: &DataPlane, name: &str) -> String {
    let given = dataplane.ingress().and_then(|ingress| ingress.name.clone());
    given.unwrap_or_else(|| names::ingress_service(name))
}

/// The Gateway that the `ControlPlane` was made for.
pub fn gateway(object: &ControlPlane) -> Option<&str> {
    let owners = object.metadata.owner_references.as_deref().unwrap_or_default();
    let (group, kind) = GATEWAY;
    let is_gateway = |owner: &&crds::k8s::OwnerReference| {
        owner.controller == Some(true) && owner.kind == kind && owner.api_version.starts_with(group)
    };
    owners.iter().find(is_gateway).map(|owner| owner.name.as_str())
}
