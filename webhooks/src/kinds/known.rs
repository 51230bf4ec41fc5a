//! A world for tests: everything that is in it is known, and nothing else exists.

use std::sync::Arc;

use crds::gatewayapi::ReferenceGrant;
use crds::{ControlPlane, DataPlane, GatewayConfiguration, WatchNamespaceGrant};
use gateway_api::gatewayclasses::GatewayClass;
use plan::dataplane::{Settings, ingress_service};
use plan::gateway::Unusable;
use serde_json::{Value, json};

use super::{Judge, Kind, Subject, default, judge};
use crate::verdict::Verdict;
use crate::world::{Found, Holder, Named, World};

/// Who the classes named `ours` belong to.
pub const CONTROLLER: &str = "konghq.com/gateway-operator";

/// What exists.
#[derive(Default)]
pub struct Known {
    /// Secrets and `ConfigMaps`, by name.
    pub names: Vec<&'static str>,
    /// Services and whose they are.
    pub services: Vec<(&'static str, Holder)>,
    /// `DataPlanes`.
    pub dataplanes: Vec<Arc<DataPlane>>,
    /// `ControlPlanes`.
    pub controlplanes: Vec<Arc<ControlPlane>>,
    /// Grants, of the namespace `open`.
    pub grants: Vec<Arc<WatchNamespaceGrant>>,
    /// `GatewayClasses`.
    pub classes: Vec<Arc<GatewayClass>>,
    /// `GatewayConfigurations`.
    pub configurations: Vec<Arc<GatewayConfiguration>>,
    /// Gateway API's grants, of every namespace.
    pub reference_grants: Vec<Arc<ReferenceGrant>>,
    /// TLS Secrets, and whether they can be served.
    pub certificates: Vec<(&'static str, Result<(), Unusable>)>,
}

impl World for Known {
    fn exists(&self, _: Named, _: &str, name: &str) -> Found<()> {
        if self.names.contains(&name) { Found::Here(()) } else { Found::Absent }
    }
    fn service(&self, _: &str, name: &str) -> Found<Holder> {
        let found = self.services.iter().find(|(known, _)| *known == name);
        found.map_or(Found::Absent, |(_, holder)| Found::Here(holder.clone()))
    }
    fn dataplane(&self, _: &str, name: &str) -> Found<Arc<DataPlane>> {
        let found = self.dataplanes.iter().find(|known| known.metadata.name.as_deref() == Some(name));
        found.map_or(Found::Absent, |found| Found::Here(found.clone()))
    }
    fn wanting(&self, _: &str, service: &str) -> Vec<Arc<DataPlane>> {
        let all = self.dataplanes.iter().filter(|object| ingress_service(object) == service);
        all.cloned().collect()
    }
    fn configuring(&self, _: &str, dataplane: &str) -> Vec<Arc<ControlPlane>> {
        let all = self.controlplanes.iter();
        all.filter(|object| object.spec.names().any(|name| name == dataplane)).cloned().collect()
    }
    fn grants(&self, namespace: &str) -> Found<Vec<Arc<WatchNamespaceGrant>>> {
        if namespace == "open" { Found::Here(self.grants.clone()) } else { Found::Absent }
    }
    fn gateway_class(&self, name: &str) -> Found<Arc<GatewayClass>> {
        let found = self.classes.iter().find(|class| class.metadata.name.as_deref() == Some(name));
        found.map_or(Found::Absent, |class| Found::Here(class.clone()))
    }
    fn configuration(&self, _: &str, name: &str) -> Found<Arc<GatewayConfiguration>> {
        let found = self.configurations.iter().find(|found| found.metadata.name.as_deref() == Some(name));
        found.map_or(Found::Absent, |found| Found::Here(found.clone()))
    }
    fn reference_grants(&self, _: &str) -> Found<Vec<Arc<ReferenceGrant>>> {
        Found::Here(self.reference_grants.clone())
    }
    fn certificate(&self, _: &str, name: &str) -> Found<Result<(), Unusable>> {
        let found = self.certificates.iter().find(|(known, _)| *known == name);
        found.map_or(Found::Absent, |(_, verdict)| Found::Here(verdict.clone()))
    }
}

/// An object named `edge` in the namespace `team`.
pub fn object(spec: &Value) -> Value {
    json!({ "metadata": { "name": "edge", "namespace": "team" }, "spec": spec })
}

/// The verdict on an object, defaults filled in, and on its update where one is given.
pub fn judged(world: &Known, kind: Kind, spec: &Value, old: Option<&Value>) -> Verdict {
    let mut object = object(spec);
    default(kind, &mut object);
    let settings = Settings { image: "kong:test".into() };
    judge(
        &Subject { kind, object: &object, old },
        &Judge { settings: &settings, controller: CONTROLLER, world },
    )
}

/// Problems as `path: message`, and warnings.
pub fn told(verdict: &Verdict) -> (Vec<String>, Vec<String>) {
    let problems = verdict.problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    (problems, verdict.warnings.clone())
}
