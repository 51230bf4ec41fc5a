//! Listeners of a Gateway and of the sets attached to it, judged one by one and against each other.
//!
//! In: the listeners in order of precedence, a unit for the Gateway and one for each set. Out: for each of them what it
//! speaks, what it takes, and why it cannot be served, where it cannot. One that is wrong changes nothing for others.

use std::collections::{BTreeMap, BTreeSet};

use crds::dataplane::Protocol;
use gateway_api::gateways::{GatewayListeners, GatewayTlsFrontend};

use super::World;
use super::certificates::{self, Referrer};
use super::hosts;
use super::protocol::{self, Kinds, Refused};
use super::words::{
    HOSTNAME_CONFLICT, PORT_UNAVAILABLE, PROTOCOL_CONFLICT, TOO_MANY_LISTENERS, UNSUPPORTED_VALUE,
};

/// As many ports as a `DataPlane` has room for.
const MOST_PORTS: usize = 64;

/// Whose listeners they are.
#[derive(Debug, Clone)]
pub struct Unit<'a> {
    /// `Gateway` or `ListenerSet`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its listeners.
    pub listeners: Vec<GatewayListeners>,
}

/// A listener and what was found out about it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The listener, as it was written.
    pub listener: GatewayListeners,
    /// What it speaks, where that is supported.
    pub protocol: Option<Protocol>,
    /// The routes that it takes.
    pub kinds: Kinds,
    /// Why it is not accepted, apart from other listeners.
    pub refused: Option<Refused>,
    /// Why it cannot be told from another one.
    pub conflict: Option<Refused>,
    /// What it refers to and cannot be used.
    pub unresolved: Option<Refused>,
    /// The listeners with which it shares host names.
    pub overlaps: Vec<String>,
}

/// A port of a data plane: its number, and whether it takes datagrams.
pub type Slot = (u16, bool);

impl Entry {
    /// Whether the data plane is to open its port.
    pub const fn is_accepted(&self) -> bool {
        self.refused.is_none() && self.conflict.is_none()
    }

    /// Whether it can serve routes.
    pub const fn is_valid(&self) -> bool {
        self.is_accepted() && self.unresolved.is_none() && !self.kinds.supported.is_empty()
    }

    /// Whether it serves a certificate of its own.
    pub fn has_certificate(&self) -> bool {
        self.is_valid() && self.protocol.is_some_and(protocol::ends_tls)
    }

    /// Its port.
    pub fn slot(&self) -> Slot {
        let port = u16::try_from(self.listener.port).unwrap_or_default();
        (port, self.protocol.is_some_and(protocol::is_udp))
    }

    fn host(&self) -> Option<&str> {
        self.listener.hostname.as_deref()
    }
}

/// Judges all of them. `frontend` is what the Gateway asks of clients.
pub fn judged(
    units: &[Unit<'_>],
    frontend: Option<&GatewayTlsFrontend>,
    world: &dyn World,
) -> Vec<Vec<Entry>> {
    let mut all: Vec<Vec<Entry>> = units
        .iter()
        .map(|unit| unit.listeners.iter().map(|listener| alone(listener, unit, frontend, world)).collect())
        .collect();
    let mut slots = Slots::default();
    for entries in &mut all {
        slots.admit(entries);
    }
    overlapping(&mut all);
    all
}

fn alone(
    listener: &GatewayListeners,
    unit: &Unit<'_>,
    frontend: Option<&GatewayTlsFrontend>,
    world: &dyn World,
) -> Entry {
    let by = Referrer { kind: unit.kind, namespace: unit.namespace };
    let mut entry = Entry {
        listener: listener.clone(),
        protocol: None,
        kinds: Kinds::none(),
        refused: None,
        conflict: None,
        unresolved: None,
        overlaps: Vec::new(),
    };
    match protocol::of(listener) {
        Ok(protocol) => {
            entry.protocol = Some(protocol);
            entry.kinds = Kinds::of(listener, protocol);
            if protocol::ends_tls(protocol) {
                entry.unresolved = certificates::refused(listener.tls.as_ref(), by, world);
                entry.refused = unchecked(listener.port, frontend);
            }
        }
        Err(refused) => entry.refused = Some(refused),
    }
    if entry.slot().0 == 0 {
        entry.refused = Some((PORT_UNAVAILABLE, format!("port {} does not exist", listener.port)));
    }
    entry
}

/// To serve it without looking at certificates of clients would let in whom its author keeps out.
fn unchecked(port: i32, frontend: Option<&GatewayTlsFrontend>) -> Option<Refused> {
    let frontend = frontend?;
    let one = frontend.per_port.iter().flatten().find(|one| one.port == port);
    let asked = match one {
        Some(one) => one.tls.validation.is_some(),
        None => frontend.default.validation.is_some(),
    };
    let words = "spec.tls.frontend asks clients for certificates, which is not supported: remove it";
    asked.then(|| (UNSUPPORTED_VALUE, words.to_owned()))
}

/// What is served on each port so far: by units of higher precedence.
#[derive(Default)]
struct Slots(BTreeMap<Slot, Taken>);

struct Taken {
    protocol: Protocol,
    hosts: Vec<Option<String>>,
}

impl Slots {
    /// Lets in the listeners of a unit: first those are told that cannot be told from one of a unit before, then, of the
    /// others, all that cannot be told from each other.
    fn admit(&mut self, entries: &mut [Entry]) {
        for entry in entries.iter_mut() {
            entry.conflict = self.taken(entry);
        }
        let among: Vec<_> = (0..entries.len()).map(|index| among(entries, index)).collect();
        for (entry, conflict) in entries.iter_mut().zip(among) {
            entry.conflict = entry.conflict.take().or(conflict);
            if let (Some(protocol), true) = (entry.protocol, entry.is_accepted()) {
                self.enter(entry, protocol);
            }
        }
    }

    fn taken(&self, entry: &Entry) -> Option<Refused> {
        let protocol = entry.protocol.filter(|_| entry.refused.is_none())?;
        let taken = self.0.get(&entry.slot())?;
        let reason = clash((protocol, entry.host()), taken.protocol, &taken.hosts)?;
        Some((reason, words(reason, entry, "one of higher precedence")))
    }

    fn enter(&mut self, entry: &mut Entry, protocol: Protocol) {
        let slot = entry.slot();
        if !self.0.contains_key(&slot) && self.0.len() >= MOST_PORTS {
            let words = format!("a data plane has room for {MOST_PORTS} ports, and they are taken");
            entry.refused = Some((TOO_MANY_LISTENERS, words));
            return;
        }
        let taken = self.0.entry(slot).or_insert_with(|| Taken { protocol, hosts: Vec::new() });
        taken.hosts.push(entry.listener.hostname.clone());
    }
}

/// Why a listener cannot be told from another one of its unit.
fn among(entries: &[Entry], index: usize) -> Option<Refused> {
    let entry = entries.get(index).filter(|entry| entry.is_accepted())?;
    let protocol = entry.protocol?;
    let others = entries.iter().enumerate().filter(|(other, _)| *other != index);
    let found = others.filter_map(|(_, other)| {
        let theirs = other.protocol.filter(|_| other.is_accepted() && other.slot() == entry.slot())?;
        let reason = clash((protocol, entry.host()), theirs, std::slice::from_ref(&other.listener.hostname))?;
        Some((reason, words(reason, entry, &format!("{:?}", other.listener.name))))
    });
    // Another protocol says more than the same name.
    found.max_by_key(|(reason, _)| *reason == PROTOCOL_CONFLICT)
}

/// Why two listeners of one port cannot be told apart.
fn clash(
    (protocol, host): (Protocol, Option<&str>),
    taken: Protocol,
    hosts: &[Option<String>],
) -> Option<&'static str> {
    if protocol != taken || !protocol::has_names(protocol) {
        return Some(PROTOCOL_CONFLICT);
    }
    let same = hosts.iter().any(|other| hosts::same(host, other.as_deref()));
    same.then_some(HOSTNAME_CONFLICT)
}

fn words(reason: &str, entry: &Entry, other: &str) -> String {
    let GatewayListeners { port, protocol, .. } = &entry.listener;
    if reason == PROTOCOL_CONFLICT {
        return format!("port {port} cannot serve {protocol} for this listener and for {other} too");
    }
    let name = entry.host().unwrap_or("every name");
    format!("port {port} serves {name} for this listener and for {other} too")
}

/// A client that has a connection for one host name may use it for another one, as far as the certificate goes: who ends
/// TLS for overlapping names is told so.
fn overlapping(all: &mut [Vec<Entry>]) {
    let known: Vec<(Slot, Option<String>, String)> = all
        .iter()
        .flatten()
        .filter(|entry| entry.is_accepted() && entry.protocol.is_some_and(protocol::ends_tls))
        .map(|entry| (entry.slot(), entry.listener.hostname.clone(), entry.listener.name.clone()))
        .collect();
    for entry in all.iter_mut().flatten() {
        if !entry.is_accepted() || !entry.protocol.is_some_and(protocol::ends_tls) {
            continue;
        }
        let host = entry.listener.hostname.clone();
        let others = known.iter().filter(|(slot, other, _)| {
            *slot == entry.slot()
                && !hosts::same(host.as_deref(), other.as_deref())
                && hosts::intersect(host.as_deref(), other.as_deref())
        });
        let names: BTreeSet<_> = others.map(|(_, _, name)| name.clone()).collect();
        entry.overlaps = names.into_iter().collect();
    }
}
