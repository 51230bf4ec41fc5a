//! Defaults and verdicts, kind by kind.
//!
//! In: an object as JSON, as a user wrote it or as the API server is about to store it. Out: its defaults, its
//! problems and warnings. Never: an answer that depends on anything but the object, the one before it, the settings
//! and the world that are handed in.

mod controlplane;
mod dataplane;
mod gateway;
mod gatewayconfiguration;
mod grant;
#[cfg(test)]
mod known;

use crds::defaults;
use plan::dataplane::Settings;
use serde_json::{Map, Value};

use crate::rules::{applied, standing};
use crate::verdict::Verdict;
use crate::world::World;

/// Kinds that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `gateway-operator.konghq.com` `DataPlane`.
    DataPlane,
    /// `gateway-operator.konghq.com` `ControlPlane`.
    ControlPlane,
    /// `gateway-operator.konghq.com` `GatewayConfiguration`.
    GatewayConfiguration,
    /// `gateway-operator.konghq.com` `WatchNamespaceGrant`.
    WatchNamespaceGrant,
    /// Gateway API's `Gateway`; judged only where its class is ours.
    Gateway,
    /// Gateway API's `GatewayClass`; judged only where its controller is ours.
    GatewayClass,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DataPlane,
        Self::ControlPlane,
        Self::GatewayConfiguration,
        Self::WatchNamespaceGrant,
        Self::Gateway,
        Self::GatewayClass,
    ];

    /// Its name, as manifests write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataPlane => "DataPlane",
            Self::ControlPlane => "ControlPlane",
            Self::GatewayConfiguration => "GatewayConfiguration",
            Self::WatchNamespaceGrant => "WatchNamespaceGrant",
            Self::Gateway => "Gateway",
            Self::GatewayClass => "GatewayClass",
        }
    }
}

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The object, whole, defaults filled in.
    pub object: &'a Value,
    /// What it is an update of.
    pub old: Option<&'a Value>,
}

/// What verdicts follow, besides the object.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// What the operator was told.
    pub settings: &'a Settings,
    /// `spec.controllerName` of the classes that are ours.
    pub controller: &'a str,
    /// Other objects.
    pub world: &'a dyn World,
}

/// Fills in what is absent and has a default. Doing it twice changes nothing; what does not decode stays as it is.
pub fn default(kind: Kind, object: &mut Value) {
    let Some(members) = object.as_object_mut() else { return };
    if matches!(kind, Kind::WatchNamespaceGrant | Kind::Gateway | Kind::GatewayClass) {
        return;
    }
    let spec = members.entry("spec").or_insert(Value::Null);
    // The schemas say the same: a `DataPlane` needs nothing but a name.
    if spec.is_null() {
        *spec = Value::Object(Map::new());
    }
    match kind {
        Kind::DataPlane => defaults::fill(spec, defaults::dataplane),
        Kind::ControlPlane => defaults::fill(spec, defaults::controlplane),
        Kind::GatewayConfiguration => defaults::fill(spec, defaults::gatewayconfiguration),
        Kind::WatchNamespaceGrant | Kind::Gateway | Kind::GatewayClass => {}
    }
}

/// Everything there is to say about an object. An update that leaves its specification as it is, is not refused.
pub fn judge(subject: &Subject<'_>, judge: &Judge<'_>) -> Verdict {
    let mut verdict = match subject.kind {
        Kind::DataPlane => dataplane::verdict(subject, judge),
        Kind::ControlPlane => controlplane::verdict(subject, judge),
        Kind::GatewayConfiguration => gatewayconfiguration::verdict(subject, judge),
        Kind::WatchNamespaceGrant => grant::verdict(subject),
        Kind::Gateway => gateway::of_gateway(subject, judge),
        Kind::GatewayClass => gateway::of_class(subject, judge),
    };
    verdict.warnings.extend(applied::dropped(subject));
    if !verdict.allowed() && standing::stands(subject) {
        verdict.problems.clear();
    }
    verdict
}
