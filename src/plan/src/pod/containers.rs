//! Containers: names, images, ports, variables, resources, probes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lists::{items, text};
use super::{Check, names};
use crate::image::Image;
use crate::invalid::Cause;
use crate::path::At;

/// What a probe or a hook can do, of which it does one.
const ACTIONS: [&str; 5] = ["exec", "grpc", "httpGet", "sleep", "tcpSocket"];

impl Check<'_> {
    pub(super) fn containers(&mut self, spec: &Value, at: &At<'_>, list: &str, is_init: bool) {
        self.named(spec, list, at, (names::is_label, names::LABEL));
        for (index, container) in items(spec, list) {
            self.container(container, &at.index(index), is_init);
        }
    }

    fn container(&mut self, container: &Value, at: &At<'_>, is_init: bool) {
        let ours = !is_init && text(container, "name") == Some(self.role.container);
        self.image(container, &at.field("image"), ours);
        self.ports(container, &at.field("ports"));
        self.variables(container, &at.field("env"));
        if let Some(resources) = container.get("resources") {
            self.resources(resources, &at.field("resources"));
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if let Some(found) = container.get(probe).filter(|found| found.is_object()) {
                // Of ours a user may change the pace alone.
                let needed = !ours || probe == "startupProbe";
                self.action(found, &at.field(probe), needed);
                self.pace(found, &at.field(probe), probe);
            }
        }
        for hook in ["postStart", "preStop"] {
            if let Some(found) =
                container.pointer(&format!("/lifecycle/{hook}")).filter(|found| found.is_object())
            {
                self.action(found, &at.field("lifecycle").field(hook), !ours);
            }
        }
    }

    fn image(&mut self, container: &Value, at: &At<'_>, ours: bool) {
        let Some(reference) = text(container, "image").filter(|reference| !reference.is_empty()) else {
            if !ours {
                let message =
                    format!("is missing: only the container {:?} has a default image", self.role.container);
                self.tell(at, Cause::Required, message);
            }
            return;
        };
        let product = self.role.product;
        match Image::read(reference) {
            Err(why) => {
                self.tell(at, Cause::Invalid, format!("{reference:?} is no reference to an image: {why}"));
            }
            Ok(image) if ours && image.is_too_old(product) => {
                let [major, minor, patch] = product.oldest;
                let message = format!(
                    "{reference:?} is too old: use {} {major}.{minor}.{patch} or newer",
                    product.name
                );
                self.tell(at, Cause::NotSupported, message);
            }
            Ok(_) => {}
        }
    }

    fn ports(&mut self, container: &Value, at: &At<'_>) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, port) in items(container, "ports") {
            let at = at.index(index);
            match port.get("containerPort") {
                None | Some(Value::Null) => {
                    self.tell(
                        &at.field("containerPort"),
                        Cause::Required,
                        "is missing: give the number of the port",
                    );
                }
                Some(number) => self.port(number, &at.field("containerPort")),
            }
            if let Some(number) =
                port.get("hostPort").filter(|number| !number.is_null() && number.as_i64() != Some(0))
            {
                self.port(number, &at.field("hostPort"));
            }
            let Some(name) = text(port, "name").filter(|name| !name.is_empty()) else { continue };
            if !names::is_port(name) {
                self.tell(
                    &at.field("name"),
                    Cause::Invalid,
                    format!("{name:?} is no name of a port: {}", names::PORT),
                );
            }
            if let Some(first) = seen.get(name) {
                let message =
                    format!("{name:?} is the name of port {first} of the container too: give one another");
                self.tell(&at.field("name"), Cause::Duplicate, message);
            }
            seen.entry(name).or_insert(index);
        }
    }

    fn port(&mut self, number: &Value, at: &At<'_>) {
        if number.as_i64().is_none_or(|number| crds::Port::try_from(number).is_err()) {
            self.tell(at, Cause::Invalid, format!("{number} is no port: use a number from 1 to 65535"));
        }
    }

    fn variables(&mut self, container: &Value, at: &At<'_>) {
        for (index, variable) in items(container, "env") {
            let at = at.index(index);
            match text(variable, "name") {
                None => {
                    self.tell(
                        &at.field("name"),
                        Cause::Required,
                        "is missing: give the name of the variable",
                    );
                }
                Some(name) if !names::is_variable(name) => {
                    let message =
                        format!("{name:?} is no name of a variable: use printable characters without \"=\"");
                    self.tell(&at.field("name"), Cause::Invalid, message);
                }
                Some(_) => {}
            }
            let given = text(variable, "value").is_some_and(|value| !value.is_empty());
            if let Some(from) = variable.get("valueFrom").and_then(Value::as_object) {
                let sources = from.values().filter(|source| !source.is_null()).count();
                if given {
                    let message = "cannot be used beside value: remove one of the two";
                    self.tell(&at.field("valueFrom"), Cause::Forbidden, message);
                } else if sources != 1 {
                    let message =
                        format!("{sources} sources are given: a variable has one, such as secretKeyRef");
                    self.tell(&at.field("valueFrom"), Cause::Invalid, message);
                }
            }
        }
    }

    /// A probe or a hook does exactly one thing.
    fn action(&mut self, of: &Value, at: &At<'_>, needed: bool) {
        let given: Vec<&str> = ACTIONS
            .into_iter()
            .filter(|action| of.get(action).is_some_and(|action| !action.is_null()))
            .collect();
        if given.len() > 1 {
            let message = format!("{} exclude each other: keep one", given.join(" and "));
            self.tell(at, Cause::Forbidden, message);
        } else if given.is_empty() && needed {
            self.tell(at, Cause::Required, "says nothing to do: give httpGet, tcpSocket, grpc or exec");
        }
        if let Some(port) =
            of.pointer("/httpGet/port").or_else(|| of.pointer("/tcpSocket/port")).filter(|p| p.is_number())
        {
            let action = if of.get("httpGet").is_some() { "httpGet" } else { "tcpSocket" };
            self.port(port, &at.field(action).field("port"));
        }
    }

    fn pace(&mut self, of: &Value, at: &At<'_>, probe: &str) {
        for field in
            ["failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"]
        {
            if let Some(number) = of.get(field).and_then(Value::as_i64).filter(|number| *number < 0) {
                self.tell(&at.field(field), Cause::Invalid, format!("{number} is negative: use 0 or more"));
            }
        }
        let successes = of.get("successThreshold").and_then(Value::as_i64).unwrap_or(1);
        if successes > 1 && probe != "readinessProbe" {
            let message =
                format!("{successes} cannot be used: a {probe} needs one success, set it to 1 or remove it");
            self.tell(&at.field("successThreshold"), Cause::Invalid, message);
        }
    }
}
