//! What a certificate is asked to say, and the pair that answers.
//!
//! In: names and a purpose. Out: the same, ready to be issued or compared. Never: a signature.

use std::collections::BTreeSet;
use std::fmt;

/// What the holder of a certificate may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Answer TLS connections.
    Server,
    /// Open TLS connections.
    Client,
}

/// A certificate that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// DNS names, a leading `*.` allowed, and IP addresses. The first one is also the common name.
    pub names: Vec<String>,
    /// What the certificate is for.
    pub purpose: Purpose,
}

impl Request {
    /// A server's certificate for these names.
    pub fn server(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), purpose: Purpose::Server }
    }

    /// A client's certificate for these names.
    pub fn client(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), purpose: Purpose::Client }
    }

    pub(crate) fn name_set(&self) -> BTreeSet<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}

/// A certificate with its private key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, without that of its authority.
    pub certificate: String,
    /// The private key, in PKCS#8.
    pub key: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_not_in_the_debug_text() {
        let pair = Pair { certificate: "public".into(), key: "secret".into() };
        assert_eq!(format!("{pair:?}"), r#"Pair { certificate: "public", .. }"#);
    }
}
