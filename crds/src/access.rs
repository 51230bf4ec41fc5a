//! What the operator may do in a cluster, and why.
//!
//! In: nothing. Out: one table, from which the roles are generated and against which recorded calls
//! can be compared. Never: a wildcard, or a right that no code uses.

pub mod controller;

/// Where a right holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In every namespace that the operator watches.
    Watched,
    /// In the operator's own namespace only.
    Own,
    /// In the whole cluster, even where only some namespaces are watched: kinds that have no namespace.
    Cluster,
}

/// One line of the table: verbs on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where it holds.
    pub scope: Scope,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Plural of the kind, with the subresource where there is one.
    pub resource: &'static str,
    /// The verbs, sorted.
    pub verbs: &'static [&'static str],
    /// Names of the only objects that are meant; none means all. A list or a watch has to select one of them by
    /// `metadata.name` (Kubernetes, RBAC, "Referring to resources").
    pub names: &'static [&'static str],
    /// What the operator does with it.
    pub why: &'static str,
}

/// Objects of every name.
const ALL: &[&str] = &[];
/// Reading through a watch store.
const READ: &[&str] = &["list", "watch"];
/// Server-side apply of children: `patch` needs `create` where the object does not exist yet, `get` makes sure that
/// a name is free, and without `delete` clusters that enforce the rights behind owner references refuse ours.
const OWN: &[&str] = &["create", "delete", "get", "list", "patch", "watch"];

/// Group of Gateway API's kinds.
const GATEWAY: &str = crate::gatewayapi::GROUP;

/// A right on objects of every name.
const fn grant(
    scope: Scope,
    (group, resource): (&'static str, &'static str),
    verbs: &'static [&'static str],
    why: &'static str,
) -> Grant {
    Grant { scope, group, resource, verbs, names: ALL, why }
}

/// Every right of the operator.
pub const GRANTS: &[Grant] = &[
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "dataplanes",
        verbs: OWN,
        names: ALL,
        why: "the kind that it reconciles, and makes for Gateways",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "dataplanes/finalizers",
        verbs: &["update"],
        names: ALL,
        why: "owner references that block deletion need it where OwnerReferencesPermissionEnforcement is on, as on OpenShift",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "dataplanes/status",
        verbs: &["patch"],
        names: ALL,
        why: "conditions and addresses",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "controlplanes",
        verbs: OWN,
        names: ALL,
        why: "the kind that it reconciles, and makes for Gateways; a finalizer keeps one until what has no owner reference is gone",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "controlplanes/finalizers",
        verbs: &["update"],
        names: ALL,
        why: "owner references that block deletion need it where OwnerReferencesPermissionEnforcement is on, as on OpenShift",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "controlplanes/status",
        verbs: &["patch"],
        names: ALL,
        why: "conditions",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "gatewayconfigurations",
        verbs: READ,
        names: ALL,
        why: "how Gateways are made; at admission, whether one that is referred to exists",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "gatewayrollouts",
        verbs: OWN,
        names: ALL,
        why: "the kind that it reconciles, and makes for DataPlanes whose pods change",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "gatewayrollouts/status",
        verbs: &["patch"],
        names: ALL,
        why: "where a rollout is",
    },
    Grant {
        scope: Scope::Watched,
        group: "batch",
        resource: "jobs",
        verbs: &["create", "get"],
        names: ALL,
        why: "hooks of rollouts that are Jobs",
    },
    Grant {
        scope: Scope::Watched,
        group: "discovery.k8s.io",
        resource: "endpointslices",
        verbs: &["list"],
        names: ALL,
        why: "which pods really get connections, while a rollout is under way",
    },
    Grant {
        scope: Scope::Watched,
        group: "gateway-operator.konghq.com",
        resource: "watchnamespacegrants",
        verbs: READ,
        names: ALL,
        why: "whether a ControlPlane may watch a namespace",
    },
    Grant {
        scope: Scope::Watched,
        group: "apps",
        resource: "deployments",
        verbs: OWN,
        names: ALL,
        why: "the pods of a DataPlane and of a ControlPlane",
    },
    Grant {
        scope: Scope::Watched,
        group: "autoscaling",
        resource: "horizontalpodautoscalers",
        verbs: OWN,
        names: ALL,
        why: "spec.deployment.scaling of a DataPlane",
    },
    Grant {
        scope: Scope::Watched,
        group: "policy",
        resource: "poddisruptionbudgets",
        verbs: OWN,
        names: ALL,
        why: "spec.resources.podDisruptionBudget of a DataPlane",
    },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "services",
        verbs: OWN,
        names: ALL,
        why: "the ingress and the admin Service of a DataPlane, and the webhook of a ControlPlane",
    },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "serviceaccounts",
        verbs: OWN,
        names: ALL,
        why: "who the pods of a ControlPlane are",
    },
    Grant {
        scope: Scope::Watched,
        group: "rbac.authorization.k8s.io",
        resource: "rolebindings",
        verbs: OWN,
        names: ALL,
        why: "what a ControlPlane may do in a namespace that it watches",
    },
    Grant {
        scope: Scope::Watched,
        group: "rbac.authorization.k8s.io",
        resource: "roles",
        verbs: OWN,
        names: ALL,
        why: "what a ControlPlane may do in a namespace that it watches; nothing that the operator may not do itself",
    },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "secrets",
        verbs: OWN,
        names: ALL,
        why: "the operator's certificate authority and the certificates that it signs",
    },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "configmaps",
        verbs: READ,
        names: ALL,
        why: "whether those that a DataPlane refers to exist; their names only, never what is in them",
    },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "pods",
        verbs: READ,
        names: ALL,
        why: "why a DataPlane is not ready: images, crashes, scheduling",
    },
    grant(Scope::Watched, (GATEWAY, "gateways"), READ, "the kind that it reconciles"),
    grant(
        Scope::Watched,
        (GATEWAY, "gateways/finalizers"),
        &["update"],
        "owner references that block deletion need it where OwnerReferencesPermissionEnforcement is on, as on OpenShift",
    ),
    grant(Scope::Watched, (GATEWAY, "gateways/status"), &["patch"], "conditions, addresses and listeners"),
    grant(Scope::Watched, (GATEWAY, "listenersets"), READ, "listeners besides those of a Gateway itself"),
    grant(Scope::Watched, (GATEWAY, "listenersets/status"), &["patch"], "conditions and listeners"),
    grant(
        Scope::Watched,
        (GATEWAY, "referencegrants"),
        READ,
        "whether a Gateway may refer to a Secret of another namespace",
    ),
    grant(Scope::Watched, (GATEWAY, "httproutes"), READ, "how many routes are attached to each listener"),
    grant(Scope::Watched, (GATEWAY, "grpcroutes"), READ, "how many routes are attached to each listener"),
    grant(Scope::Watched, (GATEWAY, "tlsroutes"), READ, "how many routes are attached to each listener"),
    grant(Scope::Watched, (GATEWAY, "tcproutes"), READ, "how many routes are attached to each listener"),
    grant(Scope::Watched, (GATEWAY, "udproutes"), READ, "how many routes are attached to each listener"),
    grant(
        Scope::Watched,
        ("networking.k8s.io", "networkpolicies"),
        OWN,
        "leaves the admin API of a Gateway's data plane to its control plane",
    ),
    grant(
        Scope::Watched,
        ("gateway-operator.konghq.com", "gatewayconfigurations/status"),
        &["patch"],
        "who uses it, and what is wrong with it",
    ),
    Grant {
        scope: Scope::Watched,
        group: "events.k8s.io",
        resource: "events",
        verbs: &["create"],
        names: ALL,
        why: "tells users what happened",
    },
    Grant {
        scope: Scope::Own,
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["create", "get", "update"],
        names: ALL,
        why: "one replica reconciles at a time",
    },
    Grant {
        scope: Scope::Own,
        group: "",
        resource: "secrets",
        verbs: &["create", "get", "list", "update", "watch"],
        names: ALL,
        why: "the operator's certificate authority, also where its own namespace is not watched, and the certificate of its webhooks",
    },
    Grant {
        scope: Scope::Own,
        group: "events.k8s.io",
        resource: "events",
        verbs: &["create"],
        names: ALL,
        why: "tells what became of the certificate of the webhooks",
    },
    Grant {
        scope: Scope::Own,
        group: "gateway-operator.konghq.com",
        resource: "dataplanes",
        verbs: &["create"],
        names: ALL,
        why: "asks in a dry run whether the API server reaches the webhooks; none is ever made",
    },
    Grant {
        scope: Scope::Cluster,
        group: "admissionregistration.k8s.io",
        resource: "mutatingwebhookconfigurations",
        verbs: &["list", "patch", "watch"],
        names: &["silverback"],
        why: "fills in the webhooks of the configuration that manifests/webhook brings",
    },
    Grant {
        scope: Scope::Cluster,
        group: "admissionregistration.k8s.io",
        resource: "validatingwebhookconfigurations",
        verbs: OWN,
        names: ALL,
        why: "fills in the webhooks of the configuration that manifests/webhook brings, and those of each ControlPlane",
    },
    Grant {
        scope: Scope::Cluster,
        group: "rbac.authorization.k8s.io",
        resource: "clusterrolebindings",
        verbs: OWN,
        names: ALL,
        why: "what a ControlPlane may do in the whole cluster",
    },
    Grant {
        scope: Scope::Cluster,
        group: "rbac.authorization.k8s.io",
        resource: "clusterroles",
        verbs: OWN,
        names: ALL,
        why: "what a ControlPlane may do in the whole cluster; nothing that the operator may not do itself",
    },
    Grant {
        scope: Scope::Cluster,
        group: "apiextensions.k8s.io",
        resource: "customresourcedefinitions",
        verbs: READ,
        names: ALL,
        why: "when the kinds that it reads begin to be served, and which of Kong's own kinds there are",
    },
    Grant {
        scope: Scope::Cluster,
        group: "gateway.networking.k8s.io",
        resource: "gatewayclasses",
        verbs: READ,
        names: ALL,
        why: "whether a Gateway is ours, and how it is made",
    },
    grant(Scope::Cluster, ("", "namespaces"), READ, "which namespaces the selectors of listeners mean"),
    grant(
        Scope::Cluster,
        (GATEWAY, "gatewayclasses/status"),
        &["patch"],
        "whether a class of ours is accepted",
    ),
    Grant {
        scope: Scope::Cluster,
        group: "authentication.k8s.io",
        resource: "tokenreviews",
        verbs: &["create"],
        names: ALL,
        why: "who asks for /metrics",
    },
    Grant {
        scope: Scope::Cluster,
        group: "authorization.k8s.io",
        resource: "subjectaccessreviews",
        verbs: &["create"],
        names: ALL,
        why: "whether they may",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_least_and_in_order() {
        for grant in GRANTS {
            assert!(!grant.why.is_empty() && !grant.verbs.is_empty(), "{grant:?}");
            assert!(grant.verbs.is_sorted(), "{grant:?}");
            let all = [grant.group, grant.resource].into_iter().chain(grant.verbs.iter().copied());
            assert!(all.into_iter().all(|word| !word.contains('*')), "{grant:?}");
            let same = |other: &&Grant| {
                other.scope == grant.scope && other.group == grant.group && other.resource == grant.resource
            };
            assert_eq!(GRANTS.iter().filter(same).count(), 1, "{grant:?}");
        }
    }
}
