//! What may be in a bundle, and how its files belong together.

use serde_json::{Value, json};

use super::{Bundle, items, text};

/// Kinds that OLM takes from a bundle; catalogues take no `NetworkPolicy`.
const KINDS: [&str; 17] = [
    "ClusterServiceVersion",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
    "PrometheusRule",
    "ServiceMonitor",
    "PodMonitor",
    "Secret",
    "ConfigMap",
    "PodDisruptionBudget",
    "PriorityClass",
    "VerticalPodAutoscaler",
    "ConsoleYAMLSample",
];
/// Versions that Kubernetes serves no more (removed in 1.22, 1.25, 1.26, 1.29 and 1.32).
const REMOVED: [&str; 10] = [
    "apiextensions.k8s.io/v1beta1",
    "admissionregistration.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1beta1",
    "scheduling.k8s.io/v1beta1",
    "policy/v1beta1",
    "autoscaling/v2beta1",
    "autoscaling/v2beta2",
    "batch/v1beta1",
    "discovery.k8s.io/v1beta1",
    "networking.k8s.io/v1beta1",
];
/// What a bundle may weigh.
const LIMIT: usize = 1 << 20;
/// How the names of channels begin.
const CHANNELS: [&str; 3] = ["candidate", "fast", "stable"];

/// Every rule that does not hold.
pub fn wrong(bundle: &Bundle) -> Vec<String> {
    let mut wrong: Vec<_> =
        bundle.objects.iter().flat_map(|(file, object)| of_object(file, object)).collect();
    wrong.extend(of_metadata(bundle));
    if bundle.size > LIMIT {
        wrong.push(format!("manifests: {} bytes, a bundle may have 1 MiB", bundle.size));
    }
    let scored = items(&bundle.scorecard["stages"]).flat_map(|stage| items(&stage["tests"])).count();
    if scored == 0 || bundle.scorecard["apiVersion"] != "scorecard.operatorframework.io/v1alpha3" {
        wrong.push("tests/scorecard/config.yaml: is no scorecard configuration with tests".to_owned());
    }
    wrong
}

fn of_object(file: &str, object: &Value) -> Vec<String> {
    let kind = text(&object["kind"]);
    let version = text(&object["apiVersion"]);
    let mut wrong = Vec::new();
    if !KINDS.contains(&kind) {
        wrong.push(format!("{file}: no bundle may hold a {kind}"));
    }
    if REMOVED.contains(&version) {
        wrong.push(format!("{file}: {version} is served no more"));
    }
    match kind {
        "ServiceAccount" => {
            wrong.push(format!("{file}: OLM makes the ServiceAccount {}", object["metadata"]["name"]));
        }
        "PodDisruptionBudget" => wrong.extend(of_budget(file, &object["spec"])),
        "PriorityClass" if object["globalDefault"] == true => {
            wrong.push(format!("{file}: globalDefault would change the pods of everybody"));
        }
        _ => {}
    }
    wrong
}

fn of_budget(file: &str, spec: &Value) -> Option<String> {
    let never = [json!(0), json!("0"), json!("0%")].contains(&spec["maxUnavailable"]);
    let all = spec["minAvailable"] == "100%";
    (never || all).then(|| format!("{file}: maxUnavailable 0 or minAvailable 100% lets nobody drain a node"))
}

/// The annotations name the channels and folders, and the image's labels say the same.
fn of_metadata(bundle: &Bundle) -> Vec<String> {
    let annotations = &bundle.annotations["annotations"];
    let of = |name: &str| text(&annotations[format!("operators.operatorframework.io.bundle.{name}.v1")]);
    let mut wrong = Vec::new();
    let channels: Vec<_> = of("channels").split(',').collect();
    for channel in &channels {
        if !CHANNELS.iter().any(|begin| channel.starts_with(begin)) {
            wrong.push(format!(
                "annotations.yaml: channel {channel:?} begins with none of {}",
                CHANNELS.join(", ")
            ));
        }
    }
    if !channels.contains(&of("channel.default")) {
        wrong.push("annotations.yaml: the default channel is none of the channels".to_owned());
    }
    let fixed = [("mediatype", "registry+v1"), ("manifests", "manifests/"), ("metadata", "metadata/")];
    for (name, value) in fixed {
        if of(name) != value {
            wrong.push(format!("annotations.yaml: {name} is {:?}, not {value:?}", of(name)));
        }
    }
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let label = format!("LABEL {key}={}", text(value));
        if !bundle.dockerfile.lines().any(|line| line == label) {
            wrong.push(format!("bundle.Dockerfile: lacks {label:?}, as annotations.yaml has it"));
        }
    }
    wrong
}
