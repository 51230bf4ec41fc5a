//! Backends: whether a reference is good, and which addresses are behind it.
//! In: references, Services, endpoints, grants. Out: targets. Never a name that Kong would have to look up, but for
//! Services of type `ExternalName`.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::view::View;
use crate::cluster::caches::Snapshot;
use crate::cluster::kinds::GATEWAY;
use crate::cluster::route::BackendRef;
use crate::settings::values::Named;

/// A backend that exists and may be referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The Service.
    pub service: Named,
    /// Its port.
    pub port: i32,
    /// Its weight, where there is one.
    pub weight: Option<i32>,
}

/// Why a reference is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// Not a Service.
    InvalidKind,
    /// There is no such Service, or it has no port.
    BackendNotFound,
    /// It is in another namespace, which does not allow it.
    RefNotPermitted,
}

impl Unresolved {
    /// The reason of the condition.
    pub fn reason(self) -> &'static str {
        match self {
            Self::InvalidKind => "InvalidKind",
            Self::BackendNotFound => "BackendNotFound",
            Self::RefNotPermitted => "RefNotPermitted",
        }
    }
}

/// Judges the reference of a route of that kind and namespace.
pub fn resolve(
    snapshot: &Snapshot,
    kind: &str,
    namespace: &str,
    reference: &BackendRef,
) -> Result<Backend, Unresolved> {
    let group = reference.group.as_deref().unwrap_or_default();
    if reference.kind.as_deref().unwrap_or("Service") != "Service" || !matches!(group, "" | "core") {
        return Err(Unresolved::InvalidKind);
    }
    let target = Named::new(reference.namespace.as_deref().unwrap_or(namespace), &reference.name);
    if !granted(snapshot, (GATEWAY, kind, namespace), ("", "Service"), &target) {
        return Err(Unresolved::RefNotPermitted);
    }
    if !snapshot.services.contains_key(&target) {
        return Err(Unresolved::BackendNotFound);
    }
    let port = reference.port.ok_or(Unresolved::BackendNotFound)?;
    Ok(Backend { service: target, port, weight: reference.weight })
}

/// Whether something may refer to a target: within a namespace always, across them where a grant says so.
pub fn granted(
    snapshot: &Snapshot,
    (group, kind, namespace): (&str, &str, &str),
    (to_group, to_kind): (&str, &str),
    target: &Named,
) -> bool {
    let mut grants = snapshot.grants.iter().filter(|grant| grant.read.namespace == target.namespace);
    namespace == target.namespace
        || grants.any(|grant| {
            let spec = &grant.read.spec;
            let from = spec
                .from
                .iter()
                .any(|from| from.group == group && from.kind == kind && from.namespace == namespace);
            let to = spec.to.iter().any(|to| {
                to.group == to_group
                    && to.kind == to_kind
                    && to.name.as_deref().is_none_or(|name| name.is_empty() || name == target.name)
            });
            from && to
        })
}

/// The targets of backends. A weight is shared by the endpoints of its backend, each having at least 1 of it.
pub fn targets(view: View<'_>, protocol: &str, backends: &[Backend]) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for backend in backends {
        let port = IntOrString::Int(backend.port);
        let found = addresses(view, protocol, &backend.service, &port);
        let count = i32::try_from(found.len()).unwrap_or(i32::MAX).max(1);
        for (target, ends) in found {
            let share = backend.weight.map(|weight| if weight == 0 { 0 } else { (weight / count).max(1) });
            let entry = match if ends { Some(0) } else { share } {
                None => json!({ "target": target }),
                Some(weight) => json!({ "target": target, "weight": weight }),
            };
            if !all.iter().any(|known| known.get("target") == entry.get("target")) {
                all.push(entry);
            }
        }
    }
    all.sort_by_key(|entry| entry.get("target").and_then(Value::as_str).unwrap_or_default().to_owned());
    Value::Array(all)
}

/// `ip:port` of a Service's endpoints, and whether each is ending.
pub fn addresses(view: View<'_>, protocol: &str, service: &Named, port: &IntOrString) -> Vec<(String, bool)> {
    let Some(entry) = view.snapshot.services.get(service) else { return Vec::new() };
    let spec = entry.read.spec.clone().unwrap_or_default();
    if let (Some("ExternalName"), Some(name), IntOrString::Int(port)) =
        (spec.type_.as_deref(), &spec.external_name, port)
    {
        return vec![(format!("{name}:{port}"), false)];
    }
    let Some(own) =
        port_of(&entry.read, port).filter(|own| own.protocol.as_deref().unwrap_or("TCP") == protocol)
    else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let slices = view.snapshot.slices.values().filter(|slice| belongs(&slice.read, service));
    for slice in slices {
        let ports = slice.read.ports.iter().flatten();
        let same = |name: Option<&str>| name.unwrap_or_default() == own.name.as_deref().unwrap_or_default();
        for number in ports.filter(|port| same(port.name.as_deref())).filter_map(|port| port.port) {
            all.extend(ready(&slice.read, number, view.options.drains));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The port of a Service by number or name.
pub fn port_of<'a>(service: &'a Service, port: &IntOrString) -> Option<&'a ServicePort> {
    let mut ports = service.spec.as_ref()?.ports.iter().flatten();
    ports.find(|known| match port {
        IntOrString::Int(number) => known.port == *number,
        IntOrString::String(name) => known.name.as_ref() == Some(name),
    })
}

fn belongs(slice: &EndpointSlice, service: &Named) -> bool {
    let labels = slice.metadata.labels.as_ref();
    slice.metadata.namespace.as_ref() == Some(&service.namespace)
        && labels.and_then(|labels| labels.get("kubernetes.io/service-name")) == Some(&service.name)
}

fn ready(slice: &EndpointSlice, port: i32, drains: bool) -> Vec<(String, bool)> {
    let judged = slice.endpoints.iter().flatten().filter_map(|endpoint| {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let ends = conditions.terminating == Some(true);
        let good = if ends { drains } else { conditions.ready != Some(false) };
        good.then_some((endpoint, ends))
    });
    let written = |address: &String| {
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    };
    judged
        .flat_map(|(endpoint, ends)| endpoint.addresses.iter().map(move |address| (written(address), ends)))
        .collect()
}
