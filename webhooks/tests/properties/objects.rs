//! Objects as people write them, and as nobody does.
//!
//! In: chance. Out: any JSON, often with the names of fields that rules look at; and specifications that are mostly good.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Names of fields that rules look at, so that generated objects are not all strangers to them.
const FIELDS: &[&str] = &[
    "$patch",
    "annotations",
    "args",
    "behavior",
    "blueGreen",
    "containerPort",
    "containers",
    "controlPlaneOptions",
    "dataPlaneOptions",
    "dataplane",
    "deployment",
    "emptyDir",
    "env",
    "envFrom",
    "from",
    "gatewayClassName",
    "group",
    "horizontal",
    "httpGet",
    "image",
    "ingress",
    "initContainers",
    "ipFamilies",
    "labels",
    "limits",
    "list",
    "listeners",
    "listenersOptions",
    "livenessProbe",
    "maxReplicas",
    "maxUnavailable",
    "metadata",
    "metrics",
    "minAvailable",
    "minReplicas",
    "mountPath",
    "name",
    "namespace",
    "network",
    "nodePort",
    "parametersRef",
    "podDisruptionBudget",
    "podTemplateSpec",
    "port",
    "ports",
    "protocol",
    "replicas",
    "requests",
    "resources",
    "rollout",
    "scaling",
    "secretRef",
    "securityContext",
    "services",
    "spec",
    "strategy",
    "targetPort",
    "tls",
    "type",
    "value",
    "valueFrom",
    "volumeMounts",
    "volumes",
    "watchNamespaces",
];

/// Words that rules look at.
const WORDS: &[&str] = &[
    "",
    "0%",
    "100%",
    "500m",
    "ClusterIP",
    "HTTPS",
    "IPv6",
    "KONG_ADMIN_LISTEN",
    "KONG_DATABASE",
    "KONG_PORT_MAPS",
    "KONG_PREFIX",
    "KONG_PROXY_LISTEN",
    "KONG_STATUS_LISTEN",
    "KONG_STREAM_LISTEN",
    "LoadBalancer",
    "NodePort",
    "Resource",
    "UDP",
    "[::]:8443 ssl",
    "all",
    "controller",
    "delete",
    "kong:2.8",
    "kong:3.9",
    "off",
    "own",
    "proxy",
    "proxy-ssl",
    "replace",
    "ä\u{0}€",
    "80:8000",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()]
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![8 => prop::sample::select(FIELDS).prop_map(str::to_owned), 1 => any::<String>()]
}

/// Any JSON, and often something that looks like a manifest.
pub fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_i64..70_000).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 6, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => btree_map(field(), inner, 0..6).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// A part of a specification: mostly absent or good, sometimes not.
fn part(choices: Vec<Value>) -> impl Strategy<Value = Value> {
    prop_oneof![2 => Just(Value::Null), 1 => prop::sample::select(choices)]
}

fn image() -> impl Strategy<Value = Value> {
    part(vec![
        json!("kong:3.9"),
        json!("registry.example.com:5000/kong/kong-gateway:3.4.3.5"),
        json!("kong:2.8"),
        json!("Bad"),
    ])
}

fn variables() -> impl Strategy<Value = Value> {
    let written = |name: &str, value: &str| json!({ "name": name, "value": value });
    let good = vec![
        written("TZ", "UTC"),
        written("KONG_DATABASE", "off"),
        written("KONG_DATABASE", ""),
        written("KONG_ADMIN_LISTEN", "0.0.0.0:8444 ssl, [::]:8444 ssl"),
        written("KONG_PREFIX", "/opt/kong"),
        written("KONG_STREAM_LISTEN", "0.0.0.0:9000, 0.0.0.0:9053 udp"),
        written("KONG_DECLARATIVE_CONFIG", "/kong.yml"),
        written("KONG_STATUS_LISTEN", "0.0.0.0:8100"),
        written("KONG_PORT_MAPS", "80:8000, 443:8443"),
        json!({ "name": "KONG_STREAM_LISTEN", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } }),
        json!({ "name": "KONG_PORT_MAPS", "$patch": "delete" }),
        json!({ "$patch": "replace" }),
    ];
    let bad = vec![
        written("KONG_DATABASE", "postgres"),
        written("KONG_ADMIN_LISTEN", "off"),
        written("KONG_PORT_MAPS", "80"),
        written("KONG_PROXY_LISTEN", "8000"),
        written("KONG_STATUS_LISTEN", "off"),
        json!({ "name": "KONG_DATABASE", "$patch": "delete" }),
    ];
    let one = prop_oneof![8 => prop::sample::select(good), 1 => prop::sample::select(bad)];
    vec(one, 0..3).prop_map(Value::from)
}

fn containers() -> impl Strategy<Value = Value> {
    let ports = part(vec![
        json!([{ "containerPort": 9000 }]),
        json!([{ "name": "metrics", "containerPort": 9542 }]),
        json!([{ "name": "a", "containerPort": 9053, "protocol": "UDP" }]),
        json!([{ "containerPort": 0 }]),
    ]);
    let resources = part(vec![
        json!({ "limits": { "cpu": 2, "memory": "1Gi" } }),
        json!({ "requests": { "memory": "2Gi" }, "limits": { "memory": "1Gi" } }),
    ]);
    let probe = part(vec![
        json!({ "periodSeconds": 3 }),
        json!({ "tcpSocket": { "port": 8000 } }),
        json!({ "httpGet": { "path": "/x", "port": 8007 } }),
    ]);
    let proxy = (image(), variables(), ports, resources, probe).prop_map(|(image, env, ports, resources, probe)| {
        json!({ "name": "proxy", "image": image, "env": env, "ports": ports, "resources": resources, "readinessProbe": probe })
    });
    let beside = part(vec![
        json!({ "name": "sidecar", "image": "team/side:1", "ports": [{ "containerPort": 9100, "name": "side" }] }),
        json!({ "name": "sidecar", "image": "team/side:1", "ports": [{ "containerPort": 8100 }] }),
        json!({ "name": "sidecar" }),
    ]);
    (proxy, beside).prop_map(
        |(proxy, beside)| {
            if beside.is_null() { json!([proxy]) } else { json!([beside, proxy]) }
        },
    )
}

fn pod() -> impl Strategy<Value = Value> {
    let volumes = part(vec![
        json!([{ "name": "cluster-certificate" }]),
        json!([{ "name": "x", "emptyDir": {} }]),
        json!([{ "name": "kong-prefix", "$patch": "delete" }]),
        json!([{ "name": "x", "emptyDir": {}, "hostPath": { "path": "/" } }]),
    ]);
    let context = part(vec![json!({ "runAsUser": 0 }), json!({ "runAsNonRoot": true })]);
    let grace = part(vec![json!(0), json!(3), json!(600)]);
    let labels = part(vec![json!({ "team": "a" }), json!({ "app": "mine" })]);
    (containers(), volumes, context, grace, labels).prop_map(|(containers, volumes, context, grace, labels)| {
        json!({ "metadata": { "labels": labels }, "spec": {
            "containers": containers, "volumes": volumes, "securityContext": context, "terminationGracePeriodSeconds": grace,
        } })
    })
}

fn ingress() -> impl Strategy<Value = Value> {
    let port = (
        prop::sample::select(vec![
            Value::Null,
            json!("HTTP"),
            json!("HTTPS"),
            json!("TCP"),
            json!("TLS"),
            json!("UDP"),
        ]),
        prop::sample::select(vec![
            Value::Null,
            Value::Null,
            Value::Null,
            json!(8000),
            json!(8443),
            json!(8100),
            json!(9000),
            json!("proxy"),
            json!("proxy-ssl"),
            json!("side"),
        ]),
    );
    let ports = vec(port, 0..3).prop_map(|ports| {
        let one = |(index, (protocol, target)): (usize, (Value, Value))| {
            json!({ "name": format!("p{index}"), "port": 80 + index, "protocol": protocol, "targetPort": target })
        };
        Value::from(ports.into_iter().enumerate().map(one).collect::<Vec<_>>())
    });
    let type_ = part(vec![json!("NodePort"), json!("ClusterIP")]);
    (ports, type_, part(vec![json!("edge"), json!("dataplane-admin-edge")]))
        .prop_map(|(ports, type_, name)| json!({ "ports": ports, "type": type_, "name": name }))
}

/// A `DataPlane` as people write them, mistakes included.
pub fn specification() -> impl Strategy<Value = Value> {
    let scaling = part(vec![
        json!({ "horizontal": { "maxReplicas": 3 } }),
        json!({ "horizontal": { "minReplicas": 0, "maxReplicas": 3 } }),
        json!({ "horizontal": { "maxReplicas": 3, "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } } }] } }),
    ]);
    let budget = part(vec![
        json!({ "minAvailable": 1 }),
        json!({ "maxUnavailable": "50%" }),
        json!({ "maxUnavailable": 0 }),
        json!({ "minAvailable": "x" }),
    ]);
    (pod(), ingress(), scaling, budget).prop_map(|(template, ingress, scaling, budget)| {
        let resources =
            if budget.is_null() { Value::Null } else { json!({ "podDisruptionBudget": { "spec": budget } }) };
        without_nulls(json!({
            "deployment": { "podTemplateSpec": template, "scaling": scaling },
            "network": { "services": { "ingress": ingress } },
            "resources": resources,
        }))
    })
}

/// As the API server hands objects on: a field that is null is absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}

/// The specification of a `ControlPlane` as people write them, mistakes included.
pub fn control() -> impl Strategy<Value = Value> {
    let images = part(vec![
        json!("kong/kubernetes-ingress-controller:3.5.1"),
        json!("docker.io/kong/kubernetes-ingress-controller:3.1.2"),
        json!(
            "kong/kubernetes-ingress-controller@sha256:0000000000000000000000000000000000000000000000000000000000000000"
        ),
        json!("kong/kubernetes-ingress-controller:2.12"),
        json!("Bad"),
    ]);
    let written = |name: &str, value: &str| json!({ "name": name, "value": value });
    let variable = prop::sample::select(vec![
        written("CONTROLLER_LOG_LEVEL", "debug"),
        written("CONTROLLER_FEATURE_GATES", "FallbackConfiguration=true"),
        written("CONTROLLER_ADMISSION_WEBHOOK_LISTEN", "off"),
        written("CONTROLLER_ELECTION_ID", "mine"),
        written("CONTROLLER_GATEWAY_API_CONTROLLER_NAME", "example.com/mine"),
        written("CONTROLLER_PUBLISH_SERVICE", "team/other"),
        written("CONTROLLER_KONG_ADMIN_URL", "https://elsewhere:8444"),
        json!({ "name": "CONTROLLER_LOG_LEVEL", "$patch": "delete" }),
        json!({ "$patch": "replace" }),
    ]);
    let watched = part(vec![
        json!({ "type": "all" }),
        json!({ "type": "own" }),
        json!({ "type": "list", "list": ["team", "other"] }),
        json!({ "type": "list" }),
    ]);
    let replicas = part(vec![json!(0), json!(2)]);
    let class = part(vec![json!("kong"), json!("")]);
    (images, vec(variable, 0..3), watched, replicas, class).prop_map(|(image, env, watched, replicas, class)| {
        let controller = json!({ "name": "controller", "image": image, "env": env });
        without_nulls(json!({
            "deployment": { "replicas": replicas, "podTemplateSpec": { "spec": { "containers": [controller] } } },
            "gatewayClass": class,
            "watchNamespaces": watched,
        }))
    })
}

/// The specification of a `GatewayConfiguration`: options of both planes, whose listeners are the Gateway's.
pub fn configuration() -> impl Strategy<Value = Value> {
    (specification(), control()).prop_map(|(mut data, control)| {
        if let Some(ingress) = data.pointer_mut("/network/services/ingress").and_then(Value::as_object_mut) {
            ingress.remove("ports");
        }
        let mut options = control;
        if let Some(options) = options.as_object_mut() {
            options.remove("gatewayClass");
        }
        json!({ "dataPlaneOptions": data, "controlPlaneOptions": options })
    })
}
