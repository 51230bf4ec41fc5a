//! Whether a Gateway is accepted.
//!
//! In: its parameters, addresses and listeners. Out: the condition `Accepted`; the objects behind it are made where it holds.

use crds::GatewayConfigurationSpec;
use crds::conditions::Status;
use gateway_api::gateways::Gateway;

use super::addresses;
use super::listeners::Entry;
use super::words::{ACCEPTED, INVALID_PARAMETERS, LISTENERS_NOT_VALID, UNSUPPORTED_ADDRESS};

/// The condition `Accepted`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is accepted.
    pub status: Status,
    /// Why.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

impl Verdict {
    /// Whether it is accepted.
    pub fn holds(&self) -> bool {
        self.status == Status::True
    }

    const fn refused(reason: &'static str, message: String) -> Self {
        Self { status: Status::False, reason, message }
    }
}

/// Judges the Gateway by its own listeners; sets can neither save nor break it. One listener that is accepted is enough,
/// even where it waits for its certificate: its port is opened already, and routes are judged meanwhile.
pub fn of(
    gateway: &Gateway,
    parameters: &Result<GatewayConfigurationSpec, String>,
    listeners: &[&Entry],
) -> Verdict {
    if let Err(words) = parameters {
        return Verdict::refused(INVALID_PARAMETERS, words.clone());
    }
    if let Some(words) = addresses::unsupported(gateway) {
        return Verdict::refused(UNSUPPORTED_ADDRESS, words);
    }
    let wrong: Vec<_> = listeners.iter().filter(|entry| !entry.is_valid()).map(|entry| told(entry)).collect();
    if wrong.is_empty() {
        let message = "every listener is valid".to_owned();
        return Verdict { status: Status::True, reason: ACCEPTED, message };
    }
    let message = format!("listeners that are not valid: {}", wrong.join("; "));
    if !listeners.iter().any(|entry| entry.is_accepted()) {
        return Verdict::refused(LISTENERS_NOT_VALID, message);
    }
    // Kong Ingress Controller 3 takes certificates only of Gateways that are accepted for this very reason: where valid
    // listeners have any, their clients come before the letter of Gateway API.
    let has_certificates = listeners.iter().any(|entry| entry.has_certificate());
    let reason = if has_certificates { ACCEPTED } else { LISTENERS_NOT_VALID };
    Verdict { status: Status::True, reason, message }
}

fn told(entry: &Entry) -> String {
    let why = [&entry.refused, &entry.conflict, &entry.unresolved, &entry.kinds.refused];
    let why = why.into_iter().flatten().next().map_or("InvalidRouteKinds", |(reason, _)| reason);
    format!("{} ({why})", entry.listener.name)
}
