//! Samples that show one feature of `DataPlane` each.
//!
//! In: the API types. Out: samples that become Ready as they are, on a cluster that can do what they ask for.
//! Each stands alone.

use crds::DataPlane;
use crds::k8s::{ConfigMap, Secret};
use crds::names::PROXY_CONTAINER;
use serde_json::{Value, json};

use super::{ECHO_IMAGE, ECHO_PORT, Sample, config_map, dataplane, metadata, typed};

/// Kong 3.9.1 as Docker published it, for all its platforms.
const BY_DIGEST: &str =
    "docker.io/library/kong:3.9.1@sha256:76c14b93e989f7f4418039f7f9789ca32564016211c86ac1a18022f4788e7b9c";

/// Kong's configuration that passes DNS on to the cluster's own.
const DNS: &str = r#"_format_version: "3.0"
services:
  - name: dns
    url: udp://kube-dns.kube-system.svc.cluster.local:53
    routes:
      - name: dns
        protocols:
          - udp
        destinations:
          - port: 53
  - name: dns-tcp
    url: tcp://kube-dns.kube-system.svc.cluster.local:53
    routes:
      - name: dns-tcp
        protocols:
          - tcp
        destinations:
          - port: 53
"#;

/// All of them.
pub fn samples() -> anyhow::Result<Vec<Sample>> {
    Ok(vec![
        ports()?,
        streams()?,
        scaling()?,
        sidecar()?,
        image_by_digest()?,
        cloud_load_balancer()?,
        volumes()?,
        disruption_budget()?,
        ipv6()?,
        dual_stack()?,
    ])
}

fn ports() -> anyhow::Result<Sample> {
    let ports = json!([
        { "name": "http", "port": 8080, "targetPort": 8000, "nodePort": 30080 },
        { "name": "https", "port": 8443, "targetPort": 8443 },
        { "name": "http-internal", "port": 9080, "targetPort": 9080 },
    ]);
    one::<DataPlane>(
        "dataplane-ports",
        "Ports of one's own: the Service, the container and what Kong listens on move together.\n\
         Kong listens on 8000, on 8443 with TLS, and on 9080.",
        &dataplane("ports", &ingress(&json!({ "type": "NodePort", "ports": ports }))),
    )
}

fn streams() -> anyhow::Result<Sample> {
    let ports = json!([
        { "name": "http", "port": 80 },
        { "name": "dns", "port": 53, "protocol": "UDP" },
        { "name": "dns-tcp", "port": 53, "protocol": "TCP" },
    ]);
    let spec = with_template(&json!({ "ports": ports }), &configured("dns-configuration"));
    Ok(Sample {
        name: "dataplane-streams",
        shows: "Streams beside HTTP: Kong takes DNS queries over UDP and TCP, and passes them on to the cluster's DNS.\n\
                Ports below 1024 are taken by Kong 10000 higher, where it needs no privilege.",
        objects: vec![
            typed::<ConfigMap>(&config_map("dns-configuration", &json!({ "kong.yaml": DNS })))?,
            typed::<DataPlane>(&dataplane("streams", &spec))?,
        ],
    })
}

fn scaling() -> anyhow::Result<Sample> {
    let cpu = json!({
        "type": "Resource",
        "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 70 } },
    });
    let behavior = json!({ "scaleDown": { "stabilizationWindowSeconds": 300 } });
    let horizontal = json!({ "minReplicas": 2, "maxReplicas": 5, "metrics": [cpu], "behavior": behavior });
    one::<DataPlane>(
        "dataplane-scaling",
        "Two to five pods, by the CPU that they use. Needs metrics-server to scale; runs two pods without.",
        &dataplane("scaling", &json!({ "deployment": { "scaling": { "horizontal": horizontal } } })),
    )
}

fn sidecar() -> anyhow::Result<Sample> {
    let sidecar = json!({
        "name": "sidecar",
        "image": ECHO_IMAGE,
        "env": [
            { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
        ],
        "ports": [{ "name": "sidecar", "containerPort": ECHO_PORT }],
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "runAsNonRoot": true,
            "runAsUser": 65532,
        },
    });
    let template = json!({
        "metadata": { "labels": { "team": "edge" } },
        "spec": {
            "containers": [
                { "name": PROXY_CONTAINER, "env": [{ "name": "KONG_LOG_LEVEL", "value": "info" }] },
                sidecar,
            ],
        },
    });
    let ports =
        json!([{ "name": "http", "port": 80 }, { "name": "sidecar", "port": 3000, "targetPort": "sidecar" }]);
    let spec = with_template(&json!({ "ports": ports }), &template);
    one::<DataPlane>(
        "dataplane-sidecar",
        "A second container beside Kong, with a port of the Service of its own. What is said of the container named\n\
         proxy is added to what the operator says of it.",
        &dataplane("sidecar", &spec),
    )
}

fn image_by_digest() -> anyhow::Result<Sample> {
    let template = json!({ "spec": { "containers": [{ "name": PROXY_CONTAINER, "image": BY_DIGEST }] } });
    one::<DataPlane>(
        "dataplane-image-by-digest",
        "An image that nobody can exchange under its tag.",
        &dataplane("image-by-digest", &json!({ "deployment": { "podTemplateSpec": template } })),
    )
}

fn cloud_load_balancer() -> anyhow::Result<Sample> {
    let annotations = json!({
        "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing",
        "service.beta.kubernetes.io/aws-load-balancer-type": "external",
    });
    let service = json!({ "name": "edge", "annotations": annotations, "externalTrafficPolicy": "Local" });
    one::<DataPlane>(
        "dataplane-cloud-load-balancer",
        "A Service whose name and annotations a cloud's load balancer controller reads, here that of AWS. With\n\
         externalTrafficPolicy Local the pods see the addresses of their clients.",
        &dataplane("cloud-load-balancer", &ingress(&service)),
    )
}

fn volumes() -> anyhow::Result<Sample> {
    let volumes = json!([
        { "name": "error-pages", "configMap": { "name": "error-pages" } },
        { "name": "scratch", "emptyDir": { "sizeLimit": "64Mi" } },
    ]);
    let proxy = json!({
        "name": PROXY_CONTAINER,
        "env": [
            { "name": "KONG_ERROR_TEMPLATE_HTML", "value": "/error-pages/error.html" },
            {
                "name": "EDGE_TOKEN",
                "valueFrom": { "secretKeyRef": { "name": "edge-token", "key": "token" } },
            },
        ],
        "volumeMounts": [
            { "name": "error-pages", "mountPath": "/error-pages", "readOnly": true },
            { "name": "scratch", "mountPath": "/scratch" },
        ],
    });
    let template = json!({ "spec": { "containers": [proxy], "volumes": volumes } });
    let page = "<html><body><h1>%s</h1><p>%s</p><p>request %s</p></body></html>\n";
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata("edge-token"), "type": "Opaque",
        // "change-me"
        "data": { "token": "Y2hhbmdlLW1l" },
    });
    Ok(Sample {
        name: "dataplane-volumes",
        shows: "Files from a ConfigMap, a variable from a Secret, and a scratch volume. The operator's own volumes stay.",
        objects: vec![
            typed::<ConfigMap>(&config_map("error-pages", &json!({ "error.html": page })))?,
            typed::<Secret>(&token)?,
            typed::<DataPlane>(&dataplane(
                "volumes",
                &json!({ "deployment": { "podTemplateSpec": template } }),
            ))?,
        ],
    })
}

fn disruption_budget() -> anyhow::Result<Sample> {
    let spec = json!({
        "deployment": { "replicas": 3 },
        "resources": { "podDisruptionBudget": { "spec": { "minAvailable": 2 } } },
    });
    one::<DataPlane>(
        "dataplane-disruption-budget",
        "Three pods, over nodes where there are several, of which two stay while nodes are drained.",
        &dataplane("disruption-budget", &spec),
    )
}

fn ipv6() -> anyhow::Result<Sample> {
    let service = json!({ "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"] });
    one::<DataPlane>(
        "dataplane-ipv6",
        "IPv6 alone, on a cluster that has it. On a cluster of IPv6 only nothing has to be said.",
        &dataplane("ipv6", &ingress(&service)),
    )
}

fn dual_stack() -> anyhow::Result<Sample> {
    one::<DataPlane>(
        "dataplane-dual-stack",
        "IPv4 and IPv6 where the cluster has both, else the one that it has.",
        &dataplane("dual-stack", &ingress(&json!({ "ipFamilyPolicy": "PreferDualStack" }))),
    )
}

fn one<T>(name: &'static str, shows: &'static str, object: &Value) -> anyhow::Result<Sample>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    Ok(Sample { name, shows, objects: vec![typed::<T>(object)?] })
}

fn ingress(service: &Value) -> Value {
    json!({ "network": { "services": { "ingress": service } } })
}

fn with_template(service: &Value, template: &Value) -> Value {
    json!({
        "deployment": { "podTemplateSpec": template },
        "network": { "services": { "ingress": service } },
    })
}

/// A pod template whose Kong reads its configuration from a `ConfigMap`.
fn configured(config_map: &str) -> Value {
    let proxy = json!({
        "name": PROXY_CONTAINER,
        "env": [{ "name": "KONG_DECLARATIVE_CONFIG", "value": "/kong-configuration/kong.yaml" }],
        "volumeMounts": [{ "name": config_map, "mountPath": "/kong-configuration", "readOnly": true }],
    });
    let volume = json!({ "name": config_map, "configMap": { "name": config_map } });
    json!({ "spec": { "containers": [proxy], "volumes": [volume] } })
}
