//! Ingresses as services, routes and upstreams.
//! In: Ingresses of a class. Out: entities. An Ingress of another class has no effect.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::content::Content;
use super::object::Object;
use super::view::View;
use super::{backends, expressions, paths};
use crate::settings::values::{self, Named};

/// What an annotation of Kong says of an object.
fn annotation<'a>(annotations: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    annotations?.get(&format!("konghq.com/{name}")).map(String::as_str)
}

/// The class that an Ingress names, by field or by the old annotation.
fn class(ingress: &Ingress) -> Option<&str> {
    let annotations = ingress.metadata.annotations.as_ref();
    let old = annotations.and_then(|all| all.get("kubernetes.io/ingress.class"));
    old.or(ingress.spec.as_ref()?.ingress_class_name.as_ref()).map(String::as_str)
}

/// Whether an Ingress is of the class that is served, or of none while that is the default.
pub fn serves(view: View<'_>, ingress: &Ingress) -> bool {
    let own = &view.options.ingress_class;
    class(ingress).map_or_else(|| is_default(view, own), |class| class == own)
}

fn is_default(view: View<'_>, own: &str) -> bool {
    let class = view.snapshot.ingress_classes.get(&Named::new("", own));
    let annotations = class.and_then(|class| class.read.metadata.annotations.as_ref());
    let default = annotations.and_then(|all| all.get("ingressclass.kubernetes.io/is-default-class"));
    default.is_some_and(|value| value == "true")
}

/// What an Ingress is in the words of tags.
pub fn object(ingress: &Ingress) -> Object {
    Object::of("networking.k8s.io", "v1", "Ingress", &ingress.metadata)
}

/// Adds what an Ingress asks for.
pub fn add(view: View<'_>, ingress: &Ingress, content: &mut Content) {
    let spec = ingress.spec.clone().unwrap_or_default();
    // Paths of one host that lead to one port of a Service share a route.
    let mut routes: BTreeMap<(Named, String, String), Vec<String>> = BTreeMap::new();
    let namespace = ingress.metadata.namespace.clone().unwrap_or_default();
    for rule in spec.rules.iter().flatten() {
        let host = rule.host.clone().unwrap_or_default();
        for path in rule.http.iter().flat_map(|http| &http.paths) {
            let Some((service, port)) = backend(&namespace, &path.backend) else { continue };
            routes.entry((service, port, host.clone())).or_default().extend(of(path));
        }
    }
    for ((service, port, host), paths) in routes {
        let name =
            format!("{namespace}.{}.{}.{}.{port}", name(ingress), service.name, host.replace('*', "_"));
        let hosts: Vec<String> = Some(host).filter(|host| !host.is_empty()).into_iter().collect();
        let route = route(view, ingress, &name, &hosts, &paths);
        add_service(view, &service, &port, route, content);
    }
    if let Some((service, port)) = spec.default_backend.and_then(|one| backend(&namespace, &one)) {
        let own = format!("{namespace}.{}", name(ingress));
        let route = route(view, ingress, &own, &[], &["/".to_owned()]);
        add_service(view, &service, &port, route, content);
    }
}

fn name(ingress: &Ingress) -> &str {
    ingress.metadata.name.as_deref().unwrap_or_default()
}

fn of(path: &HTTPIngressPath) -> Vec<String> {
    paths::of_ingress(&path.path_type, path.path.as_deref().unwrap_or_default())
}

/// The Service of a backend, and its port by number or name.
fn backend(namespace: &str, backend: &IngressBackend) -> Option<(Named, String)> {
    let service = backend.service.as_ref()?;
    let port = service.port.clone().unwrap_or_default();
    let port = port.name.or_else(|| port.number.map(|number| number.to_string()))?;
    Some((Named::new(namespace, &service.name), port))
}

fn route(view: View<'_>, ingress: &Ingress, name: &str, hosts: &[String], paths: &[String]) -> Value {
    let annotations = ingress.metadata.annotations.as_ref();
    let on = |name: &str, otherwise: bool| {
        annotation(annotations, name).and_then(values::truth).unwrap_or(otherwise)
    };
    let number = |name: &str, otherwise: i64| {
        annotation(annotations, name).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let protocols = annotation(annotations, "protocols").map(values::list);
    let mut route = json!({
        "name": name, "paths": paths, "path_handling": "v0", "preserve_host": on("preserve-host", true),
        "protocols": protocols.unwrap_or_else(|| vec!["http".to_owned(), "https".to_owned()]),
        "regex_priority": number("regex-priority", 0), "strip_path": on("strip-path", false),
        "https_redirect_status_code": number("https-redirect-status-code", 426),
        "request_buffering": on("request-buffering", true), "response_buffering": on("response-buffering", true),
        "tags": object(ingress).tags(),
    });
    let methods = annotation(annotations, "methods").map(values::list);
    if let Some(object) = route.as_object_mut() {
        if !hosts.is_empty() {
            object.insert("hosts".to_owned(), json!(hosts));
        }
        if let Some(methods) = methods {
            object.insert("methods".to_owned(), json!(methods));
        }
    }
    if view.options.expressions { expressions::of(&route, &[]) } else { route }
}

fn add_service(view: View<'_>, service: &Named, port: &str, route: Value, content: &mut Content) {
    let found = view.snapshot.services.get(service);
    let annotations = found.and_then(|found| found.read.metadata.annotations.as_ref());
    let host = format!("{}.{}.{port}.svc", service.name, service.namespace);
    let millis = |name: &str| {
        annotation(annotations, name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(60_000)
    };
    let tags = found.map(|found| Object::of("", "v1", "Service", &found.read.metadata).tags());
    let tags = tags.unwrap_or_else(|| json!([]));
    let entity = json!({
        "name": format!("{}.{}.{port}", service.namespace, service.name), "host": host, "port": 80,
        "path": annotation(annotations, "path").unwrap_or("/"),
        "protocol": annotation(annotations, "protocol").unwrap_or("http"),
        "retries": annotation(annotations, "retries").and_then(|text| text.parse::<i64>().ok()).unwrap_or(5),
        "connect_timeout": millis("connect-timeout"), "read_timeout": millis("read-timeout"),
        "write_timeout": millis("write-timeout"), "tags": tags,
    });
    content.service(entity, vec![route]);
    let wanted = port.parse().map_or_else(|_| IntOrString::String(port.to_owned()), IntOrString::Int);
    let addresses = backends::addresses(view, "TCP", service, &wanted);
    let target = |(target, ends): (String, bool)| {
        if ends { json!({ "target": target, "weight": 0 }) } else { json!({ "target": target }) }
    };
    let targets: Vec<Value> = addresses.into_iter().map(target).collect();
    content.upstream(&host, &json!(targets), &tags);
}
