//! One reconciler per kind: read, validate, build, write, status.
//!
//! Decisions are taken in `plan`, writes are made by `runtime`; what is here brings the two together.

pub mod authority;
mod certificate;
pub mod controlplane;
pub mod dataplane;
pub mod gateway;
pub mod hubs;
pub mod others;
pub mod planes;
pub mod references;
pub mod rollout;
mod touches;
mod trim;
pub mod webhook;

use std::sync::Arc;

use certs::Authority;
use kube::Client;
use plan::dataplane::Settings;
use runtime::Writer;
use runtime::drive::Kit;
use runtime::events::Events;
use runtime::health::Checks;
use runtime::lease::Claim;
use runtime::metrics::Metrics;

pub use gateway::Entrances;
pub use hubs::Hubs;
pub use others::Others;
pub use planes::Planes;
pub use references::{Moved, References};

/// What reconcilers share.
#[derive(Clone)]
pub struct Context {
    /// What the operator was told about every `DataPlane`.
    pub settings: Arc<Settings>,
    /// What the operator was told about every `ControlPlane`.
    pub controller: Arc<plan::controlplane::Settings>,
    /// The authority of the admin certificates.
    pub authority: Arc<Authority>,
    /// Warm stores of what is read.
    pub hubs: Hubs,
    /// Warm stores of what only control planes need.
    pub planes: Planes,
    /// Warm stores of what only Gateways need.
    pub entrances: Entrances,
    /// What the loop around a reconciler needs.
    pub kit: Kit,
}

/// The loop's part of a context.
pub fn kit(client: &Client, metrics: &Metrics, claim: Claim, live: &Checks) -> Kit {
    let writer = Writer::new(client.clone(), metrics.clone(), claim);
    let events = Events::new(writer.clone(), CONTROLLER);
    Kit { events, writer, metrics: metrics.clone(), live: live.clone() }
}

/// What events name as their source.
const CONTROLLER: &str = "silverback";
