//! From listeners to the ports of a `DataPlane`.
//!
//! In: listeners that are accepted. Out: a port of the ingress Service for each port of theirs, with the port on which
//! Kong listens. Which that is follows from the listener's port alone, wherever that is possible: a listener that comes
//! or goes does not move the others.

use std::collections::{BTreeMap, BTreeSet};

use crds::Port;
use crds::dataplane::{IngressPort, Protocol};
use crds::defaults::{ADMIN_PORT, HTTP_PORT, HTTPS_PORT, PROXY_PORT, PROXY_SSL_PORT, STATUS_PORT};
use crds::gatewayconfiguration::ListenerOptions;
use crds::k8s::IntOrString;

use super::listeners::{Entry, Slot};

/// Kong's own ports, which only the listeners that they are for get.
const KONGS: [Port; 4] = [PROXY_PORT, PROXY_SSL_PORT, ADMIN_PORT, STATUS_PORT];
/// What is added to a port that no unprivileged program can have, or that is Kong's own.
const RAISED: u16 = 10_000;
/// The first port that every program may have.
const UNPRIVILEGED: u16 = 1024;
/// Longest name of a port of a Service.
const LONGEST: usize = 63;

/// The ports, in their order. `others` are ports of containers besides Kong's; the first unit is the Gateway's own.
pub fn of(units: &[Vec<Entry>], options: &[ListenerOptions], others: &BTreeSet<Slot>) -> Vec<IngressPort> {
    let mut firsts: BTreeMap<Slot, (&Entry, bool)> = BTreeMap::new();
    for (unit, entries) in units.iter().enumerate() {
        for entry in entries.iter().filter(|entry| entry.is_accepted()) {
            firsts.entry(entry.slot()).or_insert((entry, unit == 0));
        }
    }
    let mut taken = others.clone();
    taken.extend(KONGS.map(|port| (port.number(), false)));
    let mut names = BTreeSet::new();
    let one = |(slot, (entry, is_own)): (Slot, (&Entry, bool))| {
        let target = target(slot, entry.protocol, &taken);
        taken.insert((target, slot.1));
        let asked = options.iter().find(|options| is_own && options.name == entry.listener.name);
        Some(IngressPort {
            name: Some(name(slot, entry, is_own, &mut names)),
            port: Port::try_from(i64::from(slot.0)).ok()?,
            protocol: entry.protocol,
            target_port: Some(IntOrString::Int(target.into())),
            node_port: asked.and_then(|options| options.node_port),
        })
    };
    firsts.into_iter().filter_map(one).collect()
}

fn target((port, is_udp): Slot, protocol: Option<Protocol>, taken: &BTreeSet<Slot>) -> u16 {
    match protocol {
        Some(Protocol::Http) if port == HTTP_PORT.number() => return PROXY_PORT.number(),
        Some(Protocol::Https) if port == HTTPS_PORT.number() => return PROXY_SSL_PORT.number(),
        _ => {}
    }
    let kongs = !is_udp && KONGS.iter().any(|own| own.number() == port);
    let first = if port < UNPRIVILEGED || kongs { port.saturating_add(RAISED) } else { port };
    let above = (first..=u16::MAX).chain(UNPRIVILEGED..first);
    above.into_iter().find(|number| !taken.contains(&(*number, is_udp))).unwrap_or(first)
}

/// The listener's name, where a Service can have it and it is the Gateway's own; else one by the number.
fn name((port, is_udp): Slot, entry: &Entry, is_own: bool, names: &mut BTreeSet<String>) -> String {
    let wanted = &entry.listener.name;
    let fits = is_own && wanted.len() <= LONGEST && !wanted.contains('.') && !names.contains(wanted);
    let numbered = if is_udp { format!("port-{port}-udp") } else { format!("port-{port}") };
    let name = if fits { wanted.clone() } else { numbered };
    names.insert(name.clone());
    name
}
