//! Chooses a target of an upstream: smooth weighted round robin over healthy targets.
//! In: targets with weights and what became of tries. Out: an address, or nothing. Never connects; probes do.

pub mod health;
pub mod probe;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::net::lookup_host;

use crate::config::load::Entities;
use crate::config::{items, reference};
use health::{Checks, Event, Health, Record};

/// One target.
#[derive(Debug)]
struct Slot {
    id: String,
    name: String,
    host: String,
    port: u16,
    weight: i64,
    current: i64,
    record: Record,
}

/// What `pick` chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The place of the target, to report about it.
    pub index: usize,
    /// Host as it was written, an address or a name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The resolved address.
    pub address: SocketAddr,
}

/// A target with its health, for the admin API and metrics.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Id.
    pub id: String,
    /// `host:port` as configured.
    pub name: String,
    /// Weight.
    pub weight: i64,
    /// `ip:port`, empty where the name does not resolve.
    pub address: String,
    /// Health.
    pub health: Health,
}

/// An upstream: its targets and how they are checked.
#[derive(Debug)]
pub struct Upstream {
    /// Id.
    pub id: String,
    /// Name, which services use as their host.
    pub name: String,
    /// Host header for its targets.
    pub host_header: Option<String>,
    /// Health checks.
    pub checks: Checks,
    slots: Mutex<Vec<Slot>>,
}

impl Upstream {
    /// Every upstream by name.
    pub fn all(entities: &Entities) -> HashMap<String, Arc<Self>> {
        let upstreams = items(entities, "upstreams").filter_map(|item| Self::new(item, entities));
        upstreams.map(|upstream| (upstream.name.clone(), Arc::new(upstream))).collect()
    }

    fn new(item: &Value, entities: &Entities) -> Option<Self> {
        let id = item["id"].as_str()?;
        let own = |target: &&Value| reference(target, "upstream") == Some(id);
        let mut targets: Vec<&Value> = items(entities, "targets").filter(own).collect();
        targets.sort_by_key(|target| target["target"].as_str());
        Some(Self {
            id: id.to_owned(),
            name: item["name"].as_str()?.to_owned(),
            host_header: item["host_header"].as_str().map(str::to_owned),
            checks: Checks::new(&item["healthchecks"]),
            slots: Mutex::new(targets.into_iter().filter_map(Slot::new).collect()),
        })
    }

    /// The next target, by weight among those that are healthy.
    pub async fn pick(&self) -> Option<Pick> {
        let tries = self.with(|slots| slots.len());
        for _ in 0..tries {
            let (index, host, port) = self.with(|slots| turn(slots))?;
            let address = resolve(&host, port).await;
            self.with(|slots| {
                if let Some(slot) = slots.get_mut(index) {
                    slot.record.resolved = address.is_some();
                }
            });
            if let Some(address) = address {
                return Some(Pick { index, host, port, address });
            }
        }
        None
    }

    /// Notes what became of a try.
    pub fn report(&self, index: usize, event: Event) {
        self.with(|slots| {
            if let Some(slot) = slots.get_mut(index) {
                slot.record.note(&self.checks, event);
            }
        });
    }

    /// Sets the health of a target by hand; false where there is no such target.
    pub fn set(&self, target: &str, healthy: bool) -> bool {
        self.with(|slots| {
            let found = slots.iter_mut().find(|slot| slot.name == target || slot.id == target);
            found.map(|slot| slot.record.healthy = healthy).is_some()
        })
    }

    /// The targets as the admin API shows them.
    pub fn seen(&self) -> Vec<Seen> {
        self.with(|slots| {
            let seen = |slot: &mut Slot| Seen {
                id: slot.id.clone(),
                name: slot.name.clone(),
                weight: slot.weight,
                address: format!("{}:{}", slot.host, slot.port),
                health: slot.record.health(&self.checks),
            };
            slots.iter_mut().map(seen).collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Slot>) -> T) -> T {
        act(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Slot {
    fn new(item: &Value) -> Option<Self> {
        let name = item["target"].as_str()?.to_owned();
        let (host, port) = split(&name, 8000);
        Some(Self {
            id: item["id"].as_str()?.to_owned(),
            weight: item["weight"].as_i64().unwrap_or(100),
            current: 0,
            record: Record::default(),
            name,
            host,
            port,
        })
    }
}

/// Smooth weighted round robin, as nginx does it: the greatest current weight wins and pays the total.
fn turn(slots: &mut [Slot]) -> Option<(usize, String, u16)> {
    let usable = |slot: &Slot| slot.weight > 0 && slot.record.healthy;
    let total: i64 = slots.iter().filter(|slot| usable(slot)).map(|slot| slot.weight).sum();
    let mut best: Option<(usize, i64)> = None;
    for (at, slot) in slots.iter_mut().enumerate() {
        if usable(slot) {
            slot.current += slot.weight;
            if best.is_none_or(|(_, most)| slot.current > most) {
                best = Some((at, slot.current));
            }
        }
    }
    let (index, _) = best?;
    let slot = slots.get_mut(index)?;
    slot.current -= total;
    Some((index, slot.host.clone(), slot.port))
}

/// `host:port`, IPv6 in brackets.
pub fn split(text: &str, default_port: u16) -> (String, u16) {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.ip().to_string(), address.port());
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return (bare.to_owned(), default_port);
    }
    let named = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    named.unwrap_or_else(|| (text.to_owned(), default_port))
}

/// The address of a host, by the resolver of the system.
pub async fn resolve(host: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port));
    }
    let mut found: Vec<SocketAddr> = lookup_host((host, port)).await.ok()?.collect();
    // Kong asks for A records alone unless told otherwise.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn upstream(targets: &[(&str, i64)]) -> Upstream {
        let slots = targets
            .iter()
            .map(|(name, weight)| Slot::new(&json!({"id": name, "target": name, "weight": weight})).unwrap());
        Upstream {
            id: "u".into(),
            name: "u".into(),
            host_header: None,
            checks: Checks::new(&json!({"passive": {"unhealthy": {"tcp_failures": 2}}})),
            slots: Mutex::new(slots.collect()),
        }
    }

    #[tokio::test]
    async fn weights_are_smooth_and_exact() {
        let upstream = upstream(&[("10.0.0.1:80", 5), ("10.0.0.2:80", 1), ("10.0.0.3:80", 0)]);
        let mut hits = Vec::new();
        for _ in 0..12 {
            hits.push(upstream.pick().await.unwrap().index);
        }
        assert_eq!(hits, [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn nothing_to_pick() {
        assert_eq!(upstream(&[]).pick().await, None);
        assert_eq!(upstream(&[("10.0.0.1:80", 0)]).pick().await, None);
    }

    #[tokio::test]
    async fn an_unhealthy_target_is_left_out() {
        let upstream = upstream(&[("10.0.0.1:80", 1)]);
        assert_eq!(upstream.seen()[0].health, Health::Healthy);
        upstream.report(0, Event::TcpFailure);
        assert!(upstream.pick().await.is_some());
        upstream.report(0, Event::TcpFailure);
        assert_eq!(upstream.pick().await, None);
        assert_eq!(upstream.seen()[0].health, Health::Unhealthy);
        assert!(upstream.set("10.0.0.1:80", true));
        assert!(upstream.pick().await.is_some());
    }

    #[test]
    fn splits_hosts_and_ports() {
        assert_eq!(split("10.0.0.1:80", 1), ("10.0.0.1".to_owned(), 80));
        assert_eq!(split("[::1]:80", 1), ("::1".to_owned(), 80));
        assert_eq!(split("name", 8000), ("name".to_owned(), 8000));
        assert_eq!(split("name:81", 8000), ("name".to_owned(), 81));
    }
}
