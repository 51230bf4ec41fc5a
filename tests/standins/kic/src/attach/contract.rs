//! Which classes and Gateways are let in: the contract with whoever provisions them.
//! In: classes and Gateways with their statuses. Out: those that KIC works with. Never a status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gateway_api::apis::standard::gatewayclasses::GatewayClass;
use gateway_api::apis::standard::gateways::Gateway;

use super::conditions::holds;
use crate::cluster::cache::Entry;
use crate::cluster::caches::Snapshot;
use crate::settings::values::Named;
use crate::translate::view::Options;

/// What marks a class whose Gateways KIC serves by itself.
const UNMANAGED: &str = "konghq.com/gatewayclass-unmanaged";

/// Whether a class leaves its Gateways to KIC.
pub fn unmanaged(class: &GatewayClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(UNMANAGED)).is_some_and(|value| !value.is_empty())
}

/// Whether a class is accepted as KIC asks for it.
pub fn accepted(class: &GatewayClass) -> bool {
    let conditions = class.status.as_ref().and_then(|status| status.conditions.as_deref());
    holds(conditions.unwrap_or_default(), "Accepted", class.metadata.generation.unwrap_or(0))
}

/// Whether a Gateway has that condition as KIC asks for it.
pub fn is(gateway: &Gateway, type_: &str) -> bool {
    let conditions = gateway.status.as_ref().and_then(|status| status.conditions.as_deref());
    holds(conditions.unwrap_or_default(), type_, gateway.metadata.generation.unwrap_or(0))
}

/// The class of a Gateway, if it is one of ours.
pub fn class<'a>(snapshot: &'a Snapshot, options: &Options, gateway: &Gateway) -> Option<&'a GatewayClass> {
    let class = snapshot.classes.get(&Named::new("", &gateway.spec.gateway_class_name))?;
    (class.read.spec.controller_name == options.controller).then_some(&class.read)
}

/// Gateways of our classes; the one that is named, where one is.
pub fn ours<'a>(
    snapshot: &'a Snapshot,
    options: &'a Options,
) -> impl Iterator<Item = (&'a Named, &'a Arc<Entry<Gateway>>, &'a GatewayClass)> {
    let all = snapshot.gateways.iter();
    all.filter(|(key, _)| options.gateway.as_ref().is_none_or(|only| only == *key))
        .filter_map(|(key, entry)| Some((key, entry, class(snapshot, options, &entry.read)?)))
}

/// The classes that are let in.
pub fn classes(snapshot: &Snapshot, options: &Options) -> BTreeSet<String> {
    let ours = snapshot.classes.values().map(|entry| &entry.read);
    ours.filter(|class| class.spec.controller_name == options.controller && accepted(class))
        .filter_map(|class| class.metadata.name.clone())
        .collect()
}

/// The Gateways that are let in: as they were when they were accepted last.
pub fn gateways(
    snapshot: &Snapshot,
    options: &Options,
    before: &BTreeMap<Named, Arc<Entry<Gateway>>>,
) -> BTreeMap<Named, Arc<Entry<Gateway>>> {
    // Releases before 3.1.1 looked at routes alone where a Gateway is managed.
    let managed = options.release.since(1, 1);
    let seen = ours(snapshot, options).filter(|(_, _, class)| managed || unmanaged(class));
    seen.filter_map(|(key, entry, _)| {
        let now = is(&entry.read, "Accepted").then(|| Arc::clone(entry));
        Some((key.clone(), now.or_else(|| before.get(key).cloned())?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::stage::{Stage, class, gateway};
    use super::*;

    #[test]
    fn a_gateway_is_let_in_when_it_is_accepted_for_its_generation() {
        let mut stage = Stage::default();
        stage.class(&class());
        let mut object = gateway();
        object["status"]["conditions"][0]["observedGeneration"] = json!(6);
        stage.gateway(&object);
        let none = BTreeMap::new();
        assert!(gateways(&stage.snapshot, &stage.options, &none).is_empty());
        object["status"]["conditions"][0]["observedGeneration"] = json!(7);
        stage.gateway(&object);
        let first = gateways(&stage.snapshot, &stage.options, &none);
        assert_eq!(first.len(), 1);
        // It stays as it was while the next generation waits.
        object["metadata"]["generation"] = json!(8);
        stage.gateway(&object);
        let later = gateways(&stage.snapshot, &stage.options, &first);
        assert_eq!(later.values().next().unwrap().read.metadata.generation, Some(7));
    }

    #[test]
    fn only_the_named_gateway_of_our_controller_is_ours() {
        let mut stage = Stage::default();
        stage.class(&class());
        stage.gateway(&gateway());
        stage.options.gateway = Some(Named::new("ns", "other"));
        assert!(ours(&stage.snapshot, &stage.options).next().is_none());
        stage.options.gateway = Some(Named::new("ns", "gw"));
        assert!(ours(&stage.snapshot, &stage.options).next().is_some());
        stage.options.controller = "example.com/other".into();
        assert!(ours(&stage.snapshot, &stage.options).next().is_none());
    }
}
