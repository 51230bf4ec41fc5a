//! What becomes of a route: let in or not, and what its parents' statuses say.
//! In: a route, Gateways, the result of the last push. Out: a verdict. Never writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway_api::apis::standard::gateways::{Gateway, GatewayListeners};
use jiff::Timestamp;

use super::conditions::{condition, set};
use super::{contract, listeners};
use crate::cluster::cache::Entry;
use crate::cluster::caches::Snapshot;
use crate::cluster::kinds::GATEWAY;
use crate::cluster::route::{ParentRef, ParentStatus, Route};
use crate::settings::values::Named;
use crate::translate::backends;
use crate::translate::view::{LetIn, Listening, Options};

/// What the last push says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is in the configuration that all instances took.
    Configured,
    /// It could not be translated.
    Failed,
}

/// What becomes of a route.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// No parent is ours: what was let in goes, and so does what we said.
    Foreign,
    /// A Gateway is not Programmed yet: nothing changes.
    Waiting,
    /// It was judged.
    Judged {
        /// What is let in.
        let_in: Option<LetIn>,
        /// For each parent of ours, why it is not accepted, if it is not.
        parents: Vec<(ParentRef, Option<&'static str>)>,
    },
}

/// A parent of ours with what was found.
struct Found<'a> {
    parent: ParentRef,
    gateway: &'a Gateway,
    attached: Result<Vec<&'a GatewayListeners>, &'static str>,
}

/// Judges a route.
pub fn judge(snapshot: &Snapshot, options: &Options, entry: &Arc<Entry<Route>>) -> Verdict {
    let route = &entry.read;
    let found: Vec<Found<'_>> = route
        .parents
        .iter()
        .filter_map(|parent| {
            let parent = complete(parent, route);
            let gateway = gateway(snapshot, options, &parent)?;
            let attached = listeners::attached(snapshot, route, &parent, gateway);
            Some(Found { parent, gateway, attached })
        })
        .collect();
    if found.is_empty() {
        return Verdict::Foreign;
    }
    if !found.iter().all(|one| contract::is(one.gateway, "Programmed")) {
        return Verdict::Waiting;
    }
    let all: Vec<&GatewayListeners> =
        found.iter().filter_map(|one| one.attached.as_ref().ok()).flatten().copied().collect();
    let let_in = (!all.is_empty()).then(|| let_in(entry, &all));
    let parents = found.into_iter().map(|one| (one.parent, one.attached.err())).collect();
    Verdict::Judged { let_in, parents }
}

/// A reference with its defaults; KIC does not copy the port into statuses, but matches by it.
fn complete(parent: &ParentRef, route: &Route) -> ParentRef {
    ParentRef {
        group: parent.group.clone().or_else(|| Some(GATEWAY.to_owned())),
        kind: parent.kind.clone().or_else(|| Some("Gateway".to_owned())),
        namespace: parent.namespace.clone().or_else(|| Some(route.object.namespace.clone())),
        ..parent.clone()
    }
}

/// The Gateway that a reference names, if it is ours.
fn gateway<'a>(snapshot: &'a Snapshot, options: &Options, parent: &ParentRef) -> Option<&'a Gateway> {
    if parent.group.as_deref() != Some(GATEWAY) || parent.kind.as_deref() != Some("Gateway") {
        return None;
    }
    let key = Named::new(parent.namespace.as_deref()?, &parent.name);
    if options.gateway.as_ref().is_some_and(|only| *only != key) {
        return None;
    }
    let gateway = &snapshot.gateways.get(&key)?.read;
    contract::class(snapshot, options, gateway).map(|_| gateway)
}

fn let_in(entry: &Arc<Entry<Route>>, all: &[&GatewayListeners]) -> LetIn {
    let of =
        |listener: &&GatewayListeners| Listening { protocol: listener.protocol.clone(), port: listener.port };
    let route = &entry.read;
    // A listener without a hostname leaves a route without hostnames open to all.
    let open = route.hostnames.is_empty()
        && all.iter().any(|listener| listener.hostname.as_deref().is_none_or(str::is_empty));
    let mut hostnames = BTreeSet::new();
    if !open {
        for listener in all {
            hostnames.extend(listeners::shared(&route.hostnames, listener.hostname.as_deref()));
        }
    }
    LetIn {
        route: Arc::clone(entry),
        hostnames: hostnames.into_iter().collect(),
        listeners: all.iter().map(of).collect(),
    }
}

/// The statuses of a route's parents, if they are to change.
///
/// # Errors
/// Where another controller left out a namespace: KIC's reconcile of that route ends in a panic then.
pub fn statuses(
    snapshot: &Snapshot,
    options: &Options,
    route: &Route,
    (parents, report): (&[(ParentRef, Option<&'static str>)], Option<Report>),
    now: Timestamp,
) -> Result<Option<Vec<ParentStatus>>, String> {
    if let Some(bare) = route.status.iter().find(|status| status.parent_ref.namespace.is_none()) {
        return Err(format!(
            "Observed a panic in reconciler: the status of parent {:?} by {} has no namespace",
            bare.parent_ref.name, bare.controller_name
        ));
    }
    let references = route.backends();
    let bad = references
        .iter()
        .find_map(|one| backends::resolve(snapshot, &route.object.kind, &route.object.namespace, one).err());
    let mut all = route.status.clone();
    all.retain(|status| {
        !is_ours(status, options) || parents.iter().any(|(parent, _)| same(parent, &status.parent_ref))
    });
    for (parent, refused) in parents {
        let status = entry(&mut all, parent, options);
        let generation = route.generation;
        let accepted = match refused {
            None => condition("Accepted", "True", "Accepted", generation),
            Some(reason) => condition("Accepted", "False", reason, generation),
        };
        let resolved = match bad {
            None => condition("ResolvedRefs", "True", "ResolvedRefs", generation),
            Some(why) => condition("ResolvedRefs", "False", why.reason(), generation),
        };
        let known = status.conditions.iter().any(|one| one.type_ == "Programmed");
        let programmed = match report {
            Some(Report::Configured) if refused.is_none() => Some(("True", "ConfiguredInGateway")),
            Some(Report::Failed) => Some(("False", "TranslationError")),
            _ if !known => Some(("Unknown", "Unknown")),
            _ => None,
        };
        let programmed =
            programmed.map(|(status, reason)| condition("Programmed", status, reason, generation));
        for wanted in [Some(accepted), Some(resolved), programmed].into_iter().flatten() {
            set(&mut status.conditions, wanted, now);
        }
    }
    Ok((all != route.status).then_some(all))
}

/// KIC looks entries up by namespace, name and section, whoever wrote them.
fn same(one: &ParentRef, other: &ParentRef) -> bool {
    one.namespace == other.namespace && one.name == other.name && one.section_name == other.section_name
}

fn entry<'a>(all: &'a mut Vec<ParentStatus>, parent: &ParentRef, options: &Options) -> &'a mut ParentStatus {
    let known = all.iter().position(|status| same(parent, &status.parent_ref));
    let at = known.unwrap_or_else(|| {
        all.push(ParentStatus {
            parent_ref: ParentRef { port: None, ..parent.clone() },
            controller_name: options.controller.clone(),
            conditions: Vec::new(),
        });
        all.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
    &mut all[at]
}

/// The statuses without what we said, where no parent is ours any more.
pub fn withdrawn(options: &Options, route: &Route) -> Option<Vec<ParentStatus>> {
    let mut all = route.status.clone();
    all.retain(|status| !is_ours(status, options));
    (all.len() != route.status.len()).then_some(all)
}

/// Whether we said it: one that is told of a Gateway looks, from 3.1.1 on, at the routes of that Gateway only.
fn is_ours(status: &ParentStatus, options: &Options) -> bool {
    let parent = &status.parent_ref;
    status.controller_name == options.controller
        && options.gateway.as_ref().is_none_or(|only| {
            parent.namespace.as_deref() == Some(&only.namespace) && parent.name == only.name
        })
}

#[cfg(test)]
mod tests;
