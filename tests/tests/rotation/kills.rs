//! The operator is killed after every single write of a rotation, in turn.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use crds::names::NAMESPACE;
use tests::faults::{Asked, Proxy};
use tests::world::Scenario;

use crate::handshakes::Handshakes;
use crate::stage::{GRACE, Stage, text};

/// What an undisturbed rotation writes: staged, published twice, exchanged, dropped, published twice.
const WRITES: usize = 7;
/// How long a write may stay away after the one before it: the old authority stays for ten graces.
const LATE: Duration = Duration::from_secs(20);

pub async fn a_kill_after_each_write_of_a_rotation_ends_as_undisturbed(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    let proxy = Proxy::start(&s.world.cluster, NAMESPACE).await?;
    stage.alone(Some(proxy.url())).await?;
    stage.strict().await?;
    let mut before = stage.at_rest().await?;
    let handshakes = Handshakes::begin(Arc::clone(&s.world), vec![9443]);
    for number in 1..=WRITES {
        proxy.hold_after(number, is_ours);
        stage.ask("authority").await?;
        let held = tokio::time::timeout(LATE, proxy.held()).await;
        ensure!(held.is_ok(), "write {number} did not come");
        stage.kill().await?;
        proxy.calm();
        stage.alone(Some(proxy.url())).await?;
        let after = stage.at_rest().await?;
        ensure!(
            text(&before, "ca.crt") != text(&after, "ca.crt"),
            "nothing changed after a kill at {number}"
        );
        before = after;
    }
    // The last one begins with a look at everything; from then on each write is one of the rotation.
    for _ in 0..2 {
        stage.at_rest().await?;
        proxy.written();
        stage.rotate(&["authority"]).await?;
    }
    stage.at_rest().await?;
    let written = proxy.written();
    let count = written.iter().filter(|asked| is_ours(asked)).count();
    ensure!(count == WRITES, "{written:?}");
    println!("killed after each of {WRITES} writes; grace {GRACE:?}; {} handshakes", handshakes.end().await?);
    stage.end().await
}

/// Whether it is a write of a rotation.
fn is_ours(asked: &Asked) -> bool {
    let kinds = ["secrets", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
    asked.is_write() && kinds.contains(&asked.resource.as_str())
}
