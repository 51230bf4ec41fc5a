//! Who asks, and whom it believes.
//!
//! In: certificates and a key in PEM. Out: a configuration of rustls. Never: the authorities of the system, or the key in a
//! `Debug` text.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, Error as TlsError, RootCertStore};

/// What cannot be used to ask.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not what it is said to be, in PEM.
    #[error("the {0} cannot be read")]
    Pem(&'static str),
    /// Certificates that make no client.
    #[error("the certificates cannot be used")]
    Certificates(#[source] TlsError),
    /// No name of a Service.
    #[error("{0:?} is no DNS name")]
    Name(String),
}

/// A client of the admin API; all in PEM.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Authorities of the pods' certificates.
    pub authorities: &'a str,
    /// The client's own certificate, of an authority that the pods trust.
    pub certificate: &'a str,
    /// Its key.
    pub key: &'a str,
}

impl Identity<'_> {
    pub(super) fn client(&self) -> Result<ClientConfig, Unusable> {
        let mut roots = RootCertStore::empty();
        for authority in chain(self.authorities, "authority")? {
            roots.add(authority).map_err(Unusable::Certificates)?;
        }
        let own = chain(self.certificate, "client's certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        let key = key.map_err(|_| Unusable::Pem("client's key"))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(Unusable::Certificates)?;
        let config = builder.with_root_certificates(roots).with_client_auth_cert(own, key);
        let mut config = config.map_err(Unusable::Certificates)?;
        // A pod that begins anew at the same address has to show its certificate again.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn chain(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(Unusable::Pem(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_named() {
        let wrong = Identity { authorities: "", certificate: "x", key: "secret" };
        assert_eq!(wrong.client().unwrap_err().to_string(), "the authority cannot be read");
        assert!(!format!("{wrong:?}").contains("secret"));
    }
}
