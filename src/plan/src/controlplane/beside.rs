//! The further `DataPlane`s of a `ControlPlane`.
//!
//! In: a `ControlPlane` that names several. Out: a `ControlPlane` for each but the first, with the same options, and what
//! they mean for the status of the one that names them. Kong Ingress Controller knows one admin Service, asks Kong for its
//! version once and waits for the slowest pod at each push: one for each `DataPlane` keeps them apart.

use std::sync::Arc;

use crds::ControlPlane;
use crds::conditions::{self, Status, Update, reasons, types};
use crds::names;
use crds::wanted::Wanted;
use serde_json::{Map, Value, json};

use super::children::{self, fields};
use super::{FINALIZER, Identity};

/// A further `DataPlane`, and the `ControlPlane` that was made for it.
#[derive(Debug, Clone)]
pub struct Beside {
    /// Its name.
    pub dataplane: String,
    /// As it is, where it is there.
    pub controlplane: Option<Arc<ControlPlane>>,
}

/// The `ControlPlane`s that are wanted.
pub fn of(identity: &Identity<'_>) -> Vec<Wanted<ControlPlane>> {
    let named = identity.object.spec.dataplanes.iter().flatten();
    named.map(|dataplane| one(identity, dataplane)).collect()
}

fn one(identity: &Identity<'_>, dataplane: &str) -> Wanted<ControlPlane> {
    let mut spec = match json!(identity.object.spec.options) {
        Value::Object(options) => options,
        _ => Map::new(),
    };
    spec.insert("dataplane".to_owned(), json!(dataplane));
    let name = names::beside(identity.name, dataplane);
    let mut metadata = children::metadata(identity);
    metadata.insert("finalizers".to_owned(), json!([FINALIZER]));
    Wanted::new(name, metadata, fields([("spec", Value::Object(spec))]))
}

/// Whether a `ControlPlane` was made for a further `DataPlane` of another one.
pub fn is_one(object: &ControlPlane) -> bool {
    owner(object).is_some()
}

/// The name of the `ControlPlane` that it was made for.
pub fn owner(object: &ControlPlane) -> Option<&str> {
    let owners = object.metadata.owner_references.as_deref().unwrap_or_default();
    let kind = crds::k8s::kind::<ControlPlane>();
    let owner = owners.iter().find(|owner| owner.controller == Some(true) && owner.kind == kind)?;
    Some(&owner.name)
}

impl Beside {
    /// What holds of all holds of this one too: otherwise its condition takes the place of one that holds.
    pub fn joined(&self, update: Update) -> Update {
        let shared = [types::READY, types::PROVISIONED, types::PROGRAMMED, types::CONFIGURATION_ACCEPTED];
        if update.status != Status::True || !shared.contains(&update.type_) {
            return update;
        }
        let status = self.controlplane.as_deref().and_then(|object| object.status.as_ref());
        let own = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let told = conditions::get(own, update.type_);
        if told.is_some_and(|told| told.status == Status::True.as_str()) {
            return update;
        }
        let (status, reason, words) = match told {
            Some(told) if told.status == Status::False.as_str() => {
                (Status::False, known(&told.reason), told.message.as_str())
            }
            _ => (Status::Unknown, None, "nothing is known yet"),
        };
        let message = format!("DataPlane {:?}: {words}", self.dataplane);
        let reason = reason.unwrap_or(reasons::DEPENDENCIES_NOT_READY);
        Update { status, reason, message, ..update }
    }
}

/// The constant of a reason, from its word.
fn known(word: &str) -> Option<&'static str> {
    reasons::ALL.iter().map(|(reason, _)| *reason).find(|reason| *reason == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(conditions: &Value) -> Beside {
        let object =
            json!({ "metadata": { "name": "edge-b" }, "spec": {}, "status": { "conditions": conditions } });
        Beside {
            dataplane: "b".into(),
            controlplane: Some(Arc::new(serde_json::from_value(object).unwrap())),
        }
    }

    fn holds(type_: &'static str, status: Status) -> Update {
        Update { type_, status, reason: reasons::READY, message: "mine".into(), generation: None }
    }

    #[test]
    fn what_holds_of_one_and_not_of_another_does_not_hold() {
        let condition = |status: &str, reason: &str| {
            json!([{ "type": "Ready", "status": status, "reason": reason, "message": "why",
                "lastTransitionTime": "2026-01-01T00:00:00Z" }])
        };
        let good = beside(&condition("True", "Ready"));
        assert_eq!(good.joined(holds(types::READY, Status::True)).message, "mine");
        let bad = beside(&condition("False", "CrashLoop"));
        let joined = bad.joined(holds(types::READY, Status::True));
        assert_eq!((joined.status, joined.reason), (Status::False, reasons::CRASH_LOOP));
        assert_eq!(joined.message, "DataPlane \"b\": why");
        assert_eq!(
            bad.joined(holds(types::READY, Status::False)).message,
            "mine",
            "its own trouble comes first"
        );
        let grants = holds(types::WATCH_NAMESPACE_GRANT_VALID, Status::True);
        assert_eq!(bad.joined(grants).message, "mine", "each looks after its own");
        let none = Beside { dataplane: "b".into(), controlplane: None };
        assert_eq!(none.joined(holds(types::PROGRAMMED, Status::True)).status, Status::Unknown);
    }
}
