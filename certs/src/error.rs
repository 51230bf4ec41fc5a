//! What can go wrong while certificates are made or read.
//!
//! In: the errors of the libraries below. Out: one error type. Never: key material in a message.

/// Why a certificate or key could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that no certificate can carry, such as an empty one or one with a blank.
    #[error("{0:?} cannot be a name in a certificate")]
    Name(String),
    /// A text that is no PEM certificate.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// A text that is no PEM private key, in PKCS#8, SEC 1 or PKCS#1.
    #[error("the private key cannot be read: {0}")]
    Key(String),
    /// A key that belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// A certificate that must not sign others.
    #[error("the certificate is not that of an authority")]
    NotAnAuthority,
    /// A time before 1950 or after 9999, which certificates cannot carry.
    #[error("the time is outside what certificates can carry")]
    Time,
    /// The cryptographic library refused.
    #[error("the certificate cannot be made: {0}")]
    Signing(#[from] rcgen::Error),
}
