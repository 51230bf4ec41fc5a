//! The one table of what is asked about, and where.
//!
//! In: nothing. Out: routes, from which the router, the webhook configurations, the rights that they need and the
//! documentation follow. Never: a route for a deletion, for a kind of Kubernetes itself, or for a subresource: what
//! stands must always be able to go, and a cluster to start from nothing.

use crate::kinds::Kind;

/// What is done with the objects of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// What is absent is filled in.
    Default,
    /// What is wrong is refused.
    Validate,
    /// The operator asks itself, through the API server, whether it can be reached.
    SelfTest,
}

impl Act {
    /// The word by which metrics and logs know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Validate => "validate",
            Self::SelfTest => "self-test",
        }
    }
}

/// What becomes of a request while no replica answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// It is refused, once the operator has proved that it can be reached.
    Refused,
    /// It is stored as it is: objects of others come by this route too.
    Stored,
}

/// One webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// What is done.
    pub act: Act,
    /// Whose objects.
    pub kind: Kind,
    /// Where the API server posts the review.
    pub path: &'static str,
    /// Name of the webhook in its configuration.
    pub name: &'static str,
    /// What becomes of a request while no replica answers.
    pub unanswered: Unanswered,
}

/// Every webhook.
pub const ROUTES: &[Route] = &[
    route(
        Act::Default,
        Kind::DataPlane,
        "/default/dataplanes",
        "default.dataplanes.gateway-operator.konghq.com",
    ),
    route(
        Act::Default,
        Kind::ControlPlane,
        "/default/controlplanes",
        "default.controlplanes.gateway-operator.konghq.com",
    ),
    route(
        Act::Default,
        Kind::GatewayConfiguration,
        "/default/gatewayconfigurations",
        "default.gatewayconfigurations.gateway-operator.konghq.com",
    ),
    route(
        Act::Validate,
        Kind::DataPlane,
        "/validate/dataplanes",
        "validate.dataplanes.gateway-operator.konghq.com",
    ),
    route(
        Act::Validate,
        Kind::ControlPlane,
        "/validate/controlplanes",
        "validate.controlplanes.gateway-operator.konghq.com",
    ),
    route(
        Act::Validate,
        Kind::GatewayConfiguration,
        "/validate/gatewayconfigurations",
        "validate.gatewayconfigurations.gateway-operator.konghq.com",
    ),
    route(
        Act::Validate,
        Kind::WatchNamespaceGrant,
        "/validate/watchnamespacegrants",
        "validate.watchnamespacegrants.gateway-operator.konghq.com",
    ),
    others(Kind::Gateway, "/validate/gateways", "validate.gateways.gateway-operator.konghq.com"),
    others(
        Kind::GatewayClass,
        "/validate/gatewayclasses",
        "validate.gatewayclasses.gateway-operator.konghq.com",
    ),
    route(Act::SelfTest, Kind::DataPlane, "/self-test", "self-test.gateway-operator.konghq.com"),
];

const fn route(act: Act, kind: Kind, path: &'static str, name: &'static str) -> Route {
    Route { act, kind, path, name, unanswered: Unanswered::Refused }
}

const fn others(kind: Kind, path: &'static str, name: &'static str) -> Route {
    Route { act: Act::Validate, kind, path, name, unanswered: Unanswered::Stored }
}

/// Where the objects of a kind are found in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// API group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Plural, in lower case.
    pub plural: &'static str,
    /// Kind, as manifests write it.
    pub kind: &'static str,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
}

impl Kind {
    /// Where its objects are found.
    pub const fn resource(self) -> Resource {
        const OURS: &str = crds::names::GROUP;
        const API: &str = "gateway.networking.k8s.io";
        let (group, version, plural) = match self {
            Self::DataPlane => (OURS, "v1beta1", "dataplanes"),
            Self::ControlPlane => (OURS, "v1beta1", "controlplanes"),
            Self::GatewayConfiguration => (OURS, "v1beta1", "gatewayconfigurations"),
            Self::WatchNamespaceGrant => (OURS, "v1alpha1", "watchnamespacegrants"),
            Self::Gateway => (API, "v1", "gateways"),
            Self::GatewayClass => (API, "v1", "gatewayclasses"),
        };
        Resource {
            group,
            version,
            plural,
            kind: self.name(),
            namespaced: !matches!(self, Self::GatewayClass),
        }
    }

    /// The kind of a manifest.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| {
            let Resource { group, version, kind: name, .. } = known.resource();
            name == kind && api_version.split_once('/') == Some((group, version))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_paths_are_used_once_and_well_formed() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.name).collect();
        let paths: BTreeSet<_> = ROUTES.iter().map(|route| route.path).collect();
        assert_eq!((names.len(), paths.len()), (ROUTES.len(), ROUTES.len()));
        for route in ROUTES {
            assert!(route.name.split('.').count() >= 3 && route.name.len() <= 253, "{}", route.name);
            // By these beginnings replicas of other versions know that a review is for one of ours, and let it pass.
            let known =
                ["/default/", "/validate/", "/self-test"].iter().any(|known| route.path.starts_with(known));
            assert!(known, "{}", route.path);
        }
    }

    #[test]
    fn kinds_are_those_of_the_definitions() {
        // The operator alone makes rollouts; what people may change of them the schema says.
        for definition in crds::definitions().iter().filter(|one| one.spec.names.kind != "GatewayRollout") {
            let names = &definition.spec.names;
            let version = &definition.spec.versions[0].name;
            let kind = Kind::of(&format!("{}/{version}", definition.spec.group), &names.kind).unwrap();
            assert_eq!(kind.resource().plural, names.plural);
            assert!(ROUTES.iter().any(|route| route.kind == kind && route.act == Act::Validate), "{kind:?}");
        }
        assert_eq!(Kind::of("gateway.networking.k8s.io/v1", "Gateway"), Some(Kind::Gateway));
        assert_eq!(Kind::of("v1", "Service"), None);
    }

    #[test]
    fn every_route_is_documented() {
        let page = include_str!("../../docs/admission.md");
        for Route { path, name, kind, unanswered, .. } in ROUTES {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{path}` | `{name}` | `{}`", kind.name())));
            let row = row.unwrap_or_else(|| panic!("{path} is not in docs/admission.md"));
            let stored = *unanswered == Unanswered::Stored;
            assert!(row.ends_with(if stored { "| stored |" } else { "| refused |" }), "{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `/")).count();
        assert_eq!(rows, ROUTES.len(), "the page has routes that do not exist");
    }

    #[test]
    fn what_others_own_is_never_refused_for_want_of_an_answer() {
        for route in ROUTES {
            let ours = route.kind.resource().group == crds::names::GROUP;
            assert_eq!(route.unanswered == Unanswered::Refused, ours, "{}", route.name);
        }
    }
}
