//! Where pods run, as whom and for how long: names, node selectors, tolerations, spreads.
//!
//! In: the specification of a pod, as its author wrote it. Out: what Kubernetes refuses of it
//! (`ValidatePodSpec`). Never: a look at whether a node or an account of that name exists.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lists::{items, text};
use super::{Check, names};
use crate::invalid::Cause;
use crate::path::At;

/// Whether text is a name of its kind, and in words what such a name is.
type Rule = (fn(&str) -> bool, &'static str);

/// Fields that are names; empty, Kubernetes takes each for absent.
const NAMES: [(&str, Rule); 5] = [
    ("hostname", (names::is_label, names::LABEL)),
    ("nodeName", (names::is_subdomain, names::SUBDOMAIN)),
    ("priorityClassName", (names::is_subdomain, names::SUBDOMAIN)),
    ("serviceAccountName", (names::is_subdomain, names::SUBDOMAIN)),
    ("subdomain", (names::is_label, names::LABEL)),
];

impl Check<'_> {
    pub(super) fn placement(&mut self, spec: &Value, at: &At<'_>) {
        for (field, (is_good, rule)) in NAMES {
            if let Some(name) = text(spec, field).filter(|name| !name.is_empty() && !is_good(name)) {
                self.tell(&at.field(field), Cause::Invalid, format!("{name:?} is no name: {rule}"));
            }
        }
        self.alike(spec, at);
        self.selector(spec, &at.field("nodeSelector"));
        let grace = "terminationGracePeriodSeconds";
        if let Some(seconds) = spec.get(grace).and_then(Value::as_i64).filter(|seconds| *seconds < 0) {
            self.tell(&at.field(grace), Cause::Invalid, format!("{seconds} is negative: use 0 or more"));
        }
        let tolerations = at.field("tolerations");
        for (index, toleration) in items(spec, "tolerations") {
            let operator = text(toleration, "operator");
            if let Some(word) = operator.filter(|word| !["", "Equal", "Exists"].contains(word)) {
                let message = format!("{word:?} is not supported: use Equal, Exists");
                self.tell(&tolerations.index(index).field("operator"), Cause::NotSupported, message);
            }
        }
        let spreads = at.field("topologySpreadConstraints");
        for (index, spread) in items(spec, "topologySpreadConstraints") {
            if let Some(skew) = spread.get("maxSkew").and_then(Value::as_i64).filter(|skew| *skew < 1) {
                let message = format!("{skew} is too small: use 1 or more");
                self.tell(&spreads.index(index).field("maxSkew"), Cause::Invalid, message);
            }
        }
    }

    /// Containers and init containers share their names, with the container that we bring.
    fn alike(&mut self, spec: &Value, at: &At<'_>) {
        let mut others: BTreeMap<&str, String> = BTreeMap::new();
        others.insert(self.role.container, "that the operator brings".to_owned());
        for (index, container) in items(spec, "containers") {
            others.extend(text(container, "name").map(|name| (name, format!("{index} of containers"))));
        }
        let list = at.field("initContainers");
        for (index, container) in items(spec, "initContainers") {
            let name = text(container, "name").unwrap_or_default();
            if let Some(other) = others.get(name) {
                let message = format!("{name:?} is the name of the container {other} too: give it another");
                self.tell(&list.index(index).field("name"), Cause::Duplicate, message);
            }
        }
    }

    fn selector(&mut self, spec: &Value, at: &At<'_>) {
        for (key, value) in spec.get("nodeSelector").and_then(Value::as_object).into_iter().flatten() {
            let at = at.key(key);
            if key != "$patch" && !names::is_qualified(key) {
                self.tell(&at, Cause::Invalid, format!("{key:?} is no key: {}", names::QUALIFIED));
            }
            if let Some(value) = value.as_str().filter(|value| !names::is_label_value(value)) {
                let message = format!("{value:?} is no value of a label: {}", names::LABEL_VALUE);
                self.tell(&at, Cause::Invalid, message);
            }
        }
    }
}
