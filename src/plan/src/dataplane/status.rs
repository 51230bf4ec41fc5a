//! The status of a `DataPlane`, from its children as they are.

use std::net::IpAddr;
use std::sync::Arc;

use crds::conditions::{self, Status, Update, reasons, types};
use crds::dataplane::{
    Address, AddressSource, AddressType, DataPlaneStatus, RolloutDeployment, RolloutServices, RolloutStatus,
    ServiceStatus,
};
use crds::k8s::{Condition, Deployment, Pod, Service, Timestamp};
use crds::names;
use crds::{DataPlane, GatewayRollout};

use super::references::Reference;
use super::trouble::{self, Trouble};

/// The children as they are.
pub struct Seen<'a> {
    /// The track that serves.
    pub track: &'a str,
    /// The attempt to bring another revision to the traffic, where there is or was one.
    pub rollout: Option<&'a GatewayRollout>,
    /// The Deployment of the track that serves.
    pub deployment: &'a Deployment,
    /// The Service that takes the traffic.
    pub ingress: &'a Service,
    /// The pods.
    pub pods: &'a [Arc<Pod>],
    /// What the `ControlPlane` that configures the pods says, where there is one.
    pub controlplane: &'a [Condition],
    /// What the pods refer to and nobody has made.
    pub missing: &'a [Reference],
    /// The current time.
    pub now: Timestamp,
}

/// The status that tells what was seen. `lastTransitionTime` is kept where nothing changed.
pub fn status(object: &DataPlane, seen: &Seen<'_>) -> DataPlaneStatus {
    let generation = object.metadata.generation;
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let deployed = seen.deployment.status.clone().unwrap_or_default();
    let trouble =
        trouble::unresolved(seen.missing).or_else(|| trouble::find(seen.pods, seen.deployment, seen.now));
    let mut conditions = object.conditions().to_vec();
    for update in [
        ready(object, seen, trouble.as_ref()),
        rolled_out(object, seen, trouble),
        address(seen),
        resolved(seen),
    ]
    .into_iter()
    .chain(crate::controlplane::as_told(seen.controlplane))
    {
        conditions::set(&mut conditions, Update { generation, ..update }, seen.now);
    }
    let selector = super::selector(name, seen.track);
    let selector: Vec<_> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    DataPlaneStatus {
        observed_generation: generation,
        conditions: Some(conditions),
        service: seen.ingress.metadata.name.clone(),
        addresses: Some(addresses(seen.ingress)),
        selector: Some(selector.join(",")),
        ready_replicas: Some(deployed.ready_replicas.unwrap_or(0)),
        replicas: Some(deployed.replicas.unwrap_or(0)),
        revision: runs(seen.deployment),
        rollout: rollout(name, seen),
    }
}

/// The revision of a Deployment's pods.
fn runs(deployment: &Deployment) -> Option<String> {
    deployment.metadata.annotations.as_ref()?.get(names::annotations::REVISION).cloned()
}

/// Where the pods of an attempt under way are to be found.
fn rollout(name: &str, seen: &Seen<'_>) -> Option<RolloutStatus> {
    let rollout = seen
        .rollout
        .filter(|rollout| rollout.status.as_ref().is_none_or(|status| status.completion.is_none()))?;
    let selector = super::selector(name, &rollout.spec.to.track);
    let selector: Vec<_> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let has_preview = rollout
        .status
        .as_ref()
        .and_then(|status| status.wanted.as_ref())
        .is_some_and(|wanted| wanted.preview);
    let ingress = has_preview.then(|| ServiceStatus { name: names::preview_service(name), addresses: None });
    Some(RolloutStatus {
        name: rollout.metadata.name.clone(),
        phase: rollout.status.as_ref().and_then(|status| status.phase.clone()),
        revision: Some(rollout.spec.to.revision.clone()),
        services: ingress.map(|ingress| RolloutServices { ingress: Some(ingress), admin_api: None }),
        deployment: Some(RolloutDeployment { selector: Some(selector.join(",")) }),
        conditions: rollout.status.as_ref().and_then(|status| status.conditions.clone()),
    })
}

/// The status that tells of a failure. What is known of what runs is kept, and as new as `deployment` is.
pub fn failed(
    object: &DataPlane,
    deployment: Option<&Deployment>,
    (reason, message): (&'static str, String),
    now: Timestamp,
) -> DataPlaneStatus {
    let generation = object.metadata.generation;
    let mut status = object.status.clone().unwrap_or_default();
    let mut conditions = status.conditions.take().unwrap_or_default();
    let update = Update { type_: types::READY, status: Status::False, reason, message, generation };
    conditions::set(&mut conditions, update, now);
    if let Some(deployed) = deployment.and_then(|deployment| deployment.status.as_ref()) {
        status.ready_replicas = Some(deployed.ready_replicas.unwrap_or(0));
        status.replicas = Some(deployed.replicas.unwrap_or(0));
    }
    DataPlaneStatus { observed_generation: generation, conditions: Some(conditions), ..status }
}

fn update(type_: &'static str, status: Status, reason: &'static str, message: impl Into<String>) -> Update {
    Update { type_, status, reason, message: message.into(), generation: None }
}

fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Whether enough pods serve. Pods of a surge, and old ones that still serve during a roll, count. What is being added
/// is not missed: neither what an autoscaler asks for beyond its least, nor pods that are merely starting where it was
/// ready before, as after `kubectl scale`, an eviction or the drain of a node.
fn ready(object: &DataPlane, seen: &Seen<'_>, trouble: Option<&Trouble>) -> Update {
    let wanted = wanted(seen.deployment);
    let available = seen.deployment.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0);
    if wanted == 0 {
        return update(types::READY, Status::False, reasons::SCALED_TO_ZERO, to_zero(object));
    }
    let message = format!("{} of {wanted} replicas serve", available.min(wanted));
    if available >= least(object, wanted) {
        return update(types::READY, Status::True, reasons::READY, message);
    }
    if let Some(Trouble { reason, message }) = trouble {
        return update(types::READY, Status::False, reason, message);
    }
    let message = format!("{message}, the others are starting");
    let before = conditions::holds(object.conditions(), types::READY);
    if before && available > 0 {
        return update(types::READY, Status::True, reasons::READY, message);
    }
    update(types::READY, Status::False, reasons::WAITING_TO_BECOME_READY, message)
}

/// How many have to serve of those that are wanted.
fn least(object: &DataPlane, wanted: i32) -> i32 {
    let scaling = object.spec.deployment.as_ref().and_then(|deployment| deployment.scaling.as_ref());
    match scaling.and_then(|scaling| scaling.horizontal.as_ref()) {
        Some(horizontal) => horizontal.min_replicas.unwrap_or(1).clamp(1, wanted),
        None => wanted,
    }
}

fn to_zero(object: &DataPlane) -> &'static str {
    match object.spec.deployment.as_ref().and_then(|deployment| deployment.replicas) {
        Some(0) => "spec.deployment.replicas is 0: nothing serves. Raise it to serve",
        _ => {
            "the Deployment was scaled to 0 by somebody else: nothing serves. Set spec.deployment.replicas, or have whoever scaled it scale it up"
        }
    }
}

/// Whether all pods are of the last revision and available, and no others are left.
pub fn is_rolled_out(deployment: &Deployment) -> bool {
    let (wanted, updated) = (wanted(deployment), updated(deployment));
    let deployed = deployment.status.clone().unwrap_or_default();
    let others = deployed.replicas.unwrap_or(0) > updated;
    is_observed(deployment)
        && updated >= wanted
        && !others
        && deployed.available_replicas.unwrap_or(0) >= wanted
}

/// Numbers from before the last change prove nothing.
fn is_observed(deployment: &Deployment) -> bool {
    deployment.status.as_ref().and_then(|status| status.observed_generation) >= deployment.metadata.generation
}

fn updated(deployment: &Deployment) -> i32 {
    let status = deployment.status.as_ref().filter(|_| is_observed(deployment));
    status.and_then(|status| status.updated_replicas).unwrap_or(0)
}

fn rolled_out(object: &DataPlane, seen: &Seen<'_>, trouble: Option<Trouble>) -> Update {
    let (wanted, updated) = (wanted(seen.deployment), updated(seen.deployment));
    if let Some(told) = seen.rollout.and_then(|rollout| attempt(object, rollout)) {
        return told;
    }
    let message = format!("{updated} of {wanted} replicas are up to date");
    if is_rolled_out(seen.deployment) {
        return update(types::ROLLED_OUT, Status::True, reasons::ROLLED_OUT, message);
    }
    match trouble {
        Some(Trouble { reason, message }) => update(types::ROLLED_OUT, Status::False, reason, message),
        None => update(types::ROLLED_OUT, Status::False, reasons::PROGRESSING, message),
    }
}

/// What an attempt under way, or one that failed with what is still asked for, says.
fn attempt(object: &DataPlane, rollout: &GatewayRollout) -> Option<Update> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let status = rollout.status.clone().unwrap_or_default();
    let message = |words: &str| format!("GatewayRollout {name:?}: {words}");
    let Some(over) = status.completion else {
        let phase = status.phase.as_deref().unwrap_or("Pending");
        let words = format!("{phase}. {}", status.message.as_deref().unwrap_or("it begins"));
        return Some(update(types::ROLLED_OUT, Status::False, reasons::PROGRESSING, message(&words)));
    };
    let template =
        object.spec.deployment.as_ref().and_then(|deployment| deployment.pod_template_spec.as_ref());
    let is_asked = crate::attempt::revision(template) == rollout.spec.to.revision;
    let failed = ![reasons::PROMOTED, reasons::PROMOTED_BY_OVERRIDE].contains(&over.status.as_str());
    let remedy =
        "stable serves. Change spec.deployment.podTemplateSpec, or set its spec.action.verb to Retry";
    let words = format!("{}; {remedy}", over.message);
    (failed && is_asked)
        .then(|| update(types::ROLLED_OUT, Status::False, reasons::ROLLED_BACK, message(&words)))
}

fn address(seen: &Seen<'_>) -> Update {
    let name = seen.ingress.metadata.name.as_deref().unwrap_or_default();
    let balanced = seen.ingress.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer");
    if !balanced || !load_balancer(seen.ingress).is_empty() {
        return update(
            types::ADDRESS_ASSIGNED,
            Status::True,
            reasons::ADDRESS_ASSIGNED,
            format!("Service {name:?} has its address"),
        );
    }
    let message = format!(
        "Service {name:?} of type LoadBalancer has no address yet. If none comes, the cluster has no load balancer controller: install one, or set spec.network.services.ingress.type to NodePort or ClusterIP"
    );
    update(types::ADDRESS_ASSIGNED, Status::False, reasons::ADDRESS_PENDING, message)
}

fn resolved(seen: &Seen<'_>) -> Update {
    if let Some(Trouble { reason, message }) = trouble::unresolved(seen.missing) {
        return update(types::RESOLVED_REFS, Status::False, reason, message);
    }
    let message = "every Secret and ConfigMap that podTemplateSpec refers to exists";
    update(types::RESOLVED_REFS, Status::True, reasons::RESOLVED_REFS, message)
}

fn addresses(service: &Service) -> Vec<Address> {
    let cluster = service.spec.as_ref().and_then(|spec| spec.cluster_ips.as_deref()).unwrap_or_default();
    let cluster = cluster.iter().filter(|ip| *ip != "None").map(|ip| Address {
        type_: Some(AddressType::IpAddress),
        value: ip.clone(),
        source_type: AddressSource::PrivateIp,
    });
    let mut all: Vec<_> = load_balancer(service).into_iter().chain(cluster).collect();
    all.sort_by(|a, b| (a.source_type, &a.value).cmp(&(b.source_type, &b.value)));
    all.dedup();
    all
}

/// Addresses that a load balancer gave. Of a host name nobody can tell whether it is public, but for the
/// annotation by which AWS is asked for one.
fn load_balancer(service: &Service) -> Vec<Address> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let given = status.and_then(|status| status.ingress.as_deref()).unwrap_or_default();
    let internal = service
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get("service.beta.kubernetes.io/aws-load-balancer-scheme"));
    let internal = internal.map(String::as_str) == Some("internal");
    let name_source =
        if internal { AddressSource::PrivateLoadBalancer } else { AddressSource::PublicLoadBalancer };
    let of = |ingress: &crds::k8s::LoadBalancerIngress| match (&ingress.ip, &ingress.hostname) {
        (Some(ip), _) => Some(Address {
            type_: Some(AddressType::IpAddress),
            value: ip.clone(),
            source_type: balancer_source(ip),
        }),
        (None, Some(name)) => Some(Address {
            type_: Some(AddressType::Hostname),
            value: name.clone(),
            source_type: name_source,
        }),
        (None, None) => None,
    };
    given.iter().filter_map(of).collect()
}

fn balancer_source(ip: &str) -> AddressSource {
    let private = match ip.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
        Err(_) => false,
    };
    if private { AddressSource::PrivateLoadBalancer } else { AddressSource::PublicLoadBalancer }
}
