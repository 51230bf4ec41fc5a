//! Defaults of specifications.
//!
//! In: a specification as its author wrote it. Out: the same with what is absent filled in. Never: a
//! change of what is there, nor a value that a later version may choose anew (the image, the number
//! of replicas, resources): those are decided when objects are planned, not frozen into the spec.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::dataplane::{
    BlueGreen, DataPlaneSpec, IngressPort, IngressService, PromotionStrategy, RolloutPlanDeployment,
    ServiceType,
};
use crate::port::Port;

/// Image of the `proxy` container where none is given.
pub const IMAGE: &str = "docker.io/library/kong:3.9";

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

/// The specification of a `DataPlane` with absent fields filled in. Applying it twice changes nothing.
pub fn defaulted(mut spec: DataPlaneSpec) -> DataPlaneSpec {
    let network = spec.network.get_or_insert_default();
    ingress(network.services.get_or_insert_default().ingress.get_or_insert_default());
    let rollout = spec.deployment.as_mut().and_then(|deployment| deployment.rollout.as_mut());
    if let Some(strategy) = rollout.and_then(|rollout| rollout.strategy.as_mut()) {
        strategy.blue_green.as_mut().map(blue_green).unwrap_or_default();
    }
    spec
}

/// The two ports of an ingress Service whose author named none.
pub fn ports() -> Vec<IngressPort> {
    vec![port("http", HTTP_PORT, PROXY_PORT), port("https", HTTPS_PORT, PROXY_SSL_PORT)]
}

fn ingress(ingress: &mut IngressService) {
    ingress.type_.get_or_insert(ServiceType::LoadBalancer);
    // An empty list is what a careless template renders; a Service without ports cannot exist.
    if ingress.ports.as_ref().is_none_or(Vec::is_empty) {
        ingress.ports = Some(ports());
    }
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
