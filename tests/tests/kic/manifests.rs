//! What the operator would make: roles, Services, certificates, Kong and KIC.
//!
//! In: a namespace. Out: manifests as JSON.

use std::time::SystemTime;

use anyhow::Result;
use certs::{Authority, Pair, Request};
use serde_json::{Value, json};

/// The image of the stand-in.
const KIC: &str = "docker.io/kong/kubernetes-ingress-controller:3.5.13";
/// Kong's kinds, whose definitions are not there.
const SWITCHES: [&str; 12] = [
    "INGRESS_CLASS_PARAMETERS",
    "UDPINGRESS",
    "TCPINGRESS",
    "KONGINGRESS",
    "KONGCLUSTERPLUGIN",
    "KONGPLUGIN",
    "KONGCONSUMER",
    "KONG_UPSTREAM_POLICY",
    "KONG_SERVICE_FACADE",
    "KONG_VAULT",
    "KONG_LICENSE",
    "KONG_CUSTOM_ENTITY",
];

/// The role of the real one, as far as its kinds are there.
pub fn role(name: &str) -> Value {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
    let (see, list) = (["get", "list", "watch"], ["list", "watch"]);
    let status = ["get", "patch", "update"];
    json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name }, "rules": [
        rule("", &["configmaps", "pods", "services", "secrets", "namespaces"], &see),
        rule("", &["nodes"], &list),
        rule("", &["events"], &["create", "patch"]),
        rule("", &["services/status"], &status),
        rule("discovery.k8s.io", &["endpointslices"], &see),
        rule("networking.k8s.io", &["ingresses", "ingressclasses"], &see),
        rule("networking.k8s.io", &["ingresses/status"], &status),
        rule("gateway.networking.k8s.io", &["gateways"], &["get", "list", "watch", "update"]),
        rule("gateway.networking.k8s.io", &["gatewayclasses", "httproutes", "grpcroutes", "referencegrants"], &see),
        rule("gateway.networking.k8s.io", &["gatewayclasses/status", "gateways/status", "httproutes/status"], &["get", "update"]),
        rule("gateway.networking.k8s.io", &["tcproutes", "tlsroutes", "udproutes", "backendtlspolicies"], &see),
        rule("gateway.networking.k8s.io", &["tcproutes/status", "tlsroutes/status", "udproutes/status"], &["get", "update"]),
        rule("apiextensions.k8s.io", &["customresourcedefinitions"], &list),
        rule("coordination.k8s.io", &["leases"], &["get", "list", "watch", "create", "update", "patch", "delete"]),
    ] })
}

/// Binds the role to KIC's account.
pub fn binding(namespace: &str) -> Value {
    json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace },
        "subjects": [{ "kind": "ServiceAccount", "name": "kic", "namespace": namespace }] })
}

/// Secrets for both sides of the admin port, and for the webhook.
pub fn secrets(namespace: &str) -> Result<(Vec<Value>, String)> {
    let now = SystemTime::now();
    let authority = Authority::make("admin", now)?;
    let server = authority.issue(&Request::server([format!("*.kong-admin.{namespace}.svc")]), now)?;
    let webhook = authority.issue(&Request::server([format!("kic-webhook.{namespace}.svc")]), now)?;
    let client = authority.issue(&Request::client(["kic"]), now)?;
    let secret = |name: &str, pair: &Pair| {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": {
            "tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate() } })
    };
    let all = vec![secret("admin", &server), secret("client", &client), secret("webhook", &webhook)];
    Ok((all, authority.certificate().to_owned()))
}

/// The Services of Kong and of KIC's webhook.
pub fn services() -> Vec<Value> {
    let service = |name: &str, app: &str, spec: Value| {
        let mut service =
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": spec });
        service["spec"]["selector"] = json!({ "app": app });
        service
    };
    vec![
        service(
            "kong-admin",
            "kong",
            json!({ "clusterIP": "None", "publishNotReadyAddresses": true,
            "ports": [{ "name": "admin", "port": 8444 }] }),
        ),
        service(
            "kong-proxy",
            "kong",
            json!({ "ports": [
            { "name": "http", "port": 80, "targetPort": 8000 }, { "name": "https", "port": 443, "targetPort": 8443 },
            { "name": "tcp", "port": 9000, "targetPort": 9000 }] }),
        ),
        service("kic-webhook", "kic", json!({ "ports": [{ "port": 443, "targetPort": 8080 }] })),
        service("echo", "echo", json!({ "ports": [{ "port": 80, "targetPort": 3000 }] })),
    ]
}

/// A container that the restricted Pod Security standard takes, with Secrets mounted under `/tls`.
fn pod(name: &str, container: Value, secrets: &[&str]) -> Value {
    let mut container = container;
    container["name"] = json!(name);
    container["resources"] = json!({ "requests": { "cpu": "10m", "memory": "16Mi" } });
    container["securityContext"] = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
        "runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": { "type": "RuntimeDefault" } });
    let mounts = secrets.iter().map(|name| json!({ "name": name, "mountPath": format!("/tls/{name}") }));
    let mut mounts: Vec<Value> = mounts.collect();
    mounts.push(json!({ "name": "prefix", "mountPath": "/kong_prefix" }));
    container["volumeMounts"] = json!(mounts);
    let mut volumes: Vec<Value> =
        secrets.iter().map(|name| json!({ "name": name, "secret": { "secretName": name } })).collect();
    volumes.push(json!({ "name": "prefix", "emptyDir": {} }));
    json!({ "containers": [container], "volumes": volumes })
}

fn deployment(name: &str, replicas: u32, spec: &Value) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name }, "spec": { "replicas": replicas,
        "selector": { "matchLabels": { "app": name } },
        "template": { "metadata": { "labels": { "app": name } }, "spec": spec } } })
}

/// Kong in so many replicas.
pub fn kong(replicas: u32) -> Value {
    let env = [
        ("KONG_DATABASE", "off"),
        ("KONG_PREFIX", "/kong_prefix/"),
        ("KONG_ADMIN_LISTEN", "0.0.0.0:8444 ssl"),
        ("KONG_ADMIN_SSL_CERT", "/tls/admin/tls.crt"),
        ("KONG_ADMIN_SSL_CERT_KEY", "/tls/admin/tls.key"),
        ("KONG_NGINX_ADMIN_SSL_CLIENT_CERTIFICATE", "/tls/admin/ca.crt"),
        ("KONG_NGINX_ADMIN_SSL_VERIFY_CLIENT", "on"),
        ("KONG_PROXY_LISTEN", "0.0.0.0:8000, 0.0.0.0:8443 ssl"),
        ("KONG_STREAM_LISTEN", "0.0.0.0:9000"),
        ("KONG_STATUS_LISTEN", "0.0.0.0:8100"),
    ];
    let ready = json!({ "httpGet": { "path": "/status/ready", "port": 8100 }, "periodSeconds": 1 });
    let container =
        json!({ "image": "docker.io/library/kong:3.9.3", "env": variables(env), "readinessProbe": ready });
    deployment("kong", replicas, &pod("kong", container, &["admin"]))
}

/// What answers requests.
pub fn echo(name: &str) -> Value {
    let ready = json!({ "tcpSocket": { "port": 3000 }, "periodSeconds": 1 });
    let container =
        json!({ "image": "registry.k8s.io/gateway-api/echo-basic:v1.5.1", "readinessProbe": ready });
    deployment(name, 1, &pod("echo", container, &[]))
}

/// KIC with more variables; an empty value takes one away.
pub fn kic(namespace: &str, more: &[(&str, &str)]) -> Value {
    deployment("kic", 1, &controller(namespace, more, &[]))
}

/// The specification of a pod with KIC in it.
pub fn controller(namespace: &str, more: &[(&str, &str)], arguments: &[&str]) -> Value {
    let of = |name: &str| format!("{namespace}/{name}");
    let (proxy, admin, own) = (of("kong-proxy"), of("kong-admin"), name(namespace));
    let mut env: Vec<(String, String)> = [
        ("ANONYMOUS_REPORTS", "false"),
        ("PUBLISH_SERVICE", &proxy),
        ("KONG_ADMIN_SVC", &admin),
        ("KONG_ADMIN_SVC_PORT_NAMES", "admin"),
        ("KONG_ADMIN_TLS_CLIENT_CERT_FILE", "/tls/client/tls.crt"),
        ("KONG_ADMIN_TLS_CLIENT_KEY_FILE", "/tls/client/tls.key"),
        ("KONG_ADMIN_CA_CERT_FILE", "/tls/client/ca.crt"),
        ("GATEWAY_API_CONTROLLER_NAME", &own),
        ("INGRESS_CLASS", namespace),
        ("INIT_CACHE_SYNC_DURATION", "1s"),
        ("PROXY_SYNC_SECONDS", "1"),
        ("LOG_LEVEL", "debug"),
    ]
    .map(|(name, value)| (format!("CONTROLLER_{name}"), value.to_owned()))
    .to_vec();
    env.extend(SWITCHES.map(|kind| (format!("CONTROLLER_ENABLE_CONTROLLER_{kind}"), "false".to_owned())));
    for (name, value) in more {
        env.retain(|(known, _)| known != name);
        if !value.is_empty() {
            env.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    let mut env = variables(env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    for (name, path) in [("POD_NAME", "metadata.name"), ("POD_NAMESPACE", "metadata.namespace")] {
        env.push(json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } }));
    }
    let ready = json!({ "httpGet": { "path": "/readyz", "port": 10254 }, "periodSeconds": 1 });
    let container = json!({ "image": KIC, "env": env, "args": arguments, "readinessProbe": ready,
        "terminationMessagePolicy": "FallbackToLogsOnError" });
    let mut spec = pod("kic", container, &["client", "webhook"]);
    spec["serviceAccountName"] = json!("kic");
    spec
}

fn variables<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Value> {
    all.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// The name of the controller, and of its class, in a namespace.
pub fn name(namespace: &str) -> String {
    format!("example.com/{namespace}")
}

/// A class; `unmanaged` leaves its Gateways to KIC.
pub fn class(namespace: &str, unmanaged: bool) -> Value {
    let annotations =
        if unmanaged { json!({ "konghq.com/gatewayclass-unmanaged": "true" }) } else { json!({}) };
    json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": namespace, "annotations": annotations }, "spec": { "controllerName": name(namespace) } })
}

/// A Gateway with one listener.
pub fn gateway(namespace: &str) -> Value {
    json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "gw" },
        "spec": { "gatewayClassName": namespace, "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }] } })
}

/// A route to the echo backend by that match.
pub fn route(name: &str, found: &Value) -> Value {
    json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": name },
        "spec": { "parentRefs": [{ "name": "gw" }],
            "rules": [{ "matches": [found], "backendRefs": [{ "name": "echo", "port": 80 }] }] } })
}

/// A match by the beginning of a path.
pub fn prefix(path: &str) -> Value {
    json!({ "path": { "type": "PathPrefix", "value": path } })
}

/// A match that Kong refuses: a regular expression that is none.
pub fn refused() -> Value {
    json!({ "path": { "type": "RegularExpression", "value": "/(" } })
}
