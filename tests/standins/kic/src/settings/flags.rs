//! The flags that releases of KIC know.
//! In: a release. Out: names, defaults, kinds of values. Never reads the environment.

use crate::version::Release;

/// How a flag's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`, in Go's spellings.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A Go duration.
    Duration,
    /// `namespace/name`.
    Named,
    /// `domain/path`.
    Controller,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A flag: name, kind, default, the release that brought it, and the one that took it away.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Name without dashes.
    pub name: &'static str,
    /// How its value is read.
    pub kind: Kind,
    /// Its default.
    pub default: &'static str,
    since: Release,
    gone: Option<Release>,
}

const fn flag(name: &'static str, kind: Kind, default: &'static str) -> Flag {
    Flag { name, kind, default, since: Release(3, 0, 0), gone: None }
}

impl Flag {
    const fn since(mut self, minor: u32, patch: u32) -> Self {
        self.since = Release(3, minor, patch);
        self
    }

    /// Whether a release knows it.
    pub fn known(&self, release: Release) -> bool {
        // One flag came with 3.4.11 and 3.5.4, so between them a newer minor lacks it.
        if self.name == "konnect-config-sync-concurrency" {
            return release.carries(11, 4);
        }
        release >= self.since && self.gone.is_none_or(|gone| release < gone)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("CONTROLLER_{}", self.name.to_uppercase().replace('-', "_"))
    }
}

use Kind::{Bool, Controller, Duration, Float, Int, Named, OneOf, Text};

/// Flags that say what is connected and how.
const FLAGS: &[Flag] = &[
    flag("log-level", OneOf(&["trace", "debug", "info", "error"]), "info"),
    flag("log-format", OneOf(&["text", "json"]), "text"),
    flag("anonymous-reports", Bool, "true"),
    flag("kong-admin-url", Text, "http://localhost:8001"),
    flag("kong-admin-svc", Named, ""),
    flag("kong-admin-svc-port-names", Text, "admin-tls,kong-admin-tls"),
    flag("gateway-discovery-dns-strategy", OneOf(&["ip", "service", "pod"]), "ip"),
    flag("gateway-discovery-readiness-check-interval", Duration, "10s").since(3, 0),
    flag("gateway-discovery-readiness-check-timeout", Duration, "5s").since(3, 0),
    flag("kong-admin-tls-skip-verify", Bool, "false"),
    flag("kong-admin-tls-server-name", Text, ""),
    flag("kong-admin-ca-cert", Text, ""),
    flag("kong-admin-ca-cert-file", Text, ""),
    flag("kong-admin-tls-client-cert", Text, ""),
    flag("kong-admin-tls-client-cert-file", Text, ""),
    flag("kong-admin-tls-client-key", Text, ""),
    flag("kong-admin-tls-client-key-file", Text, ""),
    flag("kong-admin-header", Text, ""),
    flag("kong-admin-token", Text, ""),
    flag("kong-admin-token-file", Text, ""),
    flag("kong-workspace", Text, ""),
    flag("kong-admin-init-retries", Int, "60"),
    flag("kong-admin-init-retry-delay", Duration, "1s"),
    flag("kong-admin-concurrency", Int, "10"),
    flag("kong-admin-filter-tag", Text, "managed-by-ingress-controller"),
    flag("proxy-sync-seconds", Float, "3"),
    flag("proxy-timeout-seconds", Float, "30"),
    flag("init-cache-sync-duration", Duration, "5s").since(0, 2),
    flag("sync-period", Duration, "10h"),
    flag("cache-sync-timeout", Duration, "2m"),
    flag("enable-reverse-sync", Bool, "false"),
    flag("skip-ca-certificates", Bool, "false"),
    flag("use-last-valid-config-for-fallback", Bool, "false").since(2, 0),
    flag("kubeconfig", Text, ""),
    flag("apiserver-host", Text, ""),
    flag("apiserver-qps", Int, "100"),
    flag("apiserver-burst", Int, "300"),
    flag("ingress-class", Text, "kong"),
    flag("gateway-api-controller-name", Controller, "konghq.com/kic-gateway-controller"),
    flag("gateway-to-reconcile", Named, "").since(1, 0),
    flag("watch-namespace", Text, ""),
    flag("election-id", Text, "5b374a9e.konghq.com"),
    flag("election-namespace", Text, ""),
    flag("force-leader-election", OneOf(&["", "enabled", "disabled"]), "").since(2, 0),
    flag("emit-kubernetes-events", Bool, "true").since(0, 2),
    flag("cluster-domain", Text, "").since(4, 0),
    flag("secret-label-selector", Text, "").since(4, 0),
    flag("configmap-label-selector", Text, "konghq.com/configmap").since(4, 0),
    flag("term-delay", Duration, "0s"),
    flag("publish-service", Named, ""),
    flag("publish-service-udp", Named, ""),
    flag("publish-status-address", Text, ""),
    flag("publish-status-address-udp", Text, ""),
    flag("update-status", Bool, "true"),
    flag("update-status-queue-buffer-size", Int, "8192"),
    flag("metrics-bind-address", Text, ":10255"),
    flag("metrics-access-filter", OneOf(&["off", "rbac"]), "off").since(4, 3),
    flag("health-probe-bind-address", Text, ":10254"),
    flag("profiling", Bool, "false"),
    flag("dump-config", Bool, "false"),
    flag("dump-sensitive-config", Bool, "false"),
    flag("diagnostic-server-port", Int, "10256").since(1, 0),
    flag("admission-webhook-listen", Text, "off"),
    flag("admission-webhook-cert", Text, ""),
    flag("admission-webhook-cert-file", Text, ""),
    flag("admission-webhook-key", Text, ""),
    flag("admission-webhook-key-file", Text, ""),
    flag("enable-drain-support", Bool, "false").since(5, 0),
    flag("combined-services-from-different-httproutes", Bool, "false").since(5, 0),
    flag("feature-gates", Text, ""),
];

/// Switches of controllers, all on by default.
const SWITCHES: &[Flag] = &[
    flag("enable-controller-ingress-networkingv1", Bool, "true"),
    flag("enable-controller-ingress-class-networkingv1", Bool, "true"),
    flag("enable-controller-ingress-class-parameters", Bool, "true"),
    flag("enable-controller-udpingress", Bool, "true"),
    flag("enable-controller-tcpingress", Bool, "true"),
    flag("enable-controller-kongingress", Bool, "true"),
    flag("enable-controller-kongclusterplugin", Bool, "true"),
    flag("enable-controller-kongplugin", Bool, "true"),
    flag("enable-controller-kongconsumer", Bool, "true"),
    flag("enable-controller-service", Bool, "true"),
    flag("enable-controller-kong-upstream-policy", Bool, "true"),
    flag("enable-controller-kong-service-facade", Bool, "true").since(1, 0),
    flag("enable-controller-kong-vault", Bool, "true").since(1, 0),
    flag("enable-controller-kong-license", Bool, "true").since(1, 0),
    flag("enable-controller-kong-custom-entity", Bool, "true").since(2, 0),
    flag("enable-controller-gwapi-gateway", Bool, "true"),
    flag("enable-controller-gwapi-httproute", Bool, "true"),
    flag("enable-controller-gwapi-reference-grant", Bool, "true"),
    flag("enable-controller-gwapi-grpcroute", Bool, "true").since(2, 0),
];

/// Flags of Konnect: read and judged, without effect here.
const KONNECT: &[Flag] = &[
    flag("konnect-sync-enabled", Bool, "false"),
    flag("konnect-licensing-enabled", Bool, "false"),
    flag("konnect-license-storage-enabled", Bool, "true").since(5, 0),
    flag("konnect-initial-license-polling-period", Duration, "1m"),
    flag("konnect-license-polling-period", Duration, "12h"),
    flag("konnect-control-plane-id", Text, ""),
    flag("konnect-runtime-group-id", Text, ""),
    flag("konnect-address", Text, "https://us.kic.api.konghq.com"),
    flag("konnect-tls-client-cert", Text, ""),
    flag("konnect-tls-client-cert-file", Text, ""),
    flag("konnect-tls-client-key", Text, ""),
    flag("konnect-tls-client-key-file", Text, ""),
    flag("konnect-upload-config-period", Duration, "30s").since(3, 0),
    flag("konnect-config-sync-concurrency", Int, "4").since(4, 11),
    flag("konnect-refresh-node-period", Duration, "1m"),
    flag("konnect-disable-consumers-sync", Bool, "false").since(3, 0),
];

/// Every flag that a release knows.
pub fn known(release: Release) -> impl Iterator<Item = &'static Flag> {
    [FLAGS, SWITCHES, KONNECT].into_iter().flatten().filter(move |flag| flag.known(release))
}
