//! What is legal but surprising.
//!
//! In: a `DataPlane` that can be provisioned. Out: sentences, each with the field and what to do, short enough for a
//! warning of `kubectl`: 120 characters where it can be helped. Never: a refusal.

use crds::dataplane::ServiceType;
use serde_json::Value;

use rollout::weight::Split;

use super::listen::Reach;
use super::{Valid, budget, container, front, kong, listen, ports};
use crate::image::Image;

/// Ports that a node offers by default (`--service-node-port-range` of the API server).
pub const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// All of them.
pub fn all(valid: &Valid<'_>) -> Vec<String> {
    let mut told = Vec::new();
    told.extend(of_deployment(valid));
    told.extend(of_service(valid));
    told.extend(of_containers(&valid.template));
    told.extend(of_variables(&valid.template));
    told.extend(of_listens(valid));
    told
}

fn of_deployment(valid: &Valid<'_>) -> Vec<String> {
    let spec = &valid.identity.spec;
    let mut told = Vec::new();
    // One that lets no pod go whatever is added is refused, or told of, in words of its own.
    if budget::holds(spec) && budget::blocked(spec).is_none() {
        let pods = budget::Pods::of(spec).least;
        told.push(format!(
            "podDisruptionBudget: while {pods} of the pods run no node can be drained; add a replica"
        ));
    }
    if valid.identity.horizontal().is_some_and(|scaling| scaling.min_replicas == Some(0)) {
        told.push(
            "spec.deployment.scaling.horizontal.minReplicas: 0 needs Kubernetes' feature HPAScaleToZero"
                .to_owned(),
        );
    }
    let deployment = spec.deployment.as_ref();
    if deployment.and_then(|deployment| deployment.replicas) == Some(0) {
        told.push(
            "spec.deployment.replicas: 0 serves nothing; the Services and the certificate stay".to_owned(),
        );
    }
    if deployment
        .and_then(|deployment| deployment.scaling.as_ref())
        .is_some_and(|scaling| scaling.horizontal.is_none())
    {
        told.push("spec.deployment.scaling: without horizontal it does nothing; one pod runs".to_owned());
    }
    told.extend(coarse(valid));
    told
}

/// Few pods make a canary's weight coarse.
fn coarse(valid: &Valid<'_>) -> Option<String> {
    let deployment = valid.identity.spec.deployment.as_ref()?;
    let strategy = deployment.rollout.as_ref()?.strategy.as_ref()?;
    let plan = crate::attempt::strategy(strategy, None, None)?;
    let stable =
        u32::try_from(super::budget::Pods::of(&valid.identity.spec).least).ok().filter(|least| *least > 0)?;
    let of = |step: &rollout::plan::Step| {
        let asked = Split::of(step.weight);
        let canaries = rollout::weight::pods(&plan, stable, step.weight);
        let effective = Split::parts(canaries.into(), stable.into());
        let words = format!(
            "spec.deployment.rollout.strategy.canary.steps: {} % of step {:?} is {} % with {stable} pods of stable: add pods",
            step.weight.percent(),
            step.name,
            effective.canary() / 10
        );
        effective.is_coarse(asked).then_some(words)
    };
    plan.steps.iter().filter(|step| step.weight > rollout::plan::Weight::NONE).find_map(of)
}

fn of_service(valid: &Valid<'_>) -> Vec<String> {
    let ingress = valid.identity.ingress();
    let mut told = Vec::new();
    if ingress.type_ == Some(ServiceType::NodePort) && ingress.external_traffic_policy.is_none() {
        told.push(format!(
            "{}: NodePort hides clients' addresses; set externalTrafficPolicy to Local to keep them",
            front::PATH
        ));
    }
    for (index, port) in ingress.ports.iter().flatten().enumerate() {
        if let Some(number) =
            port.node_port.map(crds::Port::number).filter(|number| !NODE_PORTS.contains(number))
        {
            let (least, most) = (NODE_PORTS.start(), NODE_PORTS.end());
            told.push(format!(
                "{}.ports[{index}].nodePort: {number} is not in {least}-{most}, what nodes offer by default",
                front::PATH
            ));
        }
    }
    told
}

/// Images that mean another one tomorrow, and variables that are given twice.
fn of_containers(patch: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for list in ["containers", "initContainers"] {
        let all = patch.pointer(&format!("/spec/{list}")).and_then(Value::as_array).into_iter().flatten();
        for container in all {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            let image = container.get("image").and_then(Value::as_str);
            if let Some(image) = image.filter(|image| Image::read(image).is_ok_and(|image| image.floats())) {
                told.push(format!(
                    "{list}[{name}].image: {image:?} may be another tomorrow; give a version or a digest"
                ));
            }
        }
    }
    told
}

fn of_variables(patch: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let hidden =
        |name: &str| container::variable(patch, name).is_some() && kong::literal(patch, name).is_none();
    if hidden("KONG_DATABASE") {
        told.push(
            "KONG_DATABASE: what its source holds is not known here; Kong runs only when it is \"off\""
                .to_owned(),
        );
    }
    told.extend(kong::hidden_databases(patch).map(|(list, name)| {
        format!("{list}[{name}]: what the source of KONG_DATABASE holds is not known here; Kong runs only when it is \"off\"")
    }));
    for name in [
        "KONG_ADMIN_LISTEN",
        "KONG_PORT_MAPS",
        "KONG_PROXY_LISTEN",
        "KONG_STATUS_LISTEN",
        "KONG_STREAM_LISTEN",
    ] {
        if hidden(name) {
            told.push(format!("{name}: its value cannot be checked here against the ports and probes"));
        }
    }
    let from = container::proxy(patch).and_then(|proxy| proxy.get("envFrom")).and_then(Value::as_array);
    let prefixes = from.into_iter().flatten().filter_map(|from| from.get("prefix")?.as_str());
    if prefixes.into_iter().any(|prefix| prefix.starts_with("KONG_")) {
        told.push(
            "envFrom: it does not replace what the operator sets, such as KONG_DATABASE; use env for that"
                .to_owned(),
        );
    }
    if kong::literal(patch, "KONG_ROLE") == Some("data_plane") {
        told.push(
            "KONG_ROLE: a data_plane is configured by a hybrid control plane, and by no ControlPlane"
                .to_owned(),
        );
    }
    if kong::literal(patch, "KONG_KONNECT_MODE") == Some("on") {
        told.push(
            "KONG_KONNECT_MODE: Konnect is outside this product; nothing here looks after it".to_owned(),
        );
    }
    told
}

/// Listens of the user's own that nobody outside of the pod reaches, and maps that say otherwise than the Service.
fn of_listens(valid: &Valid<'_>) -> Vec<String> {
    let (patch, mut told) = (&valid.template, Vec::new());
    let listens = kong::literal(patch, "KONG_PROXY_LISTEN").map(listen::read).unwrap_or_default();
    let pairs =
        kong::literal(patch, "KONG_PORT_MAPS").and_then(|value| kong::pairs(value).ok()).unwrap_or_default();
    for (port, target) in ports::mapped_to(&valid.ports) {
        let mut here = listens.iter().filter(|listen| listen.port == target && !listen.udp).peekable();
        if here.peek().is_some() && here.all(|listen| listen.reach == Reach::Pod) {
            told.push(format!(
                "KONG_PROXY_LISTEN: {target} is open inside of the pod only, and port {port} leads there"
            ));
        }
        let from: Vec<u16> = pairs.iter().filter(|(_, to)| *to == target).map(|(from, _)| *from).collect();
        if !from.is_empty() && !from.contains(&port) {
            told.push(format!(
                "KONG_PORT_MAPS: Kong tells upstreams port {}, clients see {port} of the Service",
                from.first().unwrap_or(&port)
            ));
        }
    }
    if kong::literal(patch, "KONG_PROXY_LISTEN").is_some_and(|value| ["", "off"].contains(&value))
        && let Some(port) = ports::proxied(&valid.ports).next()
    {
        told.push(format!("KONG_PROXY_LISTEN: nobody listens for port {port} of the Service"));
    }
    told
}
