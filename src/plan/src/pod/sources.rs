//! Names of the Secrets and `ConfigMaps` that a pod reads.
//!
//! In: the specification of a pod, as its author wrote it. Out: names that no object can have. Never: a look at
//! whether the object exists.

use serde_json::Value;

use super::lists::{items, text};
use super::{Check, names};
use crate::invalid::Cause;
use crate::path::At;

impl Check<'_> {
    pub(super) fn sources(&mut self, spec: &Value, at: &At<'_>) {
        for list in ["containers", "initContainers"] {
            let list_at = at.field(list);
            for (index, container) in items(spec, list) {
                self.of_container(container, &list_at.index(index));
            }
        }
        let volumes = at.field("volumes");
        for (index, volume) in items(spec, "volumes") {
            let at = volumes.index(index);
            self.source(volume, "secret", "secretName", &at);
            self.source(volume, "configMap", "name", &at);
            let projected_at = at.field("projected");
            let sources_at = projected_at.field("sources");
            for (index, source) in
                volume.get("projected").into_iter().flat_map(|projected| items(projected, "sources"))
            {
                self.source(source, "secret", "name", &sources_at.index(index));
                self.source(source, "configMap", "name", &sources_at.index(index));
            }
        }
        let pulls = at.field("imagePullSecrets");
        for (index, secret) in items(spec, "imagePullSecrets") {
            // An empty one Kubernetes passes over.
            self.object(text(secret, "name").unwrap_or("unnamed"), &pulls.index(index).field("name"));
        }
    }

    fn of_container(&mut self, container: &Value, at: &At<'_>) {
        let from_at = at.field("envFrom");
        for (index, from) in items(container, "envFrom") {
            self.source(from, "secretRef", "name", &from_at.index(index));
            self.source(from, "configMapRef", "name", &from_at.index(index));
        }
        let env = at.field("env");
        for (index, variable) in items(container, "env") {
            let variable_at = env.index(index);
            let at = variable_at.field("valueFrom");
            if let Some(from) = variable.get("valueFrom") {
                self.source(from, "secretKeyRef", "name", &at);
                self.source(from, "configMapKeyRef", "name", &at);
            }
        }
    }

    fn source(&mut self, of: &Value, source: &str, field: &str, at: &At<'_>) {
        let Some(found) = of.get(source).filter(|found| found.is_object()) else { return };
        let source_at = at.field(source);
        let at = source_at.field(field);
        match text(found, field) {
            None | Some("") => self.tell(&at, Cause::Required, "is missing: name the object that is read"),
            Some(name) => self.object(name, &at),
        }
    }

    fn object(&mut self, name: &str, at: &At<'_>) {
        if !name.is_empty() && !names::is_subdomain(name) {
            self.tell(at, Cause::Invalid, format!("{name:?} is no name: {}", names::SUBDOMAIN));
        }
    }
}
