//! What KIC asked of the API server, as the API server itself recorded it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::audit::WRITES;

use crate::stage::Stage;

/// Several rounds of pushes.
const QUIET: Duration = Duration::from_secs(4);

/// What was refused, and how often something was written, but for the Lease and Events.
fn calls(stage: &Stage) -> Result<(BTreeSet<String>, u32)> {
    let user = format!("system:serviceaccount:{}:kic", stage.namespace());
    let log = File::open(stage.scenario.world.cluster.audit_log()).context("no audit log")?;
    let (mut refused, mut writes) = (BTreeSet::new(), 0);
    for line in BufReader::new(log).lines() {
        // The last line may be half written.
        let Ok(entry) = serde_json::from_str::<Value>(&line?) else { continue };
        let object = &entry["objectRef"];
        if entry["user"]["username"] != user || entry["stage"] != "ResponseComplete" {
            continue;
        }
        let verb = entry["verb"].as_str().unwrap_or_default();
        if entry["responseStatus"]["code"] == 403 {
            refused.insert(format!("{verb} {} {}", object["apiGroup"], object["resource"]));
        }
        let counted = object["resource"] != "leases" && object["resource"] != "events";
        writes += u32::from(WRITES.contains(&verb) && counted);
    }
    Ok((refused, writes))
}

/// With the role that the real one has nothing was refused, and at rest nothing is written.
pub async fn are_few(stage: &Stage) -> Result<()> {
    let (refused, before) = calls(stage)?;
    ensure!(refused.is_empty(), "refused: {refused:?}");
    ensure!(before > 0, "nothing was recorded");
    tokio::time::sleep(QUIET).await;
    let (_, after) = calls(stage)?;
    ensure!(before == after, "{} writes at rest", after - before);
    Ok(())
}
