//! Where Kong is reached from outside.
//! In: the publish Services, addresses from the settings. Out: addresses for statuses.

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

/// An address: of the network, or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub String);

impl Address {
    fn is_ip(&self) -> bool {
        self.0.parse::<std::net::IpAddr>().is_ok()
    }

    /// As an Ingress has it.
    pub fn of_ingress(&self) -> Value {
        if self.is_ip() { json!({ "ip": self.0 }) } else { json!({ "hostname": self.0 }) }
    }

    /// As a Gateway has it.
    pub fn of_gateway(&self) -> Value {
        json!({"type": if self.is_ip() { "IPAddress" } else { "Hostname" }, "value": self.0})
    }
}

/// The addresses of a Service: of its load balancer, or its own where it has none to come.
pub fn of(service: Option<&Service>, given: &[String]) -> Vec<Address> {
    if !given.is_empty() {
        return given.iter().cloned().map(Address).collect();
    }
    let Some(service) = service else { return Vec::new() };
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() == Some("LoadBalancer") {
        return balanced(service);
    }
    let own = spec.cluster_ips.unwrap_or_default().into_iter().chain(spec.external_ips.into_iter().flatten());
    own.filter(|address| !address.is_empty() && address != "None").map(Address).collect()
}

/// The addresses of a Service's load balancer.
pub fn balanced(service: &Service) -> Vec<Address> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let all = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    all.iter().filter_map(|one| one.ip.clone().or_else(|| one.hostname.clone())).map(Address).collect()
}
