//! What only the replica that leads does: rotations, and the configurations by which the API server calls the webhooks.
//!
//! In: certificates, and the configurations as they should be. Out: a Secret and two configurations that converge,
//! whatever is done to them. Never: an end, but that of the process; two such loops are safe, if wasteful.

use std::sync::Arc;
use std::time::Instant;

use crds::names::managers;
use kube::Client;
use runtime::drive::Kit;
use serde_json::Value;
use tokio::sync::watch;

use super::publish::Publisher;
use super::rotate::Rotator;
use super::tell::Tell;
use super::{Certificates, Mode};

/// The mutating and the validating configuration, whole, for these authorities (base64, as the field has it; none
/// where somebody else writes them), and refusing what nobody answers, or not.
type Wanted = Arc<dyn Fn(Option<&str>, bool) -> [Value; 2] + Send + Sync>;

/// How the webhooks are made known to the API server.
#[derive(Clone)]
pub struct Registration {
    wanted: Wanted,
    /// Name of the webhook by which the operator asks whether it is reached.
    pub test: &'static str,
}

impl Registration {
    /// `wanted` gives the mutating and the validating configuration, whole. It is handed the authorities (base64, as
    /// the field has it; none where somebody else writes them), and whether requests that nobody answers are refused.
    /// `test` is the name of the webhook that refuses self-tests with `<name> <value of their label>`.
    pub fn new(
        test: &'static str,
        wanted: impl Fn(Option<&str>, bool) -> [Value; 2] + Send + Sync + 'static,
    ) -> Self {
        Self { wanted: Arc::new(wanted), test }
    }

    /// The two configurations.
    pub fn wanted(&self, authorities: Option<&str>, strict: bool) -> [Value; 2] {
        (self.wanted)(authorities, strict)
    }
}

/// What clients are known to trust.
#[derive(Clone, Debug)]
pub struct Trust {
    /// In PEM.
    pub bundle: String,
    /// Since when every configuration was seen with it.
    pub since: Instant,
}

/// Keeps the Secret and the configurations as they should be, for ever. `kit` is that of the one that leads.
pub async fn lead(certificates: &Certificates, client: &Client, kit: &Kit, registration: Registration) {
    let setup = &certificates.setup;
    if let Mode::Olm(_) = setup.mode {
        tracing::info!("OLM looks after certificates and configurations");
        return std::future::pending().await;
    }
    let tell = Tell::new(kit.events.clone(), setup);
    let (trust, trusted) = watch::channel(None);
    let publisher = Publisher {
        client: client.clone(),
        setup: Arc::clone(setup),
        writer: kit.writer.under(managers::WEBHOOKS),
        metrics: kit.metrics.clone(),
        registration,
        tell: tell.clone(),
        trust,
    };
    let rotate = async {
        if setup.mode != Mode::SelfManaged {
            return std::future::pending().await;
        }
        let rotator = Rotator {
            setup: Arc::clone(setup),
            writer: kit.writer.under(managers::CERTIFICATES),
            metrics: kit.metrics.clone(),
            seen: certificates.seen.clone(),
            trusted,
            tell,
        };
        rotator.run().await;
    };
    tokio::join!(publisher.run(certificates.bundle()), rotate);
}
