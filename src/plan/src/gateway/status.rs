//! The status of a Gateway and of its sets of listeners.
//!
//! In: what was found out about its listeners, and its children as they are. Out: statuses to the letter of Gateway API,
//! where conditions of others are kept. What is served stays programmed: a roll of pods, another edit or a restart of
//! Kong Ingress Controller changes nothing of it.

use std::sync::Arc;

use crds::conditions::{self as found, Status, Update, reasons, types};
use crds::dataplane::IngressPort;
use crds::k8s::{Condition, Timestamp};
use crds::{ControlPlane, DataPlane};
use gateway_api::gateways::{Gateway, GatewayStatus, GatewayStatusListeners};
use gateway_api::listenersets::{ListenerSet, ListenerSetStatus};

use super::listeners::Entry;
use super::protocol;
use super::words::{
    ACCEPTED, CONFLICTED, CONTROL_PLANE_READY, DATA_PLANE_READY, INVALID, INVALID_PARAMETERS, NO_CONFLICTS,
    OVERLAPPING, OVERLAPPING_HOSTNAMES, PENDING, PROGRAMMED, PROVISIONED, RESOLVED_REFS,
};
use super::{Counted, Judged, addresses, pushed};

/// What is said of a child of which nothing is known to be wrong.
const STARTING: &str = "it is starting";

/// A condition: whether it holds, a reason, words.
type Said = (Status, &'static str, String);

/// The children as they are.
pub struct Seen<'a> {
    /// The data plane, once it is there.
    pub dataplane: Option<&'a DataPlane>,
    /// The control plane, once it is there.
    pub controlplane: Option<&'a ControlPlane>,
    /// The ports that the data plane had before it was made what is wanted.
    pub before: &'a [IngressPort],
    /// The current time.
    pub now: Timestamp,
}

impl Seen<'_> {
    /// What the control plane says of itself.
    fn told(&self) -> &[Condition] {
        let status = self.controlplane.and_then(|controlplane| controlplane.status.as_ref());
        status.and_then(|status| status.conditions.as_deref()).unwrap_or_default()
    }
}

/// What a data plane serves.
pub struct Served<'a> {
    /// Whether enough pods serve.
    is_ready: bool,
    /// Whether all of them are as wanted.
    is_rolled_out: bool,
    /// Whether what is wanted was made: of a Gateway that is not accepted nothing is.
    is_made: bool,
    before: &'a [IngressPort],
}

impl<'a> Served<'a> {
    fn of(seen: &Seen<'a>, is_made: bool) -> Self {
        let Some(dataplane) = seen.dataplane else {
            return Self { is_ready: false, is_rolled_out: false, is_made, before: &[] };
        };
        let generation = dataplane.metadata.generation;
        let rolled = found::get(dataplane.conditions(), types::ROLLED_OUT);
        Self {
            is_ready: found::holds(dataplane.conditions(), types::READY),
            is_rolled_out: rolled.is_some_and(|c| c.status == "True" && c.observed_generation == generation),
            is_made,
            before: seen.before,
        }
    }

    /// Whether a listener that `was` served or not is served now. Until all pods are as wanted, only what was served
    /// before and has the same port is; and only what has a port already, where nothing is made.
    fn has(&self, entry: &Entry, was: bool) -> bool {
        let same = |port: &IngressPort| {
            let (number, is_udp) = entry.slot();
            port.port.number() == number
                && port.protocol == entry.protocol
                && port.protocol.is_some_and(protocol::is_udp) == is_udp
        };
        let kept = (was || !self.is_made) && self.before.iter().any(same);
        self.is_ready && ((self.is_made && self.is_rolled_out) || kept)
    }
}

impl Judged<'_> {
    /// The status of the Gateway.
    pub fn status(&self, seen: &Seen<'_>) -> GatewayStatus {
        let generation = self.gateway.metadata.generation;
        let before = self.gateway.status.clone().unwrap_or_default();
        let known = before.listeners.as_deref().unwrap_or_default();
        let served = Served::of(seen, self.verdict.holds());
        let listeners = of_listeners(&self.own, known, generation, (&served, seen.now));
        let given = seen.dataplane.map(|dataplane| addresses::of(self.gateway, dataplane));
        let programmed =
            self.programmed(seen, &listeners, given.as_ref().and_then(|given| given.as_ref().err()));
        let accepted = (self.verdict.status, self.verdict.reason, self.verdict.message.clone());
        let mut said = vec![(ACCEPTED, accepted), (PROGRAMMED, programmed)];
        said.push((PROVISIONED, self.provisioned()));
        said.extend(seen.dataplane.map(|dataplane| (DATA_PLANE_READY, relayed(dataplane.conditions()))));
        said.extend(seen.controlplane.map(|_| (CONTROL_PLANE_READY, relayed(seen.told()))));
        let pushed = pushed::accepted(seen.told(), served.is_ready, &self.suspects);
        said.extend(pushed.map(|pushed| (types::CONFIGURATION_ACCEPTED, pushed)));
        let rolled = seen.dataplane.and_then(|dataplane| rolled_out(dataplane, before.conditions.as_deref()));
        said.extend(rolled.map(|rolled| (types::GATEWAY_ROLLED_OUT, rolled)));
        GatewayStatus {
            addresses: given.and_then(Result::ok),
            attached_listener_sets: self.sets.as_ref().map(|_| self.attached_sets()),
            conditions: Some(conditions(Some(&kept(before.conditions, &said)), said, generation, seen.now)),
            listeners: Some(listeners),
        }
    }

    fn provisioned(&self) -> Said {
        if self.verdict.holds() {
            let words = "its DataPlane, ControlPlane and NetworkPolicy are as wanted".to_owned();
            return (Status::True, PROVISIONED, words);
        }
        (Status::False, INVALID, "nothing is made of it; what runs is left as it is".to_owned())
    }

    /// The status of each set that names the Gateway, where its own is `status`.
    pub fn set_statuses(
        &self,
        seen: &Seen<'_>,
        status: &GatewayStatus,
    ) -> Vec<(Arc<ListenerSet>, ListenerSetStatus)> {
        let parent = found::holds(status.conditions.as_deref().unwrap_or_default(), PROGRAMMED);
        let served = Served::of(seen, self.verdict.holds());
        let one = |set: &super::Set| {
            (Arc::clone(&set.object), set.status(&self.verdict, parent, (&served, seen.now)))
        };
        self.sets.iter().flatten().map(one).collect()
    }

    fn attached_sets(&self) -> i32 {
        let attached = self.sets.iter().flatten().filter(|set| set.is_accepted(&self.verdict));
        i32::try_from(attached.count()).unwrap_or(i32::MAX)
    }

    fn programmed(
        &self,
        seen: &Seen<'_>,
        listeners: &[GatewayStatusListeners],
        address: Option<&(&'static str, String)>,
    ) -> Said {
        if !self.verdict.holds() && !self.is_served_on(listeners) {
            return (Status::False, INVALID, format!("it is not accepted: {}", self.verdict.message));
        }
        let Some(dataplane) = seen.dataplane else {
            return (Status::False, PENDING, "its DataPlane is being made".to_owned());
        };
        if let Some(ready) = not_ready(dataplane.conditions()) {
            let why = pushed::refusal(seen.told()).unwrap_or(&ready);
            return (Status::False, PENDING, format!("its DataPlane is not ready: {why}"));
        }
        if let Some((reason, words)) = address {
            return (Status::False, reason, words.clone());
        }
        if is_open(listeners) {
            return (Status::True, PROGRAMMED, "its DataPlane serves it".to_owned());
        }
        if self.own.iter().any(|counted| counted.entry.is_valid()) && !self.waits_no_more() {
            return (Status::False, PENDING, "its DataPlane opens its listeners".to_owned());
        }
        let words = "its DataPlane is ready to serve it; no listener is served yet".to_owned();
        (Status::True, PROGRAMMED, words)
    }

    /// Whether it is served as it was made before its parameters broke, which need not be its own author's doing. Kong
    /// Ingress Controller looks at routes of Gateways that are programmed alone: one that restarts would drop them all.
    fn is_served_on(&self, listeners: &[GatewayStatusListeners]) -> bool {
        let before = self.gateway.status.as_ref().and_then(|status| status.conditions.as_deref());
        let was = found::holds(before.unwrap_or_default(), PROGRAMMED);
        was && self.verdict.reason == INVALID_PARAMETERS && is_open(listeners)
    }

    /// Whether it was programmed while no listener was: the first that becomes valid takes nothing away.
    fn waits_no_more(&self) -> bool {
        let Some(before) = &self.gateway.status else { return false };
        let conditions = before.conditions.as_deref().unwrap_or_default();
        found::holds(conditions, PROGRAMMED) && !is_open(before.listeners.as_deref().unwrap_or_default())
    }
}

/// Whether one of the listeners is served.
fn is_open(listeners: &[GatewayStatusListeners]) -> bool {
    listeners.iter().any(|listener| found::holds(&listener.conditions, PROGRAMMED))
}

/// Without what was said of children that are gone.
fn kept(before: Option<Vec<Condition>>, said: &[(&'static str, Said)]) -> Vec<Condition> {
    let mut all = before.unwrap_or_default();
    let is_said = |type_: &str| said.iter().any(|(known, _)| *known == type_);
    all.retain(|Condition { type_, .. }| {
        ![DATA_PLANE_READY, CONTROL_PLANE_READY].contains(&type_.as_str()) || is_said(type_)
    });
    all
}

/// The status of a Gateway whose objects could not be written. What is served is served all the same.
pub fn failed(gateway: &Gateway, (reason, message): (&'static str, String), now: Timestamp) -> GatewayStatus {
    let generation = gateway.metadata.generation;
    let mut status = gateway.status.clone().unwrap_or_default();
    let before = status.conditions.take();
    let is_served = before.as_deref().is_some_and(|conditions| found::holds(conditions, PROGRAMMED));
    let mut said = vec![(PROVISIONED, (Status::False, reason, message.clone()))];
    if !is_served {
        said.push((PROGRAMMED, (Status::False, PENDING, message)));
    }
    status.conditions = Some(conditions(before.as_deref(), said, generation, now));
    status
}

/// The words of the condition `Ready`, where it does not hold. What starts says how far it is in its own status: here it
/// would be one more write of the Gateway for each step.
fn not_ready(conditions: &[Condition]) -> Option<String> {
    match found::get(conditions, types::READY) {
        Some(ready) if ready.status == "True" => None,
        Some(ready) if !is_starting(ready) => Some(ready.message.clone()),
        _ => Some(STARTING.to_owned()),
    }
}

fn is_starting(ready: &Condition) -> bool {
    [reasons::WAITING_TO_BECOME_READY, reasons::DEPENDENCIES_NOT_READY].contains(&ready.reason.as_str())
}

/// The condition `Ready` of a child, for the Gateway: by its reason, whose words change more often.
fn relayed(conditions: &[Condition]) -> Said {
    match found::get(conditions, types::READY) {
        Some(ready) if ready.status == "True" => (Status::True, types::READY, String::new()),
        Some(ready) if !is_starting(ready) => {
            (Status::False, PENDING, format!("its condition Ready is not True: {}", ready.reason))
        }
        _ => (Status::False, PENDING, STARTING.to_owned()),
    }
}

/// What became of the rollout of the pods, once there is or was one: by its reason alone, whose words change more often.
fn rolled_out(dataplane: &DataPlane, before: Option<&[Condition]>) -> Option<Said> {
    let rolled = found::get(dataplane.conditions(), types::ROLLED_OUT)?;
    let under_way = dataplane.status.as_ref().and_then(|status| status.rollout.as_ref());
    let was_said = before.is_some_and(|before| found::get(before, types::GATEWAY_ROLLED_OUT).is_some());
    let name = dataplane.metadata.name.as_deref().unwrap_or_default();
    match (under_way.and_then(|rollout| rollout.name.as_deref()), rolled.reason.as_str()) {
        (Some(rollout), _) => {
            let words = format!("GatewayRollout {rollout:?} brings another revision to the traffic");
            Some((Status::False, reasons::PROGRESSING, words))
        }
        (None, reasons::ROLLED_BACK) => Some((Status::False, reasons::ROLLED_BACK, rolled.message.clone())),
        _ if !was_said => None,
        _ if rolled.status == "True" => {
            Some((Status::True, reasons::ROLLED_OUT, "all pods are as wanted".to_owned()))
        }
        _ => {
            let words = format!("see the condition RolledOut of DataPlane {name:?}");
            Some((Status::False, reasons::PROGRESSING, words))
        }
    }
}

/// The status of each listener, in their order.
pub fn of_listeners(
    listeners: &[Counted],
    before: &[GatewayStatusListeners],
    generation: Option<i64>,
    (served, now): (&Served<'_>, Timestamp),
) -> Vec<GatewayStatusListeners> {
    let one = |Counted { entry, routes }: &Counted| {
        let known = before.iter().find(|known| known.name == entry.listener.name);
        let known = known.map(|known| known.conditions.as_slice());
        let was = known.is_some_and(|conditions| found::holds(conditions, PROGRAMMED));
        let mut said = vec![
            (ACCEPTED, accepted(entry)),
            (PROGRAMMED, programmed(entry, served.has(entry, was))),
            (RESOLVED_REFS, resolved(entry)),
            (CONFLICTED, conflicted(entry)),
        ];
        let mut known = known.unwrap_or_default().to_vec();
        if entry.overlaps.is_empty() {
            known.retain(|condition| condition.type_ != OVERLAPPING);
        } else {
            let words = format!("host names are also those of {}", entry.overlaps.join(", "));
            said.push((OVERLAPPING, (Status::True, OVERLAPPING_HOSTNAMES, words)));
        }
        GatewayStatusListeners {
            attached_routes: *routes,
            conditions: conditions(Some(&known), said, generation, now),
            name: entry.listener.name.clone(),
            supported_kinds: Some(entry.kinds.shown()),
        }
    };
    listeners.iter().map(one).collect()
}

fn accepted(entry: &Entry) -> Said {
    match entry.refused.as_ref().or(entry.conflict.as_ref()) {
        Some((reason, words)) => (Status::False, reason, words.clone()),
        None => (Status::True, ACCEPTED, String::new()),
    }
}

fn programmed(entry: &Entry, is_served: bool) -> Said {
    if let Some((reason, words)) = &entry.conflict {
        return (Status::False, reason, words.clone());
    }
    match (entry.is_valid(), is_served) {
        (false, _) => (Status::False, INVALID, "it is not valid".to_owned()),
        (true, false) => (Status::False, PENDING, "the DataPlane does not serve it yet".to_owned()),
        (true, true) => (Status::True, PROGRAMMED, String::new()),
    }
}

fn resolved(entry: &Entry) -> Said {
    let wrong: Vec<_> = [&entry.unresolved, &entry.kinds.refused].into_iter().flatten().collect();
    let Some((reason, _)) = wrong.first() else { return (Status::True, RESOLVED_REFS, String::new()) };
    let words: Vec<_> = wrong.iter().map(|(_, words)| words.as_str()).collect();
    (Status::False, reason, words.join("; "))
}

fn conflicted(entry: &Entry) -> Said {
    match &entry.conflict {
        Some((reason, words)) => (Status::True, reason, words.clone()),
        None => (Status::False, NO_CONFLICTS, String::new()),
    }
}

/// What is said now, among the conditions that are there. One that speaks of a newer specification than the one that was
/// looked at is left alone.
pub fn conditions(
    before: Option<&[Condition]>,
    said: impl IntoIterator<Item = (&'static str, Said)>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut all = before.unwrap_or_default().to_vec();
    for (type_, (status, reason, message)) in said {
        if found::get(&all, type_).is_none_or(|known| known.observed_generation <= generation) {
            found::set(&mut all, Update { type_, status, reason, message, generation }, now);
        }
    }
    all
}
