//! The words of Gateway API's conditions, and those that this product adds.
//!
//! In: nothing. Out: constants, in Gateway API's own spelling (v1.6). Never: a message.

/// Whether something is understood and can be served.
pub const ACCEPTED: &str = "Accepted";
/// Whether it is served.
pub const PROGRAMMED: &str = "Programmed";
/// Whether everything that a listener refers to is there and may be used.
pub const RESOLVED_REFS: &str = "ResolvedRefs";
/// Whether a listener cannot be told from another one.
pub const CONFLICTED: &str = "Conflicted";
/// On a listener whose host names are partly those of another one of the same port; never `False`.
pub const OVERLAPPING: &str = "OverlappingTLSConfig";
/// On a class: whether this version of Gateway API is known.
pub const SUPPORTED_VERSION: &str = "SupportedVersion";
/// Whether the objects of a Gateway are in place; ours.
pub const PROVISIONED: &str = "Provisioned";
/// Whether the `DataPlane` of a Gateway is ready; Kong Gateway Operator's.
pub const DATA_PLANE_READY: &str = "DataPlaneReady";
/// Whether the `ControlPlane` of a Gateway is ready; Kong Gateway Operator's.
pub const CONTROL_PLANE_READY: &str = "ControlPlaneReady";

/// A listener, which may be others' fault, cannot be served.
pub const LISTENERS_NOT_VALID: &str = "ListenersNotValid";
/// The reference to parameters leads nowhere.
pub const INVALID_PARAMETERS: &str = "InvalidParameters";
/// An address of a type that nobody here knows is asked for.
pub const UNSUPPORTED_ADDRESS: &str = "UnsupportedAddress";
/// An address that is asked for was not given.
pub const ADDRESS_NOT_USABLE: &str = "AddressNotUsable";
/// There is no address yet.
pub const ADDRESS_NOT_ASSIGNED: &str = "AddressNotAssigned";
/// It is not as it should be.
pub const INVALID: &str = "Invalid";
/// It is under way.
pub const PENDING: &str = "Pending";
/// A protocol that nobody here speaks.
pub const UNSUPPORTED_PROTOCOL: &str = "UnsupportedProtocol";
/// A value that nobody here knows.
pub const UNSUPPORTED_VALUE: &str = "UnsupportedValue";
/// A port that cannot be opened.
pub const PORT_UNAVAILABLE: &str = "PortUnavailable";
/// More listeners than a data plane has room for.
pub const TOO_MANY_LISTENERS: &str = "TooManyListeners";
/// Two protocols on one port.
pub const PROTOCOL_CONFLICT: &str = "ProtocolConflict";
/// One host name twice on one port.
pub const HOSTNAME_CONFLICT: &str = "HostnameConflict";
/// No two listeners are alike.
pub const NO_CONFLICTS: &str = "NoConflicts";
/// Two listeners have host names in common.
pub const OVERLAPPING_HOSTNAMES: &str = "OverlappingHostnames";
/// A certificate that is not there, or cannot be used.
pub const INVALID_CERTIFICATE_REF: &str = "InvalidCertificateRef";
/// Kinds of routes that nobody here knows.
pub const INVALID_ROUTE_KINDS: &str = "InvalidRouteKinds";
/// A reference to another namespace without its leave.
pub const REF_NOT_PERMITTED: &str = "RefNotPermitted";
/// A Gateway does not let this set of listeners in.
pub const NOT_ALLOWED: &str = "NotAllowed";
/// The Gateway of a set is not accepted.
pub const PARENT_NOT_ACCEPTED: &str = "ParentNotAccepted";
/// The Gateway of a set is not programmed.
pub const PARENT_NOT_PROGRAMMED: &str = "ParentNotProgrammed";
/// A version of Gateway API that is not known.
pub const UNSUPPORTED_VERSION: &str = "UnsupportedVersion";
