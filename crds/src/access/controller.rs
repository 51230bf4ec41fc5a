//! What Kong Ingress Controller may do, and why.
//!
//! In: nothing. Out: one table, from which its roles are built, and which the operator holds too: Kubernetes lets nobody
//! give what they do not have. Never: a right for Konnect, which is outside this product.

/// Where a right of Kong Ingress Controller holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In every namespace that it watches.
    Watched,
    /// In the whole cluster: kinds without a namespace.
    Cluster,
    /// In the namespace that its pods run in.
    Own,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it holds.
    pub reach: Reach,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Plurals of kinds, with the subresource where there is one; sorted.
    pub resources: &'static [&'static str],
    /// The verbs, sorted.
    pub verbs: &'static [&'static str],
    /// The version from which on it is needed.
    pub since: [u64; 3],
    /// What Kong Ingress Controller does with it.
    pub why: &'static str,
}

const READ: &[&str] = &["get", "list", "watch"];
const LIST: &[&str] = &["list", "watch"];
const STATUS: &[&str] = &["get", "patch", "update"];
const EVENTS: &[&str] = &["create", "patch"];
/// The oldest version that is provisioned has all before it.
const ALWAYS: [u64; 3] = [0, 0, 0];

const KONG: &str = "configuration.konghq.com";
const INCUBATOR: &str = "incubator.ingress-controller.konghq.com";
const GATEWAY: &str = "gateway.networking.k8s.io";
const NETWORKING: &str = "networking.k8s.io";

use Reach::{Cluster, Own, Watched};

/// Every right of Kong Ingress Controller.
pub const RULES: &[Rule] = &[
    rule((Watched, ""), &["configmaps"], READ, [3, 4, 0], "bodies of plugins and authorities of backends"),
    rule((Watched, ""), &["events"], EVENTS, ALWAYS, "tells which object Kong refused"),
    rule((Watched, ""), &["pods"], READ, ALWAYS, "where it runs"),
    rule((Watched, ""), &["secrets"], READ, ALWAYS, "certificates of listeners and credentials of consumers"),
    rule((Watched, ""), &["services"], READ, ALWAYS, "backends of routes"),
    rule((Watched, ""), &["services/status"], STATUS, ALWAYS, "conditions of backends"),
    rule(
        (Watched, KONG),
        &[
            "ingressclassparameterses",
            "kongconsumergroups",
            "kongconsumers",
            "kongingresses",
            "kongplugins",
            "kongupstreampolicies",
            "tcpingresses",
            "udpingresses",
        ],
        READ,
        ALWAYS,
        "Kong's own kinds",
    ),
    rule(
        (Watched, KONG),
        &[
            "kongconsumergroups/status",
            "kongconsumers/status",
            "kongingresses/status",
            "kongplugins/status",
            "kongupstreampolicies/status",
            "tcpingresses/status",
            "udpingresses/status",
        ],
        STATUS,
        ALWAYS,
        "whether they are programmed",
    ),
    rule((Watched, KONG), &["kongcustomentities"], READ, [3, 2, 0], "Kong's own kinds"),
    rule((Watched, KONG), &["kongcustomentities/status"], STATUS, [3, 2, 0], "whether they are programmed"),
    rule((Cluster, KONG), &["kongclusterplugins"], READ, ALWAYS, "Kong's own kinds"),
    rule((Cluster, KONG), &["kongclusterplugins/status"], STATUS, ALWAYS, "whether they are programmed"),
    rule((Cluster, KONG), &["konglicenses", "kongvaults"], READ, [3, 1, 0], "Kong's own kinds"),
    rule(
        (Cluster, KONG),
        &["konglicenses/status", "kongvaults/status"],
        STATUS,
        [3, 1, 0],
        "whether they are programmed",
    ),
    rule((Watched, INCUBATOR), &["kongservicefacades"], READ, [3, 1, 0], "behind a feature gate"),
    rule((Watched, INCUBATOR), &["kongservicefacades/status"], STATUS, [3, 1, 0], "behind a feature gate"),
    rule(
        (Watched, "discovery.k8s.io"),
        &["endpointslices"],
        READ,
        ALWAYS,
        "the pods of Kong and of backends",
    ),
    rule((Watched, NETWORKING), &["ingresses"], READ, ALWAYS, "what is to be routed"),
    rule((Watched, NETWORKING), &["ingresses/status"], STATUS, ALWAYS, "the addresses of Ingresses"),
    rule((Cluster, NETWORKING), &["ingressclasses"], READ, ALWAYS, "which Ingresses are its own"),
    rule(
        (Watched, GATEWAY),
        &["gateways"],
        &["get", "list", "update", "watch"],
        ALWAYS,
        "what listens; of unmanaged classes it notes the Service on the Gateway",
    ),
    rule(
        (Watched, GATEWAY),
        &[
            "gateways/status",
            "grpcroutes/status",
            "httproutes/status",
            "tcproutes/status",
            "tlsroutes/status",
            "udproutes/status",
        ],
        STATUS,
        ALWAYS,
        "whether routes are accepted and programmed",
    ),
    rule(
        (Watched, GATEWAY),
        &["grpcroutes", "httproutes", "referencegrants", "tcproutes", "tlsroutes", "udproutes"],
        READ,
        ALWAYS,
        "what is to be routed",
    ),
    rule((Watched, GATEWAY), &["referencegrants/status"], &["get"], ALWAYS, "what is to be routed"),
    rule((Watched, GATEWAY), &["backendtlspolicies"], READ, [3, 4, 0], "how backends speak TLS"),
    rule(
        (Watched, GATEWAY),
        &["backendtlspolicies/status"],
        &["patch", "update"],
        [3, 4, 0],
        "how backends speak TLS",
    ),
    rule((Cluster, GATEWAY), &["gatewayclasses"], READ, ALWAYS, "which Gateways are its own"),
    rule(
        (Cluster, GATEWAY),
        &["gatewayclasses/status"],
        &["get", "update"],
        ALWAYS,
        "that a class is accepted",
    ),
    rule((Cluster, ""), &["namespaces"], READ, ALWAYS, "which namespaces a listener lets in"),
    rule((Cluster, ""), &["nodes"], LIST, ALWAYS, "how large the cluster is, in anonymous reports"),
    rule(
        (Cluster, "apiextensions.k8s.io"),
        &["customresourcedefinitions"],
        LIST,
        ALWAYS,
        "when the kinds of Gateway API begin to be served",
    ),
    rule(
        (Own, "coordination.k8s.io"),
        &["leases"],
        &["create", "get", "update"],
        ALWAYS,
        "one replica configures at a time",
    ),
    rule((Own, ""), &["events"], EVENTS, ALWAYS, "tells who leads"),
];

const fn rule(
    (reach, group): (Reach, &'static str),
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    since: [u64; 3],
    why: &'static str,
) -> Rule {
    Rule { reach, group, resources, verbs, since, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_without_wildcards() {
        for rule in RULES {
            assert!(rule.verbs.is_sorted() && rule.resources.is_sorted(), "{rule:?}");
            assert!(!rule.why.is_empty() && !rule.verbs.is_empty() && !rule.resources.is_empty(), "{rule:?}");
            let words = rule.resources.iter().chain(rule.verbs).chain([&rule.group]);
            assert!(words.into_iter().all(|word| !word.contains('*')), "{rule:?}");
        }
    }
}
