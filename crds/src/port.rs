//! A port number that can exist.
//!
//! In: an integer from a manifest. Out: 1 to 65535, or an error that says so. Never: zero, which
//! Kubernetes and Kong both read as "any port" or refuse.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU16;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A TCP or UDP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

/// Why a number is not a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a port: it must be from 1 to 65535")]
pub struct NotAPort(pub i64);

impl Port {
    /// A port known when the program is compiled; zero does not compile.
    ///
    /// # Panics
    /// At compile time only, since it is meant for constants.
    pub const fn constant(number: u16) -> Self {
        assert!(number != 0, "port 0 does not exist");
        match NonZeroU16::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU16::MIN),
        }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<i64> for Port {
    type Error = NotAPort;

    fn try_from(number: i64) -> Result<Self, NotAPort> {
        u16::try_from(number).ok().and_then(NonZeroU16::new).map(Self).ok_or(NotAPort(number))
    }
}

impl From<Port> for i32 {
    fn from(port: Port) -> Self {
        Self::from(port.number())
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl JsonSchema for Port {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    // Kubernetes knows the formats int32 and int64 only, and warns about any other.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_ports_are_taken() {
        for (number, good) in
            [(1, true), (8443, true), (65535, true), (0, false), (65536, false), (-1, false)]
        {
            assert_eq!(Port::try_from(number).is_ok(), good, "{number}");
            assert_eq!(serde_json::from_value::<Port>(number.into()).is_ok(), good, "{number}");
        }
        assert_eq!(NotAPort(0).to_string(), "0 is not a port: it must be from 1 to 65535");
    }
}
