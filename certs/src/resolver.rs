//! The certificate that a TLS server shows, which may be exchanged while it serves.
//!
//! In: pairs in PEM, one after the other. Out: what rustls asks for at each handshake. Never: a decision about when
//! to exchange it, or a connection that breaks because of it; those that stand keep what they were shown.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::error::Error;
use crate::read;
use crate::request::Pair;

/// One certificate for every name that is asked for. While there is none, which is how it begins by default, no
/// handshake succeeds.
#[derive(Default)]
pub struct Resolver(RwLock<Option<Arc<CertifiedKey>>>);

impl Resolver {
    /// Shows this pair.
    pub fn new(pair: &Pair) -> Result<Self, Error> {
        Ok(Self(RwLock::new(Some(Arc::new(certified(pair)?)))))
    }

    /// Shows this pair from the next handshake on; where it cannot be used, still the one before.
    pub fn exchange(&self, pair: &Pair) -> Result<(), Error> {
        let key = Arc::new(certified(pair)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(())
    }

    /// What a server needs that shows this certificate, asks clients for none, and speaks HTTP/2 or HTTP/1.1 over
    /// TLS 1.2 or 1.3.
    pub fn server(self: Arc<Self>) -> Result<rustls::ServerConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| Error::Key(error.to_string()))?;
        let mut config = config.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certified(pair: &Pair) -> Result<CertifiedKey, Error> {
    let chain = read::all(&pair.certificate)?;
    let key =
        PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|error| Error::Key(error.to_string()))?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| Error::Key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| Error::KeyMismatch)?;
    Ok(certified)
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rustls::pki_types::CertificateDer;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    use super::*;
    use crate::{Authority, Request};

    /// Certificates here have to be valid now: rustls reads the clock.
    #[expect(clippy::disallowed_methods, reason = "rustls compares with the same clock")]
    fn now() -> SystemTime {
        SystemTime::now()
    }

    struct Sides {
        authority: Authority,
        client: Arc<ClientConfig>,
    }

    impl Sides {
        fn new() -> Self {
            let authority = Authority::make("test", now()).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(read::first(authority.certificate()).unwrap()).unwrap();
            let provider = Arc::new(aws_lc_rs::default_provider());
            let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let mut client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
            // A client that resumes a session is shown nothing.
            client.resumption = rustls::client::Resumption::disabled();
            Self { authority, client: Arc::new(client) }
        }

        fn leaf(&self) -> Pair {
            self.authority.issue(&Request::server(["a.example"]), now()).unwrap()
        }

        /// A handshake in memory; returns both ends.
        fn shake(&self, server: &Arc<rustls::ServerConfig>) -> (ClientConnection, ServerConnection) {
            let name = "a.example".try_into().unwrap();
            let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
            let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
            while client.is_handshaking() || server.is_handshaking() {
                let mut wire = Vec::new();
                client.write_tls(&mut wire).unwrap();
                server.read_tls(&mut wire.as_slice()).unwrap();
                server.process_new_packets().unwrap();
                wire.clear();
                server.write_tls(&mut wire).unwrap();
                client.read_tls(&mut wire.as_slice()).unwrap();
                client.process_new_packets().unwrap();
            }
            (client, server)
        }
    }

    fn shown(client: &ClientConnection) -> CertificateDer<'static> {
        client.peer_certificates().unwrap().first().unwrap().clone().into_owned()
    }

    #[test]
    fn an_exchange_is_seen_by_the_next_connection_and_not_by_those_that_stand() {
        let sides = Sides::new();
        let (first, second) = (sides.leaf(), sides.leaf());
        let resolver = Arc::new(Resolver::new(&first).unwrap());
        let server = Arc::new(Arc::clone(&resolver).server().unwrap());
        let (mut before, mut peer) = sides.shake(&server);
        assert_eq!(shown(&before), read::first(&first.certificate).unwrap());

        resolver.exchange(&second).unwrap();
        let (after, _) = sides.shake(&server);
        assert_eq!(shown(&after), read::first(&second.certificate).unwrap());

        let mut wire = Vec::new();
        std::io::Write::write_all(&mut before.writer(), b"still here").unwrap();
        before.write_tls(&mut wire).unwrap();
        peer.read_tls(&mut wire.as_slice()).unwrap();
        assert_eq!(peer.process_new_packets().unwrap().plaintext_bytes_to_read(), 10);
    }

    #[test]
    fn what_cannot_be_shown_changes_nothing() {
        let sides = Sides::new();
        let good = sides.leaf();
        let resolver = Arc::new(Resolver::new(&good).unwrap());
        let mixed = Pair { certificate: good.certificate.clone(), key: sides.leaf().key };
        assert!(matches!(resolver.exchange(&mixed), Err(Error::KeyMismatch)));
        let rubbish = Pair { certificate: good.certificate.clone(), key: "x".into() };
        assert!(matches!(resolver.exchange(&rubbish), Err(Error::Key(_))));
        let server = Arc::new(resolver.server().unwrap());
        assert_eq!(shown(&sides.shake(&server).0), read::first(&good.certificate).unwrap());
    }
}
