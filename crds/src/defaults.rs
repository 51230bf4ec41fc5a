//! Defaults of specifications.
//!
//! In: a specification as its author wrote it. Out: the same with what is absent filled in: what is stored with
//! the object at admission, and, when objects are planned, what goes without saying besides. Never: a change of what
//! is there, nor a stored value that a later version may choose anew (the image, the number of replicas, ports,
//! resources).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::controlplane::{ControlPlaneSpec, WatchNamespaces, WatchNamespacesType};
use crate::dataplane::{
    BlueGreen, DataPlaneSpec, DeploymentOptions, IngressPort, PromotionStrategy, RolloutPlanDeployment,
    ServiceType,
};
use crate::gatewayconfiguration::GatewayConfigurationSpec;
use crate::port::Port;

/// Image of the `proxy` container where none is given.
pub const IMAGE: &str = "docker.io/library/kong:3.9";

/// Image of the `controller` container where none is given: before 3.5.9 a Kong pod that was restarted could stay
/// without configuration for ever, because Kong Ingress Controller lost the name to verify it by.
pub const CONTROLLER_IMAGE: &str = "docker.io/kong/kubernetes-ingress-controller:3.5.13";

/// Number of pods where neither `replicas` nor `scaling` is given.
pub const REPLICAS: i32 = 1;

/// CPU that the `proxy` container asks for.
pub const CPU_REQUEST: &str = "100m";
/// Memory that the `proxy` container asks for: what Kong 3.9 with two workers and all bundled plugins
/// keeps resident (220 MB). Kong Gateway Operator asks for 20Mi, which makes Kong the first to be evicted.
pub const MEMORY_REQUEST: &str = "256Mi";
/// CPU that the `proxy` container may use.
pub const CPU_LIMIT: &str = "1000m";
/// Memory that the `proxy` container may use.
pub const MEMORY_LIMIT: &str = "1000Mi";

/// CPU that the `controller` container asks for.
pub const CONTROLLER_CPU_REQUEST: &str = "100m";
/// Memory that the `controller` container asks for: it keeps 70 to 80 MB of its own, and more for what it watches.
pub const CONTROLLER_MEMORY_REQUEST: &str = "128Mi";
/// Memory that the `controller` container may use. Kong Gateway Operator gives it 100Mi, which a moderate number of
/// objects fills.
pub const CONTROLLER_MEMORY_LIMIT: &str = "512Mi";
/// Kong Ingress Controller's own port for its probes.
pub const CONTROLLER_HEALTH_PORT: Port = Port::constant(10_254);
/// Kong Ingress Controller's own port for metrics.
pub const CONTROLLER_METRICS_PORT: Port = Port::constant(10_255);
/// Kong Ingress Controller's own port for admission.
pub const CONTROLLER_WEBHOOK_PORT: Port = Port::constant(8080);

/// Port of the ingress Service for plain HTTP.
pub const HTTP_PORT: Port = Port::constant(80);
/// Port of the ingress Service for HTTPS.
pub const HTTPS_PORT: Port = Port::constant(443);
/// Kong's own port for plain HTTP.
pub const PROXY_PORT: Port = Port::constant(8000);
/// Kong's own port for HTTPS.
pub const PROXY_SSL_PORT: Port = Port::constant(8443);
/// Kong's own port for its admin API.
pub const ADMIN_PORT: Port = Port::constant(8444);
/// Kong's own port for status and metrics.
pub const STATUS_PORT: Port = Port::constant(8100);

/// The specification of a `DataPlane` as objects are planned from it: what is stored, and its ports.
pub fn defaulted(spec: DataPlaneSpec) -> DataPlaneSpec {
    let mut spec = dataplane(spec);
    let ingress =
        spec.network.get_or_insert_default().services.get_or_insert_default().ingress.get_or_insert_default();
    // An empty list is what a careless template renders; a Service without ports cannot exist.
    if ingress.ports.as_ref().is_none_or(Vec::is_empty) {
        ingress.ports = Some(ports());
    }
    spec
}

/// What is stored with a `DataPlane`. Applying it twice changes nothing, here as below.
pub fn dataplane(mut spec: DataPlaneSpec) -> DataPlaneSpec {
    let network = spec.network.get_or_insert_default();
    let ingress = network.services.get_or_insert_default().ingress.get_or_insert_default();
    ingress.type_.get_or_insert(ServiceType::LoadBalancer);
    rollout(spec.deployment.as_mut());
    spec
}

/// What is stored with a `ControlPlane`.
pub fn controlplane(mut spec: ControlPlaneSpec) -> ControlPlaneSpec {
    let all = WatchNamespaces { type_: WatchNamespacesType::All, list: None };
    spec.options.watch_namespaces.get_or_insert(all);
    spec
}

/// What is stored with a `GatewayConfiguration`: next to nothing, because a Gateway may have two of them, and a default
/// in one would win over what somebody wrote into the other.
pub fn gatewayconfiguration(mut spec: GatewayConfigurationSpec) -> GatewayConfigurationSpec {
    rollout(spec.data_plane_options.as_mut().and_then(|options| options.deployment.as_mut()));
    spec
}

/// Adds to a specification, in JSON, what `stored` fills in. What is there stays as it is written, whatever it is;
/// what does not decode is left alone, for the schema to refuse.
pub fn fill<S: Serialize + DeserializeOwned>(spec: &mut Value, stored: fn(S) -> S) {
    let known = serde_json::from_value(spec.clone());
    if let Some(filled) = known.ok().and_then(|known| serde_json::to_value(stored(known)).ok()) {
        add(spec, filled);
    }
}

fn add(given: &mut Value, filled: Value) {
    match (given, filled) {
        (Value::Object(given), Value::Object(filled)) => {
            for (name, value) in filled {
                add(given.entry(name).or_insert(Value::Null), value);
            }
        }
        // To Kubernetes a field that is null is absent.
        (given @ Value::Null, filled) => *given = filled,
        _ => {}
    }
}

/// The two ports of an ingress Service whose author named none.
pub fn ports() -> Vec<IngressPort> {
    vec![port("http", HTTP_PORT, PROXY_PORT), port("https", HTTPS_PORT, PROXY_SSL_PORT)]
}

fn port(name: &str, port: Port, target: Port) -> IngressPort {
    IngressPort {
        name: Some(name.to_owned()),
        port,
        protocol: None,
        target_port: Some(IntOrString::Int(target.into())),
        node_port: None,
    }
}

fn rollout(deployment: Option<&mut DeploymentOptions>) {
    let rollout = deployment.and_then(|deployment| deployment.rollout.as_mut());
    if let Some(strategy) = rollout.and_then(|rollout| rollout.strategy.as_mut()) {
        strategy.blue_green.as_mut().map(blue_green).unwrap_or_default();
    }
}

fn blue_green(blue_green: &mut BlueGreen) {
    let promotion = blue_green.promotion.get_or_insert_default();
    promotion.strategy.get_or_insert(PromotionStrategy::BreakBeforePromotion);
    let plan = blue_green.resources.get_or_insert_default().plan.get_or_insert_default();
    plan.deployment.get_or_insert(RolloutPlanDeployment::ScaleDownOnPromotionScaleUpOnRollout);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn default_json(spec: Value) -> Value {
        let spec: DataPlaneSpec = serde_json::from_value(spec).unwrap();
        let once = defaulted(spec);
        assert_eq!(defaulted(once.clone()), once, "defaulting twice changes nothing");
        serde_json::to_value(once).unwrap()
    }

    fn service(fields: &Value) -> Value {
        json!({ "network": { "services": { "ingress": fields } } })
    }

    #[test]
    fn absent_fields_are_filled() {
        let http = json!({ "name": "http", "port": 80, "targetPort": 8000 });
        let https = json!({ "name": "https", "port": 443, "targetPort": 8443 });
        let wanted = service(&json!({ "type": "LoadBalancer", "ports": [http, https] }));
        assert_eq!(default_json(json!({})), wanted);
        assert_eq!(default_json(service(&json!({ "ports": [] }))), wanted);
    }

    #[test]
    fn what_is_there_stays() {
        let mine = service(&json!({
            "type": "ClusterIP", "name": "edge", "annotations": { "a": "b" }, "ports": [{ "port": 9000 }]
        }));
        assert_eq!(default_json(mine.clone()), mine);
        let deployment =
            json!({ "replicas": 0, "podTemplateSpec": { "spec": { "x": null, "$patch": "replace" } } });
        assert_eq!(default_json(json!({ "deployment": deployment }))["deployment"], deployment);
    }

    #[test]
    fn blue_green_gets_its_only_values() {
        let spec = json!({ "deployment": { "rollout": { "strategy": { "blueGreen": {} } } } });
        let wanted = json!({
            "promotion": { "strategy": "BreakBeforePromotion" },
            "resources": { "plan": { "deployment": "ScaleDownOnPromotionScaleUpOnRollout" } }
        });
        assert_eq!(default_json(spec)["deployment"]["rollout"]["strategy"]["blueGreen"], wanted);
        let none = json!({ "deployment": { "rollout": {} } });
        assert_eq!(default_json(none)["deployment"]["rollout"], json!({}));
    }
}
