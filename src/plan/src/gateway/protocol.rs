//! What listeners speak, and which routes they take.
//!
//! In: the words of a listener. Out: what Kong and Kong Ingress Controller make of them. Never: anything about other
//! listeners.

use crds::dataplane::Protocol;
use gateway_api::gateways::{
    GatewayListeners, GatewayListenersTlsMode, GatewayStatusListenersSupportedKinds,
};

use super::words::{INVALID_ROUTE_KINDS, UNSUPPORTED_PROTOCOL, UNSUPPORTED_VALUE};

/// Why a listener cannot be served, or not in full: a reason, and words.
pub type Refused = (&'static str, String);

/// What a listener speaks.
///
/// # Errors
/// The reason and the words of its condition `Accepted`.
pub fn of(listener: &GatewayListeners) -> Result<Protocol, Refused> {
    let protocol = match listener.protocol.as_str() {
        "HTTP" => Protocol::Http,
        "HTTPS" => Protocol::Https,
        "TLS" => Protocol::Tls,
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        other => {
            let words = format!("protocol {other:?} is not supported: use HTTP, HTTPS, TLS, TCP or UDP");
            return Err((UNSUPPORTED_PROTOCOL, words));
        }
    };
    let mode = listener.tls.as_ref().and_then(|tls| tls.mode.as_ref());
    let words = match (protocol, mode) {
        (Protocol::Https, Some(GatewayListenersTlsMode::Passthrough)) => {
            "tls.mode Passthrough goes with protocol TLS; HTTPS is terminated"
        }
        // Kong Ingress Controller 3 reads TLSRoutes for listeners that pass TLS through, and for no others.
        (Protocol::Tls, None | Some(GatewayListenersTlsMode::Terminate)) => {
            "tls.mode Terminate is not supported for protocol TLS: use Passthrough, or protocol HTTPS"
        }
        _ => return Ok(protocol),
    };
    Err((UNSUPPORTED_VALUE, words.to_owned()))
}

/// The kinds of routes that a protocol knows.
const fn routes(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Http | Protocol::Https => &["HTTPRoute", "GRPCRoute"],
        Protocol::Tls => &["TLSRoute"],
        Protocol::Tcp => &["TCPRoute"],
        Protocol::Udp => &["UDPRoute"],
    }
}

/// The kinds of routes that a listener takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinds {
    /// Those that are supported.
    pub supported: Vec<&'static str>,
    /// What is said of those that are not.
    pub refused: Option<Refused>,
}

impl Kinds {
    /// Of a listener that speaks something unknown.
    pub const fn none() -> Self {
        Self { supported: Vec::new(), refused: None }
    }

    /// Of a listener that speaks `protocol`.
    pub fn of(listener: &GatewayListeners, protocol: Protocol) -> Self {
        let known = routes(protocol);
        let asked = listener.allowed_routes.as_ref().and_then(|allowed| allowed.kinds.as_deref());
        let asked = asked.unwrap_or_default();
        if asked.is_empty() {
            return Self { supported: known.to_vec(), refused: None };
        }
        let named = |kind: &&str| asked.iter().any(|one| one.kind == *kind && is_ours(one.group.as_deref()));
        let supported: Vec<_> = known.iter().filter(|kind| named(kind)).copied().collect();
        let mut wrong =
            asked.iter().filter(|one| !is_ours(one.group.as_deref()) || !known.contains(&one.kind.as_str()));
        let refused = wrong.next().map(|one| {
            let words = format!(
                "allowedRoutes.kinds: {:?} cannot be attached to protocol {}: use {}",
                one.kind,
                listener.protocol,
                known.join(" or ")
            );
            (INVALID_ROUTE_KINDS, words)
        });
        Self { supported, refused }
    }

    /// The same in a status.
    pub fn shown(&self) -> Vec<GatewayStatusListenersSupportedKinds> {
        let shown = |kind: &&str| GatewayStatusListenersSupportedKinds {
            // Kong Ingress Controller takes a kind without a group for another one.
            group: Some(crds::gatewayapi::GROUP.to_owned()),
            kind: (*kind).to_owned(),
        };
        self.supported.iter().map(shown).collect()
    }
}

fn is_ours(group: Option<&str>) -> bool {
    group.is_none_or(|group| group == crds::gatewayapi::GROUP)
}

/// Whether it is told apart by the host name.
pub const fn has_names(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::Https | Protocol::Tls)
}

/// Whether TLS ends at it.
pub const fn ends_tls(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Https)
}

/// Whether it shares port numbers with TCP.
pub const fn is_udp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Udp)
}
