//! `manifests/base`: everything that an installation needs, in one file that is also a kustomize base.
//!
//! In: the definitions, the roles, the webhooks, and how the operator runs as pods. Out: `install.yaml` and its
//! kustomization. Never: something that depends on the cluster it is for; `manifests/overlays` changes that.

use std::time::Duration;

use crds::names::{NAMESPACE, OPERATOR as NAME};
use serde_json::{Value, json};

use super::{File, yaml};

/// What installs with it.
const APPLY: &str = "\
# One file for the whole operator: kubectl apply --server-side -f install.yaml
# It can be applied again at any time, and over the version before.
";
/// What is in the folder.
const BASE: &str = "# What the overlays start from; see docs/install.md.\n";

/// Who publishes the image decides its name: releases and kustomize's `images` replace this one.
pub const IMAGE: &str = concat!("localhost/silverback/silverback:", env!("CARGO_PKG_VERSION"));
/// Ports of the container, by name. Services and probes go by the names.
const PORTS: [(&str, u16); 3] = [("webhooks", 9443), ("metrics", 8443), ("probes", 8081)];
/// The flag `--shutdown-delay` by default (10 s), the drain of requests and the last reconciles, and some time left.
const GRACE: Duration = Duration::from_secs(40);
/// Above the pods that are of nobody's class, which it keeps running; below the cluster's own.
const PRIORITY: u32 = 1_000_000;

/// All files of the folder; `before` is what is applied besides: definitions, roles, webhooks.
pub fn files(before: &[&File]) -> anyhow::Result<Vec<File>> {
    let own = [priority(), metrics(), policy(), budget(), deployment()];
    // The namespace comes before what is in it.
    let before = before.iter().map(|file| yaml::body(&file.content).to_owned());
    let own = own
        .iter()
        .map(|object| Ok(yaml::body(&yaml::documents("", std::slice::from_ref(object))?).to_owned()));
    let parts = before.map(Ok).chain(own).collect::<anyhow::Result<Vec<_>>>()?;
    let all = format!("{}{APPLY}{}", yaml::NOTICE, parts.join("---\n"));
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["install.yaml"],
    });
    Ok(vec![
        File::new("manifests/base/install.yaml", all),
        File::new("manifests/base/kustomization.yaml", yaml::documents(BASE, &[kustomization])?),
    ])
}

/// The labels that select the operator's pods.
pub fn selected() -> Value {
    json!({ "app.kubernetes.io/name": NAME })
}

/// An object of the operator's namespace.
fn own(version: &str, kind: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({ "name": name, "namespace": NAMESPACE, "labels": selected() });
    json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec })
}

/// Where a node is short, the operator stays and goes on repairing.
fn priority() -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": { "name": NAME, "labels": selected() },
        "value": PRIORITY,
        "globalDefault": false,
        "description": "The operator of Kong: webhooks are answered and gateways repaired while a node is short.",
    })
}

/// `/metrics`, by the name that its certificate is for.
pub fn metrics() -> Value {
    let port = json!({ "name": "metrics", "port": 8443, "protocol": "TCP", "targetPort": "metrics" });
    own("v1", "Service", "silverback-metrics", &json!({ "selector": selected(), "ports": [port] }))
}

/// The API server has no label to be known by, so each port is open to everybody who can show who they are; nothing
/// else is.
fn policy() -> Value {
    let ports: Value = PORTS.iter().map(|(_, port)| json!({ "protocol": "TCP", "port": port })).collect();
    let spec = json!({
        "podSelector": { "matchLabels": selected() },
        "policyTypes": ["Ingress"],
        "ingress": [{ "ports": ports }],
    });
    own("networking.k8s.io/v1", "NetworkPolicy", NAME, &spec)
}

/// One replica may always go; one that is broken never holds a drain up.
pub fn budget() -> Value {
    let spec = json!({
        "maxUnavailable": 1,
        "selector": { "matchLabels": selected() },
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    });
    own("policy/v1", "PodDisruptionBudget", NAME, &spec)
}

/// The operator itself: two replicas answer the webhooks, one of them reconciles.
pub fn deployment() -> Value {
    let spec = json!({
        "replicas": 2,
        "selector": { "matchLabels": selected() },
        // A replica that stops is replaced before it goes.
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } },
        "template": {
            "metadata": {
                "labels": selected(),
                "annotations": { "kubectl.kubernetes.io/default-container": NAME },
            },
            "spec": pod(),
        },
    });
    own("apps/v1", "Deployment", NAME, &spec)
}

/// Passes the restricted Pod Security standard. No user or group is named: the image has its own, and `OpenShift`
/// gives each namespace others.
fn pod() -> Value {
    // Not as a second constraint: the scheduler spreads nothing over nodes that lack the label of any of them, and
    // zones are only in clouds.
    let other_zone = json!({
        "weight": 100,
        "podAffinityTerm": {
            "topologyKey": "topology.kubernetes.io/zone",
            "labelSelector": { "matchLabels": selected() },
        },
    });
    json!({
        "serviceAccountName": NAME,
        "priorityClassName": NAME,
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "terminationGracePeriodSeconds": GRACE.as_secs(),
        "topologySpreadConstraints": [apart("ScheduleAnyway")],
        "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [other_zone] } },
        "containers": [container()],
    })
}

/// On nodes of their own: where that is possible (`ScheduleAnyway`), or not at all (`DoNotSchedule`).
pub fn apart(unsatisfiable: &str) -> Value {
    json!({
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": unsatisfiable,
        "labelSelector": { "matchLabels": selected() },
        // Pods of the template before do not count while a new one comes.
        "matchLabelKeys": ["pod-template-hash"],
    })
}

fn container() -> Value {
    let ports = PORTS.map(|(name, port)| json!({ "name": name, "containerPort": port, "protocol": "TCP" }));
    json!({
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "ports": ports,
        // Kustomize and OLM may put it into another namespace.
        "env": [{ "name": "SILVERBACK_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } }],
        // Its first second may be spent on certificates and stores; a replica that hangs is not the Service's for long.
        "readinessProbe": probe("/readyz", 1, 5),
        "livenessProbe": probe("/healthz", 10, 6),
        // No limit of CPU: a throttled webhook holds up everybody's `kubectl apply`.
        "resources": { "requests": { "cpu": "50m", "memory": "96Mi" }, "limits": { "memory": "512Mi" } },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        },
    })
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "probes" },
        "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures,
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;

    use super::*;

    #[test]
    fn everything_that_was_there_before_is_in_the_one_file() {
        let before =
            File::new("a.yaml", yaml::documents("# Why.\n", &[json!({ "kind": "Before" })]).unwrap());
        let files = files(&[&before]).unwrap();
        let kinds: Vec<_> = files[0].content.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
        let own = ["PriorityClass", "Service", "NetworkPolicy", "PodDisruptionBudget", "Deployment"];
        assert_eq!(kinds, [&["Before"], &own[..]].concat());
        assert_eq!(files[0].content.matches(yaml::NOTICE).count(), 1, "one notice");
        assert!(files[0].content.contains("# Why.\nkind: Before\n---\n"));
    }

    #[test]
    fn the_deployment_is_of_kubernetes_types_and_restricted() {
        let read: Deployment = serde_json::from_value(deployment()).unwrap();
        let back = yaml::value(&read).unwrap();
        assert_eq!(
            back["spec"]["template"]["spec"],
            deployment()["spec"]["template"]["spec"],
            "no field is unknown"
        );
        let pod = pod();
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["containers"][0]["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    }

    #[test]
    fn ports_are_those_of_the_arguments() {
        let arguments = ["args.rs", "args/webhooks.rs"].map(|file| {
            std::fs::read_to_string(crate::tree::root().join("src/operator/src").join(file)).unwrap()
        });
        for (name, port) in PORTS {
            assert!(arguments.concat().contains(&format!("default_value = \"[::]:{port}\"")), "{name}");
        }
    }
}
