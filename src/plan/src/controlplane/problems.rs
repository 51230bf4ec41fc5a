//! `ControlPlane`: what of it can never run, and what is legal but surprising.
//!
//! In: the options of a control plane, which a Gateway's has too. Out: problems and sentences. What needs other objects
//! is asked at admission.

use std::collections::BTreeSet;

use crds::PodTemplatePatch;
use crds::controlplane::{ControlPlaneOptions, WatchNamespacesType};
use serde_json::{Value, json};

use crate::image::Image;
use crate::invalid::{Cause, Problem};
use crate::{merge, pod};

/// Where a user's pod template stands, below the options.
pub const TEMPLATE: &str = "deployment.podTemplateSpec";
/// Where the list of namespaces stands, below the options.
const LIST: &str = "watchNamespaces.list";
/// Variables of Kong Ingress Controller that lead it to its data plane: the operator sets them.
const OURS: [&str; 10] = [
    "CONTROLLER_ELECTION_ID",
    "CONTROLLER_GATEWAY_API_CONTROLLER_NAME",
    "CONTROLLER_GATEWAY_TO_RECONCILE",
    "CONTROLLER_KONG_ADMIN_CA_CERT_FILE",
    "CONTROLLER_KONG_ADMIN_SVC",
    "CONTROLLER_KONG_ADMIN_SVC_PORT_NAMES",
    "CONTROLLER_KONG_ADMIN_TLS_CLIENT_CERT_FILE",
    "CONTROLLER_KONG_ADMIN_TLS_CLIENT_KEY_FILE",
    "CONTROLLER_KONG_ADMIN_URL",
    "CONTROLLER_PUBLISH_SERVICE",
];

/// Everything that is wrong with options that stand at `path`.
pub fn problems(options: &ControlPlaneOptions, path: &str) -> Vec<Problem> {
    let Some(template) = template(options) else { return Vec::new() };
    let at = format!("{path}.{TEMPLATE}");
    let mut problems = pod::problems(&template, &at, &pod::CONTROLLER);
    // Beside a field of the wrong type, whatever else is said of the template would only confuse.
    if problems.iter().any(|problem| problem.cause == Cause::TypeInvalid) {
        return problems;
    }
    // Any image that is not empty stands for the default one.
    let mut ours =
        json!({ "spec": { "containers": [{ "name": pod::CONTROLLER.container, "image": "default" }] } });
    problems.extend(merge::onto(&mut ours, &template, &at));
    problems.extend(removed(&template, &ours, &at));
    problems
}

/// The user's pod template, as it was written.
pub fn template(options: &ControlPlaneOptions) -> Option<Value> {
    options.deployment.as_ref()?.pod_template_spec.as_ref().map(PodTemplatePatch::to_value)
}

/// What is legal but surprising in options that stand at `path`, a sentence each.
pub fn surprises(options: &ControlPlaneOptions, path: &str) -> Vec<String> {
    let mut told = Vec::new();
    if options.deployment.as_ref().and_then(|deployment| deployment.replicas) == Some(0) {
        told.push(format!(
            "{path}.deployment.replicas: 0 configures nothing; what Kong serves stays as it is"
        ));
    }
    let watched = options.watch_namespaces.as_ref();
    let list = watched.and_then(|watched| watched.list.as_deref()).unwrap_or_default();
    let mut seen = BTreeSet::new();
    told.extend(
        list.iter()
            .filter(|name| !seen.insert(*name))
            .map(|name| format!("{path}.{LIST}: {name:?} is there twice")),
    );
    let Some(template) = template(options) else { return told };
    let is_all = watched.is_none_or(|watched| watched.type_ == WatchNamespacesType::All);
    told.extend(of_containers(
        &template,
        is_all,
        options.ingress_class.as_deref().is_some_and(|class| !class.is_empty()),
    ));
    told
}

fn containers(patch: &Value) -> impl Iterator<Item = (usize, &Value)> {
    patch.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn is_ours(container: &Value) -> bool {
    container.get("name").and_then(Value::as_str) == Some(pod::CONTROLLER.container)
}

/// The container of Kong Ingress Controller, and its image, cannot be taken away.
fn removed(patch: &Value, merged: &Value, at: &str) -> Option<Problem> {
    let list = format!("{at}.spec.containers");
    let place = |found: fn(&Value) -> bool| {
        let (index, _) = containers(patch).find(|(_, container)| found(container))?;
        Some(format!("{list}[{index}]"))
    };
    let Some((_, ours)) = containers(merged).find(|(_, container)| is_ours(container)) else {
        let place = place(is_ours).or_else(|| place(|container| container.get("$patch").is_some()));
        let message =
            format!("{:?} runs Kong Ingress Controller, and cannot be removed", pod::CONTROLLER.container);
        return Some(Problem::at(place.unwrap_or_else(|| list.clone()), message).because(Cause::Forbidden));
    };
    let image = ours.get("image").and_then(Value::as_str).unwrap_or_default();
    image.is_empty().then(|| {
        let message = "is empty: name an image, or leave the field out for the default one";
        let container = place(is_ours).unwrap_or_else(|| list.clone());
        Problem::at(format!("{container}.image"), message).because(Cause::Required)
    })
}

fn of_containers(patch: &Value, watches_all: bool, has_class: bool) -> Vec<String> {
    let mut told = Vec::new();
    for (_, container) in containers(patch) {
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        let image = container.get("image").and_then(Value::as_str);
        if let Some(image) = image.filter(|image| Image::read(image).is_ok_and(|image| image.floats())) {
            told.push(format!(
                "containers[{name}].image: {image:?} may be another tomorrow; give a version or a digest"
            ));
        }
        if is_ours(container) {
            told.extend(of_variables(container, watches_all, has_class));
        }
    }
    told
}

fn of_variables(container: &Value, watches_all: bool, has_class: bool) -> Vec<String> {
    let variables = container.get("env").and_then(Value::as_array).into_iter().flatten();
    let names = variables.filter_map(|variable| variable.get("name")?.as_str());
    names
        .filter_map(|name| {
            let told = match name {
                name if OURS.contains(&name) => {
                    "the operator sets it, so that the data plane is found; remove it"
                }
                "CONTROLLER_WATCH_NAMESPACE" if !watches_all => {
                    "watchNamespaces says it too; remove the variable"
                }
                "CONTROLLER_INGRESS_CLASS" if has_class => "ingressClass says it too; remove the variable",
                name if name.starts_with("CONTROLLER_KONNECT_") => "Konnect is outside this product",
                _ => return None,
            };
            Some(format!("{name}: {told}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(options: &Value) -> ControlPlaneOptions {
        serde_json::from_value(options.clone()).unwrap()
    }

    fn controller(fields: &Value) -> Value {
        let mut container = json!({ "name": "controller" });
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [container] } } } })
    }

    fn only(containers: &Value) -> Value {
        json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": containers } } } })
    }

    #[test]
    fn what_can_never_run_is_told_where_it_stands() {
        let container = |field: &str| format!("spec.deployment.podTemplateSpec.spec.containers[0]{field}");
        for (given, path, words) in [
            (
                controller(&json!({ "image": "kong/kubernetes-ingress-controller:2.12" })),
                container(".image"),
                "3.1.2 or newer",
            ),
            (controller(&json!({ "imge": "x" })), container(".imge"), "unknown field"),
            (controller(&json!({ "$patch": "delete" })), container(""), "cannot be removed"),
            (
                only(&json!([{ "$patch": "replace" }, { "name": "side", "image": "x" }])),
                container(""),
                "be removed",
            ),
            (only(&Value::Null), "spec.deployment.podTemplateSpec.spec.containers".to_owned(), "be removed"),
            (controller(&json!({ "image": "" })), container(".image"), "is empty"),
            (controller(&json!({ "$patch": "upsert" })), container(".$patch"), "\"upsert\""),
        ] {
            let problems = problems(&options(&given), "spec");
            assert_eq!(problems.len(), 1, "{given}: {problems:?}");
            assert!(problems[0].path == path && problems[0].message.contains(words), "{problems:?}");
        }
        let fine = controller(
            &json!({ "image": "kong/kubernetes-ingress-controller:3.4", "volumeMounts": [{ "name": "admission-webhook-certificate", "mountPath": "/x" }], "env": [{ "name": "CONTROLLER_LOG_LEVEL", "value": "debug" }] }),
        );
        assert_eq!(
            (problems(&options(&fine), "spec"), surprises(&options(&fine), "spec")),
            (Vec::new(), Vec::new())
        );
    }

    #[test]
    fn what_is_surprising_is_told_in_a_sentence() {
        let variable = |name: &str| controller(&json!({ "env": [{ "name": name, "value": "x" }] }));
        let mut watched = variable("CONTROLLER_WATCH_NAMESPACE");
        watched["watchNamespaces"] = json!({ "type": "own" });
        let mut class = variable("CONTROLLER_INGRESS_CLASS");
        class["ingressClass"] = json!("kong");
        let mut none = class.clone();
        none["ingressClass"] = json!("");
        assert_eq!(surprises(&options(&none), "spec"), [] as [&str; 0], "an empty class is none");
        for (given, words) in [
            (variable("CONTROLLER_KONG_ADMIN_URL"), "the operator sets it"),
            (variable("CONTROLLER_KONNECT_SYNC_ENABLED"), "Konnect"),
            (watched, "watchNamespaces says it too"),
            (class, "ingressClass says it too"),
            (controller(&json!({ "image": "kong/kubernetes-ingress-controller" })), "another tomorrow"),
            (json!({ "deployment": { "replicas": 0 } }), "configures nothing"),
            (json!({ "watchNamespaces": { "type": "list", "list": ["a", "a"] } }), "\"a\" is there twice"),
        ] {
            let told = surprises(&options(&given), "spec");
            assert_eq!(told.len(), 1, "{given}: {told:?}");
            assert!(told[0].contains(words) && told[0].len() <= 120, "{told:?}");
        }
    }
}
