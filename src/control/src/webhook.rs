//! The certificate that the webhooks show, and their registration with the API server.
//!
//! In: where certificates come from, and the configurations as they should be. Out: a resolver that is current on
//! every replica, and, from the one that leads, rotations and configurations that the API server can rely on. Never: a
//! private key in a log, or a write to a configuration that OLM looks after.

mod compare;
mod dial;
mod files;
mod keep;
mod lead;
mod publish;
mod rotate;
mod secret;
mod selftest;
mod shown;
mod side;
mod tell;
mod want;
mod watched;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use certs::Request;
use certs::Resolver;
use certs::rotation::Pace;
use kube::Client;
use runtime::drive::Kit;
use tokio::sync::watch;
use tokio::task::JoinSet;

use files::Folder;
use keep::{Keeper, Seen};
use shown::Shown;
use tell::Tell;

pub use lead::{Registration, lead};

/// Where OLM mounts the certificate of a webhook, and the names of the pair there (OLM v0 and v1).
const OLM: [(&str, &str, &str); 2] = [
    ("/tmp/k8s-webhook-server/serving-certs", "tls.crt", "tls.key"),
    ("/apiserver.local.config/certificates", "apiserver.crt", "apiserver.key"),
];

/// Who makes the certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The operator, in a Secret of its namespace.
    SelfManaged,
    /// Somebody who mounts `tls.crt`, `tls.key` and, where it is not injected into the configurations, `ca.crt`.
    Files(PathBuf),
    /// OLM, which also registers the webhooks.
    Olm(PathBuf),
}

impl Mode {
    /// The mode where nobody named one: OLM's where its mounts are found under `root`, which is `/`.
    pub fn detect(root: &Path) -> Self {
        let mounted = OLM
            .iter()
            .map(|(folder, certificate, _)| (root.join(folder.trim_start_matches('/')), certificate));
        let found = mounted.into_iter().find(|(folder, certificate)| folder.join(certificate).is_file());
        found.map_or(Self::SelfManaged, |(folder, _)| Self::Olm(folder))
    }
}

/// What the certificates are for, and where they come from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Who makes them.
    pub mode: Mode,
    /// Namespace of the operator.
    pub namespace: String,
    /// Name of the Service in front of the webhooks.
    pub service: String,
    /// Name of the Secret, where the operator makes them.
    pub secret: String,
    /// How fast they change, where the operator makes them.
    pub pace: Pace,
}

impl Setup {
    /// The name by which the API server knows the webhooks.
    fn name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// What a certificate of ours is for.
    fn request(&self) -> Request {
        let Self { service, namespace, .. } = self;
        Request::server([
            self.name(),
            format!("{service}.{namespace}"),
            format!("{}.cluster.local", self.name()),
        ])
    }
}

/// The certificate of the webhooks as this replica has it; cloning shares it.
#[derive(Clone)]
pub struct Certificates {
    setup: Arc<Setup>,
    resolver: Arc<Resolver>,
    shown: watch::Receiver<Option<shown::Leaf>>,
    bundle: watch::Receiver<Option<String>>,
    seen: watch::Receiver<Seen>,
}

impl Certificates {
    /// Begins to keep them current; the tasks never end. `kit` is one that may write on any replica: where the
    /// operator makes certificates and there is none, the first one to come makes it.
    pub fn start(setup: Setup, client: &Client, kit: &Kit, tasks: &mut JoinSet<()>) -> Self {
        let setup = Arc::new(setup);
        let tell = Tell::new(kit.events.clone(), &setup);
        let (shown, resolver) = Shown::new(kit.metrics.clone(), tell.clone());
        let (seen, follow) = watch::channel(Seen::default());
        let certificates = Self {
            setup: Arc::clone(&setup),
            resolver,
            shown: shown.leaf(),
            bundle: shown.bundle(),
            seen: follow,
        };
        match &setup.mode {
            Mode::SelfManaged => {
                let writer = kit.writer.under(crds::names::managers::CERTIFICATES);
                let keeper = Keeper { setup: Arc::clone(&setup), writer, shown, seen, tell };
                tasks.spawn(keeper.run(client.clone()));
            }
            Mode::Files(folder) => drop(tasks.spawn(Folder::mounted(folder, &setup.name()).poll(shown))),
            Mode::Olm(folder) => drop(tasks.spawn(Folder::of_olm(folder).poll(shown))),
        }
        certificates
    }

    /// What a TLS server shows; until there is a certificate, handshakes fail.
    pub fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    /// What clients must trust, in PEM; nothing where somebody else tells them.
    pub fn bundle(&self) -> watch::Receiver<Option<String>> {
        self.bundle.clone()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use runtime::health::Checks;
    use runtime::lease::Claim;
    use runtime::metrics::Metrics;

    use super::*;

    /// What is shown, without anybody to tell of it: there is no API server.
    pub(crate) fn shown() -> (Shown, Arc<Resolver>) {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let metrics = Metrics::new("test");
        let kit =
            crate::kit(&Client::try_from(config).unwrap(), &metrics, Claim::forever(), &Checks::default());
        let tell = Tell::new(kit.events, &setup());
        Shown::new(metrics, tell)
    }

    /// Certificates of the operator's own, for a Service `b` in namespace `a`.
    pub(crate) fn setup() -> Setup {
        let (namespace, service, secret) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
        Setup { mode: Mode::SelfManaged, namespace, service, secret, pace: Pace::default() }
    }

    #[test]
    fn olm_is_known_by_its_mounts() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Mode::detect(root.path()), Mode::SelfManaged);
        for (folder, certificate, _) in OLM.iter().rev() {
            let folder = root.path().join(folder.trim_start_matches('/'));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(certificate), "x").unwrap();
            assert_eq!(Mode::detect(root.path()), Mode::Olm(folder));
        }
    }
}
