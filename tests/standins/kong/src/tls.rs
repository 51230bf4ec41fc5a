//! TLS of the listeners: who we are, who the caller is.
//! In: configuration and certificates. Out: rustls server configurations. Never touches a socket.

pub mod certs;
pub mod clients;
pub mod resolver;
pub mod upstream;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use rustls::version::{TLS12, TLS13};

/// A server configuration: TLS 1.2 and 1.3, HTTP/2 by ALPN where the listener says so.
///
/// # Errors
/// Where the cryptography provider lacks the versions, which it does not.
pub fn server(
    resolver: Arc<dyn ResolvesServerCert>,
    ask_for_client: bool,
    http2: bool,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = certs::provider();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12])?;
    let mut config = if ask_for_client {
        builder.with_client_cert_verifier(Arc::new(clients::AskOnly::new())).with_cert_resolver(resolver)
    } else {
        builder.with_no_client_auth().with_cert_resolver(resolver)
    };
    config.alpn_protocols =
        if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(Arc::new(config))
}
