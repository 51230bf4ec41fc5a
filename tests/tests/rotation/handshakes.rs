//! Handshakes with the replicas themselves, as the API server would shake hands on each new connection.
//!
//! In: the ports. Out: how many took place, and which were refused. What is trusted is always what the configurations
//! said just before.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use certs::client::{Trusts, client};
use crds::k8s::ValidatingWebhookConfiguration;
use crds::names::{NAMESPACE, WEBHOOK_CONFIGURATION, WEBHOOK_SERVICE};
use kube::api::Api;
use serde_json::json;
use tests::world::World;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::stage::bundles;

/// Between two handshakes.
const PAUSE: Duration = Duration::from_millis(50);

/// Handshakes under way.
pub struct Handshakes {
    stop: CancellationToken,
    running: JoinHandle<Result<(u32, Vec<String>)>>,
}

impl Handshakes {
    /// Shakes hands with each port in turn, until [`Handshakes::end`].
    pub fn begin(world: Arc<World>, ports: Vec<u16>) -> Self {
        let stop = CancellationToken::new();
        let running = tokio::spawn(shake(world, ports, stop.clone()));
        Self { stop, running }
    }

    /// Fails when one was refused, or none took place; else returns how many there were.
    pub async fn end(self) -> Result<u32> {
        self.stop.cancel();
        let (count, refused) = self.running.await.context("the handshakes did not end")??;
        ensure!(
            refused.is_empty(),
            "{} of {count} handshakes were refused: {:#?}",
            refused.len(),
            refused.first()
        );
        ensure!(count > 0, "nobody shook hands");
        Ok(count)
    }
}

async fn shake(world: Arc<World>, ports: Vec<u16>, stop: CancellationToken) -> Result<(u32, Vec<String>)> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(world.client.clone());
    let (mut count, mut refused) = (0, Vec::new());
    let mut ticks = tokio::time::interval(PAUSE);
    for port in ports.iter().cycle() {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let trusted = bundles(&json!(api.get(WEBHOOK_CONFIGURATION).await?));
        let trusted = trusted.first().context("no webhook")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        // Nobody listens while an operator is started anew.
        let Ok(stream) = world.cluster.connect(address).await else { continue };
        let config = client(Trusts::Authorities(trusted), SystemTime::now())?;
        let name = format!("{WEBHOOK_SERVICE}.{NAMESPACE}.svc").try_into()?;
        match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(_) => count += 1,
            // It was killed in the middle of it.
            Err(error) if !error.to_string().contains("certificate") => {}
            Err(error) => refused.push(format!("port {port}: {error}")),
        }
    }
    Ok((count, refused))
}
