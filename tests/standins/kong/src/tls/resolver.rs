//! Chooses the certificate of a proxy listener by the name that the caller asked for.
//! In: SNIs of the configuration. Out: exact name, then wildcard, then the default. Never reads a file.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::config::Snapshot;

/// Certificates by name, `*.example.com` included.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    /// Adds a name.
    pub fn add(&mut self, name: &str, pair: Arc<CertifiedKey>) {
        self.by_name.insert(name.to_ascii_lowercase(), pair);
    }

    /// Exact name first, then `*.rest`, then `first.*`, then `*`, as Kong looks them up.
    pub fn find(&self, asked: &str) -> Option<Arc<CertifiedKey>> {
        let asked = asked.trim_end_matches('.').to_ascii_lowercase();
        let leading = asked.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let trailing = asked.rsplit_once('.').map(|(rest, _)| format!("{rest}.*"));
        [Some(asked), leading, trailing, Some("*".to_owned())]
            .into_iter()
            .flatten()
            .find_map(|name| self.by_name.get(&name).cloned())
    }
}

/// Resolves from the configuration in force.
pub struct BySni {
    /// The configuration in force.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The certificate where no name fits.
    pub fallback: Arc<CertifiedKey>,
}

impl fmt::Debug for BySni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BySni")
    }
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.snapshot.borrow().names.find(name));
        Some(found.unwrap_or_else(|| self.fallback.clone()))
    }
}

/// Always the same certificate, for admin and status listeners.
#[derive(Debug)]
pub struct Fixed(pub Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
