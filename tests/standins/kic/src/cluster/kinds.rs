//! The kinds that KIC watches, and what decides whether it does.
//! In: settings. Out: kinds. Never asks the API server.

use kube::core::{ApiResource, GroupVersionKind};

use crate::settings::Settings;

/// The group of the Gateway API.
pub const GATEWAY: &str = "gateway.networking.k8s.io";
const KONG: &str = "configuration.konghq.com";

/// A kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Group, empty for the core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Name.
    pub name: &'static str,
    /// Name in URLs.
    pub plural: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// The part of the flag `enable-controller-…` that switches it off.
    switch: Option<&'static str>,
    /// The gate that switches it on.
    gate: Option<&'static str>,
    /// Minor of the first 3.x that watches it.
    since: u32,
}

const fn kind(group: &'static str, version: &'static str, name: &'static str, plural: &'static str) -> Kind {
    Kind { group, version, name, plural, namespaced: true, switch: None, gate: None, since: 0 }
}

impl Kind {
    const fn off(mut self, switch: &'static str) -> Self {
        self.switch = Some(switch);
        self
    }

    const fn behind(mut self, gate: &'static str) -> Self {
        self.gate = Some(gate);
        self
    }

    const fn global(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn from(mut self, minor: u32) -> Self {
        self.since = minor;
        self
    }

    /// As kube's dynamic API takes it.
    pub fn resource(&self) -> ApiResource {
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(self.group, self.version, self.name),
            self.plural,
        )
    }

    /// Whether it belongs to the Gateway API, whose definitions may come later.
    pub fn optional(&self) -> bool {
        self.group == GATEWAY
    }

    /// Whether these settings watch it.
    pub fn watched(&self, settings: &Settings) -> bool {
        settings.release.since(self.since, 0)
            && self.gate.is_none_or(|gate| settings.gate(gate))
            && self.switch.is_none_or(|switch| {
                let flag = format!("enable-controller-{switch}");
                // A release without the switch has the controller on.
                settings.text(&flag).is_empty() || settings.truth(&flag)
            })
    }
}

/// Services.
pub const SERVICE: Kind = kind("", "v1", "Service", "services").off("service");
/// Endpoints of Services.
pub const SLICE: Kind = kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices").off("service");
/// Secrets; cannot be switched off.
pub const SECRET: Kind = kind("", "v1", "Secret", "secrets");
/// Namespaces.
pub const NAMESPACE: Kind = kind("", "v1", "Namespace", "namespaces").global().off("gwapi-gateway");
/// Ingresses.
pub const INGRESS: Kind = kind("networking.k8s.io", "v1", "Ingress", "ingresses").off("ingress-networkingv1");
/// Ingress classes.
pub const INGRESS_CLASS: Kind = kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses")
    .global()
    .off("ingress-class-networkingv1");
/// Gateways.
pub const GATEWAY_KIND: Kind = kind(GATEWAY, "v1", "Gateway", "gateways").off("gwapi-gateway");
/// Classes of Gateways.
pub const GATEWAY_CLASS: Kind =
    kind(GATEWAY, "v1", "GatewayClass", "gatewayclasses").global().off("gwapi-gateway");
/// Grants between namespaces.
pub const GRANT: Kind =
    kind(GATEWAY, "v1beta1", "ReferenceGrant", "referencegrants").off("gwapi-reference-grant");
/// HTTP routes.
pub const HTTP_ROUTE: Kind = kind(GATEWAY, "v1", "HTTPRoute", "httproutes").off("gwapi-httproute");
/// TCP routes.
pub const TCP_ROUTE: Kind = kind(GATEWAY, "v1alpha2", "TCPRoute", "tcproutes").behind("GatewayAlpha");
/// TLS routes.
pub const TLS_ROUTE: Kind = kind(GATEWAY, "v1alpha2", "TLSRoute", "tlsroutes").behind("GatewayAlpha");
/// UDP routes.
pub const UDP_ROUTE: Kind = kind(GATEWAY, "v1alpha2", "UDPRoute", "udproutes").behind("GatewayAlpha");

/// Kinds that are watched, as the real one does, and whose objects have no effect here.
pub const WITHOUT_EFFECT: &[Kind] = &[
    kind("", "v1", "ConfigMap", "configmaps").from(4),
    kind(GATEWAY, "v1", "GRPCRoute", "grpcroutes").off("gwapi-grpcroute"),
    kind(GATEWAY, "v1alpha3", "BackendTLSPolicy", "backendtlspolicies").behind("GatewayAlpha").from(4),
    kind(KONG, "v1alpha1", "IngressClassParameters", "ingressclassparameterses")
        .off("ingress-class-parameters"),
    kind(KONG, "v1beta1", "UDPIngress", "udpingresses").off("udpingress"),
    kind(KONG, "v1beta1", "TCPIngress", "tcpingresses").off("tcpingress"),
    kind(KONG, "v1", "KongIngress", "kongingresses").off("kongingress"),
    kind(KONG, "v1", "KongClusterPlugin", "kongclusterplugins").global().off("kongclusterplugin"),
    kind(KONG, "v1", "KongPlugin", "kongplugins").off("kongplugin"),
    kind(KONG, "v1", "KongConsumer", "kongconsumers").off("kongconsumer"),
    kind(KONG, "v1beta1", "KongConsumerGroup", "kongconsumergroups").off("kongconsumer"),
    kind(KONG, "v1beta1", "KongUpstreamPolicy", "kongupstreampolicies").off("kong-upstream-policy"),
    kind("incubator.ingress-controller.konghq.com", "v1alpha1", "KongServiceFacade", "kongservicefacades")
        .off("kong-service-facade")
        .behind("KongServiceFacade")
        .from(1),
    kind(KONG, "v1alpha1", "KongVault", "kongvaults").global().off("kong-vault").from(1),
    kind(KONG, "v1alpha1", "KongLicense", "konglicenses").global().off("kong-license").from(1),
    kind(KONG, "v1alpha1", "KongCustomEntity", "kongcustomentities").off("kong-custom-entity").from(2),
];

/// Definitions, watched while one of the Gateway API is missing.
pub const DEFINITION: Kind =
    kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions").global();

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(release: &str, variables: &[(&str, &str)]) -> Vec<&'static str> {
        let all = variables.iter().chain([&("CONTROLLER_PUBLISH_SERVICE", "a/b")]);
        let all: Vec<_> = all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let settings = Settings::read(release, &[], &all).unwrap();
        WITHOUT_EFFECT.iter().filter(|kind| kind.watched(&settings)).map(|kind| kind.name).collect()
    }

    #[test]
    fn a_switch_a_gate_and_a_release_decide() {
        let all = watched("3.5.13", &[]);
        assert!(all.contains(&"KongVault") && !all.contains(&"KongServiceFacade"));
        let less = watched("3.5.13", &[("CONTROLLER_ENABLE_CONTROLLER_KONG_VAULT", "false")]);
        assert!(!less.contains(&"KongVault"));
        let old = watched("3.1.2", &[]);
        assert!(!old.contains(&"KongCustomEntity") && !old.contains(&"ConfigMap"));
        assert!(old.contains(&"GRPCRoute"));
        let more = watched("3.5.13", &[("CONTROLLER_FEATURE_GATES", "KongServiceFacade=true")]);
        assert!(more.contains(&"KongServiceFacade"));
    }
}
