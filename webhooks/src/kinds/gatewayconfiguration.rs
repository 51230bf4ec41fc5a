//! `GatewayConfiguration`: what no Gateway could be made of, or surprises.

use std::collections::BTreeMap;

use crds::controlplane::ControlPlaneOptions;
use crds::dataplane::{DataPlaneSpec, IngressService, Network, Services};
use crds::gatewayconfiguration::{DataPlaneOptions, GatewayService, ListenerOptions};
use crds::{DataPlane, GatewayConfiguration};
use plan::controlplane as control;
use plan::dataplane::{self, NODE_PORTS};

use super::dataplane::provisioned;
use super::{Judge, Subject, controlplane};
use crate::rules::{budget, others, read};
use crate::verdict::Verdict;
use crate::world::{Found, World};

/// Where the options of a data plane stand.
const DATA: &str = "spec.dataPlaneOptions";
/// Where those of a control plane do.
const CONTROL: &str = "spec.controlPlaneOptions";

/// The verdict.
pub fn verdict(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    let mut object: GatewayConfiguration = match read::object(subject.object) {
        Ok(object) => object,
        Err(problem) => return Verdict { problems: vec![problem], warnings: Vec::new() },
    };
    read::complete(&mut object.metadata);
    let mut verdict = Verdict::default();
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(options) = &object.spec.data_plane_options {
        verdict = of_data_plane(&as_dataplane(&object, options), judge, subject);
        verdict.warnings.extend(shared_name(options));
    }
    if let Some(options) = &object.spec.control_plane_options {
        let of_control = controlplane::options(options, CONTROL);
        verdict.problems.extend(of_control.problems);
        verdict.warnings.extend(of_control.warnings);
        let references = control::template(options).map(|template| dataplane::references(&template));
        verdict.warnings.extend(others::missing(judge.world, namespace, &references.unwrap_or_default()));
        verdict.warnings.extend(ungranted(judge.world, namespace, options));
    }
    verdict.warnings.extend(listeners(object.spec.listeners_options.as_deref().unwrap_or_default()));
    verdict
}

/// The `DataPlane` that a Gateway without listeners would get.
fn as_dataplane(object: &GatewayConfiguration, options: &DataPlaneOptions) -> DataPlane {
    let services = options.network.as_ref().and_then(|network| network.services.as_ref());
    let ingress = services.and_then(|services| services.ingress.clone()).map(service);
    let network = Network { services: Some(Services { ingress }), konnect_certificate: None };
    let spec = DataPlaneSpec {
        deployment: options.deployment.clone(),
        network: Some(network),
        resources: options.resources.clone(),
        extensions: None,
        plugins_to_install: None,
    };
    DataPlane { metadata: object.metadata.clone(), spec, status: None }
}

/// Its ports come from the listeners.
fn service(service: GatewayService) -> IngressService {
    let GatewayService { type_, name, annotations, external_traffic_policy, ip_family_policy, ip_families } =
        service;
    IngressService {
        type_,
        name,
        annotations,
        labels: None,
        external_traffic_policy,
        ip_family_policy,
        ip_families,
        ports: None,
    }
}

fn of_data_plane(object: &DataPlane, judge: &Judge<'_>, subject: &Subject<'_>) -> Verdict {
    let mut verdict = provisioned(object, judge);
    let before = || {
        let before: GatewayConfiguration = read::object(subject.old?).ok()?;
        Some(as_dataplane(&before, before.spec.data_plane_options.as_ref()?).spec)
    };
    budget::evictions(&object.spec, before, &mut verdict);
    for path in verdict.problems.iter_mut().map(|problem| &mut problem.path).chain(&mut verdict.warnings) {
        if let Some(rest) = path.strip_prefix("spec.") {
            *path = format!("{DATA}.{rest}");
        }
    }
    verdict
}

/// Namespaces to be watched that let nobody read them: which of its Gateways are let in, those are told.
fn ungranted(world: &dyn World, own: &str, options: &ControlPlaneOptions) -> Vec<String> {
    let is_closed = |namespace: &&str| match world.grants(namespace) {
        Found::Here(grants) => grants.iter().all(|grant| grant.spec.from.is_empty()),
        Found::Absent => true,
        Found::Unknown => false,
    };
    // Gateways of the same namespace need no grant for it.
    let closed = controlplane::listed(options).filter(|namespace| *namespace != own).filter(is_closed);
    closed
        .map(|namespace| {
            format!("{CONTROL}.watchNamespaces.list: there is no WatchNamespaceGrant in {namespace:?} that lets anybody read it")
        })
        .collect()
}

/// Only one Gateway can have the Service.
fn shared_name(options: &DataPlaneOptions) -> Option<String> {
    let name = options.network.as_ref()?.services.as_ref()?.ingress.as_ref()?.name.as_ref()?;
    Some(format!("{DATA}.network.services.ingress.name: only one Gateway of a namespace can have {name:?}"))
}

fn listeners(options: &[ListenerOptions]) -> Vec<String> {
    let mut told = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, options) in options.iter().enumerate() {
        let at = format!("spec.listenersOptions[{index}].nodePort");
        let Some(port) = options.node_port.map(crds::Port::number) else { continue };
        if !NODE_PORTS.contains(&port) {
            let (least, most) = (NODE_PORTS.start(), NODE_PORTS.end());
            told.push(format!("{at}: {port} is not in {least}-{most}, what nodes offer by default"));
        }
        if let Some(first) = seen.insert(port, &options.name) {
            told.push(format!(
                "{at}: {port} is that of {first:?} too; one Service can have both for TCP and UDP only"
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests;
