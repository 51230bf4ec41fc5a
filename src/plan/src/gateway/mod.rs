//! `Gateway`, its class and its sets of listeners: what it takes to serve them, and what is said of them.
//!
//! In: a Gateway, its class, configuration, sets, routes, and answers about other objects. Out: the `DataPlane`, the
//! `ControlPlane` and the `NetworkPolicy` that it needs and, from these as they are, every status that is the operator's.
//! What is wrong comes out as conditions: one bad listener leaves the others alone, and what runs is left as it is.

mod accepted;
mod addresses;
mod certificates;
mod children;
mod class;
mod configuration;
mod hosts;
mod listeners;
mod parameters;
mod ports;
mod protocol;
mod pushed;
mod routes;
mod selector;
mod sets;
mod status;
mod told;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::GatewayConfigurationSpec;
use crds::gatewayapi::ReferenceGrant;
use gateway_api::gateways::Gateway;
use gateway_api::listenersets::ListenerSet;

pub use accepted::Verdict;
pub use children::Children;
pub use class::{UNMANAGED, is_unmanaged, status as class_status};
pub use configuration::{Use, status as configuration_status};
pub use parameters::{Place, at, combined, of as parameters, of_class, of_gateway};
pub use routes::Route;
pub use sets::{names_gateway, parent};
pub use status::{Seen, failed};
pub use words::{ACCEPTED, PENDING, PROGRAMMED};

use listeners::{Entry, Unit};
use sets::Set;

/// Answers about objects besides the Gateway.
pub trait World {
    /// The labels of a namespace; `None` where it is not known.
    fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>>;
    /// The grants of a namespace.
    fn grants(&self, namespace: &str) -> Vec<Arc<ReferenceGrant>>;
    /// Whether the certificate in a Secret can be served.
    ///
    /// # Errors
    /// Why it cannot.
    fn certificate(&self, namespace: &str, name: &str) -> Result<(), Unusable>;
}

/// Why a Secret cannot be used as a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// There is none of that name.
    Absent,
    /// It is no TLS Secret.
    OtherType,
    /// What is in it is wrong, in words that follow its name.
    Wrong(String),
}

/// What is known of a Gateway's surroundings.
pub struct Known<'a> {
    /// Who looks after the class, and accepts routes.
    pub controller: &'a str,
    /// The configuration by which it is made, or why there is none.
    pub parameters: Result<GatewayConfigurationSpec, String>,
    /// Sets of listeners that name the Gateway; `None` where that kind is not installed.
    pub sets: Option<Vec<Arc<ListenerSet>>>,
    /// Routes that may name the Gateway or one of the sets.
    pub routes: &'a [Route<'a>],
    /// Everything else.
    pub world: &'a dyn World,
}

/// A Gateway and what was found out about it.
pub struct Judged<'a> {
    gateway: &'a Gateway,
    configuration: GatewayConfigurationSpec,
    verdict: Verdict,
    own: Vec<Counted>,
    /// Its routes that are in no configuration that Kong took whole.
    suspects: Vec<String>,
    /// None where the kind is not installed.
    sets: Option<Vec<Set>>,
}

/// A listener with the routes that are attached to it.
#[derive(Debug, Clone)]
struct Counted {
    entry: Entry,
    routes: i32,
}

/// Judges a Gateway.
pub fn judged<'a>(gateway: &'a Gateway, known: &Known<'_>) -> Judged<'a> {
    let all = known.sets.clone().unwrap_or_default();
    let (allowed, refused) = sets::allowed(gateway, all, known.world);
    let units = units(gateway, &allowed);
    let frontend = gateway.spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref());
    let entries = listeners::judged(&units, frontend, known.world);
    let counted = |(unit, entries): (&Unit<'_>, Vec<Entry>)| -> Vec<Counted> {
        let routes =
            |entry: &Entry| routes::attached(entry, unit, (known.routes, known.controller), known.world);
        entries.into_iter().map(|entry| Counted { routes: routes(&entry), entry }).collect()
    };
    let mut all: Vec<_> = units.iter().zip(entries).map(counted).collect();
    let own = if all.is_empty() { Vec::new() } else { all.remove(0) };
    let unit = units.first();
    let suspects = unit.map(|unit| pushed::suspects(known.routes, unit, known.controller));
    drop(units);
    let own_entries: Vec<_> = own.iter().map(|counted| &counted.entry).collect();
    let verdict = accepted::of(gateway, &known.parameters, &own_entries);
    let mut sets: Vec<_> =
        allowed.into_iter().zip(all).map(|(object, listeners)| Set::attached(object, listeners)).collect();
    sets.extend(refused.into_iter().map(Set::refused));
    Judged {
        gateway,
        configuration: known.parameters.clone().unwrap_or_default(),
        verdict,
        own,
        suspects: suspects.unwrap_or_default(),
        sets: known.sets.is_some().then_some(sets),
    }
}

fn units<'a>(gateway: &'a Gateway, sets: &'a [Arc<ListenerSet>]) -> Vec<Unit<'a>> {
    let own = Unit {
        kind: "Gateway",
        namespace: gateway.metadata.namespace.as_deref().unwrap_or_default(),
        name: gateway.metadata.name.as_deref().unwrap_or_default(),
        listeners: gateway.spec.listeners.clone(),
    };
    std::iter::once(own).chain(sets.iter().map(|set| sets::unit(set))).collect()
}

impl Judged<'_> {
    /// Whether the Gateway is accepted, and why.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The objects that serve it; `None` where nothing can be made of it. What is there is left as it is then.
    pub fn children(&self) -> Option<Children> {
        children::of(self)
    }

    /// Every listener, the Gateway's first, then those of each set.
    fn entries(&self) -> Vec<Vec<Entry>> {
        let entries = |all: &[Counted]| all.iter().map(|counted| counted.entry.clone()).collect();
        let sets = self.sets.iter().flatten().map(|set| entries(&set.listeners));
        std::iter::once(entries(&self.own)).chain(sets).collect()
    }
}

#[cfg(test)]
mod tests;
