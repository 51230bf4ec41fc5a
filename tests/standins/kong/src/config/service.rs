//! Services and plugins, typed.
//! In: entities. Out: where a service leads and how, and the plugins that this stand-in acts on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::Value;

use super::load::Entities;
use super::{items, reference};
use crate::tls::certs;
use crate::tls::upstream::{self, Wanted};

/// Where requests of a route go.
#[derive(Debug)]
pub struct Service {
    /// Id.
    pub id: String,
    /// Name, else host, as metrics show it.
    pub label: String,
    /// `http`, `https`, `grpc`, `grpcs`, `tcp`, `tls`, …
    pub protocol: String,
    /// Host name: an upstream's, else one to resolve.
    pub host: String,
    /// Port, where the host is no upstream.
    pub port: u16,
    /// Path before that of the request.
    pub path: String,
    /// How often a failed try is repeated.
    pub retries: u32,
    /// Until connected, TLS included.
    pub connect_timeout: Duration,
    /// Between two reads.
    pub read_timeout: Duration,
    /// Whether it takes requests at all.
    pub enabled: bool,
    /// TLS to the upstream; `None` where it is plain.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Service {
    /// Whether the upstream is spoken to in HTTP/2.
    pub fn http2(&self) -> bool {
        self.protocol.starts_with("grpc")
    }

    fn new(item: &Value, entities: &Entities) -> Option<Self> {
        let text = |field: &str| item[field].as_str().map(str::to_owned);
        let millis = |field: &str| Duration::from_millis(item[field].as_u64().unwrap_or(60_000));
        let protocol = text("protocol")?;
        let host = text("host")?;
        let secure = ["https", "grpcs", "tls"].contains(&protocol.as_str());
        Some(Self {
            id: text("id")?,
            label: text("name").unwrap_or_else(|| host.clone()),
            port: item["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(80),
            path: text("path").unwrap_or_else(|| "/".to_owned()),
            retries: item["retries"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(5),
            connect_timeout: millis("connect_timeout"),
            read_timeout: millis("read_timeout"),
            enabled: item["enabled"].as_bool().unwrap_or(true),
            tls: if secure { upstream::client(&wanted(item, &protocol, entities)).ok() } else { None },
            protocol,
            host,
        })
    }
}

fn wanted(item: &Value, protocol: &str, entities: &Entities) -> Wanted {
    let roots = item["tls_verify"].as_bool().unwrap_or(false).then(|| {
        let ids = item["ca_certificates"].as_array().cloned().unwrap_or_default();
        let authority = |id: &Value| entities.get("ca_certificates")?.get(id.as_str()?)?["cert"].as_str();
        ids.iter().filter_map(authority).filter_map(|pem| certs::chain(pem).ok()).flatten().collect()
    });
    let client = reference(item, "client_certificate").and_then(|id| {
        let certificate = entities.get("certificates")?.get(id)?;
        let chain = certs::chain(certificate["cert"].as_str()?).ok()?;
        certs::pair(chain, certs::key(certificate["key"].as_str()?).ok()?).ok().map(Arc::new)
    });
    Wanted { roots, client, http2: protocol == "grpcs" }
}

/// Every service by id.
pub fn all(entities: &Entities) -> HashMap<String, Arc<Service>> {
    let services = items(entities, "services").filter_map(|item| Service::new(item, entities));
    services.map(|service| (service.id.clone(), Arc::new(service))).collect()
}

/// What the plugin `prometheus` is asked to count.
#[expect(clippy::struct_excessive_bools, reason = "four independent switches of the plugin")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    /// `status_code_metrics`.
    pub codes: bool,
    /// `latency_metrics`.
    pub latency: bool,
    /// `bandwidth_metrics`.
    pub bandwidth: bool,
    /// `upstream_health_metrics`.
    pub health: bool,
}

/// Plugins that this stand-in acts on.
const ACTING: [&str; 5] =
    ["prometheus", "redirect", "request-termination", "request-transformer", "response-transformer"];

/// The instances of those plugins.
#[derive(Debug, Default)]
pub struct Plugins {
    active: Vec<Value>,
}

impl Plugins {
    /// Keeps the enabled ones.
    pub fn new(entities: &Entities) -> Self {
        let wanted = |item: &&Value| {
            item["enabled"] != false && item["name"].as_str().is_some_and(|name| ACTING.contains(&name))
        };
        Self { active: items(entities, "plugins").filter(wanted).cloned().collect() }
    }

    /// The instance with the narrowest scope: route and service, route, service, everything.
    fn find(&self, name: &str, route: &str, service: &str) -> Option<&Value> {
        let fits = |item: &&Value| {
            item["name"] == name
                && reference(item, "consumer").is_none()
                && reference(item, "route").is_none_or(|id| id == route)
                && reference(item, "service").is_none_or(|id| id == service)
        };
        let weight = |item: &&Value| {
            (u8::from(reference(item, "route").is_some()) << 1)
                | u8::from(reference(item, "service").is_some())
        };
        self.active.iter().filter(fits).max_by_key(weight)
    }

    /// What is to be counted for a route.
    pub fn counting(&self, route: &str, service: &str) -> Counting {
        self.find("prometheus", route, service).map(counting).unwrap_or_default()
    }

    /// Whether any instance asks for the health of upstreams.
    pub fn counts_health(&self) -> bool {
        self.active.iter().any(|item| item["name"] == "prometheus" && counting(item).health)
    }

    /// The configuration of a plugin for a route.
    pub fn config(&self, name: &str, route: &str, service: &str) -> Option<&Value> {
        self.find(name, route, service).map(|item| &item["config"])
    }
}

fn counting(item: &Value) -> Counting {
    let on = |field: &str| item["config"].get(field) == Some(&Value::Bool(true));
    Counting {
        codes: on("status_code_metrics"),
        latency: on("latency_metrics"),
        bandwidth: on("bandwidth_metrics"),
        health: on("upstream_health_metrics"),
    }
}
