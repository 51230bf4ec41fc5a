//! Volumes and their mounts, quantities, and fields that take one of a few words.

use std::collections::BTreeSet;

use crds::quantity;
use serde_json::Value;

use super::lists::{items, text};
use super::{Check, names};
use crate::invalid::Cause;
use crate::path::At;

/// Fields that take one of these words, by their name: in a pod template each means the same wherever it stands.
const WORDS: &[(&str, &[&str])] = &[
    ("dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ("effect", &["", "NoExecute", "NoSchedule", "PreferNoSchedule"]),
    ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("mountPropagation", &["Bidirectional", "HostToContainer", "None"]),
    ("preemptionPolicy", &["Never", "PreemptLowerPriority"]),
    ("protocol", &["SCTP", "TCP", "UDP"]),
    ("scheme", &["HTTP", "HTTPS"]),
    ("terminationMessagePolicy", &["FallbackToLogsOnError", "File"]),
    ("whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]),
];

/// Fields of which Kubernetes takes an empty word for none, and gives its default.
const DEFAULTED: [&str; 6] =
    ["dnsPolicy", "imagePullPolicy", "protocol", "restartPolicy", "scheme", "terminationMessagePolicy"];

/// Parts of a pod template in which there are no such fields, and keys of the user's own.
const OPAQUE: [&str; 11] = [
    "annotations",
    "args",
    "command",
    "env",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "options",
    "requests",
    "volumeAttributes",
];

/// Drops the words of a template that are empty, where that says nothing.
pub fn without_empty(template: &mut Value) {
    match template {
        Value::Object(members) => {
            members.retain(|name, member| !(DEFAULTED.contains(&name.as_str()) && *member == ""));
            let parts = members.iter_mut().filter(|(name, _)| !OPAQUE.contains(&name.as_str()));
            parts.for_each(|(_, part)| without_empty(part));
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty),
        _ => {}
    }
}

impl Check<'_> {
    pub(super) fn volumes(&mut self, spec: &Value, at: &At<'_>) {
        self.named(spec, "volumes", at, (names::is_label, names::LABEL));
        for (index, volume) in items(spec, "volumes") {
            let sources = volume.as_object().into_iter().flatten();
            let sources: Vec<&str> = sources
                .filter(|(field, source)| !field.starts_with('$') && *field != "name" && !source.is_null())
                .map(|(field, _)| field.as_str())
                .collect();
            if sources.len() > 1 {
                let message =
                    format!("{} exclude each other: a volume has one source", sources.join(" and "));
                self.tell(&at.index(index), Cause::Forbidden, message);
            }
        }
    }

    /// Every mount names a volume of the pod, and says where.
    pub(super) fn mounts(&mut self, spec: &Value, at: &At<'_>) {
        let volumes: BTreeSet<&str> = items(spec, "volumes")
            .filter_map(|(_, volume)| text(volume, "name"))
            .chain(self.role.volumes.iter().copied())
            .collect();
        for list in ["containers", "initContainers"] {
            let at = at.field(list);
            for (index, container) in items(spec, list) {
                let container_at = at.index(index);
                let at = container_at.field("volumeMounts");
                for (index, mount) in items(container, "volumeMounts") {
                    self.mount(mount, &at.index(index), &volumes);
                }
            }
        }
    }

    fn mount(&mut self, mount: &Value, at: &At<'_>, volumes: &BTreeSet<&str>) {
        match text(mount, "mountPath") {
            None | Some("") => {
                self.tell(&at.field("mountPath"), Cause::Required, "is missing: say where the volume goes");
            }
            Some(path) if path.contains(':') => {
                self.tell(
                    &at.field("mountPath"),
                    Cause::Invalid,
                    format!("{path:?} has a colon: choose another path"),
                );
            }
            Some(_) => {}
        }
        // Without a name it changes a mount of ours.
        if let Some(name) = text(mount, "name").filter(|name| !volumes.contains(name)) {
            let message = format!("no volume is named {name:?}: add it to volumes, or correct the name");
            self.tell(&at.field("name"), Cause::NotFound, message);
        }
    }

    pub(super) fn resources(&mut self, resources: &Value, at: &At<'_>) {
        for field in ["limits", "requests"] {
            let at = at.field(field);
            for (resource, amount) in resources.get(field).and_then(Value::as_object).into_iter().flatten() {
                let read = quantity::parse(amount);
                if !amount.is_null() && read.is_none_or(|amount| amount < 0) {
                    let message = format!("{amount} is no quantity: use a number such as 500m or 1Gi");
                    self.tell(&at.key(resource), Cause::Invalid, message);
                }
            }
        }
        let (requests, limits) = (resources.get("requests"), resources.get("limits"));
        for (resource, amount) in requests.and_then(Value::as_object).into_iter().flatten() {
            let limit = limits.and_then(|limits| limits.get(resource));
            let above =
                limit.and_then(quantity::parse).zip(quantity::parse(amount)).is_some_and(|(l, r)| r > l);
            if let (true, Some(limit)) = (above, limit) {
                let message = format!("{amount} is above the limit of {limit}: lower it, or raise the limit");
                self.tell(&at.field("requests").key(resource), Cause::Invalid, message);
            }
        }
    }

    /// Fields that take one of a few words, wherever they stand.
    pub(super) fn words(&mut self, value: &Value, at: &At<'_>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members.iter().filter(|(name, _)| !OPAQUE.contains(&name.as_str())) {
                    let at = at.field(name);
                    match member {
                        Value::String(word) => self.word(name, word, &at),
                        member => self.words(member, &at),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.words(item, &at.index(index));
                }
            }
            _ => {}
        }
    }

    fn word(&mut self, field: &str, word: &str, at: &At<'_>) {
        let known = WORDS.iter().find(|(name, _)| *name == field).map(|(_, words)| *words);
        if let Some(words) = known.filter(|words| {
            let is_none = word.is_empty() && DEFAULTED.contains(&field);
            !is_none && !words.contains(&word)
        }) {
            let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
            let message = format!("{word:?} is not supported: use {}", words.join(", "));
            self.tell(at, Cause::NotSupported, message);
        }
    }
}
